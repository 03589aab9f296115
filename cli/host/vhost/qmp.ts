// SPDX-License-Identifier: GPL-2.0-or-later
/** QEMU's machine protocol on a connection that QEMU itself has made. */
import { isRecord } from "../../rpc/errors.ts";
import { readLines, sendLine } from "./wire.ts";

interface Pending {
  resolve(value: unknown): void;
  reject(error: Error): void;
}
type EventHandler = (name: string, data: Record<string, unknown>) => void;

/** What those who only give commands need of it. */
export interface Monitor {
  execute(command: string, args?: Record<string, unknown>): Promise<unknown>;
  on(handler: EventHandler): () => void;
}

export class Qmp implements Monitor {
  readonly #conn: Deno.Conn;
  readonly #pending = new Map<number, Pending>();
  readonly #handlers = new Set<EventHandler>();
  readonly #greeting = Promise.withResolvers<void>();
  #next = 1;
  #ended = false;

  constructor(conn: Deno.Conn) {
    this.#conn = conn;
    this.#greeting.promise.catch(() => {});
    void this.#read();
  }

  /** Resolves when QEMU takes commands. */
  async ready(): Promise<void> {
    await this.#greeting.promise;
    await this.execute("qmp_capabilities");
  }

  async execute(command: string, args?: Record<string, unknown>): Promise<unknown> {
    if (this.#ended) throw new Error(`QEMU is gone: ${command}`);
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#pending.set(id, { resolve, reject });
    await sendLine(this.#conn, { execute: command, arguments: args, id });
    return await promise;
  }

  on(handler: EventHandler): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  close(): void {
    if (this.#ended) return;
    this.#ended = true;
    const gone = new Error("QEMU closed its control connection");
    this.#greeting.reject(gone);
    for (const { reject } of this.#pending.values()) reject(gone);
    this.#pending.clear();
    this.#conn.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const message of readLines(this.#conn)) this.#message(message);
    } catch {
      // A closed or broken connection: the same to everybody who waits.
    }
    this.close();
  }

  #message(message: Record<string, unknown>): void {
    if (message.QMP !== undefined) return this.#greeting.resolve();
    if (typeof message.event === "string") {
      const data = isRecord(message.data) ? message.data : {};
      for (const handler of [...this.#handlers]) handler(message.event, data);
      return;
    }
    if (typeof message.id !== "number") return;
    const pending = this.#pending.get(message.id);
    this.#pending.delete(message.id);
    if (isRecord(message.error)) {
      pending?.reject(new Error(`QEMU: ${String(message.error.desc)}`));
    } else pending?.resolve(message.return);
  }
}
