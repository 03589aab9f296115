// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Files of this machine that the helper inside reads, kernels and initrds, as
 * read-only disks. The same file twice is one disk; when all slots are taken
 * the one published longest ago goes. Called by daemon.ts.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import type { HostFile } from "../host.ts";
import type { DiskBus, Plugged } from "./disk_bus.ts";

interface Disk {
  plugged: Plugged;
  file: HostFile;
}

export class Disks {
  readonly #bus: DiskBus;
  readonly #disks = new Map<string, Promise<Disk>>();

  constructor(bus: DiskBus) {
    this.#bus = bus;
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

  /** Gives up the one published longest ago when the bus has no slot left. */
  async makeRoom(): Promise<void> {
    if (!this.#bus.full) return;
    const [oldest] = this.#disks.keys();
    if (oldest === undefined) return;
    const disk = await this.#disks.get(oldest);
    this.#disks.delete(oldest);
    if (disk !== undefined) await this.#bus.unplug(disk.plugged);
  }

  async #plug(serial: string, path: string, size: number): Promise<Disk> {
    await this.makeRoom();
    const plugged = await this.#bus.plug(serial, {
      "read-only": true,
      file: { driver: "file", filename: path, "read-only": true },
    });
    return { plugged, file: { path: plugged.path, size } };
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
