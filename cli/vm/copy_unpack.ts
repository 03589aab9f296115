// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Files out of the stream that the guest's agent writes (copy_stream.ts). The
 * guest is distrusted: names are single components, so nothing lands outside
 * of the folder that the user named, and links are only made, never followed.
 * Everything is synchronous: what comes is written before more is read.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import { because, type Counts, DEPTH, type Entry, FAILED, fileError } from "./copy_stream.ts";
import { MAGIC, PACKED, PIECE, RECORD, unpackPiece } from "./copy_stream.ts";

/** Where the files go. */
export interface Sink {
  begin(entry: Entry): void;
  data(bytes: Uint8Array): void;
  /** A whole file. */
  end(): void;
  link(entry: Entry, target: string): void;
  enter(entry: Entry): void;
  leave(): void;
  /** The stream ended or broke: nothing half may be left. */
  abandon(): void;
}

type Parser = Generator<number, void, Uint8Array>;

/** Takes the stream in any pieces. */
export class Unpacker {
  readonly #parser: Parser;
  readonly #sink: Sink;
  #buffer = new Uint8Array(0);
  #need = 0;
  #done = false;

  constructor(sink: Sink, counts: Counts = () => {}) {
    this.#sink = sink;
    this.#parser = parse(sink, counts);
    this.#need = this.#parser.next().value ?? 0;
  }

