/**
 * One rule of the protocol per mutant. Each replaces a method of a real class by one that lacks the rule; the engine
 * itself carries no flags. Every mutant must make the simulation fail.
 */
import { GatewaySession } from "../../lib/app/gateway-session.js";
import { Outbound } from "../../lib/channel/outbound.js";
import { FrameReader } from "../../lib/codec/frame-codec.js";
import { LogWriter } from "../../lib/log/log-writer.js";
import { Asks } from "../../lib/shard/asks.js";
import { EntryRows } from "../../lib/shard/entry-rows.js";
import { Failures } from "../../lib/shard/failures.js";
import { Mailbox } from "../../lib/shard/mailbox.js";
import { Operations } from "../../lib/shard/operations.js";
import { Outbox, type OutboxEntry } from "../../lib/shard/outbox.js";
import { Requests } from "../../lib/shard/requests.js";
import { Schedules } from "../../lib/shard/schedules.js";
import { Shard } from "../../lib/shard/shard.js";
import { StateAccess } from "../../lib/shard/state-access.js";
import { TableRowHandle } from "../../lib/shard/table-handle.js";
import { Timers } from "../../lib/shard/timers.js";
import { Trial } from "../../lib/shard/trial.js";
import { TurnContext } from "../../lib/shard/turn-context.js";
import { Capture } from "../../lib/snapshot/capture.js";
import { Coordinator } from "../../lib/snapshot/coordinator.js";
import { type Delta, noCells } from "../../lib/snapshot/delta.js";
import { FoldedRows } from "../../lib/snapshot/folded-rows.js";
import { Merge } from "../../lib/snapshot/merge.js";
import { Recovery } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import { Suspects } from "../../lib/snapshot/suspects.js";
import { rowTable, tableOf } from "../../lib/store/row-key.js";
import type { Overrides } from "./params.js";

/** Replaces methods, and remembers how to put them back. */
class Surgery {
  readonly #undo: (() => void)[] = [];

  replace<T extends object, K extends keyof T>(
    type: { readonly prototype: T },
    name: K,
    make: (original: T[K]) => T[K],
  ): void {
    const { prototype } = type;
    const original = prototype[name];
    prototype[name] = make(original);
    this.#undo.push(() => {
      prototype[name] = original;
    });
  }

  undo(): void {
    for (const step of this.#undo.splice(0)) step();
  }
}

