/**
 * Every limit of the engine, in one place. Units are in the names. Relations that other code relies on are asserted at
 * the end.
 */
import { invariant } from "./invariant.js";

export const KiB = 1024;
export const MiB = 1024 * KiB;

/** A `namespace/name`, in UTF-8 bytes. */
export const typeNameBytesMax = 256;
/** The id of an address, in UTF-16 code units: two bytes each still fit an LMDB key (1,978 bytes) with its prefix. */
export const idLengthMax = 900;
/** One encoded message, state value or egress record. */
export const payloadBytesMax = 16 * MiB;
/** Nesting of a plain-data value. */
export const payloadDepthMax = 64;
/** Objects, arrays, maps and sets of one plain-data value, one that is reached twice counted twice. */
export const payloadContainersMax = 2 * 1024 * 1024;
/** The key of a table entry, encoded. */
export const tableKeyBytesMax = 64 * KiB;
/** The longest time to live, in milliseconds: a hundred years. */
export const ttlMsMax = 100 * 366 * 24 * 3600 * 1000;
/** A read extends the life of state only when it moves the end by at least this part of the time to live. */
export const ttlAccessGrain = 1 / 10;
/** Shards of one application. */
export const shardsMax = 64;
/** Key groups when nobody chooses; written into the data directory and never changed. */
export const keyGroupsDefault = 128;
export const keyGroupsMax = 32_768;

/** Bytes of one shard-to-shard ring; a power of two. */
export const ringBytesDefault = 256 * KiB;
/** A frame larger than this part of a ring travels in fragments, so that two always fit. */
export const ringFrameFraction = 4;

/** Callers that a channel remembers, so that frames name them by a number; further ones are written in full. */
export const channelCallersMax = 128 * 1024;
/** What lies far apart in memory and will be used soon is loaded together, so many at a time: loads wait side by side. */
export const touchedTogether = 32;
/** Frames one step takes from one ring. */
export const receivePerStepMax = 256;
/** Rows of tables that an iteration reads at once. */
export const tablePageRows = 256;
/** Expired rows that one step removes. */
export const expiriesPerStepMax = 256;
/** Time between two removals of what has expired. */
export const expirySweepMs = 50;
/** Turns one step runs. What they send is published at the end of the step: longer steps keep the other shards waiting. */
export const turnsPerStepMax = 128;
/** Ingress records one step routes, all splits together. */
export const ingestPerStepMax = 256;
/** Ingress records one step routes, per split, when messages wait already: few, as a record costs nothing where it is. */
export const ingestBehindPerStep = 4;
/** Rows one step encodes for an open capture: turns wait for them. */
export const captureRowsPerStepMax = 500;
/** A busy shard returns to its event loop at least this often. */
export const yieldEveryMs = 1;
/** Steps without work before a shard parks: some 20 µs, less than a doorbell and the way back cost. */
export const idleStepsMax = 20;
/** A busy shard that runs dry naps so long before it parks, and again. */
export const napMs = 0.05;
/** Work that earns one nap, and naps that may be saved: some milliseconds of them, at loads that wear a core out only. */
export const napWork = 64;
export const napsMax = 40;

/**
 * Values that a shard has written and its base has not yet, above which turns wait for merges while more addresses are
 * in memory than may be: as many as may be, and no less than this. The more a merge takes, the fewer pages it
 * writes for each.
 */
export const unmergedCellsMin = 128 * 1024;

/** Bytes in flight in one shard (mailbox and outboxes) above which ingress and gateway wait; they resume below half. */
export const admissionBytesMax = 32 * MiB;
/** Bytes in flight in one shard above which the application stops: amplification without end. */
export const overloadBytesMax = 1024 * MiB;
/** What an in-memory message is taken to weigh beside its long strings and bytes. */
export const messageBytesEstimate = 160;
/** Bytes that `app.send` and `app.ask` may have accepted and not yet committed before further calls wait. */
export const gatewayBytesMax = 16 * MiB;

