// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * daemon.sock: reads what a client asks, gives it to the daemon, writes the
 * answer. Who may connect is the folder's mode (0700): this user alone.
 * Called by daemon.ts.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import { listen, removeSocket } from "./layout.ts";
import { close } from "./ports.ts";
import { type CallName, type Calls, packError, readLines, sendLine } from "./wire.ts";

/** A line of progress for the client that waits. */
export type Tell = (line: string) => void;

export type Handlers =
  & {
    [C in Exclude<CallName, "connect">]: (
      params: Calls[C]["params"],
      tell: Tell,
    ) => Promise<Calls[C]["result"]>;
  }
  /** Says `ok` itself, then carries the stream; returns when that has ended. */
  & { connect(conn: Deno.UnixConn): Promise<void> };

export class Server {
  readonly #path: string;
  readonly #handlers: Handlers;
  readonly #busy: (count: number) => void;
  readonly #note: (line: string) => void;
  #count = 0;
  #listener: Deno.UnixListener | undefined;

  /** busy: told how many clients there are, at each change. */
  constructor(
    path: string,
    handlers: Handlers,
    busy: (count: number) => void,
    note: (line: string) => void,
  ) {
    this.#path = path;
    this.#handlers = handlers;
    this.#busy = busy;
    this.#note = note;
  }

  async listen(): Promise<void> {
    await removeSocket(this.#path);
    const listener = listen(this.#path);
    this.#listener = listener;
    await Deno.chmod(this.#path, 0o600);
    void this.#accept(listener);
  }

  /** No new clients; those that are here are answered. */
  close(): void {
    this.#listener?.close();
    this.#listener = undefined;
  }

  async #accept(listener: Deno.UnixListener): Promise<void> {
    for await (const conn of listener) void this.#serve(conn);
  }

  async #serve(conn: Deno.UnixConn): Promise<void> {
    this.#busy(++this.#count);
    try {
      for await (const request of readLines(conn)) {
        await this.#answer(conn, request);
        break;
      }
    } catch (error) {
      this.#note(`client: ${error instanceof Error ? error.message : String(error)}`);
      await sendLine(conn, { error: packError(error) }).catch(() => {});
    } finally {
      close(conn);
      this.#busy(--this.#count);
    }
  }

  async #answer(conn: Deno.UnixConn, request: Record<string, unknown>): Promise<void> {
    const { call, ...params } = request;
    if (call === "connect") return await this.#handlers.connect(conn);
    if (typeof call !== "string" || !Object.hasOwn(this.#handlers, call)) {
      throw new CliError(`the daemon knows no call ${String(call)}`, {
        name: "PROTOCOL",
        hint: "it is of another build: colinux host stop, then try again",
        exit: EXIT.protocol,
      });
    }
    const tell = (line: string) => void sendLine(conn, { progress: line }).catch(() => {});
    // Clients are of this build: they keep to the table in wire.ts.
    const handler = this.#handlers[call as CallName] as (
      params: Record<string, unknown>,
      tell: Tell,
    ) => Promise<unknown>;
    await sendLine(conn, { ok: await handler(params, tell) });
  }
}
