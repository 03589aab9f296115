// SPDX-License-Identifier: GPL-2.0-or-later
/** What happens to a host: NMIs, floods of interrupts, suspend, machine checks, KVM. */
import {
  awaitEnd,
  awaitText,
  background,
  codom,
  hello,
  hostWithGuests,
  leavesNothing,
  require,
  requireWorkload,
} from "./guest.ts";
import type { Host } from "./host.ts";
import { exists, kernelDir } from "./paths.ts";
import type { MachineTest } from "./table.ts";

const BUSY = "fork_storm,exec_storm,pipes,signals,mappings,cow,sse,threads,clocks,ptrace_step";

async function finish(host: Host, vm: string): Promise<void> {
  const { code, log } = await awaitEnd(host, vm);
  requireWorkload(log);
  require(code === 0, `the guest ended with ${code}`);
}

function sum(interrupts: string, row: string): number {
  const line = interrupts.split("\n").find((l) => l.trim().startsWith(`${row}:`)) ?? "";
  return (line.match(/\b\d+\b/g) ?? []).reduce((n, word) => n + Number(word), 0);
}

/**
 * NMIs in bursts, which the CPU may merge, and then one by one: each of those
 * must reach the host's own handler (it counts them), or this waits for ever.
 */
async function nmis(name: string): Promise<void> {
  await using host = await hostWithGuests({ name, append: "loglevel=3" }, "6.1-cloud");
  await host.insmod();
  await background(host, "vm", codom({ append: `co.run=/workload,${BUSY}` }));
  await awaitText(host, "vm", "co-init: run");
  const count = async () => sum(await host.must("cat /proc/interrupts"), "NMI");
  const before = await count();
  let sent = 0;
  while ((await host.sh("[ -s /tmp/vm.rc ]")).code !== 0) {
    for (let i = 0; i < 50; i++, sent++) await host.qmp.execute("inject-nmi");
  }
  const arrived = await count() - before;
  console.log(`${sent} NMIs injected, ${arrived} arrived`);
  require(sent >= 200, `only ${sent} NMIs could be injected`);
  require(arrived <= sent, `${arrived} NMIs arrived, more than the ${sent} that were sent`);
  await finish(host, "vm");

  await background(host, "hog", codom({ append: "co.end=spin-kernel" }));
  await awaitText(host, "hog", "co-init: end");
  for (let i = 0, now = await count(); i < 100; i++, now++) {
    await host.qmp.execute("inject-nmi");
    const line = "set -- $(grep NMI: /proc/interrupts)";
    await host.must(`${line}; while [ $2 -le ${now} ]; do ${line}; done; [ $2 -eq ${now + 1} ]`);
  }
  await host.must("kill -9 $(cat /tmp/hog.pid)");
  await awaitEnd(host, "hog");
  await leavesNothing(host);
}

async function interrupts(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  await background(host, "storm", "/cotool storm 150");
  const before = sum(await host.must("cat /proc/interrupts"), "LOC");
  await background(host, "vm", codom({ append: `co.run=/workload,${BUSY}` }));
  await finish(host, "vm");
  const after = sum(await host.must("cat /proc/interrupts"), "LOC");
  require(after - before > 5000, `only ${after - before} interrupts: no storm`);
  require((await host.sh("[ -s /tmp/storm.rc ]")).code !== 0, "the storm died");
  await host.must("kill -9 $(cat /tmp/storm.pid)");
  await leavesNothing(host);
}

/**
 * How far the guest's REALTIME is ahead of the host's, in ms, between two
 * bounds: by a line that it printed between two looks at the host's clock,
 * which tells whole seconds.  True on a loaded machine too.
 */
async function ahead(host: Host): Promise<[least: number, most: number]> {
  const count = "$(grep -c 'CLOCK ' /tmp/vm.log)";
  const out = await host.must(
    `date +%s; n=${count}; until [ ${count} -gt $((n + 1)) ]; do :; done; ` +
      "tail -n 1 /tmp/vm.log; date +%s",
  );
  const guest = Number(/CLOCK (\d+) \d+/.exec(out)?.[1]);
  const [before = NaN, after = NaN] = [...out.matchAll(/^(\d+)$/gm)].map((m) =>
    Number(m[1]) * 1000
  );
  require(guest > 0 && before > 0 && after > 0, `no clocks in:\n${out}`);
  return [guest - (after + 1000), guest - before];
}

async function suspend(name: string): Promise<void> {
  await using host = await hostWithGuests({ name }, "6.1-cloud");
  await host.insmod();
  await background(host, "vm", codom({ append: "co.run=/clock" }));
  await awaitText(host, "vm", "CLOCK ");
  // Until Linux chooses a clocksource it counts ticks, and loses those that a
  // loaded machine keeps from it: on such a day the guest boots a little behind.
  const [least, most] = await ahead(host);
  require(least <= 0 && most > -5000, `the guest boots ${least} to ${most} ms ahead of the host`);
  await host.qmp.execute("query-status");
  const asleep = host.qmp.waitFor("SUSPEND");
  const back = host.must("echo mem >/sys/power/state");
  await asleep;
  // The time law: what the host slept, the guest must have slept too.
  await new Promise((resolve) => setTimeout(resolve, 60_000));
  await host.qmp.execute("system_wakeup");
  await back;
  const [from, to] = await ahead(host);
  const gap = Math.max(0, from - most, least - to);
  require(gap <= 1000, `the suspend moved the guest's REALTIME by ${gap} ms`);
  const { code } = await host.sh("grep BACKWARDS /tmp/vm.log");
  require(code !== 0, "MONOTONIC went backwards in the guest");
  await host.must("kill -9 $(cat /tmp/vm.pid)");
  await awaitEnd(host, "vm");
  await leavesNothing(host);
}

