/**
 * A shard thread that does nothing but load lmdb, over and over: whenever it is ended, it is most likely in the middle of
 * that, where a real one is for a millisecond.
 */
import { createRequire } from "node:module";
import { workerData } from "node:worker_threads";
import { leaveLoaded } from "../../lib/store/lmdb-base.js";
import { type ShardThreadData, type ShardToMain, shardGate } from "../../lib/supervisor/thread-protocol.js";

const loadingMs = 150;

const fromLmdb = createRequire(import.meta.resolve("lmdb"));
const { path } = fromLmdb("node-gyp-build-optional-packages") as { path(directory: string): string };
const addon = path(new URL(".", import.meta.resolve("lmdb")).pathname);
const { index, gates, mainPort } = workerData as ShardThreadData;
mainPort.postMessage({ kind: "room" } satisfies ShardToMain); // it begins
const end = performance.now() + loadingMs;
while (performance.now() < end) process.dlopen({ exports: {} }, addon);
leaveLoaded({ words: new Int32Array(gates), index: shardGate(index) });
mainPort.postMessage({ kind: "loaded" } satisfies ShardToMain);
