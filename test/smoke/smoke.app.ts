/**
 * The command interpreter of the smoke workload, as three function types with equal ids: a plain one, one whose turns are
 * asynchronous, and one that comes to life with its first message.
 *
 * Each message that a command sends directly carries how many the sender has sent to the receiver: they must come in
 * order.
 */
import { join } from "node:path";
import { setImmediate as breathe, setTimeout as pause } from "node:timers/promises";
import {
  type Address,
  type Context,
  defineApp,
  defineEgress,
  defineFunction,
  defineNamespace,
  type FunctionDefinition,
  isOperationResult,
  type OperationResult,
  table,
  value,
} from "holdfast";
import { ndjsonEgress, ndjsonIngress } from "holdfast/io/ndjson";
import {
  type Cancellation,
  type Command,
  type Commands,
  type Discarded,
  files,
  finiteVariable,
  folderVariable,
  type SourceCommand,
  typesCount,
  type VerificationResult,
} from "./commands.js";

interface Instructions {
  readonly commands: Commands;
  /** Of a direct send: how many this sender has sent to this receiver. */
  readonly sequence?: number;
}
type Message = Instructions | OperationResult<null, Commands>;
type InterpreterContext = Context<typeof states, unknown, Message>;

const folder = process.env[folderVariable] ?? ".";

export const discarded = defineEgress<Discarded>("smoke/discard-sink");
export const verified = defineEgress<VerificationResult>("smoke/verification-sink");
export const cancelled = defineEgress<Cancellation>("smoke/cancellations");

const states = {
  state: value(0),
  invocations: value(0),
  surprises: value(0),
  /** By instance: direct sends to it. */
  sent: table<number, number>(),
  /** By instance: direct sends that came from it. */
  received: table<number, number>(),
};

const plain = defineFunction("smoke/interpreter", { state: states, receive: interpret });

const asynchronous = defineFunction("smoke/asynchronous", {
  state: states,
  async receive(ctx: InterpreterContext, message: Message) {
    await breathe();
    interpret(ctx, message);
  },
});

const late = defineNamespace(
  "smoke-late/*",
  (functionType): FunctionDefinition<Message> => defineFunction(functionType, { state: states, receive: interpret }),
);

export default defineApp({
  name: "smoke",
  functions: [plain, asynchronous],
  namespaces: [late],
  ingresses: [
    ndjsonIngress<SourceCommand>("command-generator-source", {
      path: join(folder, files.commands),
      rejects: join(folder, files.rejects),
      follow: process.env[finiteVariable] !== "1",
      route: ({ target, commands }, to) => to(at(target), { commands }),
    }),
  ],
  egresses: [
    ndjsonEgress(discarded, { path: join(folder, files.discarded) }),
    ndjsonEgress(verified, { path: join(folder, files.verified) }),
    ndjsonEgress(cancelled, { path: join(folder, files.cancelled) }),
  ],
});

function at(instance: number): Address<Message> {
  const id = String(Math.floor(instance / typesCount));
  return [plain.at(id), asynchronous.at(id), late.at("interpreter", id)][instance % typesCount];
}

function numberOf({ type, id }: { readonly type: string; readonly id: string }): number {
  return Number(id) * typesCount + [at(0), at(1), at(2)].findIndex((address) => address.type === type);
}

function interpret(ctx: InterpreterContext, message: Message): void {
  ctx.state.invocations.update((count) => count + 1);
  if (isOperationResult(message)) runAll(ctx, message.metadata);
  else {
    if (message.sequence !== undefined) checkOrder(ctx, message.sequence);
    runAll(ctx, message.commands);
  }
}

function runAll(ctx: InterpreterContext, commands: Commands): void {
  for (const command of commands) run(ctx, command);
}

function run(ctx: InterpreterContext, command: Command): void {
  const { state } = ctx;
  switch (command.kind) {
    case "increment":
      state.state.update((count) => count + 1);
      break;
    case "send": {
      const { target, commands } = command;
      const sequence = (state.sent.get(target) ?? 0) + 1;
      state.sent.set(target, sequence);
      ctx.send(at(target), { commands, sequence });
      break;
    }
    case "sendAfter": {
      const { target, commands, delayMs, token } = command;
      ctx.sendAfter(delayMs, at(target), { commands }, token === undefined ? {} : { token });
      break;
    }
    case "cancelSendAfter":
      cancel(ctx, command.token, command.race);
      break;
    case "sendEgress":
      ctx.emit(discarded, { number: command.number, at: numberOf(ctx.self) });
      break;
    case "asyncOperation": {
      const { failure, resolvedCommands } = command;
      ctx.run(() => operate(failure), resolvedCommands);
      break;
    }
    case "verify": {
      const [actual, invocations, surprises] = [state.state.get(), state.invocations.get(), state.surprises.get()];
      ctx.emit(verified, { id: numberOf(ctx.self), expected: command.expected, actual, invocations, surprises });
    }
  }
}

function checkOrder(ctx: InterpreterContext, sequence: number): void {
  const sender = numberOf(ctx.caller!);
  const { received } = ctx.state;
  if (sequence !== (received.get(sender) ?? 0) + 1) surprise(ctx);
  received.set(sender, sequence);
}

function cancel(ctx: InterpreterContext, token: string, race: number | undefined): void {
  const wasPending = ctx.cancel(token);
  if (race !== undefined) ctx.emit(cancelled, { race, cancelled: wasPending });
  else if (!wasPending) surprise(ctx); // it was sent by this very turn
}

function surprise(ctx: InterpreterContext): void {
  ctx.state.surprises.update((count) => count + 1);
}

async function operate(failure: boolean): Promise<null> {
  await pause(1);
  if (failure) throw new Error("this operation fails");
  return null;
}
