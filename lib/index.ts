/** The door of holdfast: stateful functions for Node. */

export { Application, type ApplicationEvents, type Status } from "./app/application.js";
export { defineApp, defineEgress, defineFunction, type, value } from "./app/define.js";
export type { AskOptions } from "./app/gateway.js";
export type { CheckpointOptions, StartOptions } from "./app/options.js";
export type { Quarantine, QuarantinedAddress, QuarantineLimit } from "./app/quarantine.js";
export { start } from "./app/start.js";
export { type ErrorCode, HoldfastError, isHoldfastError } from "./base/errors.js";
export { Address, type AnyAddress } from "./model/address.js";
export type { AppDefinition, AppOptions } from "./model/app.js";
export type { Context } from "./model/context.js";
export type { EgressBinding, EgressDefinition, EgressRecord, EgressSink, SinkWatermark } from "./model/egress.js";
export type { DeadLetter, FailureEnd, FailurePolicy, RetryPolicy } from "./model/failure.js";
export type { FunctionDefinition, FunctionOptions, TypeToken } from "./model/function.js";
export type { IngressDefinition, IngressItem, Reject, Router, RouteTo, SplitReader } from "./model/ingress.js";
export type { Schema } from "./model/schema.js";
export type { DeepReadonly, StateHandles, StateSpecs, ValueHandle, ValueSpec } from "./model/state.js";
