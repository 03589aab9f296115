// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The disks of VMs: images and block devices of this machine, hot-plugged into
 * the virtual host. A flush of the guest reaches the file (never an unsafe
 * cache mode); QEMU's own lock on the file keeps a second user out. Each disk
 * is a VM's, and goes when that VM has ended: only then may others open the
 * file, and only the next plug sees that it has grown. Called by daemon.ts.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import { filesUsers, showProcesses } from "../processes.ts";
import type { DiskRequest, HostFile } from "../host.ts";
import type { DiskBus, Node, Plugged } from "./disk_bus.ts";

interface Claim {
  request: DiskRequest;
  plugged: Plugged;
}

export class VmDisks {
  readonly #bus: DiskBus;
  readonly #makeRoom: () => Promise<void>;
  readonly #claims: Claim[] = [];
  #count = 0;

  constructor(bus: DiskBus, makeRoom: () => Promise<void>) {
    this.#bus = bus;
    this.#makeRoom = makeRoom;
  }

  publish(request: DiskRequest): Promise<HostFile> {
    return this.#bus.inTurn(async () => {
      await this.#makeRoom();
      // Never the same again: what is inside of an old disk's name must not meet a new one.
      const serial = `vm${(++this.#count).toString(36)}-${crypto.randomUUID().slice(0, 8)}`;
      try {
        const plugged = await this.#bus.plug(serial, diskNode(request));
        this.#claims.push({ request, plugged });
        return { path: plugged.path, size: plugged.size };
      } catch (error) {
        throw await this.#explained(error, request);
      }
    });
  }

  /** Unplugs all disks of a VM; returns when their files are closed. */
  release(vm: string): Promise<void> {
    return this.#bus.inTurn(async () => {
      for (const claim of this.#claims.filter(({ request }) => request.vm === vm)) {
        this.#claims.splice(this.#claims.indexOf(claim), 1);
        await this.#bus.unplug(claim.plugged);
      }
    });
  }

  async #explained(error: unknown, request: DiskRequest): Promise<unknown> {
    const why = error instanceof Error ? error.message : String(error);
    const label = `disk ${request.name}: ${request.path}`;
    if (/Failed to get .* lock/.test(why)) {
      const own = this.#claims.find((claim) => claim.request.path === request.path)?.request;
      const who = own === undefined
        ? showProcesses(await filesUsers(request.path))
        : `${
          own.vm === request.vm ? "this VM itself, as disk" : `the VM ${own.vm}, as disk`
        } ${own.name}`;
      return new CliError(`${label} is in use${who === "" ? " by another VM" : ` by ${who}`}`, {
        name: "BUSY",
        hint: "two writers would destroy it: stop the other one, or give this VM a disk of its own",
        exit: EXIT.tempFail,
      });
    }
    if (/Permission denied|Read-only file system|Operation not permitted/.test(why)) {
      return new CliError(`${label} may not be ${request.readOnly ? "read" : "written"}`, {
        name: "PERM",
        hint: request.readOnly
          ? "look at its rights"
          : 'look at its rights, or say "readOnly": true',
        exit: EXIT.noPerm,
      });
    }
    if (!why.startsWith("QEMU: ")) return error;
    return new CliError(`${label}: ${why.slice(6)}`, {
      name: "IO",
      hint: "see the message",
      exit: EXIT.io,
    });
  }
}

/** What blockdev-add is told of a VM's disk. */
export function diskNode({ path, readOnly }: DiskRequest): Node {
  const cache = { direct: false, "no-flush": false };
  return {
    "read-only": readOnly,
    "detect-zeroes": "off",
    discard: "unmap",
    cache,
    file: {
      // Only QEMU may look into /dev.
      driver: path.startsWith("/dev/") ? "host_device" : "file",
      filename: path,
      "read-only": readOnly,
      locking: "on",
      aio: "threads",
      discard: "unmap",
      cache,
    },
  };
}
