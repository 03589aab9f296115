// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Follows one VM by events: shows what it is not ready for and its newest
 * console line while somebody waits, and resolves when it reaches a state, or
 * says why it cannot.
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

  /**
   * Resolves when the VM is in that state; throws when it ends first: for good,
   * or (unless `patient`) in order to be started again after a failure.
   */
  async until(client: RpcClient, current: Vm, wanted: Wanted, patient = false): Promise<Vm> {
    const { promise, resolve } = Promise.withResolvers<Vm>();
    const failures = current.restarts ?? 0;
    const look = (vm: Vm) => {
      const failed = !patient && vm.state === "restarting" && (vm.restarts ?? 0) > failures;
      if (isReached(vm.state, wanted) || isOver(vm.state) || failed) resolve(vm);
    };
    const abort = aborted(this.#context.signal);
    this.#changed.add(look);
    try {
      look(current);
      // An event between vm.start's answer and now.
      if (this.#latest !== undefined && this.#latest.id === current.id) look(this.#latest);
      this.#latest ??= current;
      const lost = client.closed.then((reason) => {
        throw reason ?? new CliError("the connection was closed", { name: "CONNECTION" });
      });
      lost.catch(() => {});
      const vm = await Promise.race([promise, abort.promise, lost]);
      if (isReached(vm.state, wanted)) return vm;
      throw await deathError(client, vm, wanted);
    } catch (error) {
      throw error instanceof CliError && error.name === "TIMEOUT"
        ? await this.#lateError(client, error)
        : error;
    } finally {
      abort.stop();
      this.#changed.delete(look);
    }
  }

  #show(): void {
    if (this.#ticker === undefined) return;
    const waited = showDuration(performance.now() - this.#started);
    const { out } = this.#context;
    const what = this.#latest === undefined ? "" : whatFor(this.#latest);
    const text = what === "" || this.#line === "" ? what + this.#line : `${what} | ${this.#line}`;
    if (out.live) {
      out.transient(`${this.#name} (${waited}) ${text}`);
      return;
    }
    const now = performance.now();
    const whole = text === this.#seen;
    this.#seen = text;
    if (!whole || text === this.#shown || now - this.#noted < NOTE_EVERY_MS) return;
    this.#noted = now;
    this.#shown = text;
    this.#context.progress(`${this.#name} (${waited}) ${fit(text, 200)}`);
  }

  /** --timeout has passed: what was still waited for, and what the guest said last. */
  async #lateError(client: RpcClient, error: CliError): Promise<CliError> {
    const what = this.#latest === undefined ? "" : whatFor(this.#latest);
    const lines = await lastWords(client, this.#name);
    return new CliError(`${error.message}: ${this.#name} is ${what || "not there yet"}`, {
      name: error.name,
      hint: error.hint,
      exit: error.exit,
      detail: showWords(lines),
      data: { vm: this.#latest, console: lines },
    });
  }
}

/** What a VM that is not ready does, in a few words. */
export function whatFor(vm: Vm): string {
  if (vm.state === "restarting") return `restarting: ${vm.reason ?? "asked to"}`;
  if (vm.waiting !== undefined) return `waiting for ${vm.waiting}`;
  return vm.state === "running" && vm.reason !== undefined ? `not well: ${vm.reason}` : "";
}

export function isOver(state: VmState): boolean {
  return state === "stopped" || state === "failed" || state === "saved";
}

function isReached(state: VmState, wanted: Wanted): boolean {
  if (wanted === "stopped") return isOver(state);
  return state === "ready" || (wanted === "running" && state === "running");
}

async function lastWords(client: RpcClient, name: string): Promise<string[]> {
  try {
    const { data } = await client.call("console.log", { name, maxBytes: TAIL_BYTES });
    return lastLines(new TextDecoder().decode(base64Bytes(data)), TAIL_LINES);
  } catch {
    // The reason alone must do.
    return [];
  }
}

function showWords(lines: readonly string[]): string | undefined {
  if (lines.length === 0) return undefined;
  return `last lines of its console:\n${lines.map((line) => `  | ${line}`).join("\n")}\n`;
}

/** The VM ended before it was ready: the reason and its last words. */
async function deathError(client: RpcClient, vm: Vm, wanted: string): Promise<CliError> {
  const lines = await lastWords(client, vm.name);
  const reason = fit(
    vm.reason ?? (vm.state === "stopped" ? "the guest powered off" : "unknown"),
    500,
  );
  const again = vm.state === "restarting";
  const before = wanted === "ready" ? "before it was ready" : "as soon as it ran";
  return new CliError(`${vm.name} ${again ? "failed" : vm.state} ${before}: ${reason}`, {
    name: vm.state === "stopped" ? "GUEST" : "KILLED",
    exit: EXIT.failure,
    hint: again
      ? `it is started again, as its definition says: colinux stop ${vm.name} ends that`
      : `colinux logs ${vm.name} shows the whole console`,
    detail: showWords(lines),
    data: { vm, console: lines },
  });
}
