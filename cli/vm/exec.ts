// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * One command in a guest, over exec.* of the contract. Called by the verbs exec,
 * shell and cp. Output is handed on as it comes, in order: whoever takes it
 * slowly slows down the command in the guest, nothing else.
 */
import type { RpcClient } from "../rpc/client.ts";
import type { EventParams, Params } from "../rpc/proto.ts";
import { CliError } from "../ui/errors.ts";
import { base64Bytes, bytesBase64 } from "./base64.ts";

/** What one exec.write carries. */
const CHUNK = 32768;
const BUSY_MS = 50;

export type Command = Omit<Params<"exec.start">, "name">;
export type Output = (stream: "stdout" | "stderr", bytes: Uint8Array<ArrayBuffer>) => void;

export interface Ended {
  /** The command's exit code; 128 and the signal that ended it. */
  code: number;
  signal: number | undefined;
}

export class GuestCommand {
  readonly #client: RpcClient;
  readonly #name: string;
  readonly #output: Output;
  readonly #ended = Promise.withResolvers<Ended>();
  readonly #stop: (() => void)[] = [];
  #exec: number | undefined;
  /** Events that came before the answer to exec.start was looked at. */
  #early: (() => void)[] | undefined = [];
  #over = false;

  private constructor(client: RpcClient, name: string, output: Output) {
    this.#client = client;
    this.#name = name;
    this.#output = output;
    this.#ended.promise.catch(() => {});
  }

  /** Starts it; `output` runs for each piece, and may throw: then the command is given up. */
  static async start(
    client: RpcClient,
    name: string,
    command: Command,
    output: Output,
    signal: AbortSignal,
  ): Promise<GuestCommand> {
    const self = new GuestCommand(client, name, output);
    self.#listen();
    try {
      const params = { name, ...command };
      const { exec } = await patient(
        () => client.call("exec.start", params, { signal }),
        () => true,
      );
      self.#exec = exec;
    } catch (error) {
      self.close();
      throw error;
    }
    const early = self.#early ?? [];
    self.#early = undefined;
    for (const event of early) event();
    return self;
  }

  /** How it ended; rejects when the guest, its agent or the connection went first. */
  get ended(): Promise<Ended> {
    return this.#ended.promise;
  }

  #listen(): void {
    const mine = (event: { name: string; exec: number }) =>
      event.name === this.#name && event.exec === this.#exec;
    const later = (run: () => void) => {
      if (this.#early !== undefined) this.#early.push(run);
      else run();
    };
    this.#stop.push(
      this.#client.on("exec.data", (event) => later(() => mine(event) && this.#data(event))),
      this.#client.on("exec.exit", (event) => later(() => mine(event) && this.#exit(event))),
    );
    this.#client.closed.then((reason) =>
      this.#ended.reject(
        reason ?? new CliError("the connection was closed", { name: "CONNECTION" }),
      )
    );
  }

  #data(event: EventParams<"exec.data">): void {
    if (this.#over) return;
    try {
      this.#output(event.stream, base64Bytes(event.data));
    } catch (error) {
      this.#over = true;
      this.#ended.reject(error);
    }
  }

  #exit(event: EventParams<"exec.exit">): void {
    this.#over = true;
    if (event.error !== undefined) {
      this.#ended.reject(
        new CliError(event.error, { name: "GUEST", hint: `colinux logs ${this.#name}` }),
      );
    } else {
      this.#ended.resolve({
        code: event.signal === undefined ? event.code ?? 0 : 128 + event.signal,
        signal: event.signal,
      });
    }
  }

  /** Resolves when the guest has room for more; input that nobody reads any more is dropped. */
  async write(data: Uint8Array): Promise<void> {
    for (let at = 0; at < data.length && !this.#over; at += CHUNK) {
      await this.#send(data.subarray(at, at + CHUNK), false);
    }
  }

  async end(): Promise<void> {
    if (!this.#over) await this.#send(new Uint8Array(), true);
  }

  /** One at a time: a piece that was refused for being too early must not be overtaken. */
  async #send(part: Uint8Array, eof: boolean): Promise<void> {
    const params = { name: this.#name, exec: this.#exec ?? 0, data: bytesBase64(part), eof };
    const write = () => this.#client.call("exec.write", params, { timeoutMs: Infinity });
    try {
      await patient(write, () => !this.#over);
    } catch (error) {
      // It has ended, and will say so itself.
      if (!this.#over && !(error instanceof CliError && error.name === "STATE")) throw error;
    }
  }

  signal(number: number): void {
    this.#tell("exec.signal", { signal: number });
  }

  resize(columns: number, rows: number): void {
    this.#tell("exec.resize", { columns, rows });
  }

  /** Things that a command which has just ended need not hear. */
  #tell(method: "exec.signal" | "exec.resize", more: Record<string, number>): void {
    const params = { name: this.#name, exec: this.#exec, ...more };
    patient(() => this.#client.request(method, params), () => !this.#over).catch(() => {});
  }

  close(): void {
    for (const stop of this.#stop) stop();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** Asks again while the helper or the agent is busy, as long as anybody cares. */
async function patient<T>(call: () => Promise<T>, wanted: () => boolean): Promise<T> {
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof CliError && error.name === "BUSY" && wanted())) throw error;
      await new Promise((resolve) => setTimeout(resolve, BUSY_MS));
    }
  }
}
