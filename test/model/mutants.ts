/** One rule of the protocol per mutant, and what the model does in its place. Each must make a run fail. */
export const mutants = {
  noretag: "a frame carries the epoch at `send`, not the one in which its last fragment enters the ring",
  fragtag: "a frame carries the epoch in which its first fragment enters the ring",
  fragdrop: "a message leaves the captured outbox with its first fragment, not with its last",
  nooverflow: "outboxes are not captured",
  norecord: "frames of an older epoch that are consumed while a capture is open are not recorded",
  nocopy: "what lies in a ring up to the published tail is not copied when a capture finishes",
  doublerec: "a frame copied from a ring counts as one without a row when it is consumed, so nothing deletes its row",
  noforce: "a frame of a newer epoch is consumed before its epoch is captured",
  loseinflight: "the input of an async turn that has not ended is not captured",
  norehome: "an outbox row that recovery gives to its receiver gets no tombstone at its sender",
  rescreorder: "messages in flight are dealt out in another order when the shard count changes",
  earlyegress: "egress rows go out before the commit that contains them",
  latecommit: "the commit of an older generation ends after a newer one has recovered",
  nolistcheck: "recovery believes a commit record without looking for all the deltas that it lists",
  trustcache: "recovery relies on log records in the page cache without making them durable",
  nobasesync: "recovery takes a base for durable without syncing it",
  trunccur: "the log is trimmed below what the bases hold, not below what is known durable in them",
  mergeearly: "deltas are merged before they are committed",
  epochfirst: "the epoch row goes into the first slice of a merge, not into the last",
  keeprow: "the row of a message that survived a capture is not deleted when the message is consumed",
  keepoutbox: "the row of a message that was captured in an outbox is not deleted when the message enters the ring",
  eioquiet: "an append to the log that failed is passed over",
  eioretry: "a sync of the log that failed is tried again on the same descriptor, and the second answer is believed",
  eioresync: "recovery syncs the segments that it finds in place of writing their tail into a new one",
  gwskip: "the gateway does not resend after the workers restarted",
  gwdup: "a shard takes a gateway message whatever its sequence, so a resent one is applied twice",
} as const;

/** The name of a mutant. */
export type Mutant = keyof typeof mutants;

/** All mutants. */
export const mutantNames = Object.keys(mutants) as Mutant[];
