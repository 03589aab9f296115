// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * ${VAR} and ${VAR:-default} in the strings of a definition, values and keys
 * alike; $${ stands for ${ itself. Works on the tree, so that whatever looks at
 * the definition later sees what was meant, at the place where it was written.
 */
import type { Node } from "#jsonc";
import type { Problem } from "./report.ts";
import { distance } from "./suggest.ts";

export type Lookup = (name: string) => string | undefined;

const REFERENCE = /\$?\$\{([^}]*)(\}?)/g;
const INSIDE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

/** Replaces the strings in the tree; the problems have their places in `text`. */
export function expandTree(text: string, root: Node, lookup: Lookup): Problem[] {
  const problems: Problem[] = [];
  const visit = (node: Node) => {
    if (node.type === "string" && typeof node.value === "string") {
      (node as { value?: unknown }).value = expand(text, node, lookup, problems);
    }
    for (const child of node.children ?? []) visit(child);
  };
  visit(root);
  return problems;
}

function expand(text: string, node: Node, lookup: Lookup, problems: Problem[]): string {
  let from = node.offset;
  return String(node.value).replace(REFERENCE, (whole, inside: string, close: string) => {
    const found = text.indexOf("${", from);
    from = found + 2;
    if (whole.startsWith("$$")) return whole.slice(1);
    const place = { offset: found, length: whole.length };
    const [, name, standard] = INSIDE.exec(inside) ?? [];
    if (close === "" || name === undefined) {
      const message = close === ""
        ? '"${" without a "}": write ${VAR}, ${VAR:-default}, or $${ for the characters themselves'
        : `"${whole}" is no variable: write \${VAR}, \${VAR:-default}, or $\${ for the ` +
          "characters themselves";
      problems.push({ ...place, message });
      return whole;
    }
    const value = lookup(name);
    if (standard !== undefined) return value === undefined || value === "" ? standard : value;
    if (value !== undefined) return value;
    problems.push({ ...place, message: undefinedMessage(name) });
    return whole;
  });
}

function undefinedMessage(name: string): string {
  const near = Object.keys(Deno.env.toObject()).find((other) => distance(name, other) <= 2);
  return `the variable ${name} is not set: ` +
    (near === undefined ? `set it, or write \${${name}:-default}` : `did you mean ${near}?`);
}
