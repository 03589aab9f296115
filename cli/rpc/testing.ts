// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A double of colinuxd for tests: JSON-RPC on a Unix socket, VMs in memory.
 * What a guest "does" is a script given to the constructor. Not in the bundle.
 */
import type { Vm, VmState } from "./proto.ts";
import { LineSplitter } from "./lines.ts";
import { isRecord } from "./errors.ts";

export interface Guest {
  /** Printed after vm.start, one event a line. */
  lines: string[];
  /** State after the lines, with a reason; default: keeps running. */
  end?: { state: VmState; reason?: string; exit?: number };
  /** What console input is answered with; default: an echo. */
  answer?: (input: string) => string;
}

interface FakeVm {
  vm: Vm;
  guest: Guest;
  log: string;
  ready: string | undefined;
}

interface Client {
  send(message: unknown): void;
  subscribed: boolean;
  attached: Set<string>;
}

type Handler = (params: Record<string, unknown>, client: Client) => unknown;

export class FakeError extends Error {
  constructor(readonly code: number, readonly errorName: string, message: string) {
    super(message);
  }
}

export class FakeHelper {
  readonly vms = new Map<string, FakeVm>();
  readonly calls: { method: string; params: Record<string, unknown> }[] = [];
  readonly #listener: Deno.UnixListener;
  readonly #clients = new Set<Client>();
  readonly #connections = new Set<Deno.UnixConn>();
  readonly #guests: Record<string, Guest>;
  /** Replaces a method: for errors and odd answers. */
  readonly overrides: Record<string, Handler> = {};
  #nextId = 1;
  #isClosed = false;

  constructor(readonly socket: string, guests: Record<string, Guest> = {}) {
    this.#guests = guests;
    this.#listener = Deno.listen({ transport: "unix", path: socket });
    void this.#accept();
  }