  push(bytes: Uint8Array): void {
    if (this.#done) throw broken("something came after its end");
    const all = new Uint8Array(this.#buffer.length + bytes.length);
    all.set(this.#buffer);
    all.set(bytes, this.#buffer.length);
    let at = 0;
    while (!this.#done && all.length - at >= this.#need) {
      const piece = all.subarray(at, at + this.#need);
      at += this.#need;
      const next = this.#parser.next(piece);
      this.#done = next.done === true;
      this.#need = next.value ?? 0;
    }
    this.#buffer = all.slice(at);
  }

  /** Whether all of it has come; if not, what was begun is taken away. */
  finish(): boolean {
    if (!this.#done) this.#sink.abandon();
    return this.#done;
  }
}

function broken(what: string): CliError {
  return new CliError(`the guest's copy is not to be understood: ${what}`, {
    name: "PROTOCOL",
    hint: "build the guest's image again: its agent may be of another version",
    exit: EXIT.protocol,
  });
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function* parseText(): Generator<number, string, Uint8Array> {
  const length = view(yield 2).getUint16(0, true);
  const bytes = length === 0 ? new Uint8Array() : yield length;
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw broken("a name that is not UTF-8");
  }
}

function* parseEntry(): Generator<number, Entry, Uint8Array> {
  const head = view(yield RECORD);
  const kind = String.fromCharCode(head.getUint8(0));
  const changed = Number(head.getBigInt64(8, true)) * 1000 + head.getUint32(16, true) / 1e6;
  const mode = head.getUint32(4, true) & 0o7777;
  const name = yield* parseText();
  if (!/^[FDLUZ]$/.test(kind)) throw broken(`a record of kind ${JSON.stringify(kind)}`);
  if (/^[FDL]$/.test(kind) && (/^\.{0,2}$/.test(name) || /[\/\0]/.test(name))) {
    throw broken(`a file named ${JSON.stringify(name)}`);
  }
  return { kind: kind as Entry["kind"], mode, changed, name };
}

function* parse(sink: Sink, counts: Counts): Parser {
  const magic = yield MAGIC.length;
  if (!MAGIC.every((byte, at) => byte === magic[at])) throw broken("it begins wrongly");
  let depth = 0;
  for (let first = true;; first = false) {
    const entry = yield* parseEntry();
    if (entry.kind === "Z" && depth === 0 && !first) return;
    if (entry.kind === "U" && depth > 0) {
      depth--;
      sink.leave();
      continue;
    }
    // One thing at the top, as was asked for.
    if (!/^[FDL]$/.test(entry.kind) || (depth === 0 && !first) || depth > DEPTH) {
      throw broken("a record out of place");
    }
    if (entry.kind === "D") {
      depth++;
      sink.enter(entry);
    } else if (entry.kind === "L") {
      sink.link(entry, yield* parseText());
    } else {
      yield* parseFile(sink, entry, counts);
    }
  }
}

function* parseFile(sink: Sink, entry: Entry, counts: Counts): Parser {
  sink.begin(entry);
  for (;;) {
    const length = view(yield 4).getUint32(0, true);
    if (length === 0) break;
    if (length === FAILED) throw fileError(entry.name, "the guest could not read all of it");
    const size = length % PACKED;
    if (size > PIECE || size === 0) throw broken("a piece of an impossible size");
    const data = length < PACKED ? yield size : unpackPiece(yield size);
    if (data === undefined) throw broken("a packed piece that is damaged or too large");
    counts(data.length);
    sink.data(data);
  }
  sink.end();
}

/** Into a folder, or under a name beside others: as `cp` would. */
export class FileSink implements Sink {
  readonly #folders: { path: string; entry: Entry | undefined }[] = [];
  readonly #target: string;
  #open: { file: Deno.FsFile; fresh: string; final: string; entry: Entry } | undefined;
  #top = true;
  /** What was made of the first entry. */
  made = "";

  constructor(target: string) {
    this.#target = target;
  }

  /** The path of an entry; at the top it depends on what is there already. */
  #place(entry: Entry): string {
    const folder = this.#folders.at(-1)?.path;
    if (folder !== undefined) return `${folder}/${entry.name}`;
    if (!this.#top) throw broken("two things at the top");
    this.#top = false;
    const there = stat(this.#target);
    if (there === undefined && this.#target.endsWith("/")) {
      throw fileError(this.#target, "there is no such folder");
    }
    this.made = there?.isDirectory
      ? `${this.#target.replace(/\/*$/, "")}/${entry.name}`
      : this.#target;
    return this.made;
  }

  begin(entry: Entry): void {
    const final = this.#place(entry);
    if (stat(final)?.isDirectory) throw fileError(final, "a file cannot take a folder's place");
    const slash = final.lastIndexOf("/") + 1;
    const fresh = `${final.slice(0, slash)}.colinux-${Deno.pid}.new`;
    try {
      const file = Deno.openSync(fresh, { write: true, createNew: true, mode: 0o600 });
      this.#open = { file, fresh, final, entry };
    } catch (error) {
      throw because(final, error);
    }
  }

  data(bytes: Uint8Array): void {
    if (this.#open === undefined) return;
    try {
      for (let at = 0; at < bytes.length;) at += this.#open.file.writeSync(bytes.subarray(at));
    } catch (error) {
      throw because(this.#open.final, error);
    }
  }

  end(): void {
    if (this.#open === undefined) return;
    const { file, fresh, final, entry } = this.#open;
    try {
      file.utimeSync(entry.changed / 1000, entry.changed / 1000);
      file.syncSync();
      file.close();
      Deno.chmodSync(fresh, entry.mode);
      Deno.renameSync(fresh, final);
      this.#open = undefined;
    } catch (error) {
      throw because(final, error);
    }
  }

  link(entry: Entry, target: string): void {
    const final = this.#place(entry);
    try {
      if (lstat(final) !== undefined) Deno.removeSync(final);
      Deno.symlinkSync(target, final);
    } catch (error) {
      throw because(final, error);
    }
  }

  enter(entry: Entry): void {
    const path = this.#place(entry);
    const there = lstat(path);
    // A link in a folder's place would lead the rest elsewhere; what the user named may be one.
    if (
      there !== undefined && !there.isDirectory &&
      !(this.#folders.length === 0 && stat(path)?.isDirectory)
    ) {
      throw fileError(path, "a folder cannot take its place");
    }
    try {
      if (there === undefined) Deno.mkdirSync(path, { mode: 0o700 });
    } catch (error) {
      throw because(path, error);
    }
    this.#folders.push({ path, entry });
  }

  leave(): void {
    const folder = this.#folders.pop();
    if (folder?.entry === undefined) return;
    try {
      Deno.chmodSync(folder.path, folder.entry.mode);
      Deno.utimeSync(folder.path, folder.entry.changed / 1000, folder.entry.changed / 1000);
    } catch (error) {
      throw because(folder.path, error);
    }
  }

  abandon(): void {
    if (this.#open === undefined) return;
    const { file, fresh } = this.#open;
    this.#open = undefined;
    try {
      file.close();
    } catch {
      // It was closed before what failed.
    }
    try {
      Deno.removeSync(fresh);
    } catch {
      // It never came to be.
    }
  }
}

/** One file's bytes, to stdout. */
export class OutputSink implements Sink {
  readonly #write: (bytes: Uint8Array) => void;
  made = "stdout";

  constructor(write: (bytes: Uint8Array) => void) {
    this.#write = write;
  }
  begin(): void {}
  data(bytes: Uint8Array): void {
    this.#write(bytes);
  }
  end(): void {}
  link(): void {}
  enter(entry: Entry): void {
    throw fileError(entry.name, "a folder cannot be written to stdout");
  }
  leave(): void {}
  abandon(): void {}
}

function stat(path: string): Deno.FileInfo | undefined {
  return look(path, Deno.statSync);
}

function lstat(path: string): Deno.FileInfo | undefined {
  return look(path, Deno.lstatSync);
}

function look(path: string, how: (path: string) => Deno.FileInfo): Deno.FileInfo | undefined {
  try {
    return how(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw because(path, error);
  }
}
