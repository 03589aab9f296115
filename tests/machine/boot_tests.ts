// SPDX-License-Identifier: GPL-2.0-or-later
/** Which guests on which hosts and CPUs: each boots, computes rightly and powers off. */
import {
  type GuestOptions,
  hello,
  hostWithGuests,
  leavesNothing,
  require,
  runWorkload,
} from "./guest.ts";
import { Host, type HostOptions } from "./host.ts";
import { GUEST, type Kernel } from "./paths.ts";
import type { MachineTest } from "./table.ts";

/** The harness itself and the workload, without us: both must pass bare. */
async function bare(name: string): Promise<void> {
  await using host = await Host.start({
    name,
    bare: true,
    files: { "bin/tiny": `${GUEST}/tiny`, "workload": `${GUEST}/workload` },
  });
  const { out } = await host.sh(
    "/workload fork_storm exec_storm pipes signals fault_contexts alt_stack threads futex mappings " +
      "cow shared_file sse avx2 x87 ldt int80 elf32 hidden hidden_to_nowhere ptrace_step ptrace_watch clocks vdso itimers",
  );
  require(out.includes("WORKLOAD 24 passed, 0 failed"), "the workload fails on the bare kernel");
  await host.healthy();
}

interface Row {
  name: string;
  host: Omit<HostOptions, "name">;
  guest: GuestOptions;
  parameters?: string;
  /** Feature bits of CO_HELLO that must be on, off. */
  on?: bigint;
  off?: bigint;
  tests?: string;
}

const USER_VIEW = 1n << 4n;
const LA57 = 1n << 2n;
const HOST_PTI = 1n << 3n;
const TSC_STABLE = 1n << 5n;

async function boot(row: Row): Promise<void> {
  const kernel = row.guest.kernel ?? "6.1-cloud";
  await using host = await hostWithGuests({ ...row.host, name: row.name }, kernel);
  await host.insmod(row.parameters);
  const features = BigInt((await hello(host)).get("features") ?? 0);
  require((features & (row.on ?? 0n)) === (row.on ?? 0n), `features ${features} lack ${row.on}`);
  require((features & (row.off ?? 0n)) === 0n, `features ${features} have ${row.off}`);
  const out = await runWorkload(host, row.guest, row.tests);
  // On this model a skipped test would mean that the guest is denied the feature.
  require(
    row.host.cpu !== undefined || row.tests !== undefined || out.includes("ok avx2"),
    "AVX2 is hidden from the guest",
  );
  await leavesNothing(host);
}

const guests: Kernel[] = ["6.1-cloud", "6.1", "6.12-cloud", "6.12"];
const hosts: Kernel[] = ["6.1-cloud", "6.12-cloud"];

const ALL_BUT_VDSO = "fork_storm,exec_storm,pipes,signals,fault_contexts,alt_stack,threads,futex," +
  "mappings,remap,cow,zero_page,shared_file,self_modifying,address_spaces,sparse,sse,avx2,x87,ldt," +
  "fs_gs_base,int80,elf32,user_cpuid,hidden,hidden_to_nowhere,ptrace_step,ptrace_step_far,ptrace_break,ptrace_watch," +
  "ptrace_syscalls,ptrace_fpu,clocks,realtime,itimers,sleeps,timer_fd,dirty_file,swapping";

const rows: Row[] = [
  ...hosts.flatMap((host) =>
    guests.map((guest): Row => ({
      name: `boot-${guest}-on-${host.replace("-cloud", "")}`,
      host: { kernel: host },
      guest: { kernel: guest, memory: guest.endsWith("cloud") ? 192 : 320 },
    }))
  ),
  { name: "cpu-qemu64", host: { cpu: "qemu64" }, guest: {} },
  {
    name: "cpu-intel-pti",
    host: { cpu: "Skylake-Client-noTSX-IBRS,-smap,-smep,-erms", append: "pti=on" },
    guest: {},
    on: USER_VIEW | HOST_PTI,
  },
  { name: "cpu-amd", host: { cpu: "EPYC,-smap,-smep" }, guest: {}, off: USER_VIEW },
  // Linux distrusts the TSC of this model with two CPUs: no vDSO clock, so not that test.
  {
    name: "cpu-two",
    host: { cpus: 2 },
    guest: { polled: true },
    off: TSC_STABLE,
    tests: ALL_BUT_VDSO,
  },
  { name: "cpu-la57", host: { cpu: "max,-smap,-smep,-erms,-fsrm,-pku" }, guest: {}, on: LA57 },
  {
    name: "cpu-la57-6.12",
    host: { cpu: "max,-smap,-smep,-erms,-fsrm,-pku", kernel: "6.12-cloud" },
    guest: { kernel: "6.12-cloud" },
    on: LA57,
  },
  { name: "cpu-everything", host: { cpu: "max" }, guest: {}, tests: "fork_storm,avx2,ptrace_step" },
  {
    name: "kaslr-off",
    host: { append: "nokaslr" },
    guest: { append: "nokaslr", polled: true },
    tests: "fork_storm",
  },
  { name: "protect-none", host: {}, guest: {}, parameters: "protect=none" },
  {
    name: "tsc-unstable",
    host: { append: "tsc=unstable" },
    guest: {},
    off: TSC_STABLE,
    tests: "clocks,realtime,itimers,sleeps,timer_fd",
  },
];

export const bootTests: MachineTest[] = [
  { name: "bare", limit: 180, run: () => bare("bare") },
  ...rows.map((row): MachineTest => ({ name: row.name, limit: 600, run: () => boot(row) })),
];
