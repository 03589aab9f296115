// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Kernel modules of an unpacked kernel package, with what they depend on, in
 * the order of loading. The packages hold no modules.dep, so the modules' own
 * .modinfo is read. Called by the image builders.
 */
import { packageError } from "./deb.ts";

export interface Module {
  name: string;
  data: Uint8Array;
}

const FILE = /^(.+)\.ko(\.xz|\.zst|\.gz)?$/;
const UNPACK: Record<string, string> = { ".xz": "xz", ".zst": "zstd", ".gz": "gzip" };

/** Kernel names use - and _ for the same thing. */
function canonical(name: string): string {
  return name.replaceAll("-", "_");
}

async function index(dir: string, into: Map<string, string>): Promise<void> {
  for await (const entry of Deno.readDir(dir)) {
    const path = `${dir}/${entry.name}`;
    if (entry.isDirectory) await index(path, into);
    const name = FILE.exec(entry.name)?.[1];
    if (name !== undefined) into.set(canonical(name), path);
  }
}

async function load(path: string): Promise<Uint8Array> {
  const program = UNPACK[FILE.exec(path)?.[2] ?? ""];
  if (program === undefined) return await Deno.readFile(path);
  const out = await new Deno.Command(program, { args: ["-dc", path], stderr: "null" }).output();
  if (!out.success) throw packageError(`${path}: ${program} cannot unpack it`, "is the disk full?");
  return out.stdout;
}

/** Names after `depends=` in the module's .modinfo. */
export function dependencies(data: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(data);
  const found = /\0depends=([^\0]*)\0/.exec(text)?.[1] ?? "";
  return found.split(",").filter((name) => name !== "").map(canonical);
}

/**
 * The modules `wanted` and all they need, each after its needs. A name that is
 * built into the kernel is left out; one that exists nowhere is an error.
 */
export async function closure(modules: string, wanted: string[]): Promise<Module[]> {
  const files = new Map<string, string>();
  await index(`${modules}/kernel`, files);
  const builtin = new Set(
    (await Deno.readTextFile(`${modules}/modules.builtin`)).split("\n")
      .map((line) => canonical(FILE.exec(line.split("/").at(-1) ?? "")?.[1] ?? "")),
  );
  const result = new Map<string, Module>();
  const add = async (name: string) => {
    if (result.has(name)) return;
    const path = files.get(name);
    if (path === undefined) {
      if (builtin.has(name)) return;
      throw packageError(
        `${modules}: this kernel has no module ${name}`,
        "use one of Debian's kernel packages",
      );
    }
    const data = await load(path);
    for (const need of dependencies(data)) await add(need);
    result.set(name, { name, data });
  };
  for (const name of wanted) await add(canonical(name));
  return [...result.values()];
}
