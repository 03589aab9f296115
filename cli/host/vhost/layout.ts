// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Names that the daemon, QEMU's command line and the programs inside share.
 * cli/wrapper.sh grants these sockets by name: keep the two in step.
 */
import type { Paths } from "../../ui/paths.ts";

/** Streams to colinuxd at once; a virtio-serial device has 31 ports. */
export const PORTS = 28;
/** Disks and NICs at once: two PCI bridges of 31 slots. */
export const BRIDGES = 2;
export const SLOTS = 31;
/**
 * QEMU's thread for all disks. In its main loop each request would wait until
 * the emulated CPU lets go of QEMU's one lock: many times longer on a busy machine.
 */
export const DISK_THREAD = "disks";

/** The line that colinux-relay writes when it has opened a port. */
export const BANNER = "colinux-relay 1\n";

export interface Layout {
  /** The CLI talks to the daemon here. */
  daemon: string;
  qmp: string;
  ctl: string;
  debug: string;
  port(index: number): string;
  /** Held by the daemon as long as it lives. */
  lock: string;
  dir: string;
  console: string;
  log: string;
  verdicts: string;
}

export function layout(paths: Pick<Paths, "state" | "run" | "cache">): Layout {
  const dir = `${paths.state}/vhost`;
  return {
    daemon: `${paths.run}/daemon.sock`,
    qmp: `${paths.run}/qmp.sock`,
    ctl: `${paths.run}/ctl.sock`,
    debug: `${paths.run}/debug.sock`,
    port: (index) => `${paths.run}/port${index}.sock`,
    dir,
    lock: `${dir}/lock`,
    console: `${dir}/console.log`,
    log: `${dir}/daemon.log`,
    verdicts: `${paths.cache}/accelerators.json`,
  };
}

/** Removes a socket that an earlier daemon left behind; needs the lock. */
export async function removeSocket(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export function listen(path: string): Deno.UnixListener {
  return Deno.listen({ transport: "unix", path });
}

const LOOK_MS = 10_000;

/** Calls `then` when the file is gone: a daemon that nobody can reach must not stay. */
export function watchOver(path: string, then: () => void): ReturnType<typeof setInterval> {
  const timer = setInterval(() => {
    Deno.lstat(path).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) return;
      clearInterval(timer);
      then();
    });
  }, LOOK_MS);
  return timer;
}
