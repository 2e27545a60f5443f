/** The door of holdfast: stateful functions for Node. */

export { Application, type ApplicationEvents, type Status } from "./app/application.js";
export { defineApp, defineEgress, defineFunction, defineNamespace, type, value } from "./app/define.js";
export type { AskOptions, RequestOptions } from "./app/gateway.js";
export type { CheckpointOptions, StartOptions } from "./app/options.js";
export { start } from "./app/start.js";
export { type ErrorCode, HoldfastError, isHoldfastError } from "./base/errors.js";
export { Address, type AnyAddress } from "./model/address.js";
export type { AppDefinition, AppOptions } from "./model/app.js";
export type { Context, ContextAskOptions } from "./model/context.js";
export type { EgressBinding, EgressDefinition, EgressRecord, EgressSink, SinkWatermark } from "./model/egress.js";
export type { FunctionDefinition, FunctionOptions, TypeToken } from "./model/function.js";
export type { IngressDefinition, IngressItem, Reject, Router, RouteTo, SplitReader } from "./model/ingress.js";
export type { HandlerOptions, MatchOptions, MessageOf } from "./model/match.js";
export type { NamespaceDefinition } from "./model/namespace.js";
export type { Schema } from "./model/schema.js";
export type { DeepReadonly, StateHandles, StateSpecs, ValueHandle, ValueSpec } from "./model/state.js";
