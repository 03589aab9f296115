// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The disks that coLinux makes for a definition: created when they are absent,
 * grown when the definition has grown, never shrunk, never written again.
 * Called by create.ts before the VM is made.
 */
import type { Definition, DiskDefinition } from "../config/definition.ts";
import { showSize } from "../config/size.ts";
import { grow } from "../image/ext4.ts";
import { must } from "../image/process.ts";
import type { Context } from "../ui/context.ts";
import { diskPath } from "./devices.ts";
import { vmFolder } from "./records.ts";

export async function prepareDisks(
  context: Pick<Context, "paths" | "progress" | "signal">,
  definition: Definition,
): Promise<void> {
  const { name } = definition;
  for (const disk of definition.disks ?? []) {
    if (disk.path !== undefined || disk.size === undefined) continue;
    const path = diskPath(context.paths, name, disk);
    const there = await sizeOf(path);
    if (there === undefined) {
      context.progress(`${name}: making the disk ${disk.name} (${showSize(disk.size)})`);
      await Deno.mkdir(vmFolder(context.paths, name), { recursive: true, mode: 0o700 });
      await make(path, disk, disk.size, context.signal);
    } else if (there < disk.size) {
      context.progress(
        `${name}: the disk ${disk.name} grows from ${showSize(there)} to ${showSize(disk.size)}`,
      );
      if (disk.format === "ext4") await grow(path, disk.size, context.signal);
      else await Deno.truncate(path, disk.size);
    } else if (there > disk.size) {
      context.progress(`${name}: the disk ${disk.name} stays at ${showSize(there)}: none shrinks`);
    }
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    return (await Deno.stat(path)).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function make(
  path: string,
  disk: DiskDefinition,
  size: number,
  signal: AbortSignal,
): Promise<void> {
  const fresh = `${path}.new`;
  const folder = path.slice(0, path.lastIndexOf("/"));
  try {
    await Deno.writeFile(fresh, new Uint8Array(), { mode: 0o600 });
    await Deno.truncate(fresh, size);
    if (disk.format === "ext4") {
      const args = ["-q", "-F", "-t", "ext4", "-L", disk.name, "-m", "0", fresh];
      await must(`making the disk ${disk.name}`, "mke2fs", args, { cwd: folder, signal });
    }
    await must(`making the disk ${disk.name}`, "sync", ["--", fresh]);
    await Deno.rename(fresh, path);
    await must(`making the disk ${disk.name}`, "sync", ["--", folder]);
  } finally {
    await Deno.remove(fresh).catch(() => {});
  }
}
