/** Rules about the house itself: floors, cycles, ports, headers, names, documents, the package. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, posix } from "node:path";
import test, { describe } from "node:test";
import ts from "typescript";

/** Floors from the ground up; folders on one floor do not import each other. */
const floors = [
  ["base"],
  ["model", "codec", "partition"],
  ["ring", "log", "store"],
  ["channel"],
  ["shard"],
  ["snapshot"],
  ["supervisor"],
  ["app"],
];
const floorOf = new Map(floors.flatMap((folders, floor) => folders.map((folder) => [folder, floor] as const)));
/** The rim imports the door, the vocabulary and the ground floor, and within its own folder. */
const rim = ["io", "cli", "testing"];
const rimMayImport = ["index.ts", "base/", "model/"];
/** Exceptions, `importer -> imported`, each with its reason. */
const importsAllowed = new Map<string, string>([]);

/** The only folder (or file) that may import a package. */
const packageHome = new Map([
  ["lmdb", "store/"],
  ["@msgpack/msgpack", "codec/"],
  ["croner", "model/cron-expression.ts"],
  ["comlink", "supervisor/"],
  ["piscina", "supervisor/"],
  ["tsx", "supervisor/"],
  ["commander", "cli/"],
  ["@standard-schema/spec", "model/"],
]);

/** Adapters: the only files of the inner floors that touch the clock, chance, timers, files or blocking waits. */
const adapters = ["base/clock.ts", "log/node-disk.ts", "log/lock.ts", "store/lmdb-base.ts"];
const outerFolders = ["supervisor/", "app/", "io/", "cli/", "testing/"];
const impureCalls = ["Date.now", "Math.random", "Atomics.wait", "Atomics.waitAsync", "performance.now"];
const impureNames = ["setTimeout", "setInterval", "setImmediate"];
const impureModules = ["node:fs", "node:fs/promises", "node:timers", "node:timers/promises", "node:perf_hooks"];

const root = findRoot(import.meta.dirname);
const builtInto = dirname(import.meta.dirname);
const packageJson = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  exports: Record<string, string | Record<string, string>>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies?: Record<string, string>;
};
const files = readLib();

describe("floors", () => {
  test("imports of lib point down and never sideways", () => {
    const wrong = [...files.values()].flatMap((file) =>
      file.imports
        .filter(({ target }) => target !== undefined && !mayImport(file.name, target))
        .map((found) => `${file.name} -> ${found.target}`),
    );
    assert.deepEqual(
      wrong.filter((edge) => !importsAllowed.has(edge)),
      [],
    );
  });

  test("every exception from the floors is still needed", () => {
    const edges = new Set(
      [...files.values()].flatMap((file) => file.imports.map(({ target }) => `${file.name} -> ${target}`)),
    );
    assert.deepEqual(
      [...importsAllowed.keys()].filter((edge) => !edges.has(edge)),
      [],
    );
  });

  test("every folder of lib has a floor", () => {
    const folders = new Set([...files.keys()].filter((name) => name.includes("/")).map(folderOf));
    assert.deepEqual(
      [...folders].filter((folder) => !floorOf.has(folder) && !rim.includes(folder)),
      [],
    );
  });

  test("the rule refuses an upward, a sideways and a rim import, and allows a downward one", () => {
    assert.equal(mayImport("ring/a.ts", "shard/b.ts"), false);
    assert.equal(mayImport("ring/a.ts", "log/b.ts"), false);
    assert.equal(mayImport("cli/a.ts", "supervisor/b.ts"), false);
    assert.equal(mayImport("app/a.ts", "index.ts"), false);
    assert.equal(mayImport("app/a.ts", "io/b.ts"), false);
    assert.equal(mayImport("shard/a.ts", "ring/b.ts"), true);
    assert.equal(mayImport("io/a.ts", "index.ts"), true);
  });

  test("value imports of lib make no cycle", () => {
    assert.equal(findCycle(new Map([...files.values()].map((file) => [file.name, valueTargets(file)]))), undefined);
  });

  test("the cycle search finds a cycle", () => {
    const graph = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b"]],
    ]);
    assert.equal(findCycle(graph), "b -> c -> b");
  });
});

describe("ports", () => {
  test("clock, chance, timers, files and blocking waits appear in adapters only", () => {
    const wrong = [...files.values()]
      .filter(
        ({ name }) =>
          name.includes("/") && !adapters.includes(name) && !outerFolders.some((folder) => name.startsWith(folder)),
      )
      .flatMap((file) => impurities(file.source).map((found) => `${file.name}: ${found}`));
    assert.deepEqual(wrong, []);
  });

  test("every adapter on the list exists", () => {
    assert.deepEqual(
      adapters.filter((name) => !files.has(name)),
      [],
    );
  });

  test("the search finds what it looks for, in code and not in comments", () => {
    const text =
      'import { openSync } from "node:fs";\n// Date.now()\nMath.random(); setTimeout(f, 1); new Date(); new Date(0);';
    const found = impurities(ts.createSourceFile("x.ts", text, ts.ScriptTarget.Latest, true));
    assert.deepEqual(found, ["node:fs", "Math.random", "setTimeout", "new Date()"]);
  });

  test("each package is imported in its one folder, and is a dependency", () => {
    const allowed = { ...packageJson.dependencies, ...packageJson.peerDependencies };
    const wrong = [...files.values()].flatMap((file) =>
      file.imports
        .filter(({ target, specifier }) => target === undefined && !specifier.startsWith("node:"))
        .filter(({ specifier }) => {
          const name = packageOf(specifier);
          const home = packageHome.get(name);
          return home === undefined || !(name in allowed) || !file.name.startsWith(home);
        })
        .map(({ specifier }) => `${file.name} -> ${specifier}`),
    );
    assert.deepEqual(wrong, []);
  });
});