/**
 * What lives in a shard's heap may take this part of the most that V8 gives it, and all shards together this part of the
 * machine's memory; above that clean idle instances are evicted. V8's garbage comes on top, at most as much again.
 */
export const residentHeapShareMax = 1 / 2;
export const residentMemoryShareMax = 1 / 4;
/** So many instances stay whatever else is in the heap. */
export const residentInstancesMin = 1_000;
/** With fewer resident instances than this per shard, most of a heap would be what was evicted. */
export const residentFewMax = 1_000_000;

/** A record of the log. */
export const logRecordBytesMax = 1 * MiB;
/** One log segment; a full one is sealed. */
export const logSegmentBytes = 64 * MiB;
/** Zeros written ahead of the log's end in one go. */
export const logZeroAheadBytes = 4 * MiB;
/** Live log above which shards stop starting turns until merges and egresses have caught up. */
export const logBytesMax = 1024 * MiB;
/** Rows of one merge slice (one LMDB transaction). */
export const mergeSliceRowsMax = 500;
/** The same while merges lag behind: longer stalls of a commit, and fewer syncs for as many rows. */
export const mergeSliceRowsBehindMax = 4_000;
/** Time between two merges of a base. */
export const mergeIntervalMs = 4_000;
/** Committed bytes not yet merged that start a merge early. */
export const mergeBytesMax = 64 * MiB;
/** The same while a shard has more addresses in memory than it should: only what is merged can be evicted. */
export const mergeBytesCrowdedMax = 32 * MiB;
/** Address space of one base; no disk is used in advance. */
export const baseMapBytes = 64 * 1024 * MiB;

/** An epoch's own work may take this share of a core; the interval between epochs adapts to it. */
export const epochWorkShareMax = 0.03;
/** The same when somebody outside waits for the commit: a reply, a record, the answer that a message is durable. */
export const epochAwaitedShareMax = 0.2;
export const epochIntervalMinMs = 2;
/** The longest interval of busy shards when somebody waits, and when nobody does. */
export const epochIntervalMaxMs = 100;
export const epochUnawaitedIntervalMaxMs = 400;
/** How soon it is noticed that all shards are idle, when somebody waits for the end of all work. */
export const epochEndLookMs = 5;
/** Interval when nobody waits and the shards are idle. */
export const epochIdleIntervalMs = 100;

/** Attempts of a turn that throws before its failure policy comes to its end. */
export const turnAttemptsMax = 3;
export const turnRetryBaseMs = 10;
/** The longest pause between two attempts, how pauses grow, and the part of them that is random. */
export const retryBackoffMaxMs = 60_000;
export const retryFactor = 2;
export const retryJitter = 0.2;
/** Code units of an error's message or stack that a dead letter or a quarantine keeps. */
export const errorTextMax = 8_000;
/** Addresses that `app.quarantine.list` and messages that `app.quarantine.messages` give at most, per shard, by default. */
export const quarantineListMax = 1_000;
/** An async turn that takes longer is given up. */
export const turnTimeoutMs = 60_000;
/** A synchronous turn that holds its shard longer than this gets its worker killed. */
export const watchdogTimeoutMs = 30_000;
/** `app.ask` without an own timeout. */
export const askTimeoutMs = 30_000;

/** Timers of one shard in memory; those further away are only rows. */
export const timersResidentMax = 16_384;
/** Timers are taken up into memory this long before they are due. */
export const timersAheadMs = 1_000;
/**
 * Rows that a shard has written and its base has not yet: above this merges come early, and above twice as many turns wait
 * for them.
 */
