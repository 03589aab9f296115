// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What a running machine has beside itself: files for the helper inside, disks
 * and networks of VMs. One for each machine, made by daemon.ts.
 */
import type { Forward, Vm } from "../../rpc/proto.ts";
import { Bus } from "./bus.ts";
import { DiskBus } from "./disk_bus.ts";
import { Disks } from "./disks.ts";
import { Forwards } from "./forwards.ts";
import { Holdings } from "./holdings.ts";
import { Nics } from "./nics.ts";
import type { Monitor } from "./qmp.ts";
import type { Handlers } from "./server.ts";
import { VmDisks } from "./vm_disks.ts";

type Ours = "publish" | "disk" | "nat" | "forward" | "unforward" | "forwards";

export class Things {
  readonly #bus: Bus;
  readonly #holdings: Holdings;
  readonly #disks: Disks;
  readonly #vmDisks: VmDisks;
  readonly #forwards: Forwards;
  readonly #nics: Nics;

  constructor(monitor: Monitor, note: (line: string) => void) {
    this.#bus = new Bus(monitor);
    const diskBus = new DiskBus(this.#bus);
    const makeRoom = () => this.#disks.makeRoom();
    this.#disks = new Disks(diskBus);
    this.#vmDisks = new VmDisks(diskBus, makeRoom);
    this.#forwards = new Forwards(monitor);
    this.#nics = new Nics(this.#bus, this.#forwards, makeRoom, note);
    this.#holdings = new Holdings([this.#nics, this.#vmDisks], note);
  }

  /** hotplug.sh has made the link to a disk or a NIC. */
  arrived(serial: string): void {
    this.#bus.arrived(serial);
  }

  /** It could not: the serial number, and why. */
  failed(text: string): void {
    const [serial = "", ...why] = text.split(" ");
    this.#bus.failed(serial, why.join(" "));
  }

  /** All VMs there are. */
  look(vms: readonly Vm[]): void {
    this.#holdings.look(vms);
  }

  /** For a VM that does not run. */
  async release(vm: string): Promise<void> {
    await this.#holdings.release(vm);
  }

  readonly handlers: Pick<Handlers, Ours> = {
    publish: ({ path }) => this.#disks.publish(path),
    disk: async (request) => {
      this.#holdings.hold(request.vm);
      return await this.#vmDisks.publish(request);
    },
    nat: async ({ vm, forwards }) => {
      this.#holdings.hold(vm);
      const nic = await this.#nics.plug(vm, 0);
      for (const forward of forwards) await this.#forward(vm, forward);
      return nic;
    },
    forward: async ({ vm, forward }) => {
      await this.#forward(vm, forward);
      return {};
    },
    unforward: ({ vm, forward }) =>
      this.#bus.inTurn(async () => {
        this.#nics.network(vm);
        await this.#forwards.remove(vm, forward);
        return {};
      }),
    forwards: ({ vm }) => Promise.resolve({ forwards: this.#forwards.list(vm) }),
  };

  /** In turn: a network that is being replaced opens no port. */
  #forward(vm: string, forward: Forward): Promise<void> {
    return this.#bus.inTurn(() => this.#forwards.add(vm, this.#nics.network(vm), forward));
  }
}