describe("files", () => {
  test("every file of lib begins with a comment on what it is", () => {
    assert.deepEqual(
      [...files.values()].filter(({ source }) => !hasHeader(source)).map(({ name }) => name),
      [],
    );
  });

  test("nothing in lib is called Manager, Helper or Util", () => {
    const vague = /(manager|helper|util)s?$/i;
    const wrong = [...files.values()].flatMap(({ name, source }) => {
      const names = [basename(name, ".ts"), ...declaredNames(source)];
      return names.filter((declared) => vague.test(declared)).map((declared) => `${name}: ${declared}`);
    });
    assert.deepEqual(wrong, []);
  });

  test("lib has named exports only, and no export of everything", () => {
    const wrong = [...files.values()].flatMap(({ name, source }) =>
      source.statements
        .filter(
          (statement) =>
            ts.isExportAssignment(statement) ||
            (ts.isExportDeclaration(statement) && statement.exportClause === undefined) ||
            (ts.canHaveModifiers(statement) &&
              ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.DefaultKeyword)),
        )
        .map((statement) => `${name}: ${statement.getText().slice(0, 60)}`),
    );
    assert.deepEqual(wrong, []);
  });
});

describe("documents", () => {
  const codes = errorCodes();
  const documented = readFileSync(join(root, "docs/errors.md"), "utf8").match(/\bHF_[A-Z_]+\b/g) ?? [];

  test("every error code has its paragraph in docs/errors.md", () => {
    assert.ok(codes.length > 0);
    const text = readFileSync(join(root, "docs/errors.md"), "utf8");
    assert.deepEqual(
      codes.filter((code) => !text.includes(`\`${code}\` |`)),
      [],
    );
  });

  test("docs/errors.md names no code that does not exist", () => {
    assert.deepEqual(
      documented.filter((code) => !codes.includes(code)),
      [],
    );
  });

  test("links between the documents lead somewhere", () => {
    const documents = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"];
    for (const name of readdirSync(join(root, "docs"))) if (name.endsWith(".md")) documents.push(`docs/${name}`);
    const broken = documents.flatMap((name) =>
      [...readFileSync(join(root, name), "utf8").matchAll(/\]\((?!https?:|mailto:|#)([^)#]+)/g)]
        .map((match) => match[1] as string)
        .filter((link) => !existsSync(join(root, dirname(name), link)))
        .map((link) => `${name}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });
});

describe("package", () => {
  test("every export and command exists after the build", () => {
    const targets = [
      ...Object.values(packageJson.exports).flatMap((entry) =>
        typeof entry === "string" ? [entry] : Object.values(entry),
      ),
    ];
    const missing = [...targets, ...Object.values(packageJson.bin)].filter((target) => {
      const path = target.replace(/^\.\//, "");
      return !existsSync(path.startsWith("dist/") ? join(builtInto, path.slice("dist/".length)) : join(root, path));
    });
    assert.deepEqual(missing, []);
  });

  const elsewhere = basename(builtInto) !== "dist" && "built into another folder than the one that is packed";
  test("the tarball holds dist/lib, the licence and no tests", { skip: elsewhere }, () => {
    const output = execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [tarball] = JSON.parse(output) as [{ files: { path: string }[] }];
    const packed = tarball.files.map(({ path }) => path);
    for (const path of ["dist/lib/index.js", "dist/lib/index.d.ts", "dist/lib/cli/main.js", "LICENSE", "README.md"]) {
      assert.ok(packed.includes(path), `${path} is missing in the tarball`);
    }
    const alien = packed.filter(
      (path) => !path.startsWith("dist/lib/") && !/^(package\.json|LICENSE|[A-Z]+\.md)$/.test(path),
    );
    assert.deepEqual(alien, []);
    assert.deepEqual(
      packed.filter((path) => /\.test\.|(^|\/)test\//.test(path)),
      [],
    );
  });
});

interface LibFile {
  /** Relative to lib, with `/`. */
  readonly name: string;
  readonly source: ts.SourceFile;
  readonly imports: readonly LibImport[];
}

interface LibImport {
  readonly specifier: string;
  /** The file of lib it leads to, undefined for a package. */
  readonly target: string | undefined;
  /** False when nothing of it is left after compiling. */
  readonly isValue: boolean;
}

function findRoot(from: string): string {
  return existsSync(join(from, "package.json")) ? from : findRoot(dirname(from));
}

function readLib(): Map<string, LibFile> {
  const names = readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => name.endsWith(".ts"))
    .sort();
  return new Map(
    names.map((name) => {
      const text = readFileSync(join(root, "lib", name), "utf8");
      const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true);
      return [name, { name, source, imports: importsOf(name, source) }];
    }),
  );
}

/** Imports and re-exports, `import()` expressions and `import("…")` types of a file. */
function importsOf(name: string, source: ts.SourceFile): LibImport[] {
  const found: LibImport[] = [];
  const add = (literal: ts.Node | undefined, isValue: boolean): void => {
    if (literal === undefined || !ts.isStringLiteralLike(literal)) return;
    const specifier = literal.text;
    const target = specifier.startsWith(".")
      ? posix.join(posix.dirname(name), specifier).replace(/\.js$/, ".ts")
      : undefined;
    found.push({ specifier, target, isValue });
  };
  walk(source, (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, !isTypeOnlyImport(node));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, !isTypeOnlyExport(node));
    else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0], true);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, false);
  });
  return found;
}

function isTypeOnlyImport({ importClause: clause }: ts.ImportDeclaration): boolean {
  if (clause === undefined) return false;
  if (clause.isTypeOnly) return true;
  const named = clause.namedBindings;
  return (
    clause.name === undefined &&
    named !== undefined &&
    ts.isNamedImports(named) &&
    named.elements.every((element) => element.isTypeOnly)
  );
}

function isTypeOnlyExport({ isTypeOnly, exportClause: clause }: ts.ExportDeclaration): boolean {
  return (
    isTypeOnly ||
    (clause !== undefined && ts.isNamedExports(clause) && clause.elements.every((element) => element.isTypeOnly))
  );
}

function folderOf(name: string): string {
  return name.includes("/") ? name.slice(0, name.indexOf("/")) : "";
}

/** The rule of the floors; names are relative to lib. */
function mayImport(importer: string, imported: string): boolean {
  const [from, to] = [folderOf(importer), folderOf(imported)];
  if (from === to && from !== "") return true;
  if (rim.includes(from)) return rimMayImport.some((allowed) => imported.startsWith(allowed));
  const toFloor = floorOf.get(to);
  if (from === "") return toFloor !== undefined; // the door re-exports what is below it
  const fromFloor = floorOf.get(from);
  return fromFloor !== undefined && toFloor !== undefined && toFloor < fromFloor;
}

function valueTargets(file: LibFile): string[] {
  return file.imports
    .filter(({ target, isValue }) => isValue && target !== undefined)
    .map(({ target }) => target as string);
}

/** One cycle, as text, or undefined. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string | undefined {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): string | undefined => {
    const start = path.indexOf(node);
    if (start !== -1) return [...path.slice(start), node].join(" -> ");
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle !== undefined) return cycle;
    }
    done.add(node);
    return undefined;
  };
  for (const node of graph.keys()) {
    const cycle = visit(node, []);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

function impurities(source: ts.SourceFile): string[] {
  const found: string[] = [];
  walk(source, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier) && !isTypeOnlyImport(node)) {
      if (impureModules.includes(node.moduleSpecifier.text)) found.push(node.moduleSpecifier.text);
    } else if (ts.isPropertyAccessExpression(node) && impureCalls.includes(node.getText(source))) {
      found.push(node.getText(source));
    } else if (ts.isIdentifier(node) && impureNames.includes(node.text)) {
      found.push(node.text);
    } else if (ts.isNewExpression(node) && node.expression.getText(source) === "Date" && !node.arguments?.length) {
      found.push("new Date()");
    }
  });
  return found;
}

function packageOf(specifier: string): string {
  const parts = specifier.split("/");
  return specifier.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] as string);
}

/** A comment at the top, or on the first thing after the imports. */
function hasHeader(source: ts.SourceFile): boolean {
  const text = source.getFullText();
  if (/^(#!.*\n)?\s*\/\*\*/.test(text)) return true;
  const first = source.statements.find((statement) => !ts.isImportDeclaration(statement));
  return (
    first !== undefined &&
    (ts.getLeadingCommentRanges(text, first.getFullStart()) ?? []).some(({ pos }) => text.startsWith("/**", pos))
  );
}

function declaredNames(source: ts.SourceFile): string[] {
  const names: string[] = [];
  walk(source, (node) => {
    const declares =
      ts.isClassDeclaration(node) ||
      ts.isInterfaceDeclaration(node) ||
      ts.isTypeAliasDeclaration(node) ||
      ts.isFunctionDeclaration(node);
    if (declares && node.name !== undefined) names.push(node.name.text);
  });
  return names;
}

/** The members of the `ErrorCode` union. */
function errorCodes(): string[] {
  const source = files.get("base/errors.ts")?.source;
  assert.ok(source !== undefined, "lib/base/errors.ts exists");
  const codes: string[] = [];
  walk(source, (node) => {
    if (ts.isTypeAliasDeclaration(node) && node.name.text === "ErrorCode") {
      walk(node, (member) => {
        if (ts.isStringLiteral(member)) codes.push(member.text);
      });
    }
  });
  return codes;
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}
