// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * make bench: what the guest's programs cost against the same programs on the
 * bare kernel of the virtual host, in one run of one QEMU under -icount
 * shift=0, where a nanosecond is an instruction.  Prints the table and writes
 * build/bench/latest.json.
 */
import { codom, hello, hostile, hostWithGuests, require } from "../machine/guest.ts";
import { Host, MAX_CPU } from "../machine/host.ts";
import { BUILD, GUEST, guestInitrd } from "../machine/paths.ts";
import { type Row, table, type Toggles } from "./table.ts";

/** Limits of the ratios, as the project demands; the rest is shown only. */
const LIMITS: Record<string, number> = {
  getppid: 1.2,
  clock_gettime: 1.4,
  signal: 1.5,
  anon: 1.5,
  pipe: 1.6,
  fork: 1.9,
  exec: 1.9,
  cpu: 1.01,
};
const BOOT_LIMIT = 1.5;
const KERNEL = "6.1-cloud";
const QEMU = ["-icount", "shift=0,sleep=off"];
const APPEND = "panic=-1 tsc=nowatchdog quiet";

interface Bench {
  ns: number;
  ops: number;
}

function parse(out: string): Map<string, Bench> {
  const found = new Map<string, Bench>();
  for (const [, name = "", ns] of out.matchAll(/^BENCH (\S+) (\S+)/gm)) {
    const ops = new RegExp(`^BENCHMARK ${name} end (\\d+)`, "m").exec(out)?.[1];
    found.set(name, { ns: Number(ns), ops: Number(ops) });
  }
  require(found.size > 0, `no BENCH lines:\n${out}`);
  return found;
}

function counters(out: string): Map<string, number> {
  const line = out.split("\n").reverse().find((l) => l.startsWith("codom: ") && l.includes("=")) ??
    "";
  return new Map(
    [...line.matchAll(/(\w+)=(\d+)/g)].map(([, k = "", v]): [string, number] => [k, Number(v)]),
  );
}

async function guest(host: Host, append: string): Promise<string> {
  return await host.must(`${codom({ kernel: KERNEL, append: `${APPEND} ${append}` })} 2>&1`);
}

/** Monitor counters per operation: of a run with only that bench, less a run with none. */
async function toggles(host: Host, benches: Map<string, Bench>): Promise<Map<string, Toggles>> {
  const base = counters(await guest(host, "co.run=/bench,none"));
  const result = new Map<string, Toggles>();
  for (const [name, { ops }] of benches) {
    const c = counters(await guest(host, `co.run=/bench,${name}`));
    const per = (key: string) => Math.max(0, ((c.get(key) ?? 0) - (base.get(key) ?? 0)) / ops);
    result.set(name, {
      cr3: per("cr3_writes"),
      wp: per("wp_toggles"),
      slow: per("slow_paths"),
      passages: per("passages"),
    });
  }
  return result;
}

function median(values: number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** A trip from the guest to the host and back, in instructions. */
async function roundTrip(host: Host): Promise<{ ns: number; trips: number }> {
  const timed = async (n: number) => {
    const out = await host.must(
      `cat /proc/uptime; ${hostile(`yield=${n}`, "")} 2>&1; cat /proc/uptime`,
    );
    const [from = NaN, to = NaN] = [...out.matchAll(/^(\d+\.\d+) /gm)].map((m) => Number(m[1]));
    return { seconds: to - from, passages: counters(out).get("passages") ?? 0 };
  };
  const none = await timed(0);
  const many = await timed(400_000);
  const trips = many.passages - none.passages;
  return { ns: (many.seconds - none.seconds) * 1e9 / trips, trips };
}

/** Seconds from the start of the VM to its /init, by the host's clock. */
async function guestBoot(host: Host): Promise<number> {
  const line = codom({ kernel: KERNEL, append: APPEND });
  const out = await host.must(
    `echo start $(cat /proc/uptime); ${line} 2>&1 | ` +
      `while read -r l; do case "$l" in *"co-init: up"*) echo there $(cat /proc/uptime);; esac; done`,
  );
  const at = (word: string) => Number(new RegExp(`^${word} (\\S+)`, "m").exec(out)?.[1]);
  return at("there") - at("start");
}

/** The same kernel with the same initrd, bare: seconds of its own clock at /init. */
async function bareBoot(): Promise<number> {
  await using host = await Host.start({
    name: "bench-boot",
    qemu: QEMU,
    append: APPEND,
    initrd: await guestInitrd(KERNEL),
    ready: "co-init: up",
    cpu: MAX_CPU,
  });
  return Number(/co-init: up (\S+)/.exec(host.greeting)?.[1]);
}

async function main(): Promise<void> {
  await using host = await hostWithGuests({
    name: "bench",
    qemu: QEMU,
    append: APPEND,
    files: { "bench": `${GUEST}/bench`, "bin/tiny": `${GUEST}/tiny` },
  }, KERNEL);
  const bare = parse(await host.must("/bench"));
  await host.insmod("protect=wp");
  const status = await hello(host);
  const full = await guest(host, "co.run=/bench");
  const inGuest = parse(full);
  const per = await toggles(host, inGuest);
  const rows: Row[] = [...bare].map(([name, { ns }]) => {
    const got = inGuest.get(name);
    require(got !== undefined, `the guest has no ${name}`);
    return {
      name,
      bare: ns,
      guest: got.ns,
      ratio: got.ns / ns,
      limit: LIMITS[name],
      toggles: per.get(name),
    };
  });
  const trip = await roundTrip(host);
  require(trip.trips >= 400_000, `only ${trip.trips} round trips for 400,000 yields`);
  const boots = [await guestBoot(host), await guestBoot(host), await guestBoot(host)];
  const bares = [await bareBoot(), await bareBoot(), await bareBoot()];
  const boot = median(boots) / median(bares);
  rows.push({
    name: "boot",
    bare: median(bares) * 1e9,
    guest: median(boots) * 1e9,
    ratio: boot,
    limit: BOOT_LIMIT,
  });
  const c = counters(full);
  const extra = {
    monitorBytes: Number(status.get("monitor_bytes")),
    overheadPages: c.get("overhead_pages") ?? 0,
    ramPages: (192 << 20) / 4096,
    roundTrip: Math.round(trip.ns),
  };
  for (const line of table(rows, extra)) print(line);
  await Deno.mkdir(`${BUILD}/bench`, { recursive: true });
  const json = {
    rows: rows.map(({ name, bare, guest, ratio }) => ({ name, bare, guest, ratio })),
    toggles: Object.fromEntries(per),
    ...extra,
  };
  await Deno.writeTextFile(`${BUILD}/bench/latest.json`, JSON.stringify(json, null, 2) + "\n");
}

// What the harness says of each command belongs in a log, not in the table.
const log = await (async () => {
  await Deno.mkdir(`${BUILD}/tests/logs`, { recursive: true });
  return await Deno.open(`${BUILD}/tests/logs/bench.log`, {
    create: true,
    write: true,
    truncate: true,
  });
})();
const print = console.log;
console.log = (...words: unknown[]) =>
  log.writeSync(new TextEncoder().encode(words.join(" ") + "\n"));
try {
  await main();
} catch (error) {
  console.error(`bench: ${error instanceof Error ? error.message : error}`);
  Deno.exit(1);
}
