/** A place where turns of a test application wait until the test lets them go on. */
import { BroadcastChannel } from "node:worker_threads";

/** Tells the test that `who` is here and waits until it opens the gate. */
export function waitAtGate(who: string): Promise<void> {
  return new Promise((resolve) => {
    const channel = new BroadcastChannel("holdfast-test-gate");
    channel.onmessage = (event) => {
      if ((event as { readonly data: { readonly open?: boolean } }).data.open !== true) return;
      channel.close();
      resolve();
    };
    channel.unref();
    channel.postMessage({ arrived: who });
  });
}
