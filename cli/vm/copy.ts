// SPDX-License-Identifier: GPL-2.0-or-later
/** Files between this machine and a guest, by a command of its agent's. For the verb cp. */
import type { RpcClient } from "../rpc/client.ts";
import { aborted, type Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { pack, packInput } from "./copy_stream.ts";
import { FileSink, OutputSink, Unpacker } from "./copy_unpack.ts";
import { GuestCommand, type Output } from "./exec.ts";

/** The agent itself, as a command. */
const AGENT = "@agent";

/** A path on one of the two sides. */
export interface Place {
  /** The VM's name; undefined: this machine; "": the only VM. */
  vm: string | undefined;
  path: string;
}

/** `NAME:PATH` is a guest's, as with scp; a path with a slash before its colon is not. */
export function place(text: string): Place {
  const colon = text.indexOf(":");
  if (colon < 0 || text.slice(0, colon).includes("/")) return { vm: undefined, path: text };
  return { vm: text.slice(0, colon), path: text.slice(colon + 1) };
}

export interface Copied {
  bytes: number;
  to: string;
}

/** What the agent says on stderr when it cannot; with the VM's name, so that the side is clear. */
class Complaints {
  #text = "";
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  add(bytes: Uint8Array): void {
    if (this.#text.length < 4096) this.#text += new TextDecoder().decode(bytes);
  }

  get lines(): string[] {
    // A guest's words go to a terminal.
    // deno-lint-ignore no-control-regex
    return this.#text.split("\n").map((line) => line.replace(/[\x00-\x1f\x7f-\x9f]/g, "?"))
      .filter((line) => line !== "").map((line) =>
        `${this.#name}:${line.replace(/^colinux: /, "")}`
      );
  }

  failed(code: number): CliError {
    return new CliError(this.lines.at(-1) ?? `${this.#name}: the agent gave up with code ${code}`, {
      name: "GUEST",
      exit: EXIT.io,
    });
  }
}

class Progress {
  readonly #context: Context;
  readonly #what: string;
  bytes = 0;

  constructor(context: Context, what: string) {
    this.#context = context;
    this.#what = what;
  }

  add(count: number): void {
    this.bytes += count;
    this.#context.out.transient(`${this.#what}: ${(this.bytes / 1e6).toFixed(1)} MB`);
  }
}

async function agent(
  context: Context,
  client: RpcClient,
  name: string,
  verb: "get" | "put",
  path: string,
  output: Output,
): Promise<GuestCommand> {
  const command = { argv: [AGENT, verb, path], stdin: verb === "put" };
  return await GuestCommand.start(client, name, command, output, context.signal);
}

export async function toGuest(
  context: Context,
  client: RpcClient,
  name: string,
  from: string,
  to: string,
): Promise<Copied> {
  const progress = new Progress(context, `${from} to ${name}`);
  const complaints = new Complaints(name);
  const skipped = (path: string) =>
    context.out.warn(`${path} is left out: neither file nor folder`);
  const counts = (count: number) => progress.add(count);
  const stream = from === "-" ? packInput("stdin", counts) : pack(from, skipped, counts);
  // The first piece is the stream's name; with the second its source has been looked at.
  const first = await stream.next();
  const second = await stream.next();
  const abort = aborted(context.signal);
  using guest = await agent(
    context,
    client,
    name,
    "put",
    to,
    (_stream, bytes) => complaints.add(bytes),
  );
  const send = async () => {
    for (const piece of [first.value, second.value]) if (piece) await guest.write(piece);
    for await (const piece of stream) {
      await guest.write(piece);
    }
    await guest.end();
    return await guest.ended;
  };
  try {
    const { code } = await Promise.race([
      send(),
      abort.promise,
      // Its end before ours is a failure that it has explained.
      guest.ended.then((ended) => ended.code === 0 ? new Promise<never>(() => {}) : ended),
    ]);
    if (code !== 0) throw complaints.failed(code);
  } finally {
    abort.stop();
  }
  return { bytes: progress.bytes, to: `${name}:${to}` };
}

export async function fromGuest(
  context: Context,
  client: RpcClient,
  name: string,
  from: string,
  to: string,
): Promise<Copied> {
  const progress = new Progress(context, `${from} from ${name}`);
  const complaints = new Complaints(name);
  const sink = to === "-" ? new OutputSink((bytes) => context.out.bytes(bytes)) : new FileSink(to);
  const unpacker = new Unpacker(sink, (count) => progress.add(count));
  const abort = aborted(context.signal);
  let whole = false;
  try {
    using guest = await agent(context, client, name, "get", from, (stream, bytes) => {
      if (stream === "stderr") return complaints.add(bytes);
      unpacker.push(bytes);
    });
    const { code } = await Promise.race([guest.ended, abort.promise]);
    if (code !== 0) throw complaints.failed(code);
  } finally {
    abort.stop();
    whole = unpacker.finish();
  }
  if (!whole) throw complaints.failed(0);
  for (const line of complaints.lines) context.out.warn(line);
  return { bytes: progress.bytes, to: sink.made };
}
