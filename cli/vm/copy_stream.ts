// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The stream in which `colinux cp` moves files: helperd/agent/copy.c describes
 * it, and is the other side. Here its records, and this machine's files as one.
 */
import { deflateSync, inflateSync } from "node:zlib";
import { CliError, EXIT } from "../ui/errors.ts";

export const MAGIC = new TextEncoder().encode("coCP\x02");
export const RECORD = 20;
export const FAILED = 0xffffffff;
/** In a piece's length: it is packed by zlib. */
export const PACKED = 0x80000000;
export const PIECE = 65536;
export const DEPTH = 64;
/** So many pieces after one that zlib did not make much smaller go as they are. */
const UNTRIED = 15;

export type Kind = "F" | "D" | "L" | "U" | "Z";

export interface Entry {
  kind: Kind;
  mode: number;
  /** Milliseconds of the last change. */
  changed: number;
  name: string;
}

/** Told of each piece of a file that passes: its bytes. */
export type Counts = (bytes: number) => void;

const encoder = new TextEncoder();

export function text16(text: string): Uint8Array<ArrayBuffer> {
  const bytes = encoder.encode(text);
  if (bytes.length > 0xffff) throw fileError(text.slice(0, 100), "the name is too long");
  const out = new Uint8Array(2 + bytes.length);
  new DataView(out.buffer).setUint16(0, bytes.length, true);
  out.set(bytes, 2);
  return out;
}

export function record(entry: Entry): Uint8Array<ArrayBuffer> {
  const name = text16(entry.name);
  const out = new Uint8Array(RECORD + name.length);
  const view = new DataView(out.buffer);
  const seconds = Math.floor(entry.changed / 1000);
  out[0] = entry.kind.charCodeAt(0);
  view.setUint32(4, entry.mode & 0o7777, true);
  view.setBigInt64(8, BigInt(seconds), true);
  view.setUint32(16, Math.round((entry.changed - seconds * 1000) * 1e6), true);
  out.set(name, RECORD);
  return out;
}

export function length32(length: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, length, true);
  return out;
}

export function fileError(path: string, what: string): CliError {
  return new CliError(`${path}: ${what}`, { name: "FILE", exit: EXIT.io });
}

/** What the system said of a file, without its own wrapping. */
export function because(path: string, error: unknown): CliError {
  if (error instanceof CliError) return error;
  const reasons: [new (...args: never[]) => Error, string, number][] = [
    [Deno.errors.NotFound, "no such file or folder", EXIT.noInput],
    [Deno.errors.PermissionDenied, "permission denied", EXIT.noPerm],
    [Deno.errors.NotADirectory, "not a folder", EXIT.noInput],
    [Deno.errors.IsADirectory, "a folder", EXIT.noInput],
  ];
  for (const [kind, what, exit] of reasons) {
    if (error instanceof kind) return new CliError(`${path}: ${what}`, { name: "FILE", exit });
  }
  return fileError(path, error instanceof Error ? error.message : String(error));
}

/** A file's bytes as pieces, with their end. `counts` is told of what is read. */
async function* pieces(
  path: string,
  read: (buffer: Uint8Array) => Promise<number | null>,
  counts: Counts,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  for (let untried = 0;;) {
    const buffer = new Uint8Array(4 + PIECE);
    let count: number | null;
    try {
      count = await read(buffer.subarray(4));
    } catch (error) {
      // The other side makes nothing of it, and we say why.
      yield length32(FAILED);
      throw because(path, error);
    }
    if (count === null) break;
    counts(count);
    const packed = untried > 0 ? undefined : packPiece(buffer.subarray(4, 4 + count));
    untried = untried > 0 ? untried - 1 : packed === undefined ? UNTRIED : 0;
    buffer.set(length32(count));
    yield packed ?? buffer.subarray(0, 4 + count);
  }
  yield length32(0);
}

/** Undefined if it gets hardly smaller. */
function packPiece(bytes: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const packed = deflateSync(bytes, { level: 1 });
  if (packed.length > bytes.length / 8 * 7) return undefined;
  const out = new Uint8Array(4 + packed.length);
  out.set(length32(PACKED + packed.length));
  out.set(packed, 4);
  return out;
}

/** Undefined if it is damaged, or larger than a piece can be. */
export function unpackPiece(bytes: Uint8Array): Uint8Array | undefined {
  try {
    return inflateSync(bytes, { maxOutputLength: PIECE });
  } catch {
    return undefined;
  }
}

/** A file or a folder with all that is in it. `skipped` is told of what is neither. */
export async function* pack(
  path: string,
  skipped: (path: string) => void,
  counts: Counts = () => {},
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield MAGIC;
  let real: string;
  try {
    real = await Deno.realPath(path);
  } catch (error) {
    throw because(path, error);
  }
  yield* packOne(path, real.split("/").at(-1) || "root", 0, skipped, counts);
  yield record({ kind: "Z", mode: 0, changed: 0, name: "" });
}

async function* packOne(
  path: string,
  name: string,
  depth: number,
  skipped: (path: string) => void,
  counts: Counts,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  if (depth > DEPTH) throw fileError(path, `more than ${DEPTH} folders deep`);
  try {
    // A link that was named stands for what it names; others stay links.
    const info = await (depth === 0 ? Deno.stat(path) : Deno.lstat(path));
    const entry = { mode: info.mode ?? 0o644, changed: info.mtime?.getTime() ?? 0, name };
    if (info.isSymlink) {
      yield record({ kind: "L", ...entry });
      yield text16(await Deno.readLink(path));
    } else if (info.isDirectory) {
      yield record({ kind: "D", ...entry });
      const names = (await Array.fromAsync(Deno.readDir(path))).map((child) => child.name);
      for (const child of names.sort()) {
        yield* packOne(`${path}/${child}`, child, depth + 1, skipped, counts);
      }
      yield record({ kind: "U", mode: 0, changed: 0, name: "" });
    } else if (info.isFile || (depth === 0 && !info.isSocket)) {
      using file = await Deno.open(path);
      yield record({ kind: "F", ...entry });
      yield* pieces(path, (buffer) => file.read(buffer), counts);
    } else {
      skipped(path);
    }
  } catch (error) {
    throw because(path, error);
  }
}

/** stdin as a file of that name. */
export async function* packInput(
  name: string,
  counts: Counts,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  yield MAGIC;
  yield record({ kind: "F", mode: 0o644, changed: Date.now(), name });
  yield* pieces("stdin", (buffer) => Deno.stdin.read(buffer), counts);
  yield record({ kind: "Z", mode: 0, changed: 0, name: "" });
}
