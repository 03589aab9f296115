// SPDX-License-Identifier: GPL-2.0-or-later
/** JSONC text to a value, with every syntax problem and the place of every key. */
import { type Node, type ParseError, parseTree, printParseErrorCode } from "#jsonc";
import type { Problem } from "./report.ts";
import { expandTree, type Lookup } from "./variables.ts";

const MESSAGES: Record<string, string> = {
  InvalidSymbol: "this is not JSON: strings need double quotes, words are true, false and null",
  InvalidNumberFormat: "this is not a number",
  PropertyNameExpected: "a key in double quotes is expected here",
  ValueExpected: "a value is expected here",
  ColonExpected: 'a ":" is expected after the key',
  CommaExpected: 'a "," is expected before this',
  CloseBraceExpected: 'a "}" is missing',
  CloseBracketExpected: 'a "]" is missing',
  EndOfFileExpected: "nothing may follow the end of the definition",
  UnexpectedEndOfComment: "this comment does not end",
  UnexpectedEndOfString: "this string does not end on its line",
  UnexpectedEndOfNumber: "this number is not complete",
  InvalidUnicode: "this \\u escape is not complete",
  InvalidEscapeCharacter: "this escape does not exist in JSON",
  InvalidCharacter: "a control character must be written as an escape",
};

export interface Tree {
  root: Node | undefined;
  value: unknown;
  problems: Problem[];
  /** The text is not JSONC: what seems to be missing may just not have been read. */
  broken: boolean;
}

export function readTree(text: string, lookup: Lookup): Tree {
  const errors: ParseError[] = [];
  let root: Node | undefined;
  try {
    root = parseTree(text, errors, { allowTrailingComma: true, allowEmptyContent: true });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    const problem = { offset: 0, length: 1, message: "this is nested too deeply" };
    return { root: undefined, value: undefined, problems: [problem], broken: true };
  }
  const problems = errors.map((error): Problem => {
    const code = printParseErrorCode(error.error);
    return { offset: error.offset, length: error.length, message: MESSAGES[code] ?? code };
  });
  if (root === undefined) {
    if (problems.length === 0) {
      problems.push({ offset: 0, length: 1, message: "the file holds no definition: { … }" });
    }
    return { root, value: undefined, problems, broken: true };
  }
  // What follows the definition is one problem; an unclosed one ends with the text.
  const end = root.offset + root.length;
  const limit = text.trimEnd().length;
  const trails = ({ offset }: Problem) => offset >= end && offset < limit;
  const after = problems.filter(trails).slice(0, 1);
  for (const problem of after) problem.message = MESSAGES.EndOfFileExpected ?? "";
  const inside = problems.filter((problem) => !trails(problem));
  const broken = problems.length > 0;
  inside.push(...expandTree(text, root, lookup));
  findDuplicates(text, root, inside);
  return { root, value: valueOf(root), problems: once([...inside, ...after]), broken };
}

/** The parser reports some places twice; the first message is the better one. */
function once(problems: Problem[]): Problem[] {
  const seen = new Set<number>();
  return problems.filter(({ offset }) => !seen.has(offset) && seen.add(offset));
}

function findDuplicates(text: string, node: Node, problems: Problem[]): void {
  const first = new Map<string, number>();
  for (const child of node.children ?? []) {
    const key = child.type === "property" ? child.children?.[0] : undefined;
    if (key !== undefined) {
      const name = String(key.value);
      const before = first.get(name);
      if (before === undefined) first.set(name, key.offset);
      else {
        const line = text.slice(0, before).split("\n").length;
        problems.push({
          offset: key.offset,
          length: key.length,
          message: `duplicate key "${name}": it stands in line ${line} already`,
        });
      }
    }
    findDuplicates(text, child, problems);
  }
}

/** Own properties only, so that a key named __proto__ is a key like any other. */
function valueOf(node: Node): unknown {
  if (node.type === "array") return (node.children ?? []).map(valueOf);
  if (node.type !== "object") return node.value;
  return Object.fromEntries((node.children ?? []).flatMap((property) => {
    const [key, value] = property.children ?? [];
    return key === undefined || value === undefined ? [] : [[String(key.value), valueOf(value)]];
  }));
}

/** The property node (key and value) at a path, or the deepest one there is. */
export function findProperty(
  root: Node,
  path: readonly PropertyKey[],
): { node: Node; key: Node | undefined; found: boolean } {
  let node = root;
  let key: Node | undefined;
  for (const step of path) {
    let next: Node | undefined;
    let nextKey: Node | undefined;
    if (node.type === "array") next = node.children?.[Number(step)];
    else {
      // The last one of duplicates is the one whose value counts.
      const property = node.children?.findLast((child) =>
        child.children?.[0]?.value === step && child.children.length > 1
      );
      nextKey = property?.children?.[0];
      next = property?.children?.[1];
    }
    if (next === undefined) return { node, key, found: false };
    node = next;
    key = nextKey;
  }
  return { node, key, found: true };
}
