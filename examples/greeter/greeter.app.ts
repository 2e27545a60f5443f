/** Greets people and counts their visits: the first example of Apache Flink Stateful Functions. */
import { join } from "node:path";
import { defineApp, defineEgress, defineFunction, value } from "holdfast";
import { ndjsonIngress } from "holdfast/io/ndjson";

export const greetings = defineEgress<string>("example/greetings");

/** One instance per person; counts the visits. */
export const person = defineFunction("example/person", {
  state: { visits: value(0) },
  receive(ctx, login: { name: string }) {
    const visits = ctx.state.visits.update((n) => n + 1);
    ctx.send(greeter.at(login.name), { visits });
  },
});

/** One instance per person; has no state, only words. */
export const greeter = defineFunction("example/greeter", {
  receive(ctx, message: { visits: number }) {
    ctx.emit(greetings, greeting(ctx.self.id, message.visits));
  },
});

/** The data stays in examples/greeter, also when this module runs compiled, from dist/examples/greeter. */
const folder = import.meta.dirname.replace(/dist(?=[\\/]examples[\\/]greeter$)/, "");

export default defineApp({
  functions: [person, greeter],
  ingresses: [
    ndjsonIngress<{ name: string }>("logins", {
      path: join(folder, "logins.ndjson"),
      follow: false,
      route: (login, to) => to(person.at(login.name), login),
    }),
  ],
  egresses: [greetings],
});

function greeting(name: string, visits: number): string {
  if (visits === 1) return `Welcome ${name}!`;
  if (visits === 2) return `Nice to see you again, ${name}!`;
  return `Hello ${name}, visit ${visits}`;
}
