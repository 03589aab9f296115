// SPDX-License-Identifier: GPL-2.0-or-later
/** What both hosts check of a disk before they use it. Called by local.ts and virtual.ts. */
import { CliError, EXIT } from "../ui/errors.ts";
import type { DiskRequest } from "./host.ts";

const SECTOR = 512;

/** The request with the disk's real path. Devices are the host's to judge: Deno may not see them. */
export async function checkDisk(request: DiskRequest): Promise<DiskRequest> {
  const { path, name, readOnly } = request;
  if (path.startsWith("/dev/")) return request;
  const bad = (why: string, hint: string, code: "NOENT" | "PERM" | "INVAL", exit: number) =>
    new CliError(`disk ${name}: ${path} ${why}`, { name: code, hint, exit });
  let real: string;
  try {
    real = await Deno.realPath(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw bad("does not exist", "name a disk image or a block device", "NOENT", EXIT.noInput);
  }
  if (real.startsWith("/dev/")) return { ...request, path: real };
  const { isFile, size, mode } = await Deno.stat(real);
  if (!isFile) {
    throw bad("is not a file", "name a disk image or a block device", "NOENT", EXIT.noInput);
  }
  if (size === 0 || size % SECTOR !== 0) {
    const hint = `a disk image is a whole number of sectors: truncate -s %${SECTOR} FILE`;
    throw bad(size === 0 ? "is empty" : `has ${size} bytes`, hint, "INVAL", EXIT.data);
  }
  // root could write it all the same: that is not what its owner wants.
  if (!readOnly && mode !== null && (mode & 0o222) === 0) {
    throw bad("is read-only", 'chmod u+w it, or say "readOnly": true', "PERM", EXIT.noPerm);
  }
  return { ...request, path: real };
}
