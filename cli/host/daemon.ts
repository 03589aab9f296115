// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What `colinux vhost-daemon` runs: one daemon per user and state folder,
 * started detached by virtual.ts through the CLI's wrapper. The lock is an
 * flock, so it ends with the process however that ends.
 */
import { makeDirs } from "../ui/dirs.ts";
import type { Paths } from "../ui/paths.ts";
import { Daemon } from "./vhost/daemon.ts";
import { layout } from "./vhost/layout.ts";

/** What virtual.ts waits for on the daemon's standard output. */
export const LISTENING = "listening";
export const BUSY = "busy";

/** Runs until the virtual host has stopped; the exit code. */
export async function runDaemon(paths: Paths): Promise<number> {
  await makeDirs(paths);
  const at = layout(paths);
  await Deno.mkdir(at.dir, { recursive: true, mode: 0o700 });
  await Deno.chmod(paths.run, 0o700);
  const lock = await Deno.open(at.lock, { create: true, write: true, mode: 0o600 });
  if (!await lock.tryLock(true)) {
    console.log(BUSY);
    return 0;
  }
  const daemon = new Daemon(paths, at);
  const stop = () => void daemon.stop("asked by a signal");
  Deno.addSignalListener("SIGTERM", stop);
  Deno.addSignalListener("SIGINT", stop);
  try {
    return await daemon.run(() => console.log(LISTENING));
  } finally {
    Deno.removeSignalListener("SIGTERM", stop);
    Deno.removeSignalListener("SIGINT", stop);
    lock.close();
  }
}
