// SPDX-License-Identifier: GPL-2.0-or-later
/** File systems in files of VMs that do not run: made, repaired, grown. */
import { CliError, EXIT } from "../ui/errors.ts";
import { must, run } from "./process.ts";

/** Replays the journal of a guest that ended hard, and checks all of it if `whole`. */
export async function repair(file: string, whole = false): Promise<void> {
  const { code, lines } = await run("e2fsck", ["-p", ...(whole ? ["-f"] : []), file]);
  if (code <= 1) return;
  throw new CliError(`the file system in ${file} is damaged`, {
    name: "IMAGE",
    hint: `e2fsck -f ${file} may repair it`,
    exit: EXIT.io,
    detail: lines.slice(-10).join("\n"),
  });
}

/** Makes the file and its file system larger; both stay as they are if it fails. */
export async function grow(file: string, size: number, signal: AbortSignal): Promise<void> {
  const before = (await Deno.stat(file)).size;
  await repair(file, true);
  await Deno.truncate(file, size);
  try {
    await must(`growing ${file}`, "resize2fs", [file], { signal });
  } catch (error) {
    // Nothing beyond the old end was written unless all of it was.
    if (signal.aborted) throw error;
    await Deno.truncate(file, before);
    throw error;
  }
}
