/** Messages that wait for an instance, and what they weigh. */
import { Queue } from "../base/queue.js";
import type { Message } from "./instance.js";

export class Waiting extends Queue<Message> {
  /** Estimated bytes of the messages. */
  bytes = 0;

  override push(message: Message): void {
    this.bytes += message.weight;
    super.push(message);
  }

  override shift(): Message | undefined {
    const message = super.shift();
    if (message !== undefined) this.bytes -= message.weight;
    return message;
  }
}
