/**
 * One process per data directory. Owner: the supervisor. Thread: main.
 *
 * The lock is a listening socket, so the kernel frees it at once when its process dies, however it dies. A second
 * process that finds it taken connects and is told the owner's pid.
 *
 * - Linux: an abstract socket named by device and inode of the directory: no file, nothing stale. Such names are seen
 *   within one network namespace: two containers that share a directory do not see each other's lock.
 * - Windows: a named pipe, likewise.
 * - Elsewhere: a socket file, which outlives its process: whoever finds one connects to it, and replaces it when nobody
 *   answers, under an exclusive file so that two do not replace it at once.
 *
 * The real fence is the generation in the manifest; this lock gives the early and clear error.
 */
import { randomUUID } from "node:crypto";
import { readFileSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HoldfastError } from "../base/errors.js";

/** A held lock. */
export interface Lock {
  /** Frees the directory at once. */
  release(): void;
}

/** `abstract` leaves no file behind; `file` is for systems that have nothing better. */
export type LockKind = "abstract" | "pipe" | "file";

const askOwnerMs = 1_000;
/** Bytes of `sockaddr_un.sun_path`. */
const abstractNameBytes = 108;
/** The least that any system allows a socket path. */
const socketPathMax = 103;

/**
 * Takes the lock of a data directory, which exists.
 *
 * @throws `HF_LOCKED` naming the directory and, if it answers, the pid of its owner.
 */
export async function acquireLock(dataDir: string, kind: LockKind = kindHere()): Promise<Lock> {
  const directory = realpathSync(dataDir);
  const name = socketName(directory, kind);
  const server = kind === "file" ? await listenOnFile(name) : await listen(name);
  if (server === undefined) throw await locked(dataDir, name);
  const note = join(directory, "LOCK");
  writeNote(note, server);
  return {
    release() {
      if (!server.listening) return;
      rmSync(note, { force: true });
      server.close();
    },
  };
}

function kindHere(): LockKind {
  if (process.platform === "linux") return "abstract";
  return process.platform === "win32" ? "pipe" : "file";
}

function socketName(directory: string, kind: LockKind): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  const name = `holdfast-${dev}-${ino}`;
  // Some versions of Node bind the bare name, older ones pad it with zeros to the full length: at that length both do
  // the same.
  if (kind === "abstract") return `\0${name}`.padEnd(abstractNameBytes, "-");
  if (kind === "pipe") return `\\\\.\\pipe\\${name}`;
  const inside = join(directory, "LOCK.socket");
  return Buffer.byteLength(inside) <= socketPathMax ? inside : checkedPath(join(tmpdir(), `${name}.socket`));
}

function checkedPath(path: string): string {
  if (Buffer.byteLength(path) <= socketPathMax) return path;
  const way = `use a data directory with a shorter path, or a shorter TMPDIR`;
  throw new HoldfastError(
    "HF_DATA_DIR",
    `the path of the lock's socket is over ${socketPathMax} bytes (${path}): ${way}`,
  );
}

/** The listening server, or undefined when the name is taken. */
function listen(name: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.unref();
      socket.on("error", () => socket.destroy()); // whoever asked went away
      socket.end(`${process.pid}\n`);
    });
    server.unref();
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE" || (error.code === "EACCES" && process.platform === "win32");
      if (taken) resolve(undefined);
      else reject(new HoldfastError("HF_DATA_DIR", `cannot lock the data directory (${error.code})`, { cause: error }));
    });
    server.listen(name, () => resolve(server));
  });
}

async function listenOnFile(path: string): Promise<Server | undefined> {
  const server = await listen(path);
  if (server !== undefined) return server;
  if ((await askOwner(path)) !== "nobody") return undefined;
  const claim = `${path}.claim`;
  const mine = `${process.pid} ${randomUUID()}\n`;
  if (!takeClaim(claim, mine)) return undefined;
  try {
    if ((await askOwner(path)) !== "nobody") return undefined; // another one replaced it before we had the claim
    if (readFileSync(claim, "utf8") !== mine) return undefined; // two found the same dead claim
    rmSync(path, { force: true });
    return await listen(path);
  } finally {
    rmSync(claim, { force: true });
  }
}

/** Makes the exclusive file; one whose maker is dead is removed, once. */
function takeClaim(path: string, mine: string): boolean {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      writeFileSync(path, mine, { flag: "wx" });
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") {
        throw new HoldfastError("HF_DATA_DIR", `cannot lock the data directory: cannot write ${path}`, {
          cause: error,
        });
      }
      const pid = readPid(path);
      if (pid === undefined || isAlive(pid)) return false;
      rmSync(path, { force: true });
    }
  }
  return false;
}

/** The owner's pid as it says itself; `silent` when it is there but busy, `nobody` when no one listens. */
function askOwner(name: string): Promise<number | "silent" | "nobody"> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(name);
    const timer = setTimeout(() => finish("silent"), askOwnerMs);
    const finish = (outcome: number | "silent" | "nobody"): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(outcome);
    };
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      answer += text;
      if (answer.length > 32) finish("silent"); // not one of ours
    });
    socket.on("end", () => finish(Number.parseInt(answer, 10) || "silent"));
    socket.on("error", (error: NodeJS.ErrnoException) => {
      finish(
        error.code === "ECONNREFUSED" || error.code === "ENOENT" || error.code === "ENOTSOCK" ? "nobody" : "silent",
      );
    });
  });
}

async function locked(dataDir: string, name: string): Promise<HoldfastError> {
  const answer = await askOwner(name);
  const pid = typeof answer === "number" ? answer : readPid(join(dataDir, "LOCK"));
  const owner = pid === undefined ? "another process" : pid === process.pid ? "this process" : `process ${pid}`;
  return new HoldfastError("HF_LOCKED", `${dataDir} is in use by ${owner}: stop it first, or use another dataDir`);
}

/** For people who look into the directory; nothing depends on it. */
function writeNote(path: string, server: Server): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    server.close();
    throw new HoldfastError("HF_DATA_DIR", `cannot write ${path}`, { cause: error });
  }
}

function readPid(path: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(path, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
