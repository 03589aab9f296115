// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A definition file to a checked Definition. Distrusts the file; reports every
 * problem of it at once. Loaded lazily by up and validate.
 */
import type { Node } from "#jsonc";
import type { InitrdSpec, KernelSpec } from "../image/provider.ts";
import { isRecord } from "../rpc/errors.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { alternatives } from "../ui/text.ts";
import { definitionError, type Problem } from "./report.ts";
import { DEFAULTS, definitionSchema, MAX_MEMORY, NAME_PATTERN } from "./schema.ts";
import { parseSize, showSize } from "./size.ts";
import { suggest } from "./suggest.ts";
import { findProperty, readTree } from "./tree.ts";

export interface Definition {
  /** Absolute path of the file. */
  file: string;
  name: string;
  memory: number;
  vcpus: number;
  kernel: KernelSpec;
  initrd?: InitrdSpec;
  cmdline: string;
  ready?: { console: string };
}

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
  const { root, value, problems } = readTree(text);
  if (root !== undefined) {
    const broken = problems.length > 0;
    const result = definitionSchema.safeParse(value);
    for (const issue of result.error?.issues ?? []) {
      problems.push(...problemsOf(root, issue as Issue, broken));
    }
    problems.push(...await checkSurroundings(root, file, value));
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

/** The keys that may stand in the object at a path. */
function knownKeys(path: readonly PropertyKey[]): string[] {
  if (path.length === 0) return Object.keys(definitionSchema.shape);
  if (path[0] === "kernel") return ["package"];
  if (path[0] === "ready") return ["console"];
  return [];
}

function problemsOf(root: Node, issue: Issue, broken: boolean): Problem[] {
  const { node, found } = findProperty(root, issue.path);
  const label = issue.path.map(String).join(".");
  if (issue.code === "unrecognized_keys") {
    const known = knownKeys(issue.path);
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

function resolve(file: string, data: ReturnType<typeof definitionSchema.parse>): Definition {
  const folder = folderOf(file);
  const size = parseSize(data.memory ?? DEFAULTS.memory);
  const builtin = /^builtin:(.*)$/.exec(data.initrd ?? "")?.[1];
  // The schema has checked the shape; unknown is what lets it report well.
  const kernel = data.kernel as string | { package: string };
  const definition: Definition = {
    file,
    name: data.name ?? stem(file),
    memory: "bytes" in size ? size.bytes : 0,
    vcpus: data.vcpus ?? DEFAULTS.vcpus,
    kernel: typeof kernel === "string" ? { file: absolute(folder, kernel) } : kernel,
    cmdline: data.cmdline ?? DEFAULTS.cmdline,
  };
  if (builtin !== undefined) definition.initrd = { builtin };
  else if (data.initrd !== undefined) definition.initrd = { file: absolute(folder, data.initrd) };
  if (data.ready !== undefined) definition.ready = data.ready;
  return definition;
}

/** mailserver for /x/mailserver.jsonc. */
export function stem(file: string): string {
  return file.slice(file.lastIndexOf("/") + 1).replace(/\.jsonc?$/, "");
}

function folderOf(file: string): string {
  return file.slice(0, file.lastIndexOf("/")) || "/";
}

function absolute(folder: string, path: string): string {
  return path.startsWith("/") ? path : `${folder === "/" ? "" : folder}/${path}`;
}

/** What the schema cannot know: files, this machine's memory, the file's own name. */
async function checkSurroundings(root: Node, file: string, value: unknown): Promise<Problem[]> {
  if (!isRecord(value)) return [];
  const problems: Problem[] = [];
  const span = (key: string) => spanOf(findProperty(root, [key]).node);
  if (value.name === undefined && !NAME_PATTERN.test(stem(file))) {
    const message = `missing key "name": the file's name "${
      stem(file)
    }" cannot be the name of a VM`;
    problems.push({ ...startOf(root), message });
  }
  for (const key of ["kernel", "initrd"] as const) {
    const path = value[key];
    if (typeof path !== "string" || path === "" || path.startsWith("builtin:")) continue;
    const problem = await fileProblem(absolute(folderOf(file), path));
    if (problem !== undefined) problems.push({ ...span(key), message: `${key}: ${problem}` });
  }
  const memory = value.memory;
  if (typeof memory === "string" || typeof memory === "number") {
    const size = parseSize(memory);
    const { total } = Deno.systemMemoryInfo();
    if ("bytes" in size && size.bytes <= MAX_MEMORY && size.bytes >= total) {
      const message = `memory: ${showSize(size.bytes)} is more than this machine has ` +
        `(${showSize(total)})`;
      problems.push({ ...span("memory"), message });
    }
  }
  return problems;
}

async function fileProblem(path: string): Promise<string | undefined> {
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory) return `${path} is a folder`;
    if (info.isFile && info.size === 0) return `${path} is empty`;
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return `${path} may not be read`;
    return `no such file: ${path}`;
  }
}