const plants = {
  /** A frame carries the epoch at `send`, not the one in which its last fragment enters the ring. */
  noretag(surgery: Surgery): void {
    const epochs = new WeakMap<Outbox, number[]>();
    const note = (outbox: Outbox, epoch: number): void => {
      const sent = epochs.get(outbox) ?? [0];
      sent.push(epoch); // by sequence
      epochs.set(outbox, sent);
    };
    surgery.replace(Outbox, "send", (send) => {
      return function (this: Outbox, ...message) {
        note(this, message[7]);
        send.apply(this, message);
      };
    });
    surgery.replace(Outbox, "sendWhole", (sendWhole) => {
      return function (this: Outbox, ...message) {
        note(this, message[6]);
        sendWhole.apply(this, message);
      };
    });
    surgery.replace(Outbox, "epochOf", () => {
      return function (this: Outbox, entry: OutboxEntry) {
        return (epochs.get(this) as number[])[entry.sequence];
      };
    });
  },
  /** A frame carries the epoch in which its first fragment enters the ring. */
  fragtag(surgery: Surgery): void {
    const begun = new WeakMap<Outbound, number>();
    surgery.replace(Outbound, "offerFragments", (offerFragments) => {
      return function (this: Outbound, body, length, epoch) {
        const first = begun.get(this) ?? epoch;
        begun.set(this, first);
        const entered = offerFragments.call(this, body, length, first);
        if (entered) begun.delete(this);
        return entered;
      };
    });
  },
  /** Frames of an older epoch that are consumed while a capture is open are not recorded. */
  norecord(surgery: Surgery): void {
    surgery.replace(Capture, "record", () => () => true);
  },
  /** What lies in the rings up to the published tails is not copied. */
  nocopy(surgery: Surgery): void {
    surgery.replace(Capture, "copyChannels", () => () => true);
  },
  /** A frame that was copied counts as one without a row when it is consumed, so nothing deletes its row. */
  doublerec(surgery: Surgery): void {
    surgery.replace(Capture, "frameHasRow", () => {
      return function (this: Capture, from, channel) {
        if (!this.open || !this.belongsToCut(channel.epoch)) return false;
        return this.record(from, channel.received + 1, channel);
      };
    });
  },
  /** Outboxes are not captured. */
  nooverflow(surgery: Surgery): void {
    surgery.replace(Shard, "captureOutboxes", () => () => []);
  },
  /** A frame of a newer epoch is consumed before its epoch is captured. */
  noforce(surgery: Surgery): void {
    surgery.replace(Shard, "enterEpochOf", () => () => true);
  },
  /** The inputs of unfinished async turns are not captured. */
  loseinflight(surgery: Surgery): void {
    surgery.replace(Mailbox, "takeHeld", () => () => []);
  },
  /** Tombstones of rows that recovery gives to another shard are dropped. */
  norehome(surgery: Surgery): void {
    surgery.replace(Storage, "recover", (recover) => {
      return function (this: Storage, config) {
        const recovered = recover.call(this, config);
        const shards = recovered.shards.map((shard) => ({
          ...shard,
          tombstones: shard.tombstones.filter((key) => tableOf(key) !== rowTable.INFLIGHT),
        }));
        return { ...recovered, shards };
      };
    });
  },
  /** Messages in flight are dealt out in another order than they were sent. */
  dealorder(surgery: Surgery): void {
    surgery.replace(Storage, "recover", (recover) => {
      return function (this: Storage, config) {
        const recovered = recover.call(this, config);
        const shards = recovered.shards.map((shard) => ({ ...shard, messages: [...shard.messages].reverse() }));
        return { ...recovered, shards };
      };
    });
  },
  /** Deltas are folded into merges when they arrive, before they are committed. */
  mergeearly(surgery: Surgery): void {
    surgery.replace(Coordinator, "onDelta", (onDelta) => {
      return function (this: Coordinator, delta) {
        if (this.isCurrent(delta)) this.merges[delta.shard].fold(delta.epoch, delta.rows, delta.cells);
        onDelta.call(this, delta);
      };
    });
    surgery.replace(Coordinator, "fold", () => () => {});
  },
  /** What recovery folds by key and what shards write by handle get into one merge: a row of a cell may be there twice. */
  handlemix(surgery: Surgery): void {
    surgery.replace(Merge, "foldRecovered", () => {
      return function (this: Merge, epoch, rows) {
        this.fold(epoch, rows, noCells);
      };
    });
    surgery.replace(FoldedRows, "foldNewer", () => FoldedRows.prototype.fold); // that is the next mutant's bug
  },
  /** A message that came and went leaves no row even if a merge before the crash has brought it to the base. */
  halfmerged(surgery: Surgery): void {
    surgery.replace(FoldedRows, "fold", () => FoldedRows.prototype.foldNewer);
  },
  /** Output leaves when the deltas are there, before the commit is durable. */
  earlyegress(surgery: Surgery): void {
    surgery.replace(Coordinator, "commit", (commit) => {
      return function (this: Coordinator, deltas: readonly Delta[]) {
        Coordinator.prototype.release.call(this, deltas);
        const { release } = this;
        this.release = () => {};
        commit.call(this, deltas);
        this.release = release;
      };
    });
  },
  /** Deltas of an ended generation are committed when they arrive. */
  latecommit(surgery: Surgery): void {
    const generations = new WeakMap<Storage, number>();
    const ended = new WeakMap<Storage, { readonly generation: number; readonly coordinator: Coordinator }>();
    surgery.replace(Coordinator, "isCurrent", () => () => true);
    surgery.replace(LogWriter, "close", () => () => {});
    surgery.replace(Storage, "recover", (recover) => {
      return function (this: Storage, config) {
        const recovered = recover.call(this, config);
        generations.set(this, recovered.manifest.generation);
        return recovered;
      };
    });
    surgery.replace(Storage, "end", (end) => {
      return function (this: Storage) {
        const { coordinator } = this;
        if (coordinator !== undefined) ended.set(this, { generation: generations.get(this) ?? 0, coordinator });
        return end.call(this);
      };
    });
    surgery.replace(Storage, "onDelta", (onDelta) => {
      return function (this: Storage, delta) {
        const old = ended.get(this);
        if (old?.generation === delta.generation) old.coordinator.onDelta(delta);
        else onDelta.call(this, delta);
      };
    });
  },
  /** A new layout forgets engine time. */
  forgetclock(surgery: Surgery): void {
    surgery.replace(Recovery, "giveClock", () => () => {});
  },

  /** Recovery trusts what is in the page cache. */
  trustcache(surgery: Surgery): void {
    surgery.replace(Recovery, "makeDurable", () => () => {});
    surgery.replace(Recovery, "flushTail", () => () => {});
  },
  /** Recovery takes bases for durable without syncing them. */
  nobasesync(surgery: Surgery): void {
    surgery.replace(Recovery, "makeDurable", () => () => {});
  },
  /** The log is trimmed below what the bases hold, not below what they hold durably. */
  trunccur(surgery: Surgery): void {
    surgery.replace(Coordinator, "durableBaseEpoch", () => {
      return function (this: Coordinator) {
        return Math.min(...this.merges.map((merge) => merge.base.epoch));
      };
    });
  },
  /** The gateway does not resend to a new generation. */
  gwskip(surgery: Surgery): void {
    surgery.replace(GatewaySession, "firstToResend", () => (kept) => kept.tail);
  },
  /** A shard takes a gateway message whatever its sequence. */
  gwdup(surgery: Surgery): void {
    surgery.replace(Shard, "isNextOfGateway", () => () => true);
  },
  /** A shard falls asleep without looking once more at what it may be woken for. */
  lostwake(surgery: Surgery): void {
    surgery.replace(Shard, "mayWork", () => () => false);
  },
  /** Instances are evicted before the base has what they wrote. */
  evictdirty(surgery: Surgery): void {
    surgery.replace(StateAccess, "mayDrop", () => (instance) => instance.held === 0 && instance.state === "ready");
  },
  /** A timer that fires keeps its row: it fires again after the next recovery. */
  timertwice(surgery: Surgery): void {
    surgery.replace(Timers, "fire", (fire) => {
      return function (this: Timers, key, now) {
        const { deleteRows } = this;
        this.deleteRows = () => {};
        fire.call(this, key, now);
        this.deleteRows = deleteRows;
      };
    });
  },
  /** A cancelled timer may fire until the cancelling turn is applied. */
  latecancel(surgery: Surgery): void {
    surgery.replace(Timers, "hold", () => () => {});
  },
  /** A timer fires a little early. */
  earlytimer(surgery: Surgery): void {
    surgery.replace(Timers, "isDue", (isDue) => {
      return function (this: Timers, timer, now) {
        return isDue.call(this, timer, now + 3);
      };
    });
  },
  /** What has expired is returned as long as it is there. */
  expired(surgery: Surgery): void {
    surgery.replace(EntryRows, "isExpired", () => () => false);
  },
  /** A deleted entry of a table keeps its row. */
  tablelost(surgery: Surgery): void {
    surgery.replace(TableRowHandle, "writeEntry", (writeEntry) => {
      return function (this: TableRowHandle, key, bytes) {
        return bytes === undefined ? -1 : writeEntry.call(this, key, bytes);
      };
    });
  },
  /** Destroy forgets what is stored as rows. */
  destroyrows(surgery: Surgery): void {
    surgery.replace(EntryRows, "destroy", () => () => {});
  },
  /** What has expired keeps what was said about its expiry, and its place in the count. */
  unreclaimed(surgery: Surgery): void {
    surgery.replace(EntryRows, "reclaim", () => () => {});
  },
  /** Operations found by a restore keep their rows, so the next restore finds them again. */
  unknowntwice(surgery: Surgery): void {
    surgery.replace(Operations, "giveUp", (giveUp) => {
      return function (this: Operations, row) {
        this.dropRow = () => {};
        giveUp.call(this, row);
        this.dropRow = Operations.prototype.dropRow;
      };
    });
  },
  /** Operations have no rows. */
  oplost(surgery: Surgery): void {
    surgery.replace(Operations, "putRow", () => () => {});
  },
  /** Operations that end have no results. */
  opsilent(surgery: Surgery): void {
    surgery.replace(Operations, "deliver", () => () => {});
  },
  /** An address may have any number of operations pending. */
  opnocap(surgery: Surgery): void {
    surgery.replace(Operations, "isFull", () => () => false);
  },
  /** A quarantined message is lost when it should be tried again. */
  quarlost(surgery: Surgery): void {
    surgery.replace(Failures, "retry", () => {
      return function (this: Failures, found) {
        this.skip(found);
      };
    });
  },
  /** The message that failed is tried again behind those that waited for it. */
  quarorder(surgery: Surgery): void {
    surgery.replace(Failures, "retry", (retry) => {
      return function (this: Failures, found) {
        const { pending } = found.instance;
        if (pending !== undefined && pending.length > 0 && found.failing !== undefined) {
          pending.push(found.failing);
          found.failing = pending.shift();
        }
        retry.call(this, found);
      };
    });
  },
  /** After a restart nobody is quarantined. */
  quarforget(surgery: Surgery): void {
    surgery.replace(Failures, "restore", () => () => {});
  },
  /** A dead letter is sent, and its message stays. */
  deadtwice(surgery: Surgery): void {
    surgery.replace(Failures, "removeDead", () => () => {});
  },
  /** Instead of stopping the application, a message is dropped. */
  failquiet(surgery: Surgery): void {
    surgery.replace(Failures, "failed", (failed) => {
      return function (this: Failures, message, error) {
        try {
          failed.call(this, message, error);
        } catch {
          this.removeDead(message);
        }
      };
    });
  },
  /** Destroy forgets the delayed messages of the address. */
  destroytimers(surgery: Surgery): void {
    surgery.replace(Timers, "removeAll", () => () => {});
  },
  /** Destroy forgets the operations of the address. */
  destroyops(surgery: Surgery): void {
    surgery.replace(Operations, "removeAll", () => () => {});
  },
  /** A turn that failed destroys all the same. */
  destroyfailed(surgery: Surgery): void {
    const asked = new WeakSet<TurnContext>();
    let running: Shard | undefined;
    surgery.replace(Shard, "step", (step) => {
      return function (this: Shard) {
        const before = running;
        running = this;
        const work = step.call(this);
        running = before;
        return work;
      };
    });
    surgery.replace(TurnContext, "destroy", (destroy) => {
      return function (this: TurnContext) {
        destroy.call(this);
        asked.add(this);
      };
    });
    surgery.replace(TurnContext, "begin", (begin) => {
      return function (this: TurnContext, message) {
        asked.delete(this);
        begin.call(this, message);
      };
    });
    surgery.replace(TurnContext, "discardStaged", (discardStaged) => {
      return function (this: TurnContext) {
        discardStaged.call(this);
        if (asked.has(this)) running?.destroy(this.target);
      };
    });
  },
  /** A schedule that is removed keeps its row: the next start finds it again. */
  schedback(surgery: Surgery): void {
    surgery.replace(Schedules, "deleteRow", () => () => {});
  },
  /** A schedule sends and does not move on, until the next instant is sent as well. */
  schedtwice(surgery: Surgery): void {
    const sent = new WeakSet<Schedules>();
    surgery.replace(Schedules, "advance", (advance) => {
      return function (this: Schedules, schedule, now) {
        advance.call(this, schedule, now);
        if (sent.has(this)) return;
        sent.add(this);
        advance.call(this, schedule, now);
      };
    });
  },
  /** Schedules added at run time are forgotten at the next start. */
  schedlost(surgery: Surgery): void {
    surgery.replace(Schedules, "restore", (restore) => {
      return function (this: Schedules) {
        restore.call(this);
        for (const { name, declared } of this.commands["schedules.list"]())
          if (!declared) this.commands["schedules.remove"](name);
      };
    });
  },
  /** The answer to a question of an ended generation settles one that has its number now. */
  staleanswer(surgery: Surgery): void {
    surgery.replace(Asks, "isCurrent", () => () => true);
  },
  /** A key is remembered until the shard ends. */
  idemtwice(surgery: Surgery): void {
    const known = new WeakMap<Requests, Set<string>>();
    surgery.replace(Requests, "remember", (remember) => {
      return function (this: Requests, message, reply) {
        known.set(this, (known.get(this) ?? new Set()).add(`${message.target} ${message.extras?.key}`));
        remember.call(this, message, reply);
      };
    });
    surgery.replace(Requests, "find", (find) => {
      return function (this: Requests, message) {
        const own = known.get(this)?.has(`${message.target} ${message.extras?.key}`) === true;
        return own ? find.call(this, message) : undefined;
      };
    });
  },
  /** Functions that ask each other wait for ever. */
  cyclehang(surgery: Surgery): void {
    surgery.replace(Asks, "expire", () => () => {});
    surgery.replace(Asks, "closesCycle", () => () => false);
  },
  /** Recovery takes messages to the types of a namespace for those of types that are gone. */
  dynlost(surgery: Surgery): void {
    surgery.replace(Recovery, "providesType", () => () => false);
  },
  /** A message is run however often threads died of it. */
  poisonruns(surgery: Surgery): void {
    surgery.replace(Trial, "isCondemned", () => () => false);
  },
  /** When a thread dies, what ran in the others is blamed, too. */
  poisonblame(surgery: Surgery): void {
    surgery.replace(Suspects, "blame", () => (turns) => {
      return { ids: turns.flatMap((note) => note?.turn ?? note?.last ?? []), pending: false };
    });
  },
  /** What a frame defines that was copied and not taken is not known to those copied behind it. */
  aheadlost(surgery: Surgery): void {
    surgery.replace(FrameReader, "callerAhead", () => () => undefined);
  },
  /** A merge that makes room for addresses while its shard falls asleep wakes nobody. */
  evictsleep(surgery: Surgery): void {
    surgery.replace(StateAccess, "mayEvict", () => () => false);
  },
} as const;

