// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What VMs hold in the virtual host (disks, networks) lasts as long as they do,
 * whoever made them and whether that client is still there: let go when
 * colinuxd says that a VM has ended, reset when it starts again. Called by things.ts.
 */
import type { Vm } from "../../rpc/proto.ts";

/** For a VM that was never made, because its maker has died on the way. */
const UNSEEN_MS = 600_000;

export interface Holder {
  release(vm: string): Promise<void>;
  /** The guest has died, and starts again with what it has. */
  reset?(vm: string): Promise<void>;
}

interface Held {
  since: number;
  /** As colinuxd has known it alive since. */
  last?: Pick<Vm, "state" | "restarts">;
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
    if (!this.#held.has(vm)) this.#held.set(vm, { since: Date.now() });
  }

  /** Returns when nothing of that VM's is left. */
  async release(vm: string): Promise<void> {
    this.#held.delete(vm);
    // All are told now: what is made for the VM's next run while this waits is not meant.
    await Promise.all(this.#holders.map((holder) => holder.release(vm)));
  }

  /** All VMs there are, whenever that has changed. */
  look(vms: Iterable<Vm>): void {
    const alive = new Map<string, Vm>();
    for (const vm of vms) if (isAlive(vm)) alive.set(vm.name, vm);
    for (const [name, held] of this.#held) {
      const vm = alive.get(name);
      if (vm !== undefined) {
        if (held.last !== undefined && hasDied(held.last, vm)) this.#reset(name);
        held.last = { state: vm.state, restarts: vm.restarts };
      } else if (held.last !== undefined || Date.now() - held.since > UNSEEN_MS) {
        this.#noting(name, this.release(name));
      }
    }
  }

  #reset(name: string): void {
    for (const holder of this.#holders) {
      if (holder.reset !== undefined) this.#noting(name, holder.reset(name));
    }
  }

  #noting(name: string, work: Promise<void>): void {
    work.catch((error: unknown) => this.#note(`${name}: ${String(error)}`));
  }
}

/** Once for each death: what waits to start again has been seen waiting, or is counted. */
function hasDied(before: Pick<Vm, "state" | "restarts">, now: Vm): boolean {
  const waits = now.state === "restarting" && before.state !== "restarting";
  return waits || (now.restarts ?? 0) > (before.restarts ?? 0);
}

function isAlive({ state }: Vm): boolean {
  return state !== "stopped" && state !== "failed" && state !== "saved";
}
