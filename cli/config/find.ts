// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Which file `up FILE|NAME` means: the current folder first, then the user's,
 * the system's and the shipped definitions. Within one folder a name that fits
 * two files is an error that names both.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import type { Paths } from "../ui/paths.ts";
import { suggest } from "./suggest.ts";

export interface Found {
  /** Absolute path. */
  file: string;
  /** As messages name it: short when it is in the current folder. */
  shown: string;
}

const EXTENSION = /\.jsonc?$/;

export async function findDefinition(
  wanted: string,
  paths: Paths,
  cwd = Deno.cwd(),
): Promise<Found> {
  if (wanted === "") {
    throw new CliError("an empty name is not a definition", { name: "USAGE", exit: EXIT.usage });
  }
  const isFile = EXTENSION.test(wanted) || wanted.includes("/");
  // What is a path already, absolute or ./, means that file and no other.
  if (/^\.{0,2}\//.test(wanted)) return { file: absolute(cwd, wanted), shown: wanted };
  const folders = searched(paths, cwd);
  for (const folder of folders) {
    const found = isFile ? await asFile(folder, wanted) : await asName(folder, wanted);
    if (found !== undefined) {
      return { file: found, shown: folder === cwd ? found.slice(prefix(cwd)) : found };
    }
  }
  throw await notFound(wanted, folders);
}

function searched(paths: Paths, cwd: string): string[] {
  return [...new Set([cwd, paths.userConfigs, paths.systemConfigs, paths.shippedConfigs])];
}

function prefix(folder: string): number {
  return folder === "/" ? 1 : folder.length + 1;
}

function absolute(cwd: string, path: string): string {
  return path.startsWith("/") ? path : `${cwd === "/" ? "" : cwd}/${path}`;
}

async function asFile(folder: string, wanted: string): Promise<string | undefined> {
  const file = absolute(folder, wanted);
  try {
    await Deno.stat(file);
    return file;
  } catch {
    return undefined;
  }
}

/** A file NAME.jsonc, or one whose "name" is NAME. */
async function asName(folder: string, wanted: string): Promise<string | undefined> {
  const matches: string[] = [];
  for (const entry of await list(folder)) {
    const file = absolute(folder, entry);
    const stem = entry.replace(EXTENSION, "");
    const name = await nameIn(file);
    if (name === wanted || (name === undefined && stem === wanted)) matches.push(file);
  }
  if (matches.length > 1) {
    throw new CliError(`"${wanted}" is defined twice: ${matches.join(" and ")}`, {
      name: "AMBIGUOUS",
      hint: "name the file that is meant, or give one of them another name",
      exit: EXIT.config,
      data: { files: matches },
    });
  }
  return matches[0];
}

async function list(folder: string): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      if (EXTENSION.test(entry.name) && !entry.isDirectory) names.push(entry.name);
    }
  } catch {
    // A folder that is absent or closed to us holds nothing for us.
  }
  return names.sort();
}

/**
 * The "name" of a definition without checking the rest: only strings and
 * comments are told apart. A file without one goes by its own name.
 */
export function scanName(text: string): string | undefined {
  const tokens = /"(?:[^"\\\n]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\/|[{}[\]:]/g;
  let depth = 0;
  let key: string | undefined;
  let previous = "";
  for (const [token] of text.matchAll(tokens)) {
    if (token.startsWith("//") || token.startsWith("/*")) continue;
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (token === ":") key = previous;
    else if (depth === 1 && key === '"name"' && previous === ":") {
      try {
        return String(JSON.parse(token));
      } catch {
        return undefined;
      }
    }
    previous = token;
  }
  return undefined;
}

async function nameIn(file: string): Promise<string | undefined> {
  try {
    const info = await Deno.stat(file);
    // Other people's JSON may be in the current folder: look at small files only.
    if (!info.isFile || info.size > 65_536) return undefined;
    return scanName(await Deno.readTextFile(file));
  } catch {
    return undefined;
  }
}

async function notFound(wanted: string, folders: string[]): Promise<CliError> {
  const known = new Set<string>();
  for (const folder of folders) {
    for (const entry of await list(folder)) known.add(entry.replace(EXTENSION, ""));
  }
  for (const other of ["deno", "package", "schema", "default"]) known.delete(other);
  const near = suggest(wanted.replace(EXTENSION, ""), [...known]);
  return new CliError(`there is no definition "${wanted}"`, {
    name: "NOINPUT",
    hint: (near === undefined ? "" : `did you mean "${near}"? `) +
      `looked in ${folders.join(", ")}`,
    exit: EXIT.noInput,
    data: { searched: folders },
  });
}
