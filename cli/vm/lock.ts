// SPDX-License-Identifier: GPL-2.0-or-later
/** Keeps two `up`s of one VM apart. flock: the kernel drops it with the process. */
import type { Paths } from "../ui/paths.ts";

/** One at a time; the second one finds the VM running. */
export async function lockVm(paths: Paths, name: string): Promise<Disposable> {
  await Deno.mkdir(`${paths.state}/vms`, { recursive: true, mode: 0o700 });
  const file = await Deno.open(`${paths.state}/vms/${name}.lock`, {
    create: true,
    write: true,
    mode: 0o600,
  });
  await file.lock(true);
  return { [Symbol.dispose]: () => file.close() };
}
