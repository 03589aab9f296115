// SPDX-License-Identifier: GPL-2.0-or-later
/** What the engine promises about single passages, counted in instructions under icount. */
import { hello, hostile, hostWithGuests, leavesNothing, require, runWorkload } from "./guest.ts";
import { Host } from "./host.ts";
import { moduleFile, release } from "./paths.ts";
import type { MachineTest } from "./table.ts";

const ICOUNT = ["-icount", "shift=0,sleep=off"];
const BARRIERS = 0x3800n;

/** Nanoseconds (under icount: instructions) of the host's clock that a line takes. */
async function cost(host: Host, line: string): Promise<number> {
  const clock = "/bin/busybox sed -n 's/^now at \\([0-9]*\\) nsecs/\\1/p' /proc/timer_list";
  const out = await host.must(`a=$(${clock}); ${line}; b=$(${clock}); echo took $((b - a))`);
  return Number(/took (\d+)/.exec(out)?.[1]);
}

/** Per trip to the host and back. */
async function trip(host: Host, parameters: string): Promise<number> {
  await host.insmod(parameters);
  await cost(host, `${hostile("yield=0")} >/dev/null 2>&1`); // the page cache is warm then
  const none = await cost(host, `${hostile("yield=0")} >/dev/null 2>&1`);
  const many = await cost(host, `${hostile("yield=200000")} >/dev/null 2>&1`);
  await leavesNothing(host);
  return (many - none) / 200000;
}

/**
 * A CPU that asks for nothing pays nothing; forced on, the barriers are really in the
 * way (the emulator predicts nothing, but it counts), and guests run as before.
 */
async function barriers(): Promise<void> {
  await using host = await hostWithGuests({ name: "barriers", qemu: ICOUNT }, "6.1-cloud");
  const auto = await trip(host, "");
  const off = await trip(host, "barriers=off");
  const on = await trip(host, "barriers=on");
  console.log(`a trip: auto ${auto}, off ${off}, on ${on} instructions`);
  require(Math.abs(auto - off) < 15, `a trip costs ${auto} instructions, without barriers ${off}`);
  require(on - off > 50 && on - off < 200, `barriers cost ${on - off} instructions a trip`);
  await host.insmod("barriers=on");
  const features = BigInt((await hello(host)).get("features") ?? 0);
  require((features & BARRIERS) === BARRIERS, `features ${features}: barriers=on is not in force`);
  await runWorkload(host, {}, "fork_storm,threads,sse,ptrace_step,sleeps");
  await leavesNothing(host);
  const { code, out } = await host.sh("insmod /colinux.ko barriers=some");
  require(code !== 0 && out.includes("Invalid"), "barriers=some is taken");
}

const BOUND = 100_000;

function longest(out: string): number {
  const ticks = Number(/longest_off=(\d+)/.exec(out)?.[1]);
  require(ticks > 0, `nothing was measured:\n${out.slice(-2000)}`);
  return ticks;
}

/** The TSC counts instructions here: how many pass at most with interrupts off? */
async function bound(): Promise<void> {
  await using host = await hostWithGuests(
    { name: "bound", qemu: ICOUNT, memory: 1800, append: "tsc=nowatchdog" },
    "6.1-cloud",
  );
  for (const parameters of ["measure=1", "measure=1 protect=none user_view=on"]) {
    await host.insmod(parameters);
    const attacks = await host.must("/codom -t /hostile - 1024 bound 2>&1");
    require(!attacks.includes("BREACH"), "an attack got through");
    const linux = await runWorkload(
      host,
      { memory: 256 },
      "fork_storm,exec_storm,mappings,threads",
    );
    const most = [longest(attacks), longest(linux)];
    console.log(`${parameters}: at most ${most[0]} instructions in attacks, ${most[1]} in Linux`);
    for (const n of most) require(n <= BOUND, `interrupts were off for ${n} instructions`);
    await leavesNothing(host);
  }
}

/**
 * A module that this kernel will not have: of another kernel, or unsigned where only
 * signed ones are let in.  The kernel says why, nothing is left behind, and what
 * `up` and `doctor` ask of the machine (cli/wrapper.sh) tells the cases apart.
 */
async function refused(name: string, append: string, says: RegExp, probe: string): Promise<void> {
  const other = name === "module-other-kernel" ? "6.1-cloud" : "6.12-cloud";
  await using host = await Host.start({
    name,
    kernel: "6.12-cloud",
    append,
    files: { "other.ko": moduleFile(await release(other)), "wrapper.sh": "cli/wrapper.sh" },
  });
  const { code, out } = await host.sh("insmod /other.ko 2>&1");
  require(code !== 0, "the kernel took the module");
  const log = `${out}${await host.must("dmesg | tail -n 5")}`;
  require(says.test(log), `the kernel does not say why: ${log}`);
  require((await host.sh("[ -e /dev/colinux ]")).code !== 0, "there is a device all the same");
  const run = await host.sh("/codom /codom - 64 2>&1");
  require(
    run.code === 1 && run.out.includes("is the module loaded?"),
    `codom ended with ${run.code}: ${run.out}`,
  );
  await host.sh("mount -t securityfs none /sys/kernel/security");
  const seen = await host.must(
    "sed -n '/^secure=/,/^if .*kvm/p' /wrapper.sh >/tmp/probe.sh; . /tmp/probe.sh; " +
      'echo "probe $COLINUX_PROBE."',
  );
  require(seen.includes(`probe ${probe}.`), `the command sees '${seen.trim()}', not '${probe}'`);
  await host.healthy();
}

const MODULE_TESTS: [string, string, RegExp, string][] = [
  ["module-other-kernel", "", /version magic '6\.1\.|must match the kernel's built/, ""],
  ["module-unsigned", "module.sig_enforce=1", /Key was rejected|Required key/i, "sigenforce"],
  ["module-lockdown", "lockdown=integrity", /Lockdown: insmod: unsigned module/, "lockdown"],
];

export const engineTests: MachineTest[] = [
  { name: "barriers", limit: 400, run: barriers },
  { name: "bound", limit: 900, run: bound },
  ...MODULE_TESTS.map(([name, append, says, probe]): MachineTest => ({
    name,
    limit: 240,
    run: () => refused(name, append, says, probe),
  })),
];
