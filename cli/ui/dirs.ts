// SPDX-License-Identifier: GPL-2.0-or-later
/** Makes the folders of paths.ts. A folder under /tmp may be a trap: it must be ours alone. */
import { CliError, EXIT } from "./errors.ts";
import type { Paths } from "./paths.ts";

export async function makeDirs(paths: Paths): Promise<void> {
  for (const path of [paths.state, paths.run, paths.cache]) await privateDir(path);
}

async function privateDir(path: string): Promise<void> {
  try {
    await Deno.mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) {
      const why = error instanceof Error ? error.message : String(error);
      throw new CliError(`cannot make the folder ${path}: ${why}`, {
        name: "STATEDIR",
        hint: "set COLINUX_HOME to a folder that is yours, or look at the rights of this one",
        exit: EXIT.cantCreate,
      });
    }
  }
  const info = await Deno.lstat(path);
  const uid = Deno.uid();
  if (!info.isDirectory || (info.uid !== null && info.uid !== uid && uid !== 0)) {
    throw new CliError(`${path} is not a folder of this user`, {
      name: "STATEDIR",
      hint: "set COLINUX_HOME to a folder that is yours",
      exit: EXIT.noPerm,
    });
  }
}
