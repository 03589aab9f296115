// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Virtio disks that come and go while the virtual host runs: a file that QEMU
 * opens, and the device. For disks.ts and vm_disks.ts, which know whose they are.
 */
import type { Bus } from "./bus.ts";
import { DISK_THREAD } from "./layout.ts";

export interface Plugged {
  readonly serial: string;
  readonly slot: number;
  /** Where the helper inside finds it. */
  readonly path: string;
  readonly size: number;
}

/** What QEMU opens: options of its raw format driver, the file's among them. */
export type Node = { readonly "read-only": boolean } & Record<string, unknown>;

export class DiskBus {
  readonly #bus: Bus;

  constructor(bus: Bus) {
    this.#bus = bus;
  }

  get full(): boolean {
    return this.#bus.full;
  }

  /** Serial: at most 20 characters, never one that is plugged now. */
  async plug(serial: string, node: Node): Promise<Plugged> {
    const { qmp } = this.#bus;
    const slot = this.#bus.take("disk");
    const name = `n${serial}`;
    let opened = false;
    let inside = false;
    try {
      await qmp.execute("blockdev-add", { driver: "raw", "node-name": name, ...node });
      opened = true;
      const size = await this.#size(name);
      const { seen } = await this.#bus.plug("disk", serial, slot, {
        driver: "virtio-blk-pci",
        drive: name,
        serial,
        iothread: DISK_THREAD,
        // A flush of the host inside is a flush of the file; nobody else writes it.
        "write-cache": "on",
        "share-rw": false,
        // A full disk is an error for whoever writes; by itself QEMU would stop all VMs.
        werror: "report",
        rerror: "report",
      });
      inside = true;
      await seen;
      return { serial, slot, path: `/dev/colinux-disk/${serial}`, size };
    } catch (error) {
      if (opened && !inside) await qmp.execute("blockdev-del", { "node-name": name });
      // A disk that the host inside never showed keeps its slot.
      if (!inside) this.#bus.giveBack(slot);
      throw error;
    }
  }

  /** Returns when QEMU has closed the file, after a last flush. */
  async unplug({ serial, slot }: Plugged): Promise<void> {
    await this.#bus.unplug("disk", serial);
    await this.#bus.qmp.execute("blockdev-del", { "node-name": `n${serial}` });
    this.#bus.giveBack(slot);
  }

  inTurn<T>(body: () => Promise<T>): Promise<T> {
    return this.#bus.inTurn(body);
  }

  async #size(name: string): Promise<number> {
    const nodes = await this.#bus.qmp.execute("query-named-block-nodes", { flat: true });
    const list = Array.isArray(nodes) ? nodes as Record<string, unknown>[] : [];
    const image = list.find((node) => node["node-name"] === name)?.image;
    return Number((image as Record<string, unknown> | undefined)?.["virtual-size"] ?? 0);
  }
}
