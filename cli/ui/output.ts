// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Data on stdout, everything for a waiting person on stderr. With --json
 * stderr holds nothing but an error object; with --quiet nothing but errors.
 */
import type { CliError } from "./errors.ts";
import { fit } from "./text.ts";

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
}

const encoder = new TextEncoder();

function writeAll(file: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  let at = 0;
  while (at < bytes.length) at += file.writeSync(bytes.subarray(at));
}

export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #terminal: boolean;
  #transient = false;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.#terminal = Deno.stderr.isTerminal();
  }

  /** Data. */
  bytes(data: Uint8Array): void {
    this.#clear();
    writeAll(Deno.stdout, data);
  }

  /** A command's own stderr, as it is. */
  errorBytes(data: Uint8Array): void {
    this.#clear();
    writeAll(Deno.stderr, data);
  }

  text(data: string): void {
    this.bytes(encoder.encode(data));
  }

  /** The result of a command: an object for --json, else text (dropped by --quiet if `chatty`). */
  result(object: unknown, text: string, chatty = false): void {
    if (this.json) this.text(JSON.stringify(object) + "\n");
    else if (!(chatty && this.quiet)) this.text(text);
  }

  /** A line of progress that stays. */
  note(line: string): void {
    if (this.quiet || this.json) return;
    this.#clear();
    this.#stderr(`${fit(line, 1000)}\n`);
  }

  /** A warning: survives nothing but --quiet and --json, like note. */
  warn(line: string): void {
    this.note(`colinux: ${line}`);
  }

  /** A line that the next one replaces; only where there is a terminal. */
  transient(line: string): void {
    if (!this.live) return;
    this.#stderr(`\r\x1b[2K${fit(line, columns() - 1)}`);
    this.#transient = true;
  }

  /** Whether transient lines are seen. */
  get live(): boolean {
    return this.#terminal && !this.quiet && !this.json;
  }

  /** For errors and for verbose logs: always shown. */
  raw(text: string): void {
    this.#clear();
    this.#stderr(text);
  }

  error(error: CliError): void {
    if (this.json) {
      this.raw(
        JSON.stringify({
          error: {
            name: error.name,
            message: error.message,
            hint: error.hint,
            exit: error.exit,
            ...error.data,
          },
        }) + "\n",
      );
      return;
    }
    let text = `colinux: ${error.message}\n`;
    if (error.detail !== undefined) text += error.detail.replace(/\n*$/, "\n");
    if (error.hint !== undefined) text += `  hint: ${error.hint}\n`;
    this.raw(text);
  }

  #clear(): void {
    if (!this.#transient) return;
    this.#transient = false;
    this.#stderr("\r\x1b[2K");
  }

  #stderr(text: string): void {
    try {
      writeAll(Deno.stderr, encoder.encode(text));
    } catch {
      // Nobody reads progress any more; the work goes on.
    }
  }
}

export function columns(): number {
  try {
    return Deno.consoleSize().columns || 80;
  } catch {
    return 80;
  }
}
