/** The page of the guarantees points at commands, mutants and tests that exist. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { evidenceCommands } from "../evidence/commands.js";
import { mutantNames as modelMutants } from "../model/mutants.js";
import { features } from "../simulation/features.js";
import { mutantNames as simMutants } from "../simulation/mutants.js";

const root = join(import.meta.dirname, "../../..");
const page = readFileSync(join(root, "docs/guarantees.md"), "utf8");
const scripts = Object.keys(JSON.parse(readFileSync(join(root, "package.json"), "utf8")).scripts);
const testFiles = readdirSync(join(import.meta.dirname, ".."), { recursive: true, encoding: "utf8" }).filter((name) =>
  name.endsWith(".test.js"),
);
const mutantsOf: Readonly<Record<string, readonly string[]>> = { model: modelMutants, sim: simMutants };

/** The rows of the tables below `proved by`: a command, and the mutants beside it. */
const proofs = [...page.matchAll(/^\| `((?:npm run|node) [^`]+)` \| ((?:`[a-z]+` ?)+|–) \|$/gm)].map(
  ([, command, mutants]) => ({
    command: command as string,
    mutants: [...(mutants as string).matchAll(/`(\w+)`/g)].map(([, name]) => name as string),
  }),
);

describe("the page of the guarantees", () => {
  test("has a proof for every guarantee", () => {
    const sections = page.split(/^## /m).slice(1);
    assert.ok(sections.length > 0);
    for (const section of sections) {
      for (const part of ["**Promised:**", "**Not promised:**", "| proved by | mutants |"])
        assert.ok(section.includes(part), `${section.slice(0, 40)} lacks ${part}`);
    }
    const rows = page.match(/^\| `(npm|node)[^|]*\|[^|]*\|$/gm) ?? [];
    assert.equal(proofs.length, rows.length, "each row was understood");
  });

  test("names commands, features and test files that exist", () => {
    for (const { command } of proofs) {
      const [, script] = /^npm run (\S+)/.exec(command) ?? [];
      if (script !== undefined) assert.ok(scripts.includes(script), command);
      const [, feature] = /--features (\S+)/.exec(command) ?? [];
      if (feature !== undefined) assert.ok(feature in features, command);
      const [, parts] = /^node dist\/test\/run\.js (.+)/.exec(command) ?? [];
      for (const part of parts?.split(" ") ?? [])
        assert.ok(
          testFiles.some((file) => file.replaceAll("\\", "/").includes(part)),
          `${command}: ${part}`,
        );
    }
  });

  test("names every mutant of the model and of the simulator, beside the command that has it", () => {
    const named = new Map(Object.keys(mutantsOf).map((command) => [command, new Set<string>()]));
    for (const { command, mutants } of proofs) {
      const script = /^npm run (\S+)/.exec(command)?.[1] ?? "";
      for (const mutant of mutants) {
        assert.ok(mutantsOf[script]?.includes(mutant), `${command}: no mutant ${mutant}`);
        named.get(script)?.add(mutant);
      }
    }
    for (const [command, mutants] of Object.entries(mutantsOf))
      assert.deepEqual(
        mutants.filter((mutant) => !named.get(command)?.has(mutant)),
        [],
        command,
      );
  });

  test("has every command that the evidence runs", () => {
    for (const { name, typed } of evidenceCommands)
      if (typed.startsWith("npm run")) assert.ok(page.includes(`\`npm run ${name}\``), name);
  });
});
