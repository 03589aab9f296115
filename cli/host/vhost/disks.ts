// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Files of this machine as read-only disks of the virtual host, hot-plugged as
 * virtio-blk and found inside by serial number. The same file twice is one
 * disk; when all slots are taken the one published longest ago goes.
 * Called by daemon.ts.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import type { HostFile } from "../host.ts";
import { BRIDGES, SLOTS } from "./layout.ts";
import type { Qmp } from "./qmp.ts";

const PLUG_MS = 30_000;

interface Disk {
  serial: string;
  slot: number;
  file: HostFile;
}

export class Disks {
  readonly #qmp: Qmp;
  readonly #disks = new Map<string, Promise<Disk>>();
  readonly #waiting = new Map<string, () => void>();
  readonly #slots = Array.from({ length: BRIDGES * SLOTS }, (_, slot) => slot);

  constructor(qmp: Qmp) {
    this.#qmp = qmp;
    qmp.on((event, data) => {
      if (event === "DEVICE_DELETED") this.#wake(`-${String(data.device)}`);
    });
  }

  /** /init has made /dev/colinux-disk/SERIAL. */
  arrived(serial: string): void {
    this.#wake(`+${serial}`);
  }

  async publish(path: string): Promise<HostFile> {
    const real = await Deno.realPath(path);
    const info = await Deno.stat(real);
    if (!info.isFile) throw unreadable(path, "not a file");
    if (info.size === 0) throw unreadable(path, "the file is empty");
    const serial = await name(real, info);
    let disk = this.#disks.get(serial);
    // Last in the map's order: used last.
    this.#disks.delete(serial);
    disk ??= this.#plug(serial, real, info.size);
    this.#disks.set(serial, disk);
    try {
      return (await disk).file;
    } catch (error) {
      this.#disks.delete(serial);
      throw error;
    }
  }

  async #plug(serial: string, path: string, size: number): Promise<Disk> {
    const slot = await this.#slot();
    try {
      await this.#qmp.execute("blockdev-add", {
        driver: "raw",
        "node-name": `n${serial}`,
        "read-only": true,
        file: { driver: "file", filename: path, "read-only": true },
      });
      const arrival = this.#wait(`+${serial}`);
      await this.#qmp.execute("device_add", {
        driver: "virtio-blk-pci",
        id: `d${serial}`,
        drive: `n${serial}`,
        serial,
        bus: `bridge${1 + Math.floor(slot / SLOTS)}`,
        addr: (1 + slot % SLOTS).toString(16),
      });
      await arrival;
    } catch (error) {
      await this.#qmp.execute("blockdev-del", { "node-name": `n${serial}` }).catch(() => {});
      this.#slots.push(slot);
      throw error;
    }
    return { serial, slot, file: { path: `/dev/colinux-disk/${serial}`, size } };
  }

  async #slot(): Promise<number> {
    const free = this.#slots.shift();
    if (free !== undefined) return free;
    const [oldest] = this.#disks.keys();
    const disk = oldest === undefined ? undefined : await this.#disks.get(oldest);
    if (disk === undefined) throw new Error("no slot for another disk");
    this.#disks.delete(disk.serial);
    const gone = this.#wait(`-d${disk.serial}`);
    await this.#qmp.execute("device_del", { id: `d${disk.serial}` });
    await gone;
    await this.#qmp.execute("blockdev-del", { "node-name": `n${disk.serial}` });
    return disk.slot;
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

/** A serial number (at most 20 characters) that stands for the file and its content. */
async function name(path: string, info: Deno.FileInfo): Promise<string> {
  const text = [path, info.dev, info.ino, info.size, info.mtime?.getTime()].join("\0");
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(hash).slice(0, 9), (n) => n.toString(16).padStart(2, "0"))
    .join("");
}

function unreadable(path: string, why: string): CliError {
  return new CliError(`${path}: ${why}`, {
    name: "NOENT",
    hint: "name a kernel or initrd file",
    exit: EXIT.noInput,
  });
}
