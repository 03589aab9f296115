// SPDX-License-Identifier: GPL-2.0-or-later
/** A guest's command on this terminal or in this pipe: what exec and shell share. */
import type { RpcClient } from "../rpc/client.ts";
import { aborted, type Context, type SignalName } from "../ui/context.ts";
import { type Command, type Ended, GuestCommand, type Output } from "./exec.ts";

const NUMBERS: Record<SignalName, number> = { SIGINT: 2, SIGTERM: 15, SIGHUP: 1 };

export interface Surroundings {
  /** On a terminal of the guest's. */
  tty: boolean;
  /** Whether stdin goes to the command. */
  stdin: boolean;
  output: Output;
}

/** This terminal's size; a usual one where there is none. */
function size(): { columns: number; rows: number } {
  try {
    return Deno.consoleSize();
  } catch {
    return { columns: 80, rows: 24 };
  }
}

/** Runs it to its end. The terminal is as it was afterwards, however it ends. */
export async function runCommand(
  context: Context,
  client: RpcClient,
  name: string,
  command: Command,
  around: Surroundings,
): Promise<Ended> {
  const raw = around.tty && around.stdin && Deno.stdin.isTerminal();
  const run: Command = { ...command, stdin: around.stdin };
  if (around.tty) Object.assign(run, { tty: true, ...size() });
  using guest = await GuestCommand.start(client, name, run, around.output, context.signal);
  const resize = () => {
    const { columns, rows } = size();
    guest.resize(columns, rows);
  };
  const abort = aborted(context.signal);
  let asked = false;
  // The first signal is the command's; whoever sends another means us.
  context.takeSignals((signal) => {
    guest.signal(NUMBERS[signal]);
    if (asked) context.takeSignals(undefined);
    asked = true;
  });
  if (raw) Deno.stdin.setRaw(true);
  if (around.tty) Deno.addSignalListener("SIGWINCH", resize);
  try {
    // It never resolves, but fails when the input cannot be handed on.
    const input = around.stdin ? feed(guest) : new Promise<never>(() => {});
    return await Promise.race([guest.ended, abort.promise, input]);
  } finally {
    abort.stop();
    context.takeSignals(undefined);
    if (around.tty) Deno.removeSignalListener("SIGWINCH", resize);
    if (raw) Deno.stdin.setRaw(false);
  }
}

async function feed(guest: GuestCommand): Promise<never> {
  const buffer = new Uint8Array(65536);
  for (;;) {
    let count: number | null;
    try {
      count = await Deno.stdin.read(buffer);
    } catch {
      // No stdin at all, as a closed one.
      count = null;
    }
    if (count === null) break;
    await guest.write(buffer.subarray(0, count));
  }
  await guest.end();
  return await new Promise<never>(() => {});
}
