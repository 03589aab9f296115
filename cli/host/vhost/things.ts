// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What a running machine has beside itself: files for the helper inside, disks
 * and forwards of VMs. One for each machine, made by daemon.ts.
 */
import type { Vm } from "../../rpc/proto.ts";
import { DiskBus } from "./bus.ts";
import { Disks } from "./disks.ts";
import { Forwards } from "./forwards.ts";
import { Holdings } from "./holdings.ts";
import type { Monitor } from "./qmp.ts";
import type { Handlers } from "./server.ts";
import { VmDisks } from "./vm_disks.ts";

export class Things {
  readonly #bus: DiskBus;
  readonly #holdings: Holdings;
  readonly #disks: Disks;
  readonly #vmDisks: VmDisks;
  readonly #forwards: Forwards;

  constructor(monitor: Monitor, note: (line: string) => void) {
    this.#bus = new DiskBus(monitor);
    this.#disks = new Disks(this.#bus);
    this.#vmDisks = new VmDisks(this.#bus, () => this.#disks.makeRoom());
    this.#forwards = new Forwards(monitor);
    this.#holdings = new Holdings([this.#forwards, this.#vmDisks], note);
  }

  /** /init has made the link to a disk. */
  arrived(serial: string): void {
    this.#bus.arrived(serial);
  }

  /** All VMs there are. */
  look(vms: readonly Vm[]): void {
    this.#holdings.look(vms);
  }

  /** For a VM that does not run. */
  async release(vm: string): Promise<void> {
    await this.#holdings.release(vm);
  }

  readonly handlers: Pick<Handlers, "publish" | "disk" | "forward" | "unforward" | "forwards"> = {
    publish: ({ path }) => this.#disks.publish(path),
    disk: async (request) => {
      this.#holdings.hold(request.vm);
      return await this.#vmDisks.publish(request);
    },
    forward: async ({ vm, forward }) => {
      this.#holdings.hold(vm);
      return await this.#forwards.map(vm, forward);
    },
    unforward: async ({ vm, forward }) => ({ inner: await this.#forwards.unmap(vm, forward) }),
    forwards: ({ vm, forwards }) =>
      Promise.resolve({ forwards: this.#forwards.outer(vm, forwards) }),
  };
}
