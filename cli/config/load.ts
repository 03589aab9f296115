// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A definition file to a checked Definition. Distrusts the file; reports every
 * problem of it at once. Loaded lazily by up and validate.
 */
import type { Node } from "#jsonc";
import { isRecord } from "../rpc/errors.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { alternatives } from "../ui/text.ts";
import { findInconsistencies, type Finding } from "./consistency.ts";
import type { Definition } from "./definition.ts";
import { keysAt } from "./parts.ts";
import { definitionError, type Problem } from "./report.ts";
import { resolve } from "./resolve.ts";
import { definitionSchema } from "./schema.ts";
import { suggest } from "./suggest.ts";
import { checkSurroundings } from "./surroundings.ts";
import { findProperty, readTree } from "./tree.ts";

const MAX_FILE = 1 << 20;

interface Issue {
  code: string;
  message: string;
  path: readonly PropertyKey[];
  keys?: readonly string[];
  values?: readonly unknown[];
}

/** Reads a definition; `shown` is the file's name in messages. */
export async function loadDefinition(file: string, shown = file): Promise<Definition> {
  const text = await readText(file, shown);
  const { root, value, problems, broken } = readTree(text, (name) => Deno.env.get(name));
  if (root !== undefined) {
    const result = definitionSchema.safeParse(value);
    for (const issue of result.error?.issues ?? []) {
      problems.push(...problemsOf(root, issue as Issue, broken));
    }
    if (isRecord(value)) {
      for (const finding of findInconsistencies(value)) {
        if (!broken) problems.push(placed(root, finding));
      }
      for (const finding of await checkSurroundings(file, value)) {
        problems.push(placed(root, finding));
      }
    }
    if (problems.length === 0 && result.success) return resolve(file, result.data);
  }
  throw definitionError(shown, text, problems);
}

async function readText(file: string, shown: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    const info = await Deno.stat(file);
    if (!info.isFile) throw unusable(`${shown} is not a file`);
    if (info.size > MAX_FILE) throw unusable(`${shown} is larger than 1 MiB`);
    bytes = await Deno.readFile(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw unusable(`${shown}: no such file`);
    if (error instanceof Deno.errors.PermissionDenied) {
      throw new CliError(`${shown}: may not be read`, { name: "PERM", exit: EXIT.noPerm });
    }
    throw error;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CliError(`${shown} is not UTF-8 text`, { name: "DEFINITION", exit: EXIT.config });
  }
}

function unusable(message: string): CliError {
  return new CliError(message, {
    name: "NOINPUT",
    hint: "name a definition such as configs/minimal.jsonc",
    exit: EXIT.noInput,
  });
}

function problemsOf(root: Node, issue: Issue, broken: boolean): Problem[] {
  const { node, found } = findProperty(root, issue.path);
  const label = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = keysAt(definitionSchema, issue.path);
    return (issue.keys ?? []).map((name) => {
      const { key } = findProperty(root, [...issue.path, name]);
      const near = suggest(name, known);
      const advice = near === undefined
        ? `the keys here are ${alternatives(known, "and")}`
        : `did you mean "${near}"?`;
      return { ...spanOf(key ?? node), message: `unknown key "${name}": ${advice}` };
    });
  }
  if (!found) {
    // After a syntax error, what seems to be missing may just not have been read.
    if (broken) return [];
    return [{ ...startOf(node), message: `missing key "${label}": it ${issue.message}` }];
  }
  const values = issue.values?.filter((value) => typeof value === "string");
  if (issue.code === "invalid_value" && typeof node.value === "string" && values?.length) {
    const near = suggest(node.value, values);
    const advice = near === undefined
      ? `it may be ${alternatives(values.map((value) => `"${value}"`))}`
      : `did you mean "${near}"?`;
    return [{ ...spanOf(node), message: `unknown value "${node.value}": ${advice}` }];
  }
  const what = label === "" ? issue.message : `${label}: ${issue.message}`;
  return [{ ...(label === "" ? startOf(node) : spanOf(node)), message: what }];
}

function spanOf(node: Node): { offset: number; length: number } {
  return { offset: node.offset, length: node.length };
}

function startOf(node: Node): { offset: number; length: number } {
  return { offset: node.offset, length: 1 };
}

function placed(root: Node, { path, onKey, message }: Finding): Problem {
  const { node, key, found } = findProperty(root, path);
  if (!found || path.length === 0) return { ...startOf(node), message };
  return { ...spanOf(onKey === true ? key ?? node : node), message };
}
