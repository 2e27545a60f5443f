/**
 * A feature of the programming model in the killed application: function types of its own, poked once for each transfer
 * that is credited, in the turn that credits it, so exactly as often as there are transfers.
 */
import type { AnyAddress, Application } from "../../lib/index.js";
import type { AnyFunctionDefinition } from "../../lib/model/function.js";
import type { AnyNamespaceDefinition } from "../../lib/model/namespace.js";

export interface ChaosFeature {
  readonly name: string;
  readonly functions: readonly AnyFunctionDefinition[];
  readonly namespaces?: readonly AnyNamespaceDefinition[];
  /** Called in the turn that credits transfer `id`; may run again for a turn that was rolled back. */
  poke(send: (to: AnyAddress, message: unknown) => void, id: number): void;
  /** How many addresses are quarantined once `ids` transfers were credited and their work is done. Default: none. */
  quarantined?(ids: number): number;
  /**
   * Called on a running application when every transfer was credited: waits until its work is done and says what is
   * wrong, nothing when all is well. `ids` is the number of transfers, 0 … ids − 1.
   */
  audit(app: Application, ids: number): Promise<readonly string[]>;
}
