// SPDX-License-Identifier: GPL-2.0-or-later
/** VMs that come, go, die and are refused: what is left behind must be nothing. */
import {
  awaitEnd,
  awaitText,
  background,
  codom,
  hello,
  hostile,
  hostWithGuests,
  leavesNothing,
  require,
  requireWorkload,
  runWorkload,
} from "./guest.ts";
import { PAIR } from "../../cli/host/vhost/qemu.ts";
import type { MachineTest } from "./table.ts";

const SOME = "fork_storm,pipes,mappings,cow,threads,dirty_file";

async function killed(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  for (const during of ["Run /init|co-init: up", "co-init: run", "ok cow", "ok avx2"]) {
    await background(host, "vm", codom({ append: "co.run=/workload" }));
    await awaitText(host, "vm", during.split("|").pop() ?? "");
    await host.must("kill -9 $(cat /tmp/vm.pid)");
    const { code } = await awaitEnd(host, "vm");
    require(code === 137, `codom ended with ${code}, not by the signal`);
    const now = await hello(host);
    require(
      now.get("held_pages") === "0",
      `killed at '${during}': ${now.get("held_pages")} pages held`,
    );
  }
  await runWorkload(host, {}, SOME);
  await leavesNothing(host);
}

/** MemFree after the last VM within 1 MiB of that after the 5th. */
async function soak(name: string, rounds: number): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  let fifth = 0;
  for (let round = 1; round <= rounds; round++) {
    await runWorkload(host, { append: "co.x" }, "fork_storm");
    if (round === 5) fifth = await host.memFree();
  }
  const last = await host.memFree();
  console.log(`MemFree ${fifth} kB after 5 VMs, ${last} kB after ${rounds}`);
  require(fifth - last <= 1024, `${fifth - last} kB leaked in ${rounds - 5} VMs`);
  await leavesNothing(host);
}

async function abuse(name: string): Promise<void> {
  await using host = await hostWithGuests({ name });
  await host.insmod();
  const { code, out } = await host.sh("/cotool abuse");
  const failed = out.split("\n").filter((line) => line.startsWith("FAIL"));
  require(code === 0, `the device took what it must refuse:\n${failed.join("\n") || out}`);
  await host.must("/cotool churn 30 64");
  await leavesNothing(host);
}

interface Refusal {
  name: string;
  /** Makes /tmp/kernel or /tmp/initrd first. */
  prepare?: string;
  kernel?: string;
  initrd?: string;
  memory?: string;
}

const KERNEL = "/6.1-cloud.elf";
const refusals: Refusal[] = [
  { name: "not a kernel", kernel: "/bin/sh" },
  { name: "text", prepare: "echo hello >/tmp/kernel", kernel: "/tmp/kernel" },
  { name: "empty", prepare: ": >/tmp/kernel", kernel: "/tmp/kernel" },
  { name: "absent", kernel: "/nowhere" },
  {
    name: "cut in its headers",
    prepare: `head -c 100 ${KERNEL} >/tmp/kernel`,
    kernel: "/tmp/kernel",
  },
  {
    name: "cut in its text",
    prepare: `head -c 5000000 ${KERNEL} >/tmp/kernel`,
    kernel: "/tmp/kernel",
  },
  {
    name: "corrupted program headers",
    prepare:
      `cp ${KERNEL} /tmp/kernel; yes | dd of=/tmp/kernel bs=1 seek=64 count=200 conv=notrunc`,
    kernel: "/tmp/kernel",
  },
  {
    name: "an initrd larger than memory",
    prepare: "dd if=/dev/zero of=/tmp/initrd bs=1M count=100",
    initrd: "/tmp/initrd",
    memory: "96",
  },
  { name: "memory of 1 MiB", memory: "1" },
  { name: "memory of 0", memory: "0" },
  { name: "memory of -1", memory: "-1" },
  { name: "memory below the kernel's need", memory: "32" },
  { name: "more memory than the host has", memory: "4096" },
];

async function badInput(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  for (const row of refusals) {
    if (row.prepare) await host.must(`{ ${row.prepare}; } 2>/dev/null`);
    const kernel = row.kernel ?? KERNEL;
    const { code, out } = await host.sh(
      `/codom -q ${kernel} ${row.initrd ?? "/6.1-cloud.initrd"} ${
        row.memory ?? "192"
      } console=hvc0 2>&1`,
    );
    await host.must("rm -f /tmp/kernel /tmp/initrd");
    require(code !== 0, `${row.name}: was accepted`);
    const lines = out.trim().split("\n").filter((l) => !l.startsWith("codom: build"));
    require(lines.length === 1 && lines[0] !== "", `${row.name}: not one error but:\n${out}`);
    require((await hello(host)).get("held_pages") === "0", `${row.name}: pages are held`);
  }
  await leavesNothing(host);
}

