// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The hostile guest, attack by attack: an attack that ends its VM is followed
 * by a new VM that goes on with the next.  A witness VM computes checksums all
 * the while; the host must live, hold no page and have nothing to complain of.
 */
import {
  awaitEnd,
  background,
  codom,
  hostile,
  hostWithGuests,
  leavesNothing,
  require,
  requireWorkload,
} from "./guest.ts";
import type { Host, HostOptions } from "./host.ts";
import type { MachineTest } from "./table.ts";

interface Tally {
  contained: number;
  killed: number;
  problems: string[];
}

/** Runs all attacks from `from` on; returns the number after the last, -1 for "all done". */
async function oneGuest(host: Host, from: number, tally: Tally): Promise<number> {
  const { out } = await host.sh(`${hostile(`from=${from}`)} 2>&1`);
  let last = { n: -1, name: "(start)", killAllowed: false };
  for (const line of out.split("\n")) {
    const tried = /^HOSTILE (\d+) (\S+) try (\S+)/.exec(line);
    if (tried) {
      last = {
        n: Number(tried[1]),
        name: tried[2] ?? "",
        killAllowed: tried[3] === "kill-allowed",
      };
    } else if (line.includes("BREACH")) {
      tally.problems.push(line);
    } else if (/^HOSTILE \d+ \S+ contained/.test(line)) {
      tally.contained++;
    } else if (/^HOSTILE end/.test(line)) {
      return -1;
    }
  }
  require(last.n >= 0, `the hostile guest did not start:\n${out}`);
  const why = /codom: why: (.*)/.exec(out)?.[1] ?? "";
  const own = /HOSTILE (guest ends|lost trap).*/.exec(out)?.[0] ?? "";
  const orderly = /HOSTILE \d+ crash try/.test(out);
  // Ended by the monitor with a reason, or by its own hand after it broke itself.
  if (last.killAllowed && (why !== "" || own !== "" || orderly)) tally.killed++;
  else if (!out.includes("BREACH")) {
    tally.problems.push(`${last.n} ${last.name}: VM ended (${why || own || "no reason"})`);
  }
  return last.n + 1;
}

async function attackAll(options: HostOptions): Promise<void> {
  await using host = await hostWithGuests(options, "6.1-cloud");
  await host.insmod("protect=wp");
  const tally: Tally = { contained: 0, killed: 0, problems: [] };
  const witness = codom({
    append: "co.run=/workload,mappings,cow,sse,address_spaces,pipes,threads",
  });
  await background(host, "witness", witness);
  for (let from = 0; from >= 0;) from = await oneGuest(host, from, tally);
  console.log(`${tally.contained} contained, ${tally.killed} ended their VM with a reason`);
  require(
    tally.problems.length === 0,
    `${tally.problems.length} attacks got through or ended the VM wrongly:\n${
      tally.problems.join("\n")
    }`,
  );
  const { code, log } = await awaitEnd(host, "witness");
  requireWorkload(log);
  require(code === 0, "the witness did not power off");
  await leavesNothing(host);
}

/** What one VM leaves in its memory, no other may find. */
async function remains(): Promise<void> {
  await using host = await hostWithGuests({ name: "memory-remains" });
  await host.insmod();
  await background(host, "marker", hostile("mark"));
  await host.must("until grep -q 'HOSTILE marked' /tmp/marker.log; do sleep 0.2; done");
  const during = await host.must(`${hostile("scan")} 2>&1`);
  require(during.includes("HOSTILE scanned clean"), `another VM's memory is visible:\n${during}`);
  await host.must("kill -9 $(cat /tmp/marker.pid)");
  await awaitEnd(host, "marker");
  for (let i = 0; i < 3; i++) {
    const after = await host.must(`${hostile("scan")} 2>&1`);
    require(after.includes("HOSTILE scanned clean"), `a dead VM's memory is visible:\n${after}`);
  }
  await leavesNothing(host);
}

export const hostileTests: MachineTest[] = [
  { name: "hostile", limit: 900, run: () => attackAll({ name: "hostile" }) },
  {
    name: "hostile-6.12-la57",
    limit: 900,
    run: () =>
      attackAll({
        name: "hostile-6.12-la57",
        kernel: "6.12-cloud",
        cpu: "max,-smap,-smep,-erms,-fsrm,-pku",
      }),
  },
  {
    name: "hostile-user-view",
    limit: 900,
    run: () =>
      attackAll({
        name: "hostile-user-view",
        cpu: "Skylake-Client-noTSX-IBRS,-smap,-smep,-erms",
        append: "pti=on",
      }),
  },
  { name: "memory-remains", limit: 300, run: remains },
];
