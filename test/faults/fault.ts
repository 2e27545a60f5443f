/** A fault: something that happens to a running application, and what must come of it. */
import type { FaultLab } from "./fault-lab.js";

export interface Fault {
  readonly name: string;
  /** Why it cannot happen here; undefined when it can. */
  impossible?(): string | undefined;
  /** Leaves the application stopped and settled, so that the next fault can follow in the same directory. */
  happen(lab: FaultLab): Promise<void>;
}
