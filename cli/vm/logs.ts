// SPDX-License-Identifier: GPL-2.0-or-later
/** Prints a console log, from the helper or from what was saved, and follows it. */
import type { RpcClient } from "../rpc/client.ts";
import { aborted, type Context } from "../ui/context.ts";
import { plain } from "../ui/text.ts";
import { base64Bytes, bytesBase64 } from "./base64.ts";
import { readLog } from "./records.ts";

export interface LogOptions {
  follow: boolean;
  lines: number | undefined;
}

export async function showLog(
  context: Context,
  client: RpcClient | undefined,
  name: string,
  options: LogOptions,
): Promise<void> {
  const { out } = context;
  const show = printer(context);
  if (client === undefined) {
    const kept = await readLog(context.paths, name);
    if (kept === undefined) context.progress(`no log of ${name} was kept: its host ended first`);
    const saved = kept ?? new Uint8Array();
    if (out.json) out.result({ name, data: bytesBase64(saved), dropped: 0 }, "");
    else show(tail(saved, options.lines));
    return;
  }
  const { data, dropped } = await client.call("console.log", { name }, { signal: context.signal });
  const log = base64Bytes(data);
  if (out.json) out.result({ name, data, dropped }, "");
  else if (!options.follow) show(tail(log, options.lines));
  else {
    // The stream repeats the log itself, so that nothing falls between the two.
    const replay = options.lines === undefined ? 0xffffffff : tail(log, options.lines).length;
    await follow(context, client, name, replay, show);
  }
}

/** Until the VM has ended and all of its log was shown. */
async function follow(
  context: Context,
  client: RpcClient,
  name: string,
  replay: number,
  show: (bytes: Uint8Array) => void,
): Promise<void> {
  const closed = Promise.withResolvers<void>();
  client.on("console.data", (event) => {
    if (event.name !== name) return;
    if (event.dropped) context.out.warn(`${event.dropped} bytes of the console were dropped`);
    show(base64Bytes(event.data));
  });
  client.on("console.closed", (event) => {
    if (event.name === name) closed.resolve();
  });
  client.closed.then((reason) => reason === undefined ? closed.resolve() : closed.reject(reason));
  closed.promise.catch(() => {});
  await client.call("console.attach", { name, replay }, { signal: context.signal });
  const abort = aborted(context.signal);
  try {
    await Promise.race([closed.promise, abort.promise]);
  } finally {
    abort.stop();
  }
}

/** Raw into a pipe; harmless on a terminal, even when a sequence is cut in two. */
function printer(context: Context): (bytes: Uint8Array) => void {
  if (!Deno.stdout.isTerminal()) return (bytes) => context.out.bytes(bytes);
  const decoder = new TextDecoder();
  return (bytes) => context.out.text(plain(decoder.decode(bytes, { stream: true })));
}

/** The last lines; an unfinished one at the end counts. */
export function tail(bytes: Uint8Array, lines: number | undefined): Uint8Array {
  if (lines === undefined) return bytes;
  if (lines === 0) return new Uint8Array();
  let at = bytes.at(-1) === 10 ? bytes.length - 1 : bytes.length;
  for (let left = lines; left > 0; left--) {
    at = at === 0 ? -1 : bytes.lastIndexOf(10, at - 1);
    if (at < 0) return bytes;
  }
  return bytes.subarray(at + 1);
}
