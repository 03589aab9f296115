// SPDX-License-Identifier: GPL-2.0-or-later
// What the Makefile runs: `kernel_main.ts CACHE PACKAGE...` brings each kernel
// with its headers into the cache and prints one release a line.

import { CliError, EXIT } from "../ui/errors.ts";
import { debianKernel } from "./kernel.ts";

if (import.meta.main) {
  const [cache, ...packages] = Deno.args;
  if (cache === undefined) Deno.exit(EXIT.usage);
  try {
    const all = async () => {
      const found: string[] = [];
      for (const name of packages) {
        found.push((await debianKernel(name, cache, { headers: true })).version);
      }
      return found;
    };
    // A later package may have had apt's lists fetched anew: then the earlier names may mean
    // newer kernels, as they will for whoever asks next.  What has not changed costs nothing.
    await all();
    for (const release of await all()) console.log(release);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    console.error(`error: ${error.message}\nhint: ${error.hint ?? ""}`);
    Deno.exit(error.exit);
  }
}
