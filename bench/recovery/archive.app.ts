/** Addresses with a kibibyte of state each, written by messages that the application sends itself. */
import { defineApp, defineFunction, type, value } from "../../lib/index.js";

/** Characters of each address's state; each of them is a byte in the base. */
export const textLength = 1_000;
/** Addresses that one turn of a filler writes to: some 4 MiB of turns between two captures at most. */
const perTurn = 100;

/** What is stored. */
export interface Page {
  readonly version: number;
  readonly text: string;
}

/** A page with the id `page-<n>`: every turn makes a version with other text. Says which version it has. */
export const page = defineFunction("bench/page", {
  state: { page: value<Page>({ version: 0, text: "" }) },
  reply: type<number>(),
  receive(ctx, message: { readonly revise: boolean }) {
    const { version } = ctx.state.page.get();
    if (message.revise) ctx.state.page.set({ version: version + 1, text: textOf(ctx.self.id, version + 1) });
    else ctx.reply(version);
  },
});

/** The pages `next` to `end` - 1. */
export interface Work {
  readonly next: number;
  readonly end: number;
}

/** Has a range of pages revised, some in each turn. */
export const filler = defineFunction("bench/page-filler", {
  receive(ctx, { next, end }: Work) {
    const until = Math.min(end, next + perTurn);
    for (let n = next; n < until; n++) ctx.send(page.at(`page-${n}`), { revise: true });
    if (until < end) ctx.send(filler.at(ctx.self.id), { next: until, end });
  },
});

function textOf(id: string, version: number): string {
  return `${id}, version ${version}: `.padEnd(textLength, "all work and no play makes a dull log ");
}

export default defineApp({ functions: [page, filler] });
