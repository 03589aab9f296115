// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * `#args`: commander with its typings, behind one module, and what every verb
 * has in common: the options, the layout of its manual page, the examples.
 */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import { parseDuration } from "./duration.ts";

export { Command, InvalidArgumentError, Option };
export { CommanderError } from "@commander-js/extra-typings";

export interface Manual {
  /** Paragraphs, already wrapped by hand at 76 columns. */
  description: string;
  examples: readonly (readonly [command: string, text: string])[];
  /** Exit codes of this verb that differ from the common table. */
  exit?: readonly (readonly [code: number, text: string])[];
  see?: readonly string[];
}

export function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) {
    throw new InvalidArgumentError("Write a duration such as 30, 30s, 1m30s or 500ms.");
  }
  return ms;
}

export function wholeNumber(text: string): number {
  if (!/^\d{1,10}$/.test(text) || Number(text) > 0xffffffff) {
    throw new InvalidArgumentError("Write a whole number.");
  }
  return Number(text);
}

/** A verb with the common options; the caller adds its own, then manual(). */
export function verb(name: string, summary: string, text: Manual) {
  return new Command(name)
    .summary(summary)
    .description(`${summary}\n\n${text.description.trim()}`)
    .helpOption("-h, --help", "show this page")
    .option("--json", "print one JSON object on stdout (errors too, on stderr)")
    .option("-q, --quiet", "print nothing but data and errors")
    .option("-v, --verbose", "say on stderr what is done, and where an error came from")
    .option("--timeout <duration>", "give up after this time (exit code 75)", duration)
    .addOption(
      new Option("--host <kind>", "where VMs run (default: local where /dev/colinux is)")
        .choices(["local", "virtual"] as const),
    )
    .addHelpText("after", manual(text));
}

function manual(text: Manual): string {
  let out = "\nExamples:\n";
  for (const [command, what] of text.examples) out += `  $ ${command}\n      ${what}\n`;
  if (text.exit !== undefined) {
    out += "\nExit codes:\n";
    for (const [code, what] of text.exit) out += `  ${String(code).padStart(3)}  ${what}\n`;
    out += "  The rest is as `colinux --help` says.\n";
  }
  if (text.see !== undefined) {
    out += `\nSee also:\n  ${text.see.map((other) => `colinux ${other}`).join(", ")}\n`;
  }
  return out;
}
