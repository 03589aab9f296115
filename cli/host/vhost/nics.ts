// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Networks of mode nat of VMs in the virtual host: for each, a user network of
 * QEMU's and a NIC, on which the host inside makes a macvtap for the worker. So
 * QEMU's own code, which is not emulated, is the only NAT. A hub lies between:
 * the user network can be replaced while the NIC stays. Called by things.ts.
 */
import { showForward } from "../../config/forward.ts";
import { protoError } from "../../rpc/errors.ts";
import type { Bus } from "./bus.ts";
import type { Forwards, Network } from "./forwards.ts";

/** What a NIC can do: a frame with all that libslirp ever puts into one. */
const MTU = 65521;
const MACS = 1 << 16;

interface Nic {
  vm: string;
  /** Which one of the VM's networks. */
  index: number;
  /** The MAC, without colons. */
  serial: string;
  slot: number;
}

export class Nics {
  readonly #bus: Bus;
  readonly #forwards: Forwards;
  readonly #makeRoom: () => Promise<void>;
  readonly #note: (line: string) => void;
  readonly #nics: Nic[] = [];
  /** Serial numbers that are in QEMU now. */
  readonly #used = new Set<string>();
  #count = 0;

  constructor(
    bus: Bus,
    forwards: Forwards,
    makeRoom: () => Promise<void>,
    note: (line: string) => void,
  ) {
    this.#bus = bus;
    this.#forwards = forwards;
    this.#makeRoom = makeRoom;
    this.#note = note;
  }

  /** Makes network `index` of a VM; what the worker is to open. */
  plug(vm: string, index: number): Promise<{ device: string }> {
    return this.#bus.inTurn(async () => {
      await this.#makeRoom();
      const slot = this.#bus.take("NIC");
      const nic = { vm, index, slot, serial: this.#serial() };
      await this.#plug(nic);
      this.#nics.push(nic);
      return { device: `/dev/colinux-nic/${nic.serial}` };
    });
  }

  /** Where a VM's forwards go: its first network. */
  network(vm: string): Network {
    const [first] = this.#of(vm).sort((a, b) => a.index - b.index);
    if (first !== undefined) return networkOf(first);
    throw protoError("STATE", `${vm} has no network of mode nat: nothing can be forwarded`);
  }

  /**
   * For a guest that has died and starts again: connections that it had end for
   * the other side, which would else wait for a guest that knows nothing of them.
   */
  reset(vm: string): Promise<void> {
    return this.#bus.inTurn(async () => {
      for (const nic of this.#of(vm)) {
        const { user, way } = netdevs(nic);
        await this.#remove([way.id, user.id]);
        for (const netdev of [user, way]) await this.#bus.qmp.execute("netdev_add", netdev);
        for (const forward of await this.#forwards.reopen(networkOf(nic))) {
          this.#note(`${vm}: forward ${showForward(forward)} is lost: its port has gone`);
        }
      }
    });
  }

  /** Ends all networks of a VM; returns when nothing of them is left. */
  release(vm: string): Promise<void> {
    return this.#bus.inTurn(async () => {
      for (const nic of this.#of(vm)) {
        this.#nics.splice(this.#nics.indexOf(nic), 1);
        const { user, way, nicsWay } = netdevs(nic);
        // The ports and connections of a VM that has ended do not wait for the NIC to go.
        this.#forwards.forget(networkOf(nic));
        await this.#remove([way.id, user.id]).finally(() => this.#unplug(nic));
        await this.#remove([nicsWay.id]);
      }
    });
  }

  #of(vm: string): Nic[] {
    return this.#nics.filter((nic) => nic.vm === vm);
  }

  async #plug(nic: Nic): Promise<void> {
    const { serial, slot } = nic;
    const { user, way, nicsWay } = netdevs(nic);
    const made: string[] = [];
    let inside = false;
    try {
      for (const netdev of [user, way, nicsWay]) {
        await this.#bus.qmp.execute("netdev_add", netdev);
        made.unshift(netdev.id);
      }
      const { seen } = await this.#bus.plug("NIC", serial, slot, {
        driver: "virtio-net-pci",
        netdev: nicsWay.id,
        mac: (serial.match(/../g) ?? []).join(":"),
        host_mtu: MTU,
        romfile: "",
      });
      inside = true;
      await seen;
    } catch (error) {
      await this.#remove(made).catch(() => {});
      // One that the host inside never showed keeps slot and address until it goes, if ever.
      if (inside) this.#unplug(nic).catch(() => {});
      else this.#gone(nic);
      throw error;
    }
  }

  async #unplug(nic: Nic): Promise<void> {
    await this.#bus.unplug("NIC", nic.serial);
    this.#gone(nic);
  }

  #gone({ serial, slot }: Nic): void {
    this.#used.delete(serial);
    this.#bus.giveBack(slot);
  }

  /** All of them, whatever becomes of one; throws for the first that was not removed. */
  async #remove(ids: string[]): Promise<void> {
    let trouble: unknown;
    for (const id of ids) {
      await this.#bus.qmp.execute("netdev_del", { id }).catch((error) => trouble ??= error);
    }
    if (trouble !== undefined) throw trouble;
  }

  /** hotplug.sh knows these addresses by their beginning. */
  #serial(): string {
    for (;;) {
      this.#count = (this.#count + 1) % MACS;
      const serial = `525400c0${this.#count.toString(16).padStart(4, "0")}`;
      if (this.#used.has(serial)) continue;
      this.#used.add(serial);
      return serial;
    }
  }
}

function networkOf({ serial, index }: Nic): Network {
  return { id: `u${serial}`, guest: `10.0.${2 + index}.15` };
}

/** As helperd/worker/conet_slirp.c has it natively. */
function netdevs({ vm, index, serial, slot }: Nic) {
  const net = `10.0.${2 + index}`;
  const prefix = `fd63:6f4c:694e:${index.toString(16)}::`;
  // A hub is never removed: each slot has one. 0 is QEMU's own.
  const hubid = slot + 1;
  const user = {
    type: "user",
    id: `u${serial}`,
    hostname: vm,
    net: `${net}.0/24`,
    host: `${net}.2`,
    dns: `${net}.3`,
    dhcpstart: `${net}.15`,
    "ipv6-prefix": prefix,
    "ipv6-prefixlen": 64,
    "ipv6-host": `${prefix}2`,
    "ipv6-dns": `${prefix}3`,
  };
  return {
    user,
    way: { type: "hubport", id: `k${serial}`, hubid, netdev: user.id },
    nicsWay: { type: "hubport", id: `h${serial}`, hubid },
  };
}