export const recentRowsMax = 64 * 1024;
/** The bytes of rows that a base has not lie in pieces of memory of this size, used again and again. */
export const recentSlabBytes = 256 * KiB;
/** Due timers one step sends. */
export const timersPerStepMax = 128;
/** A token of a delayed message, in UTF-16 code units. */
export const timerTokenLengthMax = 1_000;
/** The last instant a message can be delayed to: the last one that a Date can hold. */
export const instantMax = 8_640_000_000_000_000;
/** Engine time follows the wall clock only when that is ahead by more than this: a clock that was set, or a suspension. */
export const clockStepMs = 1_000;
/** With timers pending a shard looks at the wall clock at least this often. */
export const clockLookMs = 10_000;
/** An instant of a schedule that is later than this was missed, and its misfire rule applies. */
export const misfireGraceMs = 1_000;
/** Instants in a row that a schedule with the misfire rule "all" makes up for. */
export const misfireAllMax = 1_000;
/** The name of a schedule, in UTF-8 bytes. */
export const scheduleNameBytesMax = 256;
export const scheduleIntervalMinMs = 1;
/** Schedules of one application. */
export const schedulesMax = 10_000;
/** Entries of one answer of `app.timers.list`. */
export const timerListMax = 10_000;
/** An operation (`ctx.run`, `ctx.offload`) without an own timeout. */
export const operationTimeoutMs = 600_000;
/** Pending operations of one address above which it takes no messages, when its function does not say. */
export const pendingOperationsDefault = 100;
/** Operations that one turn may start. */
export const operationsPerTurnMax = 1_000;
/** Encoded metadata of one operation. */
export const operationMetadataBytesMax = 64 * KiB;
/** Operations that one step of a shard starts, and ends. */
export const operationsPerStepMax = 128;
/** Bytes in one shard that wait for addresses with too many pending operations, and do not count for admission. */
export const fullAddressBytesMax = 256 * MiB;
/** How long an idempotency key is remembered when its call does not say. */
export const requestRetentionMs = 24 * 60 * 60 * 1000;
export const requestRetentionMaxMs = 365 * 24 * 60 * 60 * 1000;
/** An idempotency key, in UTF-16 code units. */
export const idempotencyKeyLengthMax = 512;

/** Restarts of the workers within `restartWindowMs` before the application gives up. */
export const restartsMax = 5;
export const restartWindowMs = 60_000;
export const restartBackoffBaseMs = 50;
export const restartBackoffMaxMs = 5_000;
/** Starts in a row that came to nothing, the last one included, from which on turns are written down before they run. */
export const suspiciousStarts = 3;
/** A start under suspicion that committed no more epochs than this came to nothing. */
export const epochsInVainMax = 16;
/** Deaths while a message ran after which it is not run any more. */
export const deathsMax = 2;
/** Ends of processes, in a row, in the middle of a message's async turn and of nothing else, after which it is not run. */
export const pendingEndsMax = 8;
/** Restarts that found a message to blame, and so do not count for `restartsMax`, within `restartWindowMs`. */
export const restartsLearnedMax = 20;
/** How long turns are written down after a suspicious start. */
export const trialMs = restartWindowMs;
/** Pending turns that are written down, the newest. */
export const notedTurnsMax = 256;
/** A message that is tried again looks this often whether that is committed. */
export const releasedLookMs = 1;
/** A message that must run alone looks this often whether it is. */
export const aloneRetryMs = 5;
/** A message that must run alone has this long before others begin beside it, as it may wait for one of them. */
export const aloneMaxMs = 2_000;
/** Control-plane calls that take longer have failed. */
export const controlCallTimeoutMs = 120_000;

/** Committed records of an egress without sink or subscriber that are kept for its first subscriber. */
export const subscriberTailRecordsMax = 10_000;
/** How long written egress bytes may wait for their fdatasync. */
export const egressSyncIntervalMs = 1_000;

invariant(logSegmentBytes >= 2 * logRecordBytesMax, "a segment holds at least two records");
invariant(ringBytesDefault / ringFrameFraction >= 4 * KiB, "a fragment carries at least 4 KiB");
invariant(
  admissionBytesMax + fullAddressBytesMax < overloadBytesMax,
  "waiting for operations never ends the application",
);
invariant(
  suspiciousStarts + deathsMax <= restartsMax + 1,
  "a message that kills its thread is found before the application gives up",
);
invariant(admissionBytesMax < overloadBytesMax, "admission closes before the application gives up");
invariant(2 * idLengthMax + 64 <= 1_978, "an id fits an LMDB key");
