// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Forwards of VMs in the virtual host: a VM's user network in QEMU listens on
 * this machine and connects to the guest. Called by things.ts and, when such a
 * network goes or is made anew, by nics.ts.
 */
import { showForward } from "../../config/forward.ts";
import { protoError } from "../../rpc/errors.ts";
import type { Forward } from "../../rpc/proto.ts";
import { whyRefused } from "../listeners.ts";
import type { Monitor } from "./qmp.ts";

/** A user network of QEMU's, and where the guest is in it. */
export interface Network {
  readonly id: string;
  readonly guest: string;
}

interface Open {
  vm: string;
  network: string;
  forward: Forward;
}

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;
/** Of one VM: as many as a worker makes natively. */
const MOST = 64;

export class Forwards {
  readonly #monitor: Monitor;
  readonly #open: Open[] = [];

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  /** Opens the port. */
  async add(vm: string, network: Network, forward: Forward): Promise<void> {
    const label = `forward ${showForward(forward)}`;
    const { hostAddress, hostPort, guestPort } = forward;
    if (!IPV4.test(hostAddress)) {
      throw protoError(
        "INVAL",
        `${label}: the virtual host forwards from IPv4 addresses only`,
        `say 127.0.0.1:${hostPort}:${guestPort}`,
      );
    }
    const known = this.#open.find((one) => samePort(one.forward, forward));
    if (known !== undefined) {
      throw protoError("BUSY", `${label}: this port goes to the VM ${known.vm} already`);
    }
    const count = this.list(vm).length;
    if (count >= MOST) {
      throw protoError("LIMIT", `the VM has ${count} forwards already, more cannot be`);
    }
    if (!await this.#listen(network, forward)) throw await whyRefused(forward);
    this.#open.push({ vm, network: network.id, forward });
  }

  /** Closes the port; connections that stand go on. */
  async remove(vm: string, forward: Forward): Promise<void> {
    const { protocol, hostAddress, hostPort, guestPort } = forward;
    const port = `${hostAddress}:${hostPort}/${protocol}`;
    const at = this.#open.findIndex((one) =>
      one.vm === vm && samePort(one.forward, forward) && one.forward.guestPort === guestPort
    );
    const found = this.#open[at];
    if (found === undefined) {
      throw protoError("NOENT", `${port} is not forwarded to port ${guestPort} of this VM`);
    }
    const said = await this.#hmp(
      `hostfwd_remove ${found.network} ${protocol}:${hostAddress}:${hostPort}`,
    );
    if (!/ (removed|not found)\s*$/.test(said)) {
      throw protoError("IO", `QEMU did not close ${port}: it may be open until this VM ends`);
    }
    this.#open.splice(at, 1);
  }

  list(vm: string): Forward[] {
    return this.#open.filter((one) => one.vm === vm).map(({ forward }) => forward);
  }

  /** The network was made anew: its ports are opened again. Those that cannot be are given back. */
  async reopen(network: Network): Promise<Forward[]> {
    const lost: Forward[] = [];
    for (const one of this.#open.filter(({ network: id }) => id === network.id)) {
      if (await this.#listen(network, one.forward)) continue;
      this.#open.splice(this.#open.indexOf(one), 1);
      lost.push(one.forward);
    }
    return lost;
  }

  /** The network goes, and its ports with it. */
  forget({ id }: Network): void {
    for (let at = this.#open.length - 1; at >= 0; at--) {
      if (this.#open[at]?.network === id) this.#open.splice(at, 1);
    }
  }

  async #listen({ id, guest }: Network, forward: Forward): Promise<boolean> {
    const { protocol, hostAddress, hostPort, guestPort } = forward;
    const said = await this.#hmp(
      `hostfwd_add ${id} ${protocol}:${hostAddress}:${hostPort}-${guest}:${guestPort}`,
    ).catch((error: unknown) => String(error));
    return said.trim() === "";
  }

  /** QEMU has no machine-readable command for this. */
  async #hmp(line: string): Promise<string> {
    return String(
      await this.#monitor.execute("human-monitor-command", { "command-line": line }),
    );
  }
}

function samePort(a: Forward, b: Forward): boolean {
  return a.hostAddress === b.hostAddress && a.hostPort === b.hostPort && a.protocol === b.protocol;
}
