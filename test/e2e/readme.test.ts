import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { describe } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..", "..");
const cli = join(import.meta.dirname, "..", "..", "lib", "cli", "main.js");

/** The fenced block of the README that contains a text. */
function readmeBlock(containing: string): string {
  const blocks = readFileSync(join(root, "README.md"), "utf8").matchAll(/```(?:ts|sh)\n([\s\S]*?)```/g);
  const found = [...blocks].map(([, block]) => block).find((block) => block.includes(containing));
  assert.ok(found !== undefined, `the README has a block with ${containing}`);
  return found;
}

/** An empty folder with holdfast installed, as a new user has it. */
function emptyProject(): string {
  const folder = mkdtempSync(join(tmpdir(), "holdfast-readme-"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(root, join(folder, "node_modules", "holdfast"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  return folder;
}

describe("the README", () => {
  test("its application runs from a shell as it stands, in TypeScript", { timeout: 120_000 }, async () => {
    const folder = emptyProject();
    try {
      writeFileSync(join(folder, "greeter.app.ts"), readmeBlock("// greeter.app.ts"));
      writeFileSync(join(folder, "logins.ndjson"), '{"name":"ada"}\n{"name":"ada"}\n');
      const args = [cli, "run", "greeter.app.ts", "--data", "./data", "--shards", "2", "--exit-when-done"];
      await run(process.execPath, args, { cwd: folder });
      const lines = readFileSync(join(folder, "greetings.ndjson"), "utf8").trim().split("\n");
      assert.deepEqual(lines, ['"Hello ada, visit 1"', '"Hello ada, visit 2"']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("its second block runs inside a process", { timeout: 120_000 }, async () => {
    const folder = emptyProject();
    try {
      const app = readmeBlock("// greeter.app.ts").replace(
        /<\{ name: string \}>|<string>|: \{ [a-z]+: (string|number) \}/g,
        "",
      );
      writeFileSync(join(folder, "greeter.app.js"), app);
      writeFileSync(join(folder, "logins.ndjson"), "");
      const main = readmeBlock("await using app").replace("await using app", "const app");
      writeFileSync(join(folder, "main.js"), `${main}\nawait app.stop();\n`);
      await run(process.execPath, ["main.js"], { cwd: folder });
      assert.equal(readFileSync(join(folder, "greetings.ndjson"), "utf8"), '"Hello bob, visit 1"\n');
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
