// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Two more doors into a sandbox's virtual host: its daemon's socket, and the
 * root shell inside (a sandbox made with DEBUG has one).
 */
import type { Sandbox } from "./sandbox.ts";

export const DEBUG = { COLINUX_VHOST_DEBUG: "1" };

export type Answer = { ok?: Record<string, unknown>; error?: Record<string, unknown> };

/** What the CLI asks of the daemon, by hand; progress is passed over. */
export async function askDaemon(box: Sandbox, request: Record<string, unknown>): Promise<Answer> {
  const path = `${box.home}/state/run/daemon.sock`;
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode(JSON.stringify(request) + "\n"));
  let text = "";
  for await (const chunk of conn.readable.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    for (const line of text.split("\n").slice(0, -1)) {
      const answer = JSON.parse(line) as Answer;
      if (answer.ok === undefined && answer.error === undefined) continue;
      console.log(`daemon ${JSON.stringify(request)}: ${line}`);
      return answer;
    }
  }
  throw new Error(`the daemon has hung up: ${text}`);
}

/** Runs one line as root inside; throws when it fails. */
export async function inside(box: Sandbox, line: string): Promise<string> {
  using conn = await Deno.connect({
    transport: "unix",
    path: `${box.home}/state/run/debug.sock`,
  });
  await conn.write(new TextEncoder().encode(line + "\n"));
  let text = "";
  const buffer = new Uint8Array(4096);
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) throw new Error(`the shell inside has hung up: ${text}`);
    text += new TextDecoder().decode(buffer.subarray(0, count)).replaceAll("\r", "");
    const code = /<rc (\d+)>\n$/.exec(text)?.[1];
    if (code === undefined) continue;
    const said = text.replace(/<rc \d+>\n$/, "");
    console.log(`inside: ${line}\n${said}(exit code ${code})`);
    if (code !== "0") throw new Error(`inside: ${line}: exit code ${code}: ${said}`);
    return said;
  }
}