/**
 * A machine check (uncorrected, action optional) while the guest runs is the
 * host's.  An Intel model and 6.12: Debian's 6.1 cloud kernel has no machine
 * check code, and on QEMU's AMD models Linux panics of this one, bare too.
 */
async function machineCheck(name: string): Promise<void> {
  await using host = await hostWithGuests(
    { name, kernel: "6.12-cloud", cpu: "Skylake-Client-noTSX-IBRS,-smap,-smep,-erms" },
    "6.1-cloud",
  );
  await host.insmod();
  await background(host, "vm", codom({ append: `co.run=/workload,${BUSY}` }));
  await awaitText(host, "vm", "co-init: run");
  const count = async () => sum(await host.must("cat /proc/interrupts"), "MCE");
  for (let n = 1; n <= 5; n++) {
    await host.qmp.human("mce 0 9 0xbd00000000000080 0x5 0x1000 0x8c");
    while (await count() < n) await host.must("sleep 0.1");
  }
  await finish(host, "vm");
  require(await count() === 5, "a machine check was lost or doubled");
  await leavesNothing(host);
}

async function kvmModules(): Promise<Record<string, string>> {
  const dir = `${await kernelDir("6.1-cloud")}/modules`;
  const files: Record<string, string> = {};
  const find = new Deno.Command("find", { args: ["-L", dir, "-name", "*.ko"] });
  const all = new TextDecoder().decode((await find.output()).stdout).split("\n");
  for (const name of ["irqbypass", "ccp", "kvm", "kvm-amd"]) {
    const path = all.find((p) => p.endsWith(`/${name}.ko`));
    if (path && await exists(path)) files[`kvm/${name}.ko`] = path;
  }
  return files;
}

/** kvm_amd loaded and running a guest of its own on the same CPU. */
async function withKvm(name: string): Promise<void> {
  await using host = await hostWithGuests(
    { name, cpu: "EPYC,-smap,-smep", files: await kvmModules() },
    "6.1-cloud",
  );
  await host.must(
    "for m in irqbypass ccp kvm kvm-amd; do [ -e /kvm/$m.ko ] && insmod /kvm/$m.ko; done; [ -e /dev/kvm ]",
  );
  await background(host, "kvm", "/cotool kvm");
  await awaitText(host, "kvm", "KVM exits");
  await host.insmod();
  require(
    (BigInt((await hello(host)).get("features") ?? 0) & 2n) === 2n,
    "the module does not see SVM on",
  );
  await background(host, "vm", codom({ append: `co.run=/workload,${BUSY}` }));
  await finish(host, "vm");
  require((await host.sh("[ -s /tmp/kvm.rc ]")).code !== 0, "KVM's guest ended");
  await host.must("kill -9 $(cat /tmp/kvm.pid)");
  await leavesNothing(host);
}

/**
 * While guest user code runs on a CPU that leaks across the U bit, nothing of
 * the guest kernel's is mapped: seen from outside, through QEMU.
 */
async function userView(name: string): Promise<void> {
  await using host = await hostWithGuests(
    { name, cpu: "Skylake-Client-noTSX-IBRS,-smap,-smep,-erms", append: "pti=on" },
    "6.1-cloud",
  );
  await host.insmod();
  await background(host, "vm", codom({ append: "nokaslr co.end=spin-user" }));
  await awaitText(host, "vm", "co-init: end spin-user");
  let seen = 0;
  for (let i = 0; i < 400 && seen < 10; i++) {
    await host.qmp.execute("stop");
    const registers = await host.qmp.human("info registers");
    const cs = /CS =([0-9a-f]{4})/.exec(registers)?.[1];
    // Guest user code has Xen's user selector; the host's own has 0033.
    if (cs === "e033") {
      seen++;
      for (const address of ["0xffffffff81000000", "0xffff888000000000", "0xffffffff82000000"]) {
        const answer = await host.qmp.human(`gva2gpa ${address}`);
        require(/Unmapped/.test(answer), `guest kernel page ${address} is mapped: ${answer}`);
      }
      const rip = /RIP=([0-9a-f]+)/.exec(registers)?.[1];
      const own = await host.qmp.human(`gva2gpa 0x${rip}`);
      require(!/Unmapped/.test(own), "the check does not see the code that runs");
    }
    await host.qmp.execute("cont");
  }
  require(seen >= 10, `guest user code was met only ${seen} times`);
  await host.must("kill -9 $(cat /tmp/vm.pid)");
  await awaitEnd(host, "vm");
  await leavesNothing(host);
}

export const stormTests: MachineTest[] = [
  { name: "nmi-storm", limit: 600, run: () => nmis("nmi-storm") },
  { name: "interrupt-storm", limit: 600, run: () => interrupts("interrupt-storm") },
  { name: "suspend", limit: 400, run: () => suspend("suspend") },
  { name: "machine-check", limit: 400, run: () => machineCheck("machine-check") },
  { name: "kvm-amd", limit: 600, run: () => withKvm("kvm-amd") },
  { name: "user-view", limit: 400, run: () => userView("user-view") },
];
