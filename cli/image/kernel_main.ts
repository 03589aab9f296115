// SPDX-License-Identifier: GPL-2.0-or-later
// What the Makefile runs: `kernel_main.ts CACHE PACKAGE...` brings each kernel
// with its headers into the cache and prints one release a line.

import { PackageError } from "./deb.ts";
import { debianKernel } from "./kernel.ts";

if (import.meta.main) {
  const [cache, ...packages] = Deno.args;
  try {
    for (const name of packages) {
      console.log((await debianKernel(name, cache, { headers: true })).version);
    }
  } catch (error) {
    if (!(error instanceof PackageError)) throw error;
    console.error(`error: ${error.message}\nhint: ${error.hint}`);
    Deno.exit(69);
  }
}
