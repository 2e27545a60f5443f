/**
 * Compares what came out of the killed application with what must have: files line by line, state by asking.
 *
 * A1. Files are read on from where the last look ended: a line that was final once is never looked at again.
 * A2. What a file held at the moment of a kill must be the beginning of what it holds later: nothing leaves before its
 *     commit.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { start } from "../../lib/index.js";
import type { Address } from "../../lib/model/address.js";
import { features } from "./features.js";
import { type Credit, chain, type Statement } from "./transfer.js";
import type { TransferInput } from "./transfer-input.js";

/** What was found wrong, counted by kind, with the first examples. */
export class Findings {
  lost = 0;
  duplicated = 0;
  /** Anything else: wrong content, order, position, state. */
  wrong = 0;
  readonly examples: string[] = [];

  get any(): boolean {
    return this.lost + this.duplicated + this.wrong > 0;
  }

  add(kind: "lost" | "duplicated" | "wrong", what: string): void {
    this[kind]++;
    if (this.examples.length < 20) this.examples.push(`${kind}: ${what}`);
  }
}

/** A file that only grows, as far as it is final. */
class GrowingFile {
  readonly #path: string;
  readonly #findings: Findings;
  #seen = 0;
  #atKill: { readonly length: number; readonly hash: string }[] = [];

  constructor(path: string, findings: Findings) {
    this.#path = path;
    this.#findings = findings;
  }

  /** Remembers the content at a kill (A2). */
  remember(): void {
    const bytes = this.#readOn();
    if (bytes === undefined) this.#findings.add("wrong", `${this.#path} lost bytes that were final`);
    else this.#atKill.push({ length: bytes.length, hash: hashOf(bytes) });
  }

  /** The lines that are new and now final. */
  lines(): string[] {
    const bytes = this.#readOn() ?? Buffer.alloc(0);
    for (const { length, hash } of this.#atKill) {
      if (length > bytes.length || hashOf(bytes.subarray(0, length)) !== hash) {
        this.#findings.add("wrong", `${this.#path}: what it held when it was killed came out differently later`);
      }
    }
    this.#atKill = [];
    this.#seen += bytes.length;
    if (bytes.length > 0 && bytes.at(-1) !== 0x0a) this.#findings.add("wrong", `${this.#path} ends within a line`);
    return bytes.toString("utf8").split("\n").slice(0, -1);
  }

  /** From the end of the last look on; undefined when the file has become shorter than that. */
  #readOn(): Buffer | undefined {
    if (!existsSync(this.#path)) return this.#seen === 0 ? Buffer.alloc(0) : undefined;
    const file = openSync(this.#path, "r");
    try {
      const length = fstatSync(file).size - this.#seen;
      if (length < 0) return undefined;
      const bytes = Buffer.alloc(length);
      return bytes.subarray(0, readSync(file, bytes, 0, length, this.#seen));
    } finally {
      closeSync(file);
    }
  }
}

export class Audit {
  readonly findings = new Findings();
  readonly #input: TransferInput;
  readonly #credits: GrowingFile;
  readonly #rejects: GrowingFile;
  readonly #creditedIds = new Set<number>();
  readonly #rejected = new Set<string>();
  /** By account: the last link. */
  readonly #chains = new Map<string, { seq: number; chain: number }>();
  /** By the two accounts: the last transfer. */
  readonly #lastBetween = new Map<string, number>();

  constructor(input: TransferInput, paths: { readonly credits: string; readonly rejects: string }) {
    this.#input = input;
    this.#credits = new GrowingFile(paths.credits, this.findings);
    this.#rejects = new GrowingFile(paths.rejects, this.findings);
  }

  get rejected(): number {
    return this.#rejected.size;
  }

  /** After a kill. */
  remember(): void {
    this.#credits.remember();
    this.#rejects.remember();
  }

  /** After a run that says that it is done: every line of the input must have had its effect, once. */
  checkFiles(): void {
    for (const line of this.#credits.lines()) this.#checkCredit(parse(line));
    for (const line of this.#rejects.lines()) this.#checkReject(parse(line));
    for (const { id } of this.#input.transfers) {
      if (!this.#creditedIds.has(id)) this.findings.add("lost", `transfer ${id} was not credited`);
    }
    for (const { token } of this.#input.rejects) {
      if (!this.#rejected.has(token)) this.findings.add("lost", `the malformed line ${token} was not rejected`);
    }
  }

  /** Starts the application once more, in this process, and asks every account. */
  async checkState(module: URL, dataDir: string, shards: number): Promise<void> {
    const { account } = (await import(module.href)) as { account: { at(id: string): Address<unknown, Statement> } };
    await using app = await start(module, { dataDir, shards });
    const asked = [...this.#input.accounts].map(async ([name, expected]) => {
      const link = this.#chains.get(name)?.chain ?? 0;
      const said = await app.ask(account.at(name), { kind: "state" });
      for (const [what, value] of Object.entries({ ...expected, chain: link })) {
        const found = said[what as keyof Statement];
        if (found !== value) this.findings.add("wrong", `${name}: ${what} is ${found}, must be ${value}`);
      }
    });
    await Promise.all(asked);
    for (const feature of features) {
      const wrong = await feature.audit(app, this.#input.transfers.length);
      for (const what of wrong) this.findings.add("wrong", `${feature.name}: ${what}`);
    }
    await app.stop();
  }

  #checkCredit(credit: Credit): void {
    const transfer = this.#input.transfers[credit.id];
    if (transfer === undefined || transfer.to !== credit.to || transfer.amount !== credit.amount) {
      this.findings.add("wrong", `no transfer has the credit ${JSON.stringify(credit)}`);
      return;
    }
    if (this.#creditedIds.has(credit.id)) this.findings.add("duplicated", `transfer ${credit.id} was credited again`);
    this.#creditedIds.add(credit.id);
    this.#checkLink(credit);
    this.#checkOrder(credit);
  }

  #checkLink({ id, to, amount, seq, chain: link }: Credit): void {
    const before = this.#chains.get(to) ?? { seq: 0, chain: 0 };
    if (seq !== before.seq + 1) {
      this.findings.add("wrong", `${to}: credit ${seq} (transfer ${id}) follows credit ${before.seq}`);
    } else if (link !== chain(before.chain, id, amount)) {
      this.findings.add("wrong", `${to}: credit ${seq} (transfer ${id}) does not continue the chain`);
    }
    this.#chains.set(to, { seq, chain: link });
  }

  #checkOrder({ id, from, to }: Credit): void {
    const between = `${from} ${to}`;
    const before = this.#lastBetween.get(between) ?? -1;
    if (id < before) this.findings.add("wrong", `${between}: transfer ${id} was overtaken by ${before}`);
    this.#lastBetween.set(between, id);
  }

  #checkReject({ text, where }: { readonly text: string; readonly where: string }): void {
    const token = /bad-\d+-/.exec(text)?.[0] ?? text;
    const expected = this.#input.rejects[Number(token.split("-")[1])];
    if (expected?.where !== where) this.findings.add("wrong", `a line was rejected at ${where}: ${text}`);
    else if (this.#rejected.has(token)) this.findings.add("duplicated", `${token} was rejected again`);
    this.#rejected.add(token);
  }
}

function parse<T>(line: string): T {
  return JSON.parse(line) as T;
}

function hashOf(bytes: Buffer): string {
  return createHash("sha1").update(bytes).digest("hex");
}
