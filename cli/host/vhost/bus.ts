// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Virtio disks that come and go while the virtual host runs: slots on PCI
 * bridges, a serial number for each, an answer when the host inside has seen
 * it. For disks.ts and vm_disks.ts, which know what the disks are.
 */
import { BRIDGES, DISK_THREAD, SLOTS } from "./layout.ts";
import type { Monitor } from "./qmp.ts";

/** Milliseconds on a quiet machine; one under load has its time. */
const PLUG_MS = 120_000;

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
  readonly #qmp: Monitor;
  readonly #waiting = new Map<string, () => void>();
  readonly #free = Array.from({ length: BRIDGES * SLOTS }, (_, slot) => slot);

  constructor(qmp: Monitor) {
    this.#qmp = qmp;
    qmp.on((event, data) => {
      if (event === "DEVICE_DELETED") this.#wake(`-${String(data.device)}`);
    });
  }

  get full(): boolean {
    return this.#free.length === 0;
  }

  /** /init has made /dev/colinux-disk/SERIAL. */
  arrived(serial: string): void {
    this.#wake(`+${serial}`);
  }

  /** Serial: at most 20 characters, never one that is plugged now. */
  async plug(serial: string, node: Node): Promise<Plugged> {
    const slot = this.#free.shift();
    if (slot === undefined) throw new Error("no slot for another disk");
    const name = `n${serial}`;
    let opened = false;
    let inside = false;
    try {
      await this.#qmp.execute("blockdev-add", { driver: "raw", "node-name": name, ...node });
      opened = true;
      const size = await this.#size(name);
      const arrival = this.#wait(`+${serial}`);
      await this.#qmp.execute("device_add", {
        driver: "virtio-blk-pci",
        id: `d${serial}`,
        drive: name,
        serial,
        iothread: DISK_THREAD,
        // A flush of the host inside is a flush of the file; nobody else writes it.
        "write-cache": "on",
        "share-rw": false,
        // A full disk is an error for whoever writes; by itself QEMU would stop all VMs.
        werror: "report",
        rerror: "report",
        bus: `bridge${1 + Math.floor(slot / SLOTS)}`,
        addr: (1 + slot % SLOTS).toString(16),
      });
      inside = true;
      await arrival;
      return { serial, slot, path: `/dev/colinux-disk/${serial}`, size };
    } catch (error) {
      if (opened && !inside) await this.#qmp.execute("blockdev-del", { "node-name": name });
      // A disk that the host inside never showed keeps its slot.
      if (!inside) this.#free.push(slot);
      throw error;
    }
  }

  /** Returns when QEMU has closed the file, after a last flush. */
  async unplug({ serial, slot }: Plugged): Promise<void> {
    const gone = this.#wait(`-d${serial}`);
    await this.#qmp.execute("device_del", { id: `d${serial}` });
    await gone;
    await this.#qmp.execute("blockdev-del", { "node-name": `n${serial}` });
    this.#free.push(slot);
  }

  async #size(name: string): Promise<number> {
    const nodes = await this.#qmp.execute("query-named-block-nodes", { flat: true });
    const list = Array.isArray(nodes) ? nodes as Record<string, unknown>[] : [];
    const image = list.find((node) => node["node-name"] === name)?.image;
    return Number((image as Record<string, unknown> | undefined)?.["virtual-size"] ?? 0);
  }

  #wait(key: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const timer = setTimeout(() => {
      this.#waiting.delete(key);
      reject(new Error(`the virtual host does not see a disk come or go (${key})`));
    }, PLUG_MS);
    this.#waiting.set(key, () => {
      clearTimeout(timer);
      resolve();
    });
    return promise;
  }

  #wake(key: string): void {
    this.#waiting.get(key)?.();
    this.#waiting.delete(key);
  }
}
