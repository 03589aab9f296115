// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Keeps the daemon informed of which VMs run, through colinuxd's own events:
 * the virtual host goes when nothing in it does. Called by daemon.ts.
 */
import { RpcClient } from "../../rpc/client.ts";
import type { Vm } from "../../rpc/proto.ts";
import type { Paths } from "../../ui/paths.ts";
import { isLive, keepRecord } from "../../vm/records.ts";
import type { PortPool } from "./ports.ts";

/** What an event may have missed, the list says. */
const REFRESH_MS = 10_000;
const RETRY_MS = 1000;

export class VmWatch {
  readonly #pool: PortPool;
  readonly #paths: Paths;
  readonly #changed: () => void;
  readonly #told: (vms: Vm[]) => void;
  readonly #log: (line: string) => void;
  #vms = new Map<string, Vm>();
  #stopped = false;
  #client: RpcClient | undefined;

  /** changed: at every change; told: only when it is colinuxd's word, never for its silence. */
  constructor(
    pool: PortPool,
    paths: Paths,
    changed: () => void,
    told: (vms: Vm[]) => void,
    log: (line: string) => void,
  ) {
    this.#pool = pool;
    this.#paths = paths;
    this.#changed = changed;
    this.#told = told;
    this.#log = log;
  }

  /** VMs that run, or will again by themselves. */
  get active(): Vm[] {
    return [...this.#vms.values()].filter(isLive);
  }

  /** Bytes that VMs hold, running or not yet started. */
  get memory(): number {
    return [...this.#vms.values()].filter((vm) => vm.state !== "stopped" && vm.state !== "failed")
      .reduce((sum, vm) => sum + vm.memory, 0);
  }

  /** Returns when stop() was called. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#session();
      } catch (error) {
        this.#log(`watching VMs: ${error instanceof Error ? error.message : String(error)}`);
      }
      if (!this.#stopped) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  async refresh(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    const { vms } = await client.call("vm.list", {});
    this.#vms = new Map(vms.map((vm) => [`${vm.uid} ${vm.name}`, vm]));
    this.#told(vms);
    this.#changed();
  }

  stop(): void {
    this.#stopped = true;
    this.#client?.close();
  }

  /** `logs` and `status` answer after the virtual host has gone, too. */
  async #keep(client: RpcClient, vm: Vm): Promise<void> {
    try {
      await keepRecord(client, this.#paths, vm);
    } catch (error) {
      this.#log(`record of ${vm.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  async #session(): Promise<void> {
    const port = await this.#pool.take();
    try {
      const client = await RpcClient.open(port.conn);
      this.#client = client;
      client.on("vm.state", ({ vm }) => {
        this.#vms.set(`${vm.uid} ${vm.name}`, vm);
        this.#told([...this.#vms.values()]);
        this.#changed();
        if (vm.state === "stopped" || vm.state === "failed") void this.#keep(client, vm);
      });
      await client.call("events.subscribe", {});
      await this.refresh();
      const timer = setInterval(() => void this.refresh().catch(() => {}), REFRESH_MS);
      const why = await client.closed;
      clearInterval(timer);
      if (why !== undefined) throw why;
    } finally {
      this.#client = undefined;
      // A helper that has gone has taken its VMs along.
      this.#vms.clear();
      this.#changed();
      this.#pool.release(port);
    }
  }
}
