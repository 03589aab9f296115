// SPDX-License-Identifier: GPL-2.0-or-later
/** Splits a byte stream into lines, with a bound: the other side may be anything. */

export class LineTooLong extends Error {}

export class LineSplitter {
  #parts: Uint8Array[] = [];
  #length = 0;
  readonly #limit: number;
  readonly #decoder = new TextDecoder();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes of an unfinished line. */
  get pending(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): string[] {
    const lines: string[] = [];
    let from = 0;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, from)) {
      this.#keep(chunk.subarray(from, at));
      lines.push(this.#take());
      from = at + 1;
    }
    this.#keep(chunk.subarray(from));
    return lines;
  }

  #keep(part: Uint8Array): void {
    if (this.#length + part.length > this.#limit) throw new LineTooLong();
    if (part.length > 0) {
      // A copy: the reader may use its buffer again.
      this.#parts.push(part.slice());
      this.#length += part.length;
    }
  }

  #take(): string {
    const whole = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      whole.set(part, at);
      at += part.length;
    }
    this.#parts = [];
    this.#length = 0;
    return this.#decoder.decode(whole);
  }
}
