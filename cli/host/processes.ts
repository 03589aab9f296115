// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Who on this machine has a file open or listens on a port, as far as this
 * user may see it: for messages about what is in use. Deno may not look into
 * /proc, so find(1) does. Elsewhere than on Linux nothing is known.
 */

export interface Process {
  pid: number;
  /** Its command line, cut. */
  command: string;
}

const COMMAND_LENGTH = 60;
/** A machine with very many processes must not hold up an error message. */
const LOOK_MS = 5_000;

async function shell(script: string, ...args: string[]): Promise<string> {
  try {
    const child = new Deno.Command("sh", {
      args: ["-c", script, "sh", ...args],
      cwd: "/",
      stdin: "null",
      stdout: "piped",
      stderr: "null",
      signal: AbortSignal.timeout(LOOK_MS),
    });
    return new TextDecoder().decode((await child.output()).stdout);
  } catch {
    return "";
  }
}

const OPENED = `find /proc/[0-9]*/fd -lname "$1" -printf '%h\\n' 2>/dev/null | sort -u |
while IFS=/ read -r _ _ pid _; do
	printf '%s ' "$pid"; tr '\\0\\n' '  ' < "/proc/$pid/cmdline"; echo
done`;

/** Processes whose descriptors are links to `target`. */
async function openers(target: string): Promise<Process[]> {
  if (Deno.build.os !== "linux") return [];
  // A pattern of find's: what is special in one must not be.
  return parseProcesses(await shell(OPENED, target.replaceAll(/[[\]*?\\]/g, "\\$&")));
}

/** Lines "PID COMMAND", as the script above writes them. */
export function parseProcesses(text: string): Process[] {
  const found: Process[] = [];
  for (const line of text.split("\n")) {
    const [, pid, words = ""] = /^(\d+) (.*)$/.exec(line) ?? [];
    if (pid === undefined) continue;
    const whole = words.trim().replaceAll(/[^\x20-\x7e]/g, "?");
    const command = whole.length > COMMAND_LENGTH ? `${whole.slice(0, COMMAND_LENGTH)}…` : whole;
    found.push({ pid: Number(pid), command });
  }
  return found;
}

/** Those that have the file open; its path as realpath gives it. */
export async function filesUsers(path: string): Promise<Process[]> {
  return await openers(path);
}

/** Those that have the socket of that inode. */
export async function socketOwners(inode: string): Promise<Process[]> {
  return await openers(`socket:[${inode}]`);
}

/** The kernel's tables of sockets: tcp, tcp6, udp or udp6. */
export async function socketTable(name: string): Promise<string> {
  return Deno.build.os === "linux" ? await shell('cat "/proc/net/$1"', name) : "";
}

/** "pid 12 (nginx -g daemon off;)", joined; "" for none. */
export function showProcesses(list: readonly Process[]): string {
  return list.map(({ pid, command }) => `pid ${pid}${command === "" ? "" : ` (${command})`}`)
    .join(", ");
}
