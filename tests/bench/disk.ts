// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Disks: the same program on the same file, on the virtual host's bare kernel and
 * in a guest of it, by wall time, as `up` has it, with the same words for both kernels.
 * Each part of the file is read once only, so no page cache inside helps.
 */
import { LEAN } from "../../cli/host/vhost/qemu.ts";
import { askDaemon, DEBUG, inside } from "../e2e/inside.ts";
import { require, Sandbox } from "../e2e/sandbox.ts";
import { concatenate, GUEST, guestInitrd } from "../machine/paths.ts";
import type { Row } from "./table.ts";

const MIB = 1 << 20;
/** A quarter of the speed, three times the wait: nanoseconds a MiB, or a read of 4 KiB. */
const LIMITS: Record<string, number> = {
  "disk-read": 4,
  "disk-read-256k": 4,
  "disk-read-64k": 4,
  "disk-write": 4,
  "disk-write-256k": 4,
  "disk-write-64k": 4,
  "disk-latency": 3,
};
const ROUNDS = 3;

function parse(out: string): Map<string, number> {
  return new Map(
    [...out.matchAll(/^BENCH (\S+) (\d+)/gm)].map(([, name = "", ns]) => [name, Number(ns)]),
  );
}

/** Each test's best round: what else this machine does only ever costs. */
function best(rounds: Map<string, number>[]): Map<string, number> {
  const names = [...rounds[0]?.keys() ?? []];
  return new Map(
    names.map((name) => [name, Math.min(...rounds.map((round) => round.get(name) ?? NaN))]),
  );
}

async function write(path: string, mib: number): Promise<void> {
  using file = await Deno.open(path, { create: true, write: true });
  const chunk = new Uint8Array(MIB).map((_, at) => at * 13);
  for (let at = 0; at < mib; at++) await file.write(chunk);
}

async function bareRound(
  box: Sandbox,
  data: string,
  program: string,
): Promise<Map<string, number>> {
  const disk = async (name: string, path: string, readOnly: boolean) => {
    const { ok, error } = await askDaemon(box, { call: "disk", vm: "bare", name, path, readOnly });
    require(typeof ok?.path === "string", JSON.stringify(error));
    return ok.path;
  };
  const [at, tool] = [await disk("data", data, false), await disk("program", program, true)];
  await inside(box, `dd if=${tool} of=/tmp/blk bs=64k && chmod 755 /tmp/blk`);
  const out = await inside(box, `/tmp/blk bench ${at}`);
  await inside(box, "rm /tmp/blk");
  await askDaemon(box, { call: "release", vm: "bare" });
  return parse(out);
}

async function guestRound(box: Sandbox, file: string): Promise<Map<string, number>> {
  await box.must("up", file);
  const { out } = await box.must("logs", "vm");
  await box.must("rm", "vm", "--force");
  return parse(out.replaceAll("\r", ""));
}

export async function diskRows(): Promise<Row[]> {
  await using box = await Sandbox.create("bench", DEBUG);
  const data = `${box.home}/data.img`, program = `${box.home}/program.img`;
  const initrd = `${box.home}/initrd`;
  await write(data, 256);
  await concatenate(program, [`${GUEST}/blk`]);
  const { size } = await Deno.stat(program);
  await Deno.truncate(program, Math.ceil(size / 4096) * 4096);
  await Deno.copyFile(await guestInitrd("6.1-cloud"), initrd);
  const file = await box.write(
    "vm.jsonc",
    `{ "name": "vm", "memory": "192 MiB", "kernel": { "package": "linux-image-cloud-amd64" },
  "initrd": "${initrd}", "disks": [ { "name": "data", "path": "${data}" } ],
  "cmdline": "console=hvc0 panic=-1 quiet ${LEAN.join(" ")} co.run=/blk,bench,/dev/xvda",
  "ready": { "console": "co-init: end" } }\n`,
  );
  await box.must("host", "start");
  const bare: Map<string, number>[] = [], guest: Map<string, number>[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bare.push(await bareRound(box, data, program));
    guest.push(await guestRound(box, file));
  }
  const inGuest = best(guest);
  return [...best(bare)].map(([name, ns]): Row => {
    const got = inGuest.get(name);
    require(got !== undefined, `the guest has no ${name}`);
    return { name, bare: ns, guest: got, ratio: got / ns, limit: LIMITS[name] };
  });
}
