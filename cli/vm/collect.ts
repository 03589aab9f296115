// SPDX-License-Identifier: GPL-2.0-or-later
/** A command's whole output, for --json. */

export class Collected {
  readonly #parts = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] };

  add(stream: "stdout" | "stderr", bytes: Uint8Array): void {
    this.#parts[stream].push(bytes);
  }

  /** As text: what is not UTF-8 becomes U+FFFD. */
  texts(): { stdout: string; stderr: string } {
    return { stdout: text(this.#parts.stdout), stderr: text(this.#parts.stderr) };
  }
}

function text(parts: readonly Uint8Array[]): string {
  const decoder = new TextDecoder();
  return parts.map((part) => decoder.decode(part, { stream: true })).join("") + decoder.decode();
}
