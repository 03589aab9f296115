// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * JSON-RPC 2.0 over a byte stream, one object a line. Used by every command
 * through session.ts. Distrusts the other side: lines are bounded, shapes are
 * checked, a request always ends (answer, time-out, abort or closed stream).
 */
import type { Transport } from "../host/host.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { fromRpc, isRecord, protoError } from "./errors.ts";
import { LineSplitter, LineTooLong } from "./lines.ts";
import {
  EVENT_NAMES,
  type EventName,
  type EventParams,
  type MethodName,
  type Params,
  PROTO_VERSION,
  type Result,
} from "./proto.ts";

/** A whole console log in base64 fits. */
export const MAX_LINE = 16 << 20;
const MAX_PENDING = 256;
const DEFAULT_TIMEOUT_MS = 60_000;

export interface CallOptions {
  /** Default one minute; Infinity to wait for ever. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

interface Pending {
  method: string;
  done(result: unknown): void;
  fail(error: unknown): void;
}

type Handler<E extends EventName> = (params: EventParams<E>) => void;

function isEventName(name: string): name is EventName {
  return EVENT_NAMES.some((known) => known === name);
}

export class RpcClient {
  readonly #transport: Transport;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  readonly #pending = new Map<number, Pending>();
  readonly #handlers = new Map<EventName, Set<(params: unknown) => void>>();
  readonly #encoder = new TextEncoder();
  readonly #closed = Promise.withResolvers<CliError | undefined>();
  #next = 1;
  #end: CliError | undefined;
  #ended = false;
  /** What hello gave; filled by open(). */
  hello: Result<"hello"> | undefined;

  private constructor(transport: Transport) {
    this.#transport = transport;
    this.#writer = transport.writable.getWriter();
    this.#reader = transport.readable.getReader();
    // The streams' own closed promises must not surface as unhandled.
    this.#writer.closed.catch(() => {});
    this.#reader.closed.catch(() => {});
    void this.#read();
  }

  /** Connects the client to a stream and agrees on the contract's version. */
  static async open(transport: Transport, options: CallOptions = {}): Promise<RpcClient> {
    const client = new RpcClient(transport);
    try {
      const hello = await client.call("hello", {
        version: PROTO_VERSION,
        client: "colinux",
      }, { timeoutMs: 20_000, ...options });
      if (hello.version !== PROTO_VERSION) {
        throw protoError(
          "ABI",
          `colinuxd speaks version ${hello.version} of the contract, this colinux version ${PROTO_VERSION}`,
        );
      }
      client.hello = hello;
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** Resolves when the stream has ended; with the reason unless close() was called. */
  get closed(): Promise<CliError | undefined> {
    return this.#closed.promise;
  }

  call<M extends MethodName>(
    method: M,
    params: Params<M>,
    options: CallOptions = {},
  ): Promise<Result<M>> {
    return this.request(method, params, options) as Promise<Result<M>>;
  }

  /** call() for names and parameters that only the helper can judge (`colinux rpc`). */
  request(method: string, params: unknown, options: CallOptions = {}): Promise<unknown> {
    if (this.#ended) return Promise.reject(this.#end ?? lost("the connection is closed"));
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(protoError("LIMIT", "too many requests at once"));
    }
    options.signal?.throwIfAborted();
    const id = this.#next++;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const onAbort = () => finish(() => reject(options.signal?.reason));
    const finish = (then: () => void) => {
      if (!this.#pending.delete(id)) return;
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      then();
    };
    this.#pending.set(id, {
      method,
      done: (result) => finish(() => resolve(result)),
      fail: (error) => finish(() => reject(error)),
    });
    if (Number.isFinite(timeoutMs)) {
      timer = setTimeout(() => {
        finish(() => reject(protoError("TIMEOUT", `${method}: no answer in ${timeoutMs} ms`)));
      }, timeoutMs);
    }
    options.signal?.addEventListener("abort", onAbort, { once: true });
    this.#send({ jsonrpc: "2.0", id, method, params });
    return promise;
  }

  /** Handlers run in the order of arrival and must not block. Returns the way to end it. */
  on<E extends EventName>(event: E, handler: Handler<E>): () => void {
    const set = this.#handlers.get(event) ?? new Set();
    this.#handlers.set(event, set);
    const entry = (params: unknown) => handler(params as EventParams<E>);
    set.add(entry);
    return () => set.delete(entry);
  }

  close(): void {
    this.#finish(undefined);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #send(message: unknown): void {
    const bytes = this.#encoder.encode(JSON.stringify(message) + "\n");
    this.#writer.write(bytes).catch(() => this.#finish(lost("colinuxd closed the connection")));
  }

  async #read(): Promise<void> {
    const lines = new LineSplitter(MAX_LINE);
    try {
      while (!this.#ended) {
        const { value, done } = await this.#reader.read();
        if (done) break;
        for (const line of lines.push(value)) {
          if (line.trim() !== "") this.#message(line);
        }
      }
      this.#finish(lost("colinuxd closed the connection"));
    } catch (error) {
      if (error instanceof LineTooLong) {
        this.#finish(broken(`a line of more than ${MAX_LINE} bytes`));
      } else if (error instanceof CliError) {
        this.#finish(error);
      } else {
        this.#finish(lost("the connection to colinuxd broke"));
      }
    }
  }

  #message(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      throw broken("a line that is not JSON");
    }
    if (!isRecord(message)) throw broken("a line that is not an object");
    if (typeof message.method === "string") {
      this.#event(message.method, message.params);
      return;
    }
    if (typeof message.id !== "number") {
      // JSON-RPC answers a request that it could not read with id null.
      if (message.error !== undefined) throw fromRpc("request", message.error);
      throw broken("an answer without a number");
    }
    const pending = this.#pending.get(message.id);
    // An answer after its time-out is not an error.
    if (pending === undefined) return;
    if (message.error !== undefined) pending.fail(fromRpc(pending.method, message.error));
    else pending.done(message.result);
  }

  #event(name: string, params: unknown): void {
    // Events of a newer helper are not for us.
    if (!isEventName(name) || !isRecord(params)) return;
    for (const handler of this.#handlers.get(name) ?? []) handler(params);
  }

  #finish(reason: CliError | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#end = reason;
    const error = reason ?? lost("the connection was closed");
    for (const pending of [...this.#pending.values()]) pending.fail(error);
    this.#reader.cancel().catch(() => {});
    this.#writer.abort().catch(() => {});
    try {
      this.#transport.close();
    } catch {
      // Closing the streams has closed it already.
    }
    this.#closed.resolve(reason);
  }
}

function lost(message: string): CliError {
  return new CliError(message, {
    name: "CONNECTION",
    hint: "colinux host status shows whether the host still runs",
    exit: EXIT.unavailable,
  });
}

function broken(what: string): CliError {
  return new CliError(`colinuxd sent ${what}`, {
    name: "PROTOCOL",
    hint: "helper and CLI may be of different builds: colinux doctor compares them",
    exit: EXIT.protocol,
  });
}
