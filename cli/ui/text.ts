// SPDX-License-Identifier: GPL-2.0-or-later
/** Text for terminals. What a guest wrote is hostile: it must not drive our terminal. */

// deno-lint-ignore no-control-regex
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~]?)/g;
// deno-lint-ignore no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Drops escape sequences and control characters; keeps newlines and tabs. */
export function plain(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll("\r", "\n").replace(ESCAPES, "")
    .replace(CONTROLS, "");
}

/** One line of at most `width` characters. */
export function fit(text: string, width: number): string {
  const line = plain(text).replace(/[\n\t]+/g, " ").trimEnd();
  const characters = [...line];
  if (characters.length <= width) return line;
  return characters.slice(0, Math.max(0, width - 1)).join("") + "…";
}

/** The last `count` lines that are not empty. */
export function lastLines(text: string, count: number): string[] {
  return plain(text).split("\n").map((line) => line.trimEnd()).filter((line) => line !== "")
    .slice(-count);
}

/** Columns aligned by spaces, the last one as it is. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, at) => widths[at] = Math.max(widths[at] ?? 0, [...cell].length));
  }
  return rows.map((row) =>
    row.map((cell, at) =>
      at === row.length - 1 ? cell : cell + " ".repeat((widths[at] ?? 0) - [...cell].length)
    ).join("  ").trimEnd() + "\n"
  ).join("");
}

/** Words in sorted order joined for a sentence: "a, b or c". */
export function alternatives(words: readonly string[], last = "or"): string {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1)}`;
}
