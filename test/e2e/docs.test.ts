/**
 * The code in docs/: every ```ts block that begins with a comment with a file name is written to that file, one folder
 * per page, and type-checked; every `*.main.ts` among them is run, and prints what the ```text block after it says, if
 * there is one. Every other ```ts block is refused: what is not run rots.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { describe } from "node:test";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "..", "..", "..");

interface Block {
  readonly language: string;
  readonly code: string;
}

function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, "docs", page), "utf8");
  return [...text.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map(([, language, code]) => ({ language, code }));
}

function nameOf(code: string): string | undefined {
  return /^\/\/ ([\w.-]+\.ts)\n/.exec(code)?.[1];
}

/** A folder with holdfast installed, as a user has it. */
function projectFor(page: string): string {
  const folder = mkdtempSync(join(tmpdir(), `holdfast-docs-${page}-`));
  mkdirSync(join(folder, "node_modules"));
  for (const name of ["tsx", "typescript", "@types"])
    symlinkSync(join(root, "node_modules", name), join(folder, "node_modules", name));
  symlinkSync(root, join(folder, "node_modules", "holdfast"));
  writeFileSync(join(folder, "package.json"), JSON.stringify({ type: "module" }));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    target: "es2022",
    lib: ["es2023", "esnext.disposable"],
    types: ["node"],
    skipLibCheck: true,
  };
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, include: ["*.ts"] }));
  return folder;
}

describe("the code in docs", () => {
  for (const page of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md"))) {
    const blocks = blocksOf(page);
    if (!blocks.some(({ language }) => language === "ts")) continue;
    test(`${page} compiles, runs and prints what it says`, { timeout: 120_000 }, async () => {
      const folder = projectFor(page);
      try {
        for (const { language, code } of blocks) {
          if (language !== "ts") continue;
          const name = nameOf(code);
          assert.ok(name !== undefined, `a ts block begins with its file name: ${code.slice(0, 60)}`);
          writeFileSync(join(folder, name), code);
        }
        const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
        await run(process.execPath, [compiler, "-p", folder]).catch(({ stdout }) => assert.fail(stdout));
        for (const [index, { code }] of blocks.entries()) {
          const name = nameOf(code);
          if (name === undefined || !name.endsWith("main.ts")) continue;
          const { stdout } = await run(process.execPath, ["--import", "tsx", name], { cwd: folder, timeout: 60_000 });
          const said = blocks[index + 1];
          if (said?.language === "text") assert.equal(stdout, said.code);
        }
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
