// SPDX-License-Identifier: GPL-2.0-or-later
/** A log file of bounded size: the older half moves to FILE.1. Used by the daemon. */

export class BoundedLog {
  readonly path: string;
  readonly #limit: number;
  #file: Deno.FsFile | undefined;
  #size = 0;
  readonly #encoder = new TextEncoder();

  constructor(path: string, limit: number) {
    this.path = path;
    this.#limit = limit;
    this.#open(true);
  }

  write(bytes: Uint8Array): void {
    if (this.#size + bytes.length > this.#limit) this.#turn();
    for (let at = 0; at < bytes.length;) at += this.#file?.writeSync(bytes.subarray(at)) ?? 1 << 30;
    this.#size += bytes.length;
  }

  line(text: string): void {
    this.write(this.#encoder.encode(`${new Date().toISOString()} ${text}\n`));
  }

  close(): void {
    this.#file?.close();
    this.#file = undefined;
  }

  #open(append: boolean): void {
    this.#file = Deno.openSync(this.path, {
      create: true,
      write: true,
      append,
      truncate: !append,
      mode: 0o600,
    });
    this.#size = this.#file.statSync().size;
  }

  #turn(): void {
    this.close();
    try {
      Deno.renameSync(this.path, `${this.path}.1`);
      this.#open(false);
    } catch {
      // Its folder is gone: then nobody reads it.
      this.#size = 0;
    }
  }
}
