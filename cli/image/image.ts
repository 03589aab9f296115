// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Kernels and initrds for definitions: files as they are, kernels out of Debian
 * packages through the cache, initrds that make built. Called by `up`.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import { exists } from "./deb.ts";
import { debianKernel } from "./kernel.ts";
import type { ImageProviderFactory } from "./provider.ts";

const BUILTINS = ["shell"] as const;

async function readable(path: string, what: string): Promise<string> {
  try {
    if ((await Deno.stat(path)).isFile) return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CliError(`${what} ${path}: no such file`, {
      name: "NOENT",
      hint: "a path in a definition is relative to the definition's folder",
      exit: EXIT.noInput,
    });
  }
  throw new CliError(`${what} ${path}: not a file`, {
    name: "NOENT",
    hint: "name a kernel or initrd file",
    exit: EXIT.noInput,
  });
}

export const imageProvider: ImageProviderFactory = (context) => ({
  builtins: BUILTINS,

  async kernelFor(spec) {
    if ("file" in spec) return await readable(spec.file, "kernel");
    context.progress(`kernel: the newest of ${spec.package}`);
    return (await debianKernel(spec.package, context.paths.cache)).vmlinuz;
  },

  async initrdFor(spec, _kernel) {
    if ("file" in spec) return await readable(spec.file, "initrd");
    if (!BUILTINS.some((name) => name === spec.builtin)) {
      throw new CliError(`builtin:${spec.builtin}: there is no such initrd`, {
        name: "NOENT",
        hint: `there is builtin:${BUILTINS.join(", builtin:")}`,
        exit: EXIT.data,
      });
    }
    const path = `${context.paths.lib}/images/${spec.builtin}.initrd`;
    if (await exists(path)) return path;
    throw new CliError(`${path}: no such file`, {
      name: "INSTALLATION",
      hint: "run make, or install again",
      exit: EXIT.software,
    });
  },
});
