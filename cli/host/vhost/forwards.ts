// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Forwards of VMs through the virtual host: QEMU's user network listens on this
 * machine and connects to a private port inside, where the VM's worker listens.
 * The outer forward is the person's, the inner one the worker's.
 * Called by things.ts.
 */
import { showForward } from "../../config/forward.ts";
import { protoError } from "../../rpc/errors.ts";
import type { Forward } from "../../rpc/proto.ts";
import { whyRefused } from "../listeners.ts";
import { INSIDE, INSIDE_PORTS } from "./layout.ts";
import type { Monitor } from "./qmp.ts";

interface Mapping {
  vm: string;
  outer: Forward;
  inner: Forward;
}

const IPV4 = /^\d{1,3}(\.\d{1,3}){3}$/;

export class Forwards {
  readonly #monitor: Monitor;
  readonly #mappings: Mapping[] = [];
  #next: number = INSIDE_PORTS.first;

  constructor(monitor: Monitor) {
    this.#monitor = monitor;
  }

  /** Opens the port; the forward that the worker inside is to make. */
  async map(vm: string, outer: Forward): Promise<Forward> {
    const label = `forward ${showForward(outer)}`;
    const { hostAddress, hostPort, guestPort, protocol } = outer;
    if (!IPV4.test(hostAddress)) {
      throw protoError(
        "INVAL",
        `${label}: the virtual host forwards from IPv4 addresses only`,
        `say 127.0.0.1:${hostPort}:${guestPort}`,
      );
    }
    const known = this.#find(outer);
    if (known !== undefined) {
      throw protoError("BUSY", `${label}: this port goes to the VM ${known.vm} already`);
    }
    const inside = INSIDE[protocol];
    const inner = { ...outer, hostAddress: inside.address, hostPort: this.#port() };
    const mapping = { vm, outer, inner };
    // Before the answer: nobody else gets the port inside meanwhile.
    this.#mappings.push(mapping);
    const said = await this.#hmp(
      `hostfwd_add ${inside.way} ${protocol}:${hostAddress}:${hostPort}` +
        `-${inner.hostAddress}:${inner.hostPort}`,
    ).catch((error: unknown) => String(error));
    if (said.trim() === "") return inner;
    this.#drop(mapping);
    throw await whyRefused(outer);
  }

  /** Closes the port; connections that stand go on. Undefined when it was not open for that VM. */
  async unmap(vm: string, outer: Forward): Promise<Forward | undefined> {
    const mapping = this.#find(outer);
    if (mapping === undefined || mapping.vm !== vm) return undefined;
    await this.#close(mapping);
    return mapping.inner;
  }

  /** What a person knows of the forwards that the worker lists. */
  outer(vm: string, inner: readonly Forward[]): Forward[] {
    return inner.map((forward) =>
      this.#mappings.find((mapping) =>
        mapping.vm === vm && mapping.inner.hostPort === forward.hostPort &&
        mapping.inner.protocol === forward.protocol
      )?.outer ?? forward
    );
  }

  async release(vm: string): Promise<void> {
    for (const mapping of this.#mappings.filter((one) => one.vm === vm)) await this.#close(mapping);
  }

  async #close(mapping: Mapping): Promise<void> {
    const { protocol, hostAddress, hostPort } = mapping.outer;
    this.#drop(mapping);
    await this.#hmp(
      `hostfwd_remove ${INSIDE[protocol].way} ${protocol}:${hostAddress}:${hostPort}`,
    );
  }

  #find(outer: Forward): Mapping | undefined {
    return this.#mappings.find(({ outer: one }) =>
      one.hostAddress === outer.hostAddress && one.hostPort === outer.hostPort &&
      one.protocol === outer.protocol
    );
  }

  #drop(mapping: Mapping): void {
    const at = this.#mappings.indexOf(mapping);
    if (at >= 0) this.#mappings.splice(at, 1);
  }

  /** The one that was free for longest: a late packet for an old forward meets no new one. */
  #port(): number {
    for (let tries = INSIDE_PORTS.first; tries <= INSIDE_PORTS.last; tries++) {
      const port = this.#next++;
      if (this.#next > INSIDE_PORTS.last) this.#next = INSIDE_PORTS.first;
      if (!this.#mappings.some(({ inner }) => inner.hostPort === port)) return port;
    }
    throw protoError("LIMIT", "the virtual host has no port left for another forward");
  }

  /** QEMU has no machine-readable command for this; "" when it was done. */
  async #hmp(line: string): Promise<string> {
    return String(
      await this.#monitor.execute("human-monitor-command", { "command-line": line }),
    );
  }
}
