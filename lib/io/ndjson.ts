/** The door of `holdfast/io/ndjson`: files of one JSON value per line, as ingress and egress. */
export { type NdjsonEgressOptions, ndjsonEgress } from "./ndjson-egress.js";
export { type NdjsonIngressOptions, ndjsonIngress } from "./ndjson-ingress.js";
