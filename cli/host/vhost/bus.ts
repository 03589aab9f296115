// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Virtio devices that come and go while the virtual host runs: slots on PCI
 * bridges, a serial number for each, an answer when the host inside has seen
 * it. For disk_bus.ts and nics.ts, which know what the devices are.
 */
import { BRIDGES, SLOTS } from "./layout.ts";
import type { Monitor } from "./qmp.ts";

/** Milliseconds on a quiet machine; one under load has its time. */
const PLUG_MS = 120_000;

/** What a person calls it. */
export type Kind = "disk" | "NIC";

interface Waiter {
  resolve(): void;
  reject(why: Error): void;
}

export class Bus {
  readonly qmp: Monitor;
  readonly #patience: number;
  readonly #waiting = new Map<string, Waiter>();
  readonly #free = Array.from({ length: BRIDGES * SLOTS }, (_, slot) => slot);
  #last: Promise<unknown> = Promise.resolve();

  constructor(qmp: Monitor, patience = PLUG_MS) {
    this.qmp = qmp;
    this.#patience = patience;
    qmp.on((event, data) => {
      if (event === "DEVICE_DELETED") this.#take(`-${String(data.device)}`)?.resolve();
    });
  }

  get full(): boolean {
    return this.#free.length === 0;
  }

  /** The host inside has made the link to it. */
  arrived(serial: string): void {
    this.#take(`+${serial}`)?.resolve();
  }

  /** The host inside has it, and cannot use it. */
  failed(serial: string, why: string): void {
    this.#take(`+${serial}`)?.reject(new Error(`in the virtual host: ${why}`));
  }

  take(kind: Kind): number {
    const slot = this.#free.shift();
    if (slot === undefined) throw new Error(`no slot for another ${kind}`);
    return slot;
  }

  /** Nothing is in that slot any more. */
  giveBack(slot: number): void {
    this.#free.push(slot);
  }

  /**
   * Returns when QEMU has plugged it in; `seen` waits until the host inside has it.
   * Serial: never one that is plugged now.
   */
  async plug(
    kind: Kind,
    serial: string,
    slot: number,
    device: Record<string, unknown>,
  ): Promise<{ seen: Promise<void> }> {
    const key = `+${serial}`;
    const seen = this.#wait(key, `the virtual host does not see the ${kind} ${serial} come`);
    try {
      await this.qmp.execute("device_add", {
        ...device,
        id: `d${serial}`,
        bus: `bridge${1 + Math.floor(slot / SLOTS)}`,
        addr: (1 + slot % SLOTS).toString(16),
      });
      return { seen };
    } catch (error) {
      this.#take(key)?.resolve();
      throw error;
    }
  }

  /** Returns when nobody uses it: not QEMU, and not the host inside. */
  async unplug(kind: Kind, serial: string): Promise<void> {
    const key = `-d${serial}`;
    const gone = this.#wait(key, `the virtual host does not let the ${kind} ${serial} go`);
    try {
      await this.qmp.execute("device_del", { id: `d${serial}` });
    } catch (error) {
      this.#take(key)?.resolve();
      throw error;
    }
    await gone;
  }

  /** One thing comes or goes at a time, in the order in which they were asked for. */
  async inTurn<T>(body: () => Promise<T>): Promise<T> {
    const before = this.#last;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last = promise;
    try {
      await before;
      return await body();
    } finally {
      resolve();
    }
  }

  #wait(key: string, late: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const timer = setTimeout(() => this.#take(key)?.reject(new Error(late)), this.#patience);
    const settled = <T extends unknown[]>(then: (...args: T) => void) => (...args: T) => {
      clearTimeout(timer);
      then(...args);
    };
    this.#waiting.set(key, { resolve: settled(resolve), reject: settled(reject) });
    return promise;
  }

  #take(key: string): Waiter | undefined {
    const waiter = this.#waiting.get(key);
    this.#waiting.delete(key);
    return waiter;
  }
}
