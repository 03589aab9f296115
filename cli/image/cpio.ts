// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Writes initramfs archives (cpio "newc"), so that images need neither root nor
 * cpio. Everything in them belongs to root. Called by the image builders.
 */

interface Entry {
  path: string;
  mode: number;
  data: Uint8Array;
  links: number;
}

const TYPE = { directory: 0o040000, file: 0o100000, symlink: 0o120000 } as const;

export class Cpio {
  readonly #entries = new Map<string, Entry>();
  readonly #encoder = new TextEncoder();

  /** Adds a folder and those above it. */
  directory(path: string, mode = 0o755): this {
    this.#add(path, TYPE.directory | mode, new Uint8Array());
    return this;
  }

  file(path: string, data: Uint8Array | string, mode = 0o644): this {
    const bytes = typeof data === "string" ? this.#encoder.encode(data) : data;
    this.#add(path, TYPE.file | mode, bytes);
    return this;
  }

  symlink(path: string, target: string): this {
    this.#add(path, TYPE.symlink | 0o777, this.#encoder.encode(target));
    return this;
  }

  has(path: string): boolean {
    return this.#entries.has(clean(path));
  }

  /** The archive; two archives may be concatenated. */
  bytes(): Uint8Array<ArrayBuffer> {
    const parts: Uint8Array[] = [];
    let inode = 1;
    for (const path of [...this.#entries.keys()].sort()) {
      const entry = this.#entries.get(path);
      if (entry) parts.push(...this.#record(entry, inode++));
    }
    parts.push(
      ...this.#record({ path: "TRAILER!!!", mode: 0, data: new Uint8Array(), links: 1 }, 0),
    );
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    const whole = new Uint8Array(size);
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  #add(path: string, mode: number, data: Uint8Array): void {
    const name = clean(path);
    const slash = name.lastIndexOf("/");
    if (slash > 0 && !this.#entries.has(name.slice(0, slash))) {
      this.directory(name.slice(0, slash));
    }
    const links = (mode & 0o170000) === TYPE.directory ? 2 : 1;
    this.#entries.set(name, { path: name, mode, data, links });
  }

  #record(entry: Entry, inode: number): Uint8Array[] {
    const name = this.#encoder.encode(entry.path + "\0");
    const numbers = [
      inode,
      entry.mode,
      0, // uid
      0, // gid
      entry.links,
      0, // mtime: the same input gives the same archive
      entry.data.length,
      0,
      0,
      0,
      0,
      name.length,
      0,
    ];
    const header = "070701" + numbers.map((n) => n.toString(16).padStart(8, "0")).join("");
    const head = this.#encoder.encode(header);
    return [
      head,
      name,
      padding(head.length + name.length),
      entry.data,
      padding(entry.data.length),
    ];
  }
}

function padding(length: number): Uint8Array {
  return new Uint8Array((4 - length % 4) % 4);
}

function clean(path: string): string {
  const name = path.replace(/^\/+|\/+$/g, "");
  if (name === "" || name.split("/").includes("..")) throw new Error(`cpio: bad path ${path}`);
  return name;
}
