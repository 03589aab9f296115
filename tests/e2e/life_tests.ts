// SPDX-License-Identifier: GPL-2.0-or-later
/** VMs that get ready, unwell, killed, and run again by themselves. */
import { require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

interface Vm {
  state: string;
  restarts?: number;
  reason?: string;
  waiting?: string;
}

/** "": there is none of that name yet. */
async function vm(box: Sandbox, name: string): Promise<Vm> {
  const { code, out } = await box.colinux("status", name, "--json");
  return code === 4 ? { state: "" } : JSON.parse(out).vm as Vm;
}

/** Ends when it is so; the runner's limit ends the wait otherwise. */
async function until(box: Sandbox, name: string, isSo: (vm: Vm) => boolean): Promise<Vm> {
  for (;;) {
    const now = await vm(box, name);
    if (isSo(now)) return now;
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}

/** One line to the root shell of the virtual host. */
async function inHost(box: Sandbox, command: string): Promise<void> {
  const path = `${box.home}/state/run/debug.sock`;
  using conn = await Deno.connect({ transport: "unix", path });
  await conn.write(new TextEncoder().encode(`${command}\n`));
  const text = new TextDecoder();
  const buffer = new Uint8Array(4096);
  for (let seen = ""; !/<rc \d+>/.test(seen);) {
    const count = await conn.read(buffer);
    require(count !== null, `the virtual host's shell has gone: ${seen}`);
    seen += text.decode(buffer.subarray(0, count), { stream: true });
  }
}

/** A crash, a worker and a colinuxd that are killed: what runs again, and what does not. */
async function again(): Promise<void> {
  await using box = await Sandbox.create("again", { COLINUX_VHOST_DEBUG: "1" });
  const crash = "co.run=/bin/busybox,sleep,3 co.end=panic";
  const crashing = await box.guest("crash", crash, "co-init: ready", '"restart": "on-failure",');
  const stays = await box.guest("stays", "co.stay", "co-init: ready", '"restart": "always",');
  await box.must("up", crashing);
  const once = await until(box, "crash", (now) => (now.restarts ?? 0) > 0);
  requireMatch(once.reason ?? "", /Kernel panic/, "why it was started again");
  await box.must("wait", "crash", "--for", "ready", "--timeout", "3m");
  await box.must("stop", "crash", "--force");
  require((await box.colinux("status", "crash")).code === 3, "status after the stop");

  await box.must("up", stays);
  await inHost(box, "killall -9 colinux-worker");
  const back = await until(box, "stays", (now) => (now.restarts ?? 0) > 0);
  requireMatch(back.reason ?? "", /worker was killed by signal 9/, "why it was started again");
  await box.must("wait", "stays", "--for", "ready", "--timeout", "3m");
  await box.must("restart", "stays", "--force");
  require((await vm(box, "stays")).state === "ready", "after a restart");
  require((await vm(box, "crash")).state === "stopped", "what was stopped stays so");

  await inHost(box, "killall -9 colinuxd");
  const lost = await until(box, "stays", (now) => now.state === "failed");
  requireMatch(lost.reason ?? "", /colinuxd there, ended/, "status after colinuxd was killed");
  await box.must("up", stays);
  require((await vm(box, "stays")).state === "ready", "up after colinuxd was killed");
}

/** Ready is what a server in the guest answers; a server that falls silent is told of. */
async function ready(): Promise<void> {
  await using box = await Sandbox.create("ready");
  const file = await box.write(
    "web.jsonc",
    `{ "name": "web", "memory": "128 MiB", "initrd": "builtin:shell",
  "kernel": { "package": "linux-image-cloud-amd64" },
  "ready": { "tcp": [{ "port": 25, "expect": "220 " }] },
  "health": { "interval": "1s", "failures": 2 } }\n`,
  );
  const guest = async (command: string) =>
    await box.must("exec", "web", "--timeout", "1m", "--", "sh", "-c", command);
  const serve = (words: string) =>
    guest(`setsid nc -ll -p 25 -e echo '${words}' </dev/null >/dev/null 2>&1 &`);

  const up = box.colinux("up", file);
  const refused = await until(box, "web", ({ waiting }) => /^port 25: /.test(waiting ?? ""));
  require(refused.state === "running", "without a server");
  await guest("ip link set lo up");
  await serve("421 busy");
  const busy = await until(box, "web", ({ waiting }) => /421/.test(waiting ?? ""));
  require(busy.state === "running", "a server that is not ready");
  await guest("killall nc");
  await serve("220 hello");
  requireMatch((await up).out, /^web is ready\.\n/, "up ends when the server answers");
  await guest("killall nc");
  const ill = await until(box, "web", (now) => now.state === "running");
  requireMatch(ill.reason ?? "", /^port 25 has not answered for \d+ s: /, "why it is not ready");
  await serve("220 hello");
  await box.must("wait", "web", "--for", "ready", "--timeout", "3m");
  require((await vm(box, "web")).reason === undefined, "well again, and nothing to say");
  await box.must("stop", "web", "--force");
}

export const lifeTests: E2eTest[] = [
  { name: "again", limit: 600, run: again },
  { name: "ready", limit: 600, run: ready },
];
