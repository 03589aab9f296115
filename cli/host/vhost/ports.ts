// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The streams between the daemon and colinux-relay: a fixed number of
 * virtio-serial ports, each a socket of QEMU's. A port is usable when the relay
 * has written its banner; one that stays silent is not used again for this
 * machine. Called by daemon.ts.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import { BANNER } from "./layout.ts";
import { sendBytes } from "./wire.ts";

/** The relay answers in milliseconds; a machine under load in seconds. */
const BANNER_MS = 15_000;
/** QEMU holds back events for up to a second. */
const FREED_MS = 3000;
const DRAIN_MS = 100;
const CHUNK = 64 << 10;

export interface Port {
  index: number;
  conn: Deno.Conn;
}

/**
 * The relay closes and opens its device after every session, which QEMU tells
 * as events; of several within a second only the last one comes. So any event
 * during a session means that the relay has ended it, and a port is free again
 * when it is known to be open after the end.
 */
interface State {
  /** What the last event said: the relay has it open. */
  open: boolean;
  port: Port | undefined;
}

export class PortPool {
  readonly #states: State[];
  /** Longest unused first. */
  readonly #free: number[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #path: (index: number) => string;
  readonly #patience: number;

  constructor(count: number, path: (index: number) => string, patience = BANNER_MS) {
    this.#states = Array.from({ length: count }, () => ({ open: false, port: undefined }));
    this.#path = path;
    this.#patience = patience;
  }

  /** Another machine: nothing is known of its ports. */
  reset(): void {
    this.#free.length = 0;
    for (const state of this.#states) {
      if (state.port !== undefined) close(state.port.conn);
      state.port = undefined;
      state.open = false;
    }
  }

  /** A port with a relay behind it. */
  async take(): Promise<Port> {
    for (;;) {
      const index = this.#free.shift() ?? await this.#freed();
      if (index === undefined) continue;
      const state = this.#states[index];
      if (state === undefined) continue;
      const conn = await Deno.connect({ transport: "unix", path: this.#path(index) });
      const port = { index, conn };
      state.port = port;
      if (await this.#greeted(conn)) return port;
      // Silent: no event has ended this session, so it never becomes free.
      close(conn);
    }
  }

  /** Hangs up; the port may be used again when the relay has noticed. */
  release(port: Port): void {
    close(port.conn);
    const state = this.#states[port.index];
    if (state?.port !== port) return;
    state.port = undefined;
    state.open = false;
  }

  /** The relay has opened or closed its end of a port. */
  changed(index: number, open: boolean): void {
    const state = this.#states[index];
    if (state === undefined) return;
    const { port } = state;
    if (port !== undefined) {
      // What is on its way still arrives.
      state.port = undefined;
      setTimeout(() => close(port.conn), DRAIN_MS);
    }
    const was = state.open && port === undefined;
    state.open = open;
    if (open && !was) {
      this.#free.push(index);
      this.#waiting.shift()?.();
    }
    if (!open) {
      const at = this.#free.indexOf(index);
      if (at >= 0) this.#free.splice(at, 1);
    }
  }

  /** Waits for a port to become free. */
  async #freed(): Promise<undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const go = () => resolve(undefined);
    const timer = setTimeout(() => {
      const at = this.#waiting.indexOf(go);
      if (at >= 0) this.#waiting.splice(at, 1);
      reject(
        new CliError("all connections to the virtual host are in use", {
          name: "LIMIT",
          hint: "close some of the consoles and other commands that are open",
          exit: EXIT.tempFail,
        }),
      );
    }, Math.min(this.#patience, FREED_MS));
    this.#waiting.push(go);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #greeted(conn: Deno.Conn): Promise<boolean> {
    const timer = setTimeout(() => close(conn), this.#patience);
    let seen = "";
    const byte = new Uint8Array(1);
    try {
      // One byte at a time: what follows the banner is the client's.
      while (!seen.endsWith(BANNER)) {
        if (await conn.read(byte) === null) return false;
        seen = (seen + String.fromCharCode(byte[0] ?? 0)).slice(-BANNER.length);
      }
      return true;
    } catch {
      return false;
    } finally {
      clearTimeout(timer);
    }
  }
}

export function close(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch {
    // Closed already.
  }
}

/** Copies until the reader ends. The next read waits for the write: that is the flow control. */
async function copy(from: Deno.Conn, to: Deno.Conn): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  for (;;) {
    const count = await from.read(buffer);
    if (count === null) return;
    await sendBytes(to, buffer.subarray(0, count));
  }
}

/** Joins two connections until one of them ends, then closes both. */
export async function join(a: Deno.Conn, b: Deno.Conn): Promise<void> {
  try {
    await Promise.race([copy(a, b), copy(b, a)]);
  } catch {
    // One side broke: the same as its end.
  } finally {
    close(a);
    close(b);
  }
}
