// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Follows one VM by events: shows its newest console line while somebody
 * waits, and resolves when it reaches a state, or says why it cannot.
 */
import type { RpcClient } from "../rpc/client.ts";
import type { Vm, VmState } from "../rpc/proto.ts";
import { aborted, type Context } from "../ui/context.ts";
import { showDuration } from "../ui/duration.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { fit, lastLines } from "../ui/text.ts";
import { base64Bytes } from "./base64.ts";

/** How often a log file, where no line can be replaced, gets a line. */
const NOTE_EVERY_MS = 5_000;
/** Lines arrive in pieces and by the hundred: this often one is looked at. */
const TICK_MS = 200;
const TAIL_BYTES = 4096;
const TAIL_LINES = 12;

/** stopped: it does not run any more, however it ended. */
export type Wanted = "running" | "ready" | "stopped";

export class VmWatch {
  readonly #context: Context;
  readonly #name: string;
  readonly #started = performance.now();
  readonly #changed = new Set<(vm: Vm) => void>();
  #line = "";
  #shown = "";
  #seen = "";
  #noted = performance.now();
  #ticker: ReturnType<typeof setInterval> | undefined;
  #latest: Vm | undefined;

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
  }

  /** Subscribes; do it before the VM is made, so that nothing is missed. */
  async start(client: RpcClient): Promise<void> {
    client.on("console.line", ({ name, line }) => {
      if (name !== this.#name) return;
      this.#line = line;
    });
    client.on("vm.state", ({ vm }) => {
      if (vm.name !== this.#name) return;
      this.#latest = vm;
      for (const changed of this.#changed) changed(vm);
    });
    await client.call("events.subscribe", { console: true }, { signal: this.#context.signal });
    this.#ticker = setInterval(() => this.#show(), TICK_MS);
  }

  stop(): void {
    clearInterval(this.#ticker);
    this.#ticker = undefined;
  }

  /** Resolves when the VM is in that state; throws when it ends first. */
  async until(client: RpcClient, current: Vm, wanted: Wanted): Promise<Vm> {
    const { promise, resolve } = Promise.withResolvers<Vm>();
    const look = (vm: Vm) => {
      if (isReached(vm.state, wanted) || isOver(vm.state)) resolve(vm);
    };
    const abort = aborted(this.#context.signal);
    this.#changed.add(look);
    try {
      look(current);
      // An event between vm.start's answer and now.
      if (this.#latest !== undefined && this.#latest.id === current.id) look(this.#latest);
      const lost = client.closed.then((reason) => {
        throw reason ?? new CliError("the connection was closed", { name: "CONNECTION" });
      });
      lost.catch(() => {});
      const vm = await Promise.race([promise, abort.promise, lost]);
      if (isReached(vm.state, wanted)) return vm;
      throw await deathError(client, vm, wanted);
    } finally {
      abort.stop();
      this.#changed.delete(look);
    }
  }

  #show(): void {
    if (this.#ticker === undefined) return;
    const waited = showDuration(performance.now() - this.#started);
    const { out } = this.#context;
    if (out.live) {
      out.transient(`${this.#name} (${waited}) ${this.#line}`);
      return;
    }
    const now = performance.now();
    const whole = this.#line === this.#seen;
    this.#seen = this.#line;
    if (!whole || this.#line === this.#shown || now - this.#noted < NOTE_EVERY_MS) return;
    this.#noted = now;
    this.#shown = this.#line;
    this.#context.progress(`${this.#name} (${waited}) ${fit(this.#line, 200)}`);
  }
}

export function isOver(state: VmState): boolean {
  return state === "stopped" || state === "failed" || state === "saved";
}

function isReached(state: VmState, wanted: Wanted): boolean {
  if (wanted === "stopped") return isOver(state);
  return state === "ready" || (wanted === "running" && state === "running");
}

/** The VM ended before it was ready: the reason and its last words. */
async function deathError(client: RpcClient, vm: Vm, wanted: string): Promise<CliError> {
  let lines: string[] = [];
  try {
    const { data } = await client.call("console.log", { name: vm.name, maxBytes: TAIL_BYTES });
    lines = lastLines(new TextDecoder().decode(base64Bytes(data)), TAIL_LINES);
  } catch {
    // The reason alone must do.
  }
  const reason = fit(
    vm.reason ?? (vm.state === "stopped" ? "the guest powered off" : "unknown"),
    500,
  );
  const before = wanted === "ready" ? "before it was ready" : "as soon as it ran";
  return new CliError(`${vm.name} ${vm.state} ${before}: ${reason}`, {
    name: vm.state === "failed" ? "KILLED" : "GUEST",
    exit: EXIT.failure,
    hint: `colinux logs ${vm.name} shows the whole console`,
    detail: lines.length === 0
      ? undefined
      : `last lines of its console:\n${lines.map((line) => `  | ${line}`).join("\n")}\n`,
    data: { vm, console: lines },
  });
}
