// SPDX-License-Identifier: GPL-2.0-or-later
/** A VM's console on this terminal (`^]` for the menu), or as a plain pipe. */
import type { RpcClient } from "../rpc/client.ts";
import type { Vm } from "../rpc/proto.ts";
import { aborted, type Context } from "../ui/context.ts";
import { CliError } from "../ui/errors.ts";
import { base64Bytes, bytesBase64 } from "./base64.ts";

const ESCAPE = 0x1d;
/** What one console.write carries; the rest waits for its answer. */
const CHUNK = 2048;
const MENU = "\r\n[colinux] q: leave  ^]: send ^]  s: state  anything else: go on\r\n";

/** How a console session ended. */
export type Ending = "left" | "closed" | "found" | "idle";

export interface PipeOptions {
  /** Ends the session when the console has shown this text after stdin's end. */
  waitFor: string | undefined;
  /** Without waitFor: ends when the console was silent for so long after stdin's end. */
  idleMs: number;
}

/** Writes all of `data`; the guest may take it in pieces. */
async function send(client: RpcClient, name: string, data: Uint8Array, signal: AbortSignal) {
  let at = 0;
  while (at < data.length) {
    const part = data.subarray(at, at + CHUNK);
    const { written } = await client.call("console.write", {
      name,
      data: bytesBase64(part),
    }, { signal });
    at += written;
    // The guest reads slowly: its ring is full, and nothing tells us when it is not.
    if (written === 0) await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Console output as it comes; `dropped` bytes were lost because we were slow. */
async function follow(
  client: RpcClient,
  name: string,
  replay: number,
  show: (bytes: Uint8Array) => void,
  notice: (text: string) => void,
): Promise<{ closed: Promise<void> }> {
  const closed = Promise.withResolvers<void>();
  client.on("console.data", (event) => {
    if (event.name !== name) return;
    if (event.dropped) notice(`${event.dropped} bytes of the console were dropped`);
    show(base64Bytes(event.data));
  });
  client.on("console.closed", (event) => {
    if (event.name === name) closed.resolve();
  });
  client.closed.then((reason) => {
    if (reason === undefined) closed.resolve();
    else closed.reject(reason);
  });
  closed.promise.catch(() => {});
  await client.call("console.attach", { name, replay });
  return { closed: closed.promise };
}

export async function terminalConsole(
  context: Context,
  client: RpcClient,
  vm: Vm,
  replay: number,
): Promise<Ending> {
  const { name } = vm;
  const say = (text: string) => context.out.raw(text);
  const resize = () => {
    const { columns, rows } = Deno.consoleSize();
    client.call("console.resize", { name, columns, rows }).catch(() => {});
  };
  Deno.stdin.setRaw(true);
  say(`[colinux] console of ${name}; ^] for the menu\r\n`);
  Deno.addSignalListener("SIGWINCH", resize);
  const abort = aborted(context.signal);
  try {
    const output = (bytes: Uint8Array) => context.out.bytes(bytes);
    const { closed } = await follow(
      client,
      name,
      replay,
      output,
      (text) => say(`\r\n[${text}]\r\n`),
    );
    resize();
    return await Promise.race([
      closed.then((): Ending => "closed"),
      typing(context, client, name, say),
      abort.promise,
    ]);
  } finally {
    abort.stop();
    Deno.removeSignalListener("SIGWINCH", resize);
    Deno.stdin.setRaw(false);
    say("\r\n");
  }
}

/** Keys until the menu's q or the end of the terminal. */
async function typing(
  context: Context,
  client: RpcClient,
  name: string,
  say: (text: string) => void,
): Promise<Ending> {
  const buffer = new Uint8Array(4096);
  let menu = false;
  while (true) {
    const count = await Deno.stdin.read(buffer);
    if (count === null) return "left";
    let from = 0;
    for (let at = 0; at < count; at++) {
      const key = buffer[at] ?? 0;
      if (!menu) {
        if (key !== ESCAPE) continue;
        await send(client, name, buffer.slice(from, at), context.signal);
        menu = true;
        say(MENU);
        from = at + 1;
        continue;
      }
      menu = false;
      from = at + 1;
      if (key === 0x71 || key === 0x51) return "left";
      if (key === ESCAPE) from = at;
      if (key === 0x73 || key === 0x53) await showState(client, name, say);
    }
    await send(client, name, buffer.slice(from, count), context.signal);
  }
}

async function showState(client: RpcClient, name: string, say: (text: string) => void) {
  const { vm } = await client.call("vm.get", { name });
  say(`[colinux] ${name} is ${vm.state}, up ${Math.round((vm.uptimeMs ?? 0) / 1000)} s\r\n`);
}

/**
 * stdin to the console, the console to stdout. After stdin's end it goes on
 * until the text was seen, or the console was silent, or the VM has ended.
 */
export async function pipeConsole(
  context: Context,
  client: RpcClient,
  vm: Vm,
  replay: number,
  options: PipeOptions,
): Promise<Ending> {
  const done = Promise.withResolvers<Ending>();
  const idle = new IdleTimer(options.idleMs, () => done.resolve("idle"));
  const search = options.waitFor === undefined ? undefined : new Search(options.waitFor);
  const show = (bytes: Uint8Array) => {
    context.out.bytes(bytes);
    idle.touch();
    if (search?.push(bytes)) done.resolve("found");
  };
  const abort = aborted(context.signal);
  try {
    const { closed } = await follow(
      client,
      vm.name,
      replay,
      show,
      (text) => context.out.warn(text),
    );
    const input = (async () => {
      for await (const bytes of Deno.stdin.readable) {
        await send(client, vm.name, bytes, context.signal);
      }
      if (search === undefined) idle.start();
    })();
    const failed = input.then(() => done.promise);
    const ending = await Promise.race([
      failed,
      done.promise,
      closed.then((): Ending => "closed"),
      abort.promise,
    ]);
    if (ending === "closed" && search !== undefined && !search.found) {
      throw new CliError(`${vm.name} ended before its console showed "${options.waitFor}"`, {
        name: "GUEST",
        hint: `colinux status ${vm.name} gives the reason`,
      });
    }
    return ending;
  } finally {
    idle.stop();
    abort.stop();
  }
}

/** Fires when nothing happened for a while, once it was started. */
class IdleTimer {
  readonly #ms: number;
  readonly #fire: () => void;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(ms: number, fire: () => void) {
    this.#ms = ms;
    this.#fire = fire;
  }

  start(): void {
    this.#timer = setTimeout(this.#fire, this.#ms);
  }

  touch(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.start();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

/** Finds a text in a stream, also when it comes in pieces. */
export class Search {
  readonly #wanted: Uint8Array;
  #tail = new Uint8Array(0);
  found = false;

  constructor(text: string) {
    this.#wanted = new TextEncoder().encode(text);
  }

  push(bytes: Uint8Array): boolean {
    if (this.found) return true;
    const all = new Uint8Array(this.#tail.length + bytes.length);
    all.set(this.#tail);
    all.set(bytes, this.#tail.length);
    const first = this.#wanted[0] ?? 0;
    const last = all.length - this.#wanted.length;
    for (let at = all.indexOf(first); at >= 0 && at <= last; at = all.indexOf(first, at + 1)) {
      if (this.#wanted.every((byte, offset) => all[at + offset] === byte)) {
        this.found = true;
        return true;
      }
    }
    this.#tail = all.slice(Math.max(0, all.length - this.#wanted.length + 1));
    return false;
  }
}