  async #accept(): Promise<void> {
    for await (const connection of this.#listener) {
      this.#connections.add(connection);
      this.#serve(connection).catch(() => {}).finally(() => this.#connections.delete(connection));
    }
  }

  async #serve(connection: Deno.UnixConn): Promise<void> {
    const writer = connection.writable.getWriter();
    const client: Client = {
      subscribed: false,
      attached: new Set(),
      send: (message) => {
        const line = typeof message === "string" ? message : JSON.stringify(message);
        writer.write(new TextEncoder().encode(line + "\n")).catch(() => {});
      },
    };
    this.#clients.add(client);
    const lines = new LineSplitter(1 << 20);
    try {
      for await (const chunk of connection.readable) {
        for (const line of lines.push(chunk)) await this.#request(client, JSON.parse(line));
      }
    } finally {
      this.#clients.delete(client);
    }
  }

  async #request(client: Client, request: unknown): Promise<void> {
    if (!isRecord(request)) return;
    const method = String(request.method);
    const params = isRecord(request.params) ? request.params : {};
    this.calls.push({ method, params });
    try {
      const handler = this.overrides[method] ?? this.#methods[method];
      if (handler === undefined) throw new FakeError(-32601, "", `no method ${method}`);
      const result = await handler(params, client);
      client.send({ jsonrpc: "2.0", id: request.id, result });
      if (method === "vm.start" || method === "vm.restart") this.#play(this.#vm(params));
    } catch (error) {
      const known = error instanceof FakeError;
      client.send({
        jsonrpc: "2.0",
        id: request.id,
        error: {
          code: known ? error.code : -32603,
          message: (error as Error).message,
          data: known && error.errorName !== "" ? { name: error.errorName } : undefined,
        },
      });
    }
  }

  #vm(params: Record<string, unknown>): FakeVm {
    const vm = this.vms.get(String(params.name));
    if (vm === undefined) throw new FakeError(3, "NOENT", `there is no VM "${params.name}"`);
    return vm;
  }

  readonly #methods: Record<string, Handler> = {
    "hello": () => ({ version: 1, build: "fake", abi: 1, uid: 0, pid: 1 }),
    "vm.list": () => ({ vms: [...this.vms.values()].map(({ vm }) => vm) }),
    "vm.get": (params) => ({ vm: this.#vm(params).vm, counters: [] }),
    "vm.create": (params) => {
      const name = String(params.name);
      if (this.vms.has(name)) throw new FakeError(4, "EXISTS", `there is a VM "${name}"`);
      const memory = Number(params.memory);
      const vm: Vm = { name, state: "created", uid: 0, id: this.#nextId++, memory };
      const guest = this.#guests[name] ?? { lines: ["Linux version", "login:"] };
      const ready = params.readyConsole === undefined ? undefined : String(params.readyConsole);
      this.vms.set(name, { vm, guest, log: "", ready });
      return { vm };
    },
    "vm.start": (params) => {
      const fake = this.#vm(params);
      this.#set(fake, "running");
      return { vm: fake.vm };
    },
    "vm.stop": (params) => {
      const fake = this.#vm(params);
      fake.vm.reason = "the guest powered off";
      this.#set(fake, "stopped");
      this.#closed(fake);
      return { vm: fake.vm, forced: params.force === true };
    },
    "vm.restart": (params) => {
      const fake = this.#vm(params);
      this.#set(fake, "restarting");
      fake.log = "";
      fake.vm.id = this.#nextId++;
      this.#set(fake, "running");
      return { vm: fake.vm };
    },
    "vm.delete": (params) => {
      this.#vm(params);
      this.vms.delete(String(params.name));
      return {};
    },
    "console.attach": (params, client) => {
      const fake = this.#vm(params);
      client.attached.add(fake.vm.name);
      const replay = Number(params.replay ?? 0);
      if (replay > 0) client.send(dataEvent(fake.vm.name, fake.log.slice(-replay)));
      if (fake.vm.state === "stopped" || fake.vm.state === "failed") {
        client.send({ jsonrpc: "2.0", method: "console.closed", params: { name: fake.vm.name } });
      }
      return { dropped: 0 };
    },
    "console.write": (params) => {
      const fake = this.#vm(params);
      const text = new TextDecoder().decode(Uint8Array.fromBase64(String(params.data)));
      this.print(fake.vm.name, fake.guest.answer?.(text) ?? text);
      return { written: text.length };
    },
    "console.resize": () => ({}),
    "console.log": (params) => {
      const text = this.#vm(params).log.slice(-Number(params.maxBytes ?? Infinity));
      return { data: new TextEncoder().encode(text).toBase64(), dropped: 0 };
    },
    "events.subscribe": (_params, client) => {
      client.subscribed = true;
      return {};
    },
  };

  /** The guest's console shows `text`. */
  print(name: string, text: string): void {
    const fake = this.vms.get(name);
    if (fake === undefined) return;
    fake.log += text;
    for (const client of this.#clients) {
      if (client.attached.has(name)) client.send(dataEvent(name, text));
      if (client.subscribed) {
        client.send({ jsonrpc: "2.0", method: "console.line", params: { name, line: text } });
      }
    }
    if (fake.ready !== undefined && fake.vm.state === "running" && fake.log.includes(fake.ready)) {
      this.#set(fake, "ready");
    }
  }

  /** The VM's state and what is said about it change by themselves. */
  become(name: string, change: Partial<Vm>): void {
    const fake = this.vms.get(name);
    if (fake === undefined) return;
    Object.assign(fake.vm, change);
    this.#set(fake, fake.vm.state);
  }

  #play(fake: FakeVm): void {
    for (const line of fake.guest.lines) this.print(fake.vm.name, line + "\r\n");
    const { end } = fake.guest;
    if (end === undefined) return;
    if (end.reason !== undefined) fake.vm.reason = end.reason;
    if (end.exit !== undefined) fake.vm.exit = end.exit;
    this.#set(fake, end.state);
    this.#closed(fake);
  }

  #set(fake: FakeVm, state: VmState): void {
    fake.vm.state = state;
    for (const client of this.#clients) {
      if (client.subscribed) {
        client.send({ jsonrpc: "2.0", method: "vm.state", params: { vm: fake.vm } });
      }
    }
  }

  #closed(fake: FakeVm): void {
    const { name } = fake.vm;
    for (const client of this.#clients) {
      if (client.attached.has(name)) {
        client.send({ jsonrpc: "2.0", method: "console.closed", params: { name } });
      }
    }
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#listener.close();
    for (const connection of this.#connections) {
      try {
        connection.close();
      } catch {
        // The other side was faster.
      }
    }
  }
}

function dataEvent(name: string, text: string): unknown {
  const data = new TextEncoder().encode(text).toBase64();
  return { jsonrpc: "2.0", method: "console.data", params: { name, data } };
}
