/** The door of holdfast: stateful functions for Node. */

export { Application, type ApplicationEvents, type Status } from "./app/application.js";
export { defineApp, defineEgress, defineFunction, defineNamespace, type } from "./app/define.js";
export { list, type StateOptions, table, value } from "./app/define-state.js";
export { defineTask } from "./app/define-task.js";
export type { AskOptions, RequestOptions } from "./app/gateway.js";
export type { CheckpointOptions, StartOptions } from "./app/options.js";
export type { Quarantine, QuarantinedAddress, QuarantineLimit } from "./app/quarantine.js";
export { start } from "./app/start.js";
export type { PendingTimer, ScheduleBook, ScheduleStatus, TimerList } from "./app/time.js";
export { type VerifiedFile, type VerifyReport, verify } from "./app/verify.js";
export { type ErrorCode, HoldfastError, isHoldfastError } from "./base/errors.js";
export { Address, type AnyAddress } from "./model/address.js";
export type { AppDefinition, AppOptions } from "./model/app.js";
export type { Context, ContextAskOptions, DelayOptions } from "./model/context.js";
export type { EgressBinding, EgressDefinition, EgressRecord, EgressSink, SinkWatermark } from "./model/egress.js";
export type { DeadLetter, FailureEnd, FailurePolicy, RetryPolicy } from "./model/failure.js";
export type { CommonOptions, FunctionDefinition, FunctionOptions, TypeToken } from "./model/function.js";
export type { IngressDefinition, IngressItem, Reject, Router, RouteTo, SplitReader } from "./model/ingress.js";
export type { HandlerOptions, MatchOptions, MessageOf } from "./model/match.js";
export type { NamespaceDefinition } from "./model/namespace.js";
export {
  isOperationResult,
  type OffloadOptions,
  type OperationError,
  type OperationOptions,
  type OperationResult,
  type OperationScope,
} from "./model/operation.js";
export {
  type CronOptions,
  cron,
  type EveryOptions,
  every,
  type MisfireRule,
  type ScheduleDefinition,
} from "./model/schedule.js";
export type { Schema } from "./model/schema.js";
export type {
  DeepReadonly,
  ListHandle,
  ListSpec,
  StateHandle,
  StateHandles,
  StateRegister,
  StateSpecs,
  TableHandle,
  TableKey,
  TableSpec,
  Ttl,
  ValueHandle,
  ValueSpec,
} from "./model/state.js";
export type { Task } from "./model/task.js";
