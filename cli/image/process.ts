// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Programs of this machine that work on images: run, watched line by line,
 * ended together with the command that wanted them.
 */
import { CliError, EXIT } from "../ui/errors.ts";

export interface Finished {
  code: number;
  /** Both outputs, the last lines. */
  lines: string[];
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  stdin?: string;
  signal?: AbortSignal;
  onLine?: (line: string) => void;
}

const KEPT = 1000;

/** The Debian packages of the programs that are used here. */
const PACKAGES: Record<string, string> = {
  mmdebstrap: "mmdebstrap",
  mke2fs: "e2fsprogs",
  e2fsck: "e2fsprogs",
  debugfs: "e2fsprogs",
  resize2fs: "e2fsprogs",
  unshare: "util-linux",
  openssl: "openssl",
  zstd: "zstd",
};

/** Waits for the end; an exit code other than 0 is the caller's business. */
export async function run(
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<Finished> {
  options.signal?.throwIfAborted();
  const child = spawn(program, args, options);
  // It removes what it made; its own children get the signal from it.
  const end = () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
  };
  options.signal?.addEventListener("abort", end, { once: true });
  const lines: string[] = [];
  const note = (line: string) => {
    lines.push(line);
    if (lines.length > KEPT) lines.shift();
    options.onLine?.(line);
  };
  try {
    const input = child.stdin.getWriter();
    await input.write(new TextEncoder().encode(options.stdin ?? "")).catch(() => {});
    await input.close().catch(() => {});
    await Promise.all([eachLine(child.stdout, note), eachLine(child.stderr, note)]);
    const { code } = await child.status;
    options.signal?.throwIfAborted();
    return { code, lines };
  } finally {
    options.signal?.removeEventListener("abort", end);
  }
}

function spawn(program: string, args: string[], options: RunOptions): Deno.ChildProcess {
  try {
    return new Deno.Command(program, {
      args,
      cwd: options.cwd,
      env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive", ...options.env },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    // Without the program the wrapper could not allow it either.
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable) {
      throw missing(program);
    }
    throw error;
  }
}

function missing(program: string): CliError {
  const wanted = PACKAGES[program];
  return new CliError(`${program} is not on this machine`, {
    name: "TOOL",
    hint: wanted === undefined ? undefined : `install the Debian package ${wanted}`,
    exit: EXIT.unavailable,
  });
}

async function eachLine(
  stream: ReadableStream<Uint8Array>,
  note: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + text).split(/\r?\n|\r/);
    rest = (parts.pop() ?? "").slice(-10_000);
    parts.forEach(note);
  }
  if (rest !== "") note(rest);
}

/** Runs what must succeed; `what` begins the message of its failure. */
export async function must(
  what: string,
  program: string,
  args: string[],
  options: RunOptions = {},
): Promise<string[]> {
  const { code, lines } = await run(program, args, options);
  if (code === 0) return lines;
  throw failed(what, program, lines, options.cwd);
}

/** A program's last lines say that a disk is full: whatever else they say follows from that. */
export function lacksSpace(lines: readonly string[]): boolean {
  return lines.some((line) => /no space left on device|disk quota exceeded/i.test(line));
}

/** The error of a program that failed: no space left is told from all else. */
export function failed(
  what: string,
  program: string,
  lines: readonly string[],
  folder?: string,
): CliError {
  const detail = lines.slice(-20).join("\n");
  if (lacksSpace(lines)) {
    return new CliError(`${what}: no space is left${folder === undefined ? "" : ` in ${folder}`}`, {
      name: "NOSPACE",
      hint: "make room there: an image takes about 3 GiB while it is built, and a VM's disk as " +
        "much as the guest has written",
      exit: EXIT.cantCreate,
      detail,
    });
  }
  const last = lines.findLast((line) => line.trim() !== "") ?? "no message";
  return new CliError(`${what}: ${program} failed: ${last.trim()}`, {
    name: "IMAGE",
    exit: EXIT.cantCreate,
    detail,
  });
}
