// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What VMs hold in the virtual host (disks, forwards) lasts as long as they do,
 * whoever made them and whether that client is still there: let go when
 * colinuxd says that a VM has ended. Called by daemon.ts.
 */
import type { Vm } from "../../rpc/proto.ts";

/** For a VM that was never made, because its maker has died on the way. */
const UNSEEN_MS = 600_000;

export interface Holder {
  release(vm: string): Promise<void>;
}

interface Held {
  since: number;
  /** colinuxd has known it alive since. */
  seen: boolean;
}

export class Holdings {
  readonly #holders: readonly Holder[];
  readonly #note: (line: string) => void;
  readonly #held = new Map<string, Held>();

  constructor(holders: readonly Holder[], note: (line: string) => void) {
    this.#holders = holders;
    this.#note = note;
  }

  /** Something is about to be made for a VM. */
  hold(vm: string): void {
    if (!this.#held.has(vm)) this.#held.set(vm, { since: Date.now(), seen: false });
  }

  /** Returns when nothing of that VM's is left. */
  async release(vm: string): Promise<void> {
    this.#held.delete(vm);
    // All are told now: what is made for the VM's next run while this waits is not meant.
    await Promise.all(this.#holders.map((holder) => holder.release(vm)));
  }

  /** All VMs there are, whenever that has changed. */
  look(vms: Iterable<Vm>): void {
    const alive = new Set<string>();
    for (const vm of vms) if (isAlive(vm)) alive.add(vm.name);
    for (const [name, held] of this.#held) {
      if (alive.has(name)) held.seen = true;
      else if (held.seen || Date.now() - held.since > UNSEEN_MS) {
        this.release(name).catch((error: unknown) => this.#note(`${name}: ${String(error)}`));
      }
    }
  }
}

function isAlive({ state }: Vm): boolean {
  return state !== "stopped" && state !== "failed" && state !== "saved";
}