/** The name of a mutant. */
export type Mutant = keyof typeof plants;

/** All mutants. */
export const mutantNames = Object.keys(plants) as Mutant[];

/** The feature that a mutant breaks, where it breaks one. */
const featureOf: { readonly [name in Mutant]?: string } = {
  timertwice: "timers",
  latecancel: "timers",
  earlytimer: "timers",
  expired: "state",
  tablelost: "state",
  destroyrows: "state",
  unreclaimed: "state",
  unknowntwice: "operations",
  oplost: "operations",
  opsilent: "operations",
  opnocap: "operations",
  quarlost: "failures",
  quarorder: "failures",
  quarforget: "failures",
  deadtwice: "failures",
  failquiet: "failures",
  destroytimers: "destroy",
  destroyops: "destroy",
  destroyfailed: "destroy",
  schedback: "timers",
  schedtwice: "timers",
  schedlost: "timers",
  staleanswer: "requests",
  idemtwice: "requests",
  cyclehang: "requests",
  dynlost: "requests",
  poisonruns: "poison",
  poisonblame: "poison",
};

/** How many addresses the worlds of a mutant have, where few worlds would show it: with 6 turns soon wait for merges. */
const addressesOf: { readonly [name in Mutant]?: number } = { evictsleep: 6 };

/** The worlds in which a mutant is looked for: those of the feature that it breaks have that feature, and no other. */
export function worldsOf(name: Mutant): Overrides {
  const feature = featureOf[name];
  const addresses = addressesOf[name];
  return {
    ...(feature === undefined ? {} : { features: [feature] }),
    ...(addresses === undefined ? {} : { addresses }),
  };
}

/** Plants a mutant; returns what takes it out again. */
export function plantMutant(name: Mutant): () => void {
  const surgery = new Surgery();
  plants[name](surgery);
  return () => surgery.undo();
}
