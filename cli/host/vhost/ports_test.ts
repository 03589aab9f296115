// SPDX-License-Identifier: GPL-2.0-or-later
import { CliError } from "../../ui/errors.ts";
import { BANNER } from "./layout.ts";
import { join, type Port, PortPool } from "./ports.ts";

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`got ${actual}, expected ${expected}`);
}

/** Sockets that stand for QEMU's; `greeting` is what the relay writes first. */
class Relay implements AsyncDisposable {
  readonly dir = Deno.makeTempDirSync();
  readonly conns: Deno.Conn[] = [];
  readonly #listeners: Deno.Listener[] = [];

  constructor(greetings: string[]) {
    for (const [index, greeting] of greetings.entries()) {
      const listener = Deno.listen({ transport: "unix", path: this.path(index) });
      this.#listeners.push(listener);
      void this.#serve(listener, greeting);
    }
  }

  path(index: number): string {
    return `${this.dir}/port${index}`;
  }

  async #serve(listener: Deno.Listener, greeting: string): Promise<void> {
    for await (const conn of listener) {
      this.conns.push(conn);
      await conn.write(new TextEncoder().encode(greeting));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const listener of this.#listeners) listener.close();
    for (const conn of this.conns) {
      try {
        conn.close();
      } catch {
        // The test has closed it.
      }
    }
    await Deno.remove(this.dir, { recursive: true });
  }
}

async function refused(promise: Promise<Port>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof CliError) return error.name;
    throw error;
  }
  return "none";
}

Deno.test("ports: a port is used when its relay is there, then waits for its relay again", async () => {
  await using relay = new Relay([BANNER, BANNER]);
  const pool = new PortPool(2, (index) => relay.path(index), 300);
  equal(await refused(pool.take()), "LIMIT");
  pool.changed(0, true);
  pool.changed(1, true);
  const first = await pool.take();
  equal(first.index, 0);
  const second = await pool.take();
  equal(second.index, 1);
  pool.release(first);
  equal(await refused(pool.take()), "LIMIT");
  pool.changed(0, false);
  pool.changed(0, true);
  const again = await pool.take();
  equal(again.index, 0);
  pool.release(again);
  pool.release(second);
});

Deno.test("ports: leftovers before the banner are dropped, a silent port is passed over", async () => {
  await using relay = new Relay(["", `rest of an old session${BANNER}new`]);
  const pool = new PortPool(2, (index) => relay.path(index), 300);
  pool.changed(0, true);
  pool.changed(1, true);
  const port = await pool.take();
  equal(port.index, 1);
  const buffer = new Uint8Array(16);
  const count = await port.conn.read(buffer) ?? 0;
  equal(new TextDecoder().decode(buffer.subarray(0, count)), "new");
  pool.release(port);
});

Deno.test("ports: somebody who waits gets the next free one", async () => {
  await using relay = new Relay([BANNER]);
  const pool = new PortPool(1, (index) => relay.path(index), 5000);
  const waiting = pool.take();
  pool.changed(0, true);
  pool.release(await waiting);
});

Deno.test("ports: the relay's end of a session ends the client's", async () => {
  await using relay = new Relay([BANNER]);
  const pool = new PortPool(1, (index) => relay.path(index), 5000);
  pool.changed(0, true);
  const port = await pool.take();
  const path = `${relay.dir}/client`;
  const listener = Deno.listen({ transport: "unix", path });
  const client = await Deno.connect({ transport: "unix", path });
  const server = await listener.accept();
  listener.close();
  const joined = join(server, port.conn);
  await client.write(new TextEncoder().encode("hello"));
  const buffer = new Uint8Array(16);
  equal(await relay.conns[0]?.read(buffer), 5);
  pool.changed(0, false);
  await joined;
  equal(await client.read(buffer), null);
  client.close();
});
