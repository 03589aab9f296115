// SPDX-License-Identifier: GPL-2.0-or-later
/** What the schema cannot know: files, this machine's memory, the definition's own name. */
import { isRecord } from "../rpc/errors.ts";
import type { Finding } from "./consistency.ts";
import { absolute, folderOf, isInline, stem } from "./resolve.ts";
import { MAX_MEMORY, NAME_PATTERN } from "./schema.ts";
import { parseSize, showSize } from "./size.ts";

export async function checkSurroundings(
  file: string,
  value: Record<string, unknown>,
): Promise<Finding[]> {
  const found: Finding[] = [];
  if (value.name === undefined && !NAME_PATTERN.test(stem(file))) {
    const message = `missing key "name": the file's name "${
      stem(file)
    }" cannot be the name of a VM`;
    found.push({ path: [], message });
  }
  for (const { path, text } of namedFiles(value)) {
    if (text === "") continue;
    const problem = await fileProblem(absolute(folderOf(file), text));
    if (problem !== undefined) found.push({ path, message: `${path.join(".")}: ${problem}` });
  }
  const problem = memoryProblem(value.memory);
  if (problem !== undefined) found.push({ path: ["memory"], message: problem });
  return found;
}

function memoryProblem(memory: unknown): string | undefined {
  if (typeof memory !== "string" && typeof memory !== "number") return undefined;
  const size = parseSize(memory);
  const { total } = Deno.systemMemoryInfo();
  if (!("bytes" in size) || size.bytes > MAX_MEMORY || size.bytes < total) return undefined;
  return `memory: ${showSize(size.bytes)} is more than this machine has (${showSize(total)})`;
}

/** Every string of the definition that names a file on this machine. */
function namedFiles(value: Record<string, unknown>): { path: PropertyKey[]; text: string }[] {
  const named: { path: PropertyKey[]; text: string }[] = [];
  const add = (path: PropertyKey[], text: unknown) => {
    if (typeof text === "string") named.push({ path, text });
  };
  add(["kernel"], value.kernel);
  if (!String(value.initrd).startsWith("builtin:")) add(["initrd"], value.initrd);
  const { image, disks } = value;
  add(["image"], image);
  if (isRecord(image)) {
    if (isRecord(image.files)) {
      for (const [name, entry] of Object.entries(image.files)) {
        if (isRecord(entry)) add(["image", "files", name, "from"], entry.from);
      }
    }
    for (const [index, script] of (Array.isArray(image.scripts) ? image.scripts : []).entries()) {
      if (!isInline(String(script))) add(["image", "scripts", index], script);
    }
  }
  for (const [index, disk] of (Array.isArray(disks) ? disks : []).entries()) {
    if (isRecord(disk)) add(["disks", index, "path"], disk.path);
  }
  return named;
}

async function fileProblem(path: string): Promise<string | undefined> {
  try {
    const info = await Deno.stat(path);
    if (info.isDirectory) return `${path} is a folder`;
    if (info.isFile && info.size === 0) return `${path} is empty`;
    return undefined;
  } catch (error) {
    if (error instanceof Deno.errors.PermissionDenied) return `${path} may not be read`;
    // Devices are there, though Deno may not look at them.
    if (error instanceof Deno.errors.NotCapable && path.startsWith("/dev/")) return undefined;
    return `no such file: ${path}`;
  }
}
