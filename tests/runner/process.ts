// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Runs one command to its end with its output in a log.  `timeout` gives it a
 * process group of its own and ends the whole group, so a test that hangs
 * leaves no QEMU behind; called by the runner.
 */

const groups = new Set<number>();

export interface Ended {
  code: number;
  timedOut: boolean;
  seconds: number;
}

export async function runLogged(
  argv: readonly string[],
  log: string,
  limitSeconds: number,
): Promise<Ended> {
  const started = performance.now();
  // The shell only redirects; exec keeps `timeout` the leader of its group.
  const child = new Deno.Command("/bin/sh", {
    args: [
      "-c",
      'log=$1; shift; exec "$@" >"$log" 2>&1 </dev/null',
      "sh",
      log,
      "timeout",
      "--kill-after=10",
      String(limitSeconds),
      ...argv,
    ],
  }).spawn();
  groups.add(child.pid);
  const { code } = await child.status;
  groups.delete(child.pid);
  endGroup(child.pid, "SIGKILL");
  return {
    code,
    timedOut: code === 124 || code === 137,
    seconds: (performance.now() - started) / 1000,
  };
}

function endGroup(pid: number, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch {
    // Nothing of the group is left.
  }
}

/** Ends every test that runs now. */
export function endAll(): void {
  for (const pid of groups) endGroup(pid, "SIGKILL");
}
