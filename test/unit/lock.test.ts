import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { describe, type TestContext } from "node:test";
import { acquireLock, type LockKind } from "../../lib/log/lock.js";

const holder = join(import.meta.dirname, "lock-holder.js");

function newDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-lock-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function startHolder(dataDir: string, kind: LockKind, ...more: string[]): Promise<[ChildProcess, string]> {
  const child = spawn(process.execPath, [holder, dataDir, kind, ...more], { stdio: ["pipe", "pipe", "inherit"] });
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  return [child, line.toString().trim()];
}

const kinds: LockKind[] = process.platform === "win32" ? ["pipe"] : ["file"];
if (process.platform === "linux") kinds.push("abstract");

for (const kind of kinds) {
  describe(`the lock of a data directory (${kind})`, () => {
    test("is refused to a second process, which learns the owner's pid, and is free at once after kill -9", async (t) => {
      const directory = newDirectory(t);
      const [child, said] = await startHolder(directory, kind);
      t.after(() => child.kill("SIGKILL"));
      assert.equal(said, "locked");
      const named = (error: Error & { code?: string }): boolean =>
        error.code === "HF_LOCKED" &&
        error.message.includes(directory) &&
        error.message.includes(`process ${child.pid}`);
      await assert.rejects(acquireLock(directory, kind), named);
      child.kill("SIGKILL");
      await once(child, "exit");
      const lock = await acquireLock(directory, kind);
      assert.equal(readFileSync(join(directory, "LOCK"), "utf8"), `${process.pid}\n`);
      lock.release();
    });

    test("is refused within the process too, by another path as well, until it is released", async (t) => {
      const directory = newDirectory(t);
      const lock = await acquireLock(directory, kind);
      const alias = `${directory}-alias`;
      symlinkSync(directory, alias);
      t.after(() => rmSync(alias));
      await assert.rejects(acquireLock(directory, kind), { code: "HF_LOCKED", message: /this process/ });
      await assert.rejects(acquireLock(alias, kind), { code: "HF_LOCKED" });
      lock.release();
      lock.release();
      assert.equal(existsSync(join(directory, "LOCK")), false);
      (await acquireLock(alias, kind)).release();
    });

    test("does not keep its process alive", async (t) => {
      const [child, said] = await startHolder(newDirectory(t), kind, "leave");
      assert.equal(said, "locked");
      const [code] = await once(child, "exit");
      assert.equal(code, 0);
    });

    test("goes to one of several that ask at once", async (t) => {
      const directory = newDirectory(t);
      const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => acquireLock(directory, kind)));
      const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
      assert.equal(won.length, 1);
      won[0]!.value.release();
    });
  });
}

describe("the socket file of a lock", { skip: process.platform === "win32" }, () => {
  test("left by a dead process goes to one of several that ask at once", async (t) => {
    const directory = newDirectory(t);
    const [child] = await startHolder(directory, "file");
    child.kill("SIGKILL");
    await once(child, "exit");
    const outcomes = await Promise.allSettled([1, 2, 3, 4].map(() => acquireLock(directory, "file")));
    const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
    assert.equal(won.length, 1);
    assert.equal(existsSync(join(directory, "LOCK.socket.claim")), false);
    won[0]!.value.release();
  });

  test("is replaced although a dead process had claimed it", async (t) => {
    const directory = newDirectory(t);
    const [child] = await startHolder(directory, "file");
    child.kill("SIGKILL");
    await once(child, "exit");
    writeFileSync(join(directory, "LOCK.socket.claim"), `${child.pid} x\n`);
    (await acquireLock(directory, "file")).release();
  });

  test("lies elsewhere when the directory's path is too long for one", async (t) => {
    const directory = join(newDirectory(t), "x".repeat(120));
    mkdirSync(directory);
    const lock = await acquireLock(directory, "file");
    await assert.rejects(acquireLock(directory, "file"), { code: "HF_LOCKED" });
    lock.release();
    (await acquireLock(directory, "file")).release();
  });
});
