// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What a command runs in: output, folders, one signal for ^C and --timeout.
 * Every verb's action goes through run(); main.ts turns what it throws into a
 * message and an exit code.
 */
import type { HostContext } from "../host/host.ts";
import { CliError, EXIT } from "./errors.ts";
import { Output } from "./output.ts";
import { type Paths, paths } from "./paths.ts";
import { showDuration } from "./duration.ts";

export interface CommonOptions {
  json?: true | undefined;
  quiet?: true | undefined;
  verbose?: true | undefined;
  timeout?: number | undefined;
  host?: "local" | "virtual" | undefined;
}

export interface Context extends HostContext {
  readonly out: Output;
  readonly paths: Paths;
  readonly signal: AbortSignal;
  /** --timeout in milliseconds. */
  readonly timeout: number | undefined;
  readonly host: "local" | "virtual" | undefined;
  /** Shown with --verbose only. */
  debug(line: string): void;
  /** Signals go to `handler` instead of ending this command; undefined: back to that. */
  takeSignals(handler: ((name: SignalName) => void) | undefined): void;
}

/** The exit code that main.ts will use when nothing is thrown. */
export let exitCode = 0;

export function setExit(code: number): void {
  exitCode = code;
}

export class Interrupted extends CliError {}

export type SignalName = "SIGINT" | "SIGTERM" | "SIGHUP";

const SIGNALS: readonly [SignalName, number][] = [["SIGINT", 130], ["SIGTERM", 143], [
  "SIGHUP",
  129,
]];

export async function run(
  options: CommonOptions,
  body: (context: Context) => Promise<void>,
): Promise<void> {
  const out = new Output({ json: options.json === true, quiet: options.quiet === true });
  const controller = new AbortController();
  let taken: ((name: SignalName) => void) | undefined;
  const handlers = SIGNALS.map(([name, exit]) => {
    const handler = () => {
      if (taken !== undefined) taken(name);
      else controller.abort(new Interrupted(`ended by ${name}`, { name: "INTR", exit }));
    };
    Deno.addSignalListener(name, handler);
    return () => Deno.removeSignalListener(name, handler);
  });
  const timer = options.timeout === undefined ? undefined : setTimeout(() => {
    controller.abort(timedOut(options.timeout ?? 0));
  }, options.timeout);
  const log = options.verbose
    ? await (await import("#log")).startLog((line) => out.raw(line))
    : undefined;
  const context: Context = {
    out,
    paths: paths(),
    signal: controller.signal,
    timeout: options.timeout,
    host: options.host ?? hostFromEnvironment(),
    progress: (line) => out.note(line),
    debug: (line) => log?.debug(line),
    takeSignals: (handler) => taken = handler,
  };
  try {
    await body(context);
  } catch (error) {
    // What was aborted failed because of that, whatever it says; unless it says it better.
    const { signal } = controller;
    const better = error instanceof CliError && error.name === signal.reason?.name;
    throw signal.aborted && !better ? signal.reason : error;
  } finally {
    clearTimeout(timer);
    for (const remove of handlers) remove();
  }
}

function timedOut(ms: number): CliError {
  return new CliError(`not done after ${showDuration(ms)}`, {
    name: "TIMEOUT",
    hint: "raise --timeout, or look at colinux logs and colinux status",
    exit: EXIT.tempFail,
  });
}

function hostFromEnvironment(): "local" | "virtual" | undefined {
  const value = Deno.env.get("COLINUX_HOST");
  if (value === undefined || value === "") return undefined;
  if (value === "local" || value === "virtual") return value;
  throw new CliError(`COLINUX_HOST is "${value}"`, {
    name: "USAGE",
    hint: "it may be local or virtual",
    exit: EXIT.usage,
  });
}

/** Rejects with the signal's reason as soon as it is aborted. */
export function aborted(signal: AbortSignal): { promise: Promise<never>; stop(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  promise.catch(() => {});
  return { promise, stop: () => signal.removeEventListener("abort", onAbort) };
}
