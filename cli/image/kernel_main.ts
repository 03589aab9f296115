// SPDX-License-Identifier: GPL-2.0-or-later
// What the Makefile runs: `kernel_main.ts CACHE PACKAGE...` brings each kernel
// with its headers into the cache and prints one release a line.

import { CliError, EXIT } from "../ui/errors.ts";
import { debianKernel } from "./kernel.ts";

if (import.meta.main) {
  const [cache, ...packages] = Deno.args;
  if (cache === undefined) Deno.exit(EXIT.usage);
  try {
    for (const name of packages) {
      console.log((await debianKernel(name, cache, { headers: true })).version);
    }
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    console.error(`error: ${error.message}\nhint: ${error.hint ?? ""}`);
    Deno.exit(error.exit);
  }
}