/** Each way a guest may end has its own code, and the host lives. */
async function endings(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  const ends: [string, number][] = [["off", 0], ["reboot", 11], ["panic", 13]];
  for (const [how, want] of ends) {
    const { code, out } = await host.sh(`${codom({ append: `co.end=${how}` })} 2>&1`);
    require(code === want, `a guest that ends by ${how}: codom exit code ${code}, not ${want}`);
    require(out.includes("co-init: ready"), `the guest did not start before ${how}`);
  }
  const { code, out } = await host.sh(`${hostile("only=9999")} 2>&1`);
  require(code === 0, `the hostile guest without an attack ended with ${code}:\n${out}`);
  await leavesNothing(host);
}

async function two(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud", "6.12-cloud");
  await host.insmod();
  await background(host, "one", codom({ append: "co.mark=one co.run=/workload" }));
  await background(host, "two", codom({ kernel: "6.12-cloud", append: "co.run=/workload" }));
  for (const vm of ["one", "two"]) {
    const { code, log } = await awaitEnd(host, vm);
    requireWorkload(log);
    require(code === 0, `VM ${vm} ended with ${code}`);
    const ups = log.match(/co-init: up/g)?.length;
    require(ups === 1, `VM ${vm}'s console shows ${ups} boots: consoles are mixed`);
  }
  await leavesNothing(host);
}

/** A VM that never gives the CPU back, in user and in kernel mode, starves nobody. */
async function starve(name: string, how: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  await background(host, "hog", codom({ append: `co.end=${how}` }));
  await awaitText(host, "hog", `co-init: end ${how}`);
  await host.must("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.2; done; cat /proc/uptime");
  await runWorkload(host, {}, SOME);
  require((await host.sh("[ -s /tmp/hog.rc ]")).code !== 0, "the hog ended by itself");
  await host.must("kill -9 $(cat /tmp/hog.pid)");
  await awaitEnd(host, "hog");
  await leavesNothing(host);
}

/**
 * A host with a CPU for guests: idle ones wait there, and ring at the other. Nothing is
 * lost that the workload would miss, two of them share it, and `kill -9` ends the wait.
 */
async function guestCpu(name: string): Promise<void> {
  const append = PAIR.filter((word) => !word.startsWith("colinux.")).join(" ");
  await using host = await hostWithGuests({ name, cpus: 2, append }, "6.1-cloud", "6.12-cloud");
  for (const bad of ["2", "9"]) {
    require((await host.sh(`insmod /colinux.ko guest_cpu=${bad}`)).code !== 0, `guest_cpu=${bad}`);
    await host.must(`dmesg | grep -q 'guest_cpu=${bad}: it takes a host of two CPUs, 0 and 1'`);
  }
  await host.insmod("protect=wp guest_cpu=1");
  await runWorkload(host, { paired: true });
  await runWorkload(host, { polled: true }, SOME);
  await runWorkload(host, {}, SOME);

  const load = "co.run=/workload,fork_storm,pipes,clocks,threads";
  await background(host, "one", codom({ paired: true, append: load }));
  await background(host, "two", codom({ paired: true, kernel: "6.12-cloud", append: load }));
  for (const vm of ["one", "two"]) {
    const { code, log } = await awaitEnd(host, vm);
    requireWorkload(log);
    require(code === 0, `VM ${vm} ended with ${code}`);
  }
  await background(host, "idle", codom({ paired: true, append: "co.run=/clock" }));
  await awaitText(host, "idle", "CLOCK ");
  // Each line of its clock is notices, and each of them rings at the host's CPU 0.
  const bells = "set -- $(grep RES: /proc/interrupts)";
  await host.must(`${bells}; n=$2; until [ $2 -gt $((n + 20)) ]; do sleep 0.1; ${bells}; done`);
  await host.must("killall -9 codom");
  await awaitEnd(host, "idle");
  await leavesNothing(host);
}

export const lifeTests: MachineTest[] = [
  { name: "kill-9", limit: 600, run: () => killed("kill-9") },
  { name: "leak", limit: 900, run: () => soak("leak", 12) },
  { name: "leak-50", limit: 3600, soak: true, run: () => soak("leak-50", 50) },
  { name: "abuse", limit: 300, run: () => abuse("abuse") },
  { name: "bad-input", limit: 300, run: () => badInput("bad-input") },
  { name: "endings", limit: 300, run: () => endings("endings") },
  { name: "guest-cpu", limit: 900, run: () => guestCpu("guest-cpu") },
  { name: "two-vms", limit: 900, run: () => two("two-vms") },
  { name: "starve-user", limit: 600, run: () => starve("starve-user", "spin-user") },
  { name: "starve-kernel", limit: 600, run: () => starve("starve-kernel", "spin-kernel") },
];
