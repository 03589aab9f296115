// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Keeps `up` and the end of the virtual host apart: whoever makes a VM holds
 * the lock shared, whoever ends an idle host holds it alone. flock: the kernel
 * drops it with the process.
 */
import { makeDirs } from "../ui/dirs.ts";
import type { Paths } from "../ui/paths.ts";

export interface Lock {
  [Symbol.dispose](): void;
}

async function open(paths: Paths): Promise<Deno.FsFile> {
  await makeDirs(paths);
  return await Deno.open(`${paths.state}/host.lock`, { create: true, write: true, mode: 0o600 });
}

/** Waits until no host is being ended. */
export async function shareHost(paths: Paths): Promise<Lock> {
  const file = await open(paths);
  await file.lock(false);
  return { [Symbol.dispose]: () => file.close() };
}

/** Undefined when somebody is making a VM right now. */
export async function ownHost(paths: Paths): Promise<Lock | undefined> {
  const file = await open(paths);
  if (await file.tryLock(true)) return { [Symbol.dispose]: () => file.close() };
  file.close();
  return undefined;
}

/** One `up` of a VM at a time; the second one finds it running. */
export async function lockVm(paths: Paths, name: string): Promise<Lock> {
  await Deno.mkdir(`${paths.state}/vms`, { recursive: true, mode: 0o700 });
  const file = await Deno.open(`${paths.state}/vms/${name}.lock`, {
    create: true,
    write: true,
    mode: 0o600,
  });
  await file.lock(true);
  return { [Symbol.dispose]: () => file.close() };
}
