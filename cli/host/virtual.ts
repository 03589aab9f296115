// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The virtual host as commands see it: starts the daemon when there is none and
 * asks it over daemon.sock. All work is in daemon.ts.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { Forward } from "../rpc/proto.ts";
import { aborted } from "../ui/context.ts";
import { makeDirs } from "../ui/dirs.ts";
import { BUSY, LISTENING } from "./daemon.ts";
import { checkDisk } from "./disk.ts";
import {
  type DiskRequest,
  type Host,
  type HostContext,
  type HostFactory,
  type HostFile,
  type HostStatus,
  isHostDown,
  type Nat,
  type StartOptions,
  type Transport,
} from "./host.ts";
import { layout } from "./vhost/layout.ts";
import { close } from "./vhost/ports.ts";
import { type CallName, type Calls, readLines, sendLine, unpackError } from "./vhost/wire.ts";

export const virtualHost: HostFactory = (context, why) => new VirtualHost(context, why);

/** A daemon that has the lock listens within moments. */
const RETRY_MS = 50;
const TRIES = 200;

class VirtualHost implements Host {
  readonly kind = "virtual";
  readonly why: string;
  readonly #context: HostContext;
  readonly #socket: string;

  constructor(context: HostContext, why: string) {
    this.#context = context;
    this.why = why;
    this.#socket = layout(context.paths).daemon;
  }

  async connect(): Promise<Transport> {
    const conn = await this.#dial();
    if (conn === undefined) throw down();
    try {
      await this.#ask(conn, "connect", {});
      return conn;
    } catch (error) {
      close(conn);
      throw error;
    }
  }

  async publishFile(path: string): Promise<HostFile> {
    return await this.#need("publish", { path: await Deno.realPath(path) });
  }

  async publishDisk(request: DiskRequest): Promise<HostFile> {
    return await this.#need("disk", await checkDisk(request));
  }

  async prepareNat(vm: string, forwards: Forward[]): Promise<Nat> {
    const { device } = await this.#need("nat", { vm, forwards });
    return { device, forwards: [] };
  }

  async addForward(_client: RpcClient, vm: string, forward: Forward): Promise<void> {
    await this.#need("forward", { vm, forward });
  }

  async removeForward(_client: RpcClient, vm: string, forward: Forward): Promise<void> {
    await this.#need("unforward", { vm, forward });
  }

  async listForwards(_client: RpcClient, vm: string): Promise<Forward[]> {
    return (await this.#need("forwards", { vm })).forwards;
  }

  async release(vm: string): Promise<void> {
    try {
      await this.#call("release", { vm });
    } catch (error) {
      // A host that ends lets everything go.
      if (!isHostDown(error)) throw error;
    }
  }

  async status(): Promise<HostStatus> {
    // One that is ending hangs up: it does not run either.
    const status = await this.#call("status", {}).catch((error) => {
      if (!isHostDown(error)) throw error;
      return undefined;
    });
    return { ...(status ?? { kind: "virtual", running: false }), why: this.why };
  }

  async start(options: StartOptions = {}): Promise<HostStatus> {
    await makeDirs(this.#context.paths);
    for (let tries = 0;; tries++) {
      try {
        const status = await this.#call("start", { ...options });
        if (status !== undefined) return { ...status, why: this.why };
        if (tries > TRIES) throw down();
        await this.#spawn(options);
      } catch (error) {
        if (!(error instanceof CliError) || tries > TRIES) throw error;
        if (error.name === "VHOSTSIZE") await this.stop();
        else if (error.name !== "HOSTDOWN") throw error;
      }
      if (tries > 0) await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      this.#context.signal.throwIfAborted();
    }
  }

  async stop(): Promise<void> {
    const conn = await this.#dial();
    if (conn === undefined) return;
    try {
      await this.#ask(conn, "stop", {});
    } finally {
      close(conn);
    }
    // The daemon has gone when its socket refuses: then nothing is left behind.
    for (let tries = 0; tries < TRIES; tries++) {
      const again = await this.#dial();
      if (again === undefined) return;
      close(again);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Undefined when no daemon listens. */
  async #dial(): Promise<Deno.UnixConn | undefined> {
    try {
      return await Deno.connect({ transport: "unix", path: this.#socket });
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      if (error instanceof Deno.errors.ConnectionRefused) return undefined;
      throw error;
    }
  }

  async #call<C extends CallName>(
    call: C,
    params: Calls[C]["params"],
  ): Promise<Calls[C]["result"] | undefined> {
    const conn = await this.#dial();
    if (conn === undefined) return undefined;
    try {
      return await this.#ask(conn, call, params);
    } finally {
      close(conn);
    }
  }

  async #need<C extends CallName>(
    call: C,
    params: Calls[C]["params"],
  ): Promise<Calls[C]["result"]> {
    const result = await this.#call(call, params);
    if (result === undefined) throw down();
    return result;
  }

  async #ask<C extends CallName>(
    conn: Deno.UnixConn,
    call: C,
    params: Calls[C]["params"],
  ): Promise<Calls[C]["result"]> {
    const abort = aborted(this.#context.signal);
    try {
      return await Promise.race([this.#exchange(conn, call, params), abort.promise]);
    } finally {
      abort.stop();
    }
  }

  async #exchange<C extends CallName>(
    conn: Deno.UnixConn,
    call: C,
    params: Calls[C]["params"],
  ): Promise<Calls[C]["result"]> {
    try {
      await sendLine(conn, { call, ...params });
      for await (const answer of readLines(conn)) {
        if (typeof answer.progress === "string") this.#context.progress(answer.progress);
        else if (answer.error !== undefined) throw unpackError(answer.error);
        // The daemon is of this build: it keeps to the table in wire.ts.
        else return answer.ok as Calls[C]["result"];
      }
    } catch (error) {
      if (error instanceof CliError) throw error;
    }
    throw down();
  }

  /** Starts a daemon; returns when it, or another one, listens. */
  async #spawn(options: StartOptions): Promise<void> {
    const { self, state } = this.#context.paths;
    const child = new Deno.Command(self, {
      args: ["vhost-daemon"],
      cwd: "/",
      env: { COLINUX_VHOST_WANTED: String(options.memory ?? 0), ...home(state) },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      detached: true,
    }).spawn();
    const word = await firstLine(child.stdout);
    if (word === LISTENING || word === BUSY) {
      await child.stderr.cancel();
      child.unref();
      return;
    }
    const { code } = await child.status;
    const text = await new Response(child.stderr).text();
    throw new CliError(`the virtual host's daemon does not start (exit code ${code})`, {
      name: "VHOST",
      hint: `its log is ${layout(this.#context.paths).log}`,
      exit: EXIT.software,
      ...(text.trim() === "" ? {} : { detail: text.trim() }),
    });
  }
}

/** A relative COLINUX_HOME would mean another folder for the daemon. */
function home(state: string): Record<string, string> {
  return Deno.env.get("COLINUX_HOME") ? { COLINUX_HOME: state } : {};
}

async function firstLine(stream: ReadableStream<Uint8Array>): Promise<string> {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) break;
      text += value;
    }
  } finally {
    await reader.cancel();
  }
  return text.split("\n")[0] ?? "";
}

function down(): CliError {
  return new CliError("the virtual host does not run", {
    name: "HOSTDOWN",
    hint: "colinux up starts it, or colinux host start",
    exit: EXIT.unavailable,
  });
}
