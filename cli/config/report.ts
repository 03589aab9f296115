// SPDX-License-Identifier: GPL-2.0-or-later
/** Problems of a definition and how they look: file:line:column, the line, a caret. */
import { CliError, EXIT } from "../ui/errors.ts";
import { fit, plain } from "../ui/text.ts";

export interface Problem {
  /** UTF-16 offsets into the text. */
  offset: number;
  length: number;
  message: string;
}

export interface Place {
  line: number;
  column: number;
  source: string;
}

/** Line and column count from 1; columns are characters, not bytes. */
export function placeOf(text: string, offset: number): Place {
  const at = Math.min(offset, text.length);
  const start = text.lastIndexOf("\n", at - 1) + 1;
  const found = text.indexOf("\n", start);
  const end = found < 0 ? text.length : found;
  return {
    line: text.slice(0, start).split("\n").length,
    column: [...text.slice(start, at)].length + 1,
    source: text.slice(start, end).replace(/\r$/, ""),
  };
}

function excerpt(place: Place, length: number): string {
  const number = String(place.line).padStart(5);
  const characters = [...place.source];
  // The caret line keeps tabs, so that it lines up however wide they are.
  const before = characters.slice(0, place.column - 1).map((c) => c === "\t" ? "\t" : " ");
  const rest = Math.max(1, characters.length - before.length);
  const carets = "^".repeat(Math.max(1, Math.min(length, rest)));
  return `${number} | ${plain(place.source)}\n${" ".repeat(5)} | ${before.join("")}${carets}\n`;
}

/** Every problem in the order of the file. */
export function showProblems(file: string, text: string, problems: readonly Problem[]): string {
  return sorted(problems).map((problem) => {
    const place = placeOf(text, problem.offset);
    const long = [...place.source].length > 200;
    const where = `${file}:${place.line}:${place.column}: ${fit(problem.message, 500)}\n`;
    return long ? where : where + excerpt(place, problem.length);
  }).join("");
}

function sorted(problems: readonly Problem[]): Problem[] {
  return [...problems].sort((a, b) => a.offset - b.offset || a.message.localeCompare(b.message));
}

/** One error for the whole file. */
export function definitionError(
  file: string,
  text: string,
  problems: readonly Problem[],
): CliError {
  const count = problems.length === 1 ? "a problem" : `${problems.length} problems`;
  return new CliError(`${file} has ${count}`, {
    name: "DEFINITION",
    exit: EXIT.config,
    detail: showProblems(file, text, problems),
    hint: "configs/default.jsonc explains every key; colinux validate checks a file",
    data: {
      file,
      problems: sorted(problems).map((problem) => {
        const { line, column } = placeOf(text, problem.offset);
        return { file, line, column, message: problem.message };
      }),
    },
  });
}
