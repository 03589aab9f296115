// SPDX-License-Identifier: GPL-2.0-or-later
/** VMs as a person uses them, on the virtual host. */
import { require, requireMatch, Sandbox } from "./sandbox.ts";

export interface E2eTest {
  name: string;
  limit: number;
  /** Only with --soak. */
  soak?: boolean;
  run(): Promise<void>;
}

/** The two commands of the README, and what one does next. */
async function shell(): Promise<void> {
  await using box = await Sandbox.create("shell");
  const up = await box.must("up", "configs/minimal.jsonc");
  requireMatch(up.out + up.err, /colinux console/, "up says how to enter");
  requireMatch(up.err, /virtual host/, "up says why not natively");

  const { out } = await box.must("ls", "--json");
  const list = JSON.parse(out) as { vms: Record<string, unknown>[] };
  require(list.vms.length === 1, "ls shows one VM");
  require(list.vms[0]?.name === "minimal" && list.vms[0].state === "ready", `ls: ${out}`);
  const logs = await box.must("logs", "minimal");
  requireMatch(logs.out, /Booting (paravirtualized )?kernel on Xen/, "the guest's own log");
  require((await box.colinux("status", "minimal")).code === 0, "status of a running VM is 0");

  const piped = await box.input(
    "echo answer-$((6*7))\n",
    "console",
    "minimal",
    "--wait-for",
    "answer-42",
  );
  requireMatch(piped.out, /answer-42/, "a piped console");
  require(piped.code === 0, "a piped console ends with 0");
  const tty = await box.terminal("echo key-$((7*7))\r\x1dq", "console", "minimal");
  require(tty.code === 0, "the console in a terminal ends by ^] q");
  await box.input("\n", "console", "minimal", "--idle", "1s");
  requireMatch((await box.must("logs", "minimal")).out, /key-49/, "what was typed in a terminal");

  await box.must("up", "configs/minimal.jsonc");
  require(await box.qemus() === 1, "a second up starts no second QEMU");
  await box.must("stop", "minimal");
  require((await box.states()).minimal === "stopped", "after stop");
  require((await box.colinux("status", "minimal")).code === 3, "status of a stopped VM is 3");
  requireMatch((await box.must("logs", "minimal")).out, /on Xen/, "the log of a stopped VM");
  await box.must("rm", "minimal");
  require(Object.keys(await box.states()).length === 0, "after rm");
  await box.must("host", "stop");
  require(await box.qemus() === 0, "the virtual host is gone");
}

async function two(): Promise<void> {
  await using box = await Sandbox.create("two");
  const one = await box.guest("one", "co.stay", "co-init: ready");
  const other = await box.guest("other", "co.stay", "co-init: ready");
  await box.must("up", one);
  await box.must("up", other);
  const states = await box.states();
  require(states.one === "ready" && states.other === "ready", JSON.stringify(states));
  require(await box.qemus() === 1, "two VMs share one QEMU process");
  await box.input("echo only-$((1+0))\n", "console", "one", "--wait-for", "only-1");
  const log = await box.must("logs", "other");
  require(!log.out.includes("only-1"), "a VM's console shows another's input");
  const ambiguous = await box.colinux("console");
  require(ambiguous.code !== 0, "without a name, of two VMs, console must ask for one");
  await box.must("stop", "one", "--force");
  require((await box.states()).other === "ready", "the other VM goes on");
  await box.must("stop", "other", "--force");
}

/** More processes than the shadow pool has room for: slower, never standing still. */
async function crowd(): Promise<void> {
  await using box = await Sandbox.create("crowd");
  await box.must("up", "configs/minimal.jsonc");
  const piped = await box.input(
    "for i in $(seq 900); do sleep 9999 & done; echo forked-$((7*7)); " +
      "killall sleep; wait; echo gone-$((7*7))\n",
    "console",
    "--wait-for",
    "gone-49",
    "--timeout",
    "5m",
  );
  require(piped.code === 0, `the guest stands still: ${piped.err}`);
  requireMatch(piped.out, /forked-49/, "the crowd was there");
  await box.must("stop");
}

/** The whole workload behind the worker and its console, then a clean end. */
async function workload(): Promise<void> {
  await using box = await Sandbox.create("workload");
  const file = await box.guest(
    "work",
    "co.run=/workload,fork_storm,exec_storm,pipes,signals,threads,mappings,cow,ldt,clocks,ptrace_step",
    "WORKLOAD 10 passed, 0 failed",
  );
  await box.must("up", file, "--timeout", "5m");
  requireMatch((await box.must("logs", "work")).out, /WORKLOAD 10 passed/, "the workload");
  await box.must("wait", "work", "--for", "stopped", "--timeout", "1m");
}

/** A guest that panics: its reason in up's exit code, in status and in the log. */
async function panic(): Promise<void> {
  await using box = await Sandbox.create("panic");
  const file = await box.guest("broken", "co.end=panic", "never said");
  const up = await box.colinux("up", file);
  require(up.code === 1, `up of a guest that panics: exit code ${up.code}, not 1`);
  require(up.err.trim() !== "", "up says why");
  const { out } = await box.must("ls", "--json");
  requireMatch(out, /"state": ?"failed"/, "ls after a panic");
  requireMatch((await box.must("logs", "broken")).out, /Kernel panic/, "the guest's log");
  const status = await box.colinux("status", "broken");
  requireMatch(status.out + status.err, /crash|panic/i, "status gives the reason");
}

/** kill -9 of QEMU: a power cut of the virtual host; the next up works. */
async function powerCut(): Promise<void> {
  await using box = await Sandbox.create("cut");
  const data = `${box.home}/data.img`;
  await Deno.writeFile(data, new Uint8Array(1 << 20));
  const disks = `"disks": [ { "name": "data", "path": "${data}" } ],`;
  const file = await box.guest("vm", "co.stay", "co-init: ready", disks);
  await box.must("up", file);
  for (const process of await box.processes("qemu-system")) {
    Deno.kill(Number(process.split(" ")[0]), "SIGKILL");
  }
  const { code, err } = await box.colinux("status", "vm");
  require(code !== 0, "status after the host died is not 0");
  require(!/at .*\.ts:\d+/.test(err), "no stack trace for a person");
  await box.must("up", file);
  require((await box.states()).vm === "ready", "up after the host died");
}

export const vmTests: E2eTest[] = [
  { name: "shell", limit: 400, run: shell },
  { name: "two", limit: 400, run: two },
  { name: "crowd", limit: 500, run: crowd },
  { name: "workload", limit: 600, run: workload },
  { name: "panic", limit: 300, run: panic },
  { name: "power-cut", limit: 400, run: powerCut },
];
