// SPDX-License-Identifier: GPL-2.0-or-later
/** Disks as a guest sees them: what it reads, what it loses, what goes wrong. */
import { command, guestInitrd, once } from "../machine/paths.ts";
import { DEBUG, inside } from "./inside.ts";
import { BUILD, require, requireMatch, Sandbox, SOLO, THREADS } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const MIB = 1 << 20;

interface Disk {
  name: string;
  path: string;
  readOnly?: boolean;
  persistentGrants?: boolean;
}

async function image(path: string, mib: number): Promise<string> {
  await Deno.writeFile(path, new Uint8Array());
  await Deno.truncate(path, mib * MIB);
  return path;
}

/** Runs the tests' guest with these disks until it says `until`; its whole console. */
async function guest(box: Sandbox, disks: Disk[], run: string, until: string): Promise<string> {
  const initrd = `${box.home}/initrd`;
  await Deno.copyFile(await guestInitrd("6.1-cloud"), initrd);
  const file = await box.write(
    "vm.jsonc",
    `{ "name": "vm", "memory": "256 MiB", "kernel": { "package": "linux-image-cloud-amd64" },
  "initrd": "${initrd}", "disks": ${JSON.stringify(disks)},
  "cmdline": "console=hvc0 panic=-1 quiet ${run}", "ready": { "console": "${until}" } }\n`,
  );
  await box.must("up", file);
  return await log(box);
}

async function log(box: Sandbox): Promise<string> {
  return (await box.must("logs", "vm")).out.replaceAll("\r", "");
}

/** An image with Debian's fio, the libraries that it asks for, and our jobs. */
async function fioImage(): Promise<string> {
  const file = `${BUILD}/tests/fio.img`;
  await once(file, async (to) => {
    const root = `${to}.root`;
    const wanted = await command("ldd", "/usr/bin/fio");
    const libraries = [...wanted.matchAll(/(\/\S+) \(0x/g)].map(([, path = ""]) => path);
    for (const dir of ["dev", "proc", "sys", "tmp", "jobs"]) {
      await Deno.mkdir(`${root}/${dir}`, { recursive: true });
    }
    for (const path of ["/usr/bin/fio", ...libraries]) {
      await command("install", "-D", path, `${root}${path}`);
    }
    await command("cp", "tests/guest/verify.fio", `${root}/jobs/`);
    await command("mke2fs", "-q", "-t", "ext4", "-d", root, to, "160M");
    await Deno.remove(root, { recursive: true });
  });
  return file;
}

/** fio writes at several depths and sizes, reads back and compares; nothing of it is lost after. */
async function verify(env: Record<string, string> = {}): Promise<void> {
  await using box = await Sandbox.create("fio", env);
  const data = await image(`${box.home}/data.img`, 96);
  const tools = { name: "tools", path: await fioImage(), readOnly: true };
  const disks = [tools, { name: "data", path: data }];
  const said = await guest(box, disks, "co.run=/blk,fio,/dev/xvda,verify", "co-init: end");
  requireMatch(said, /^fio: verify ended with 0\nfio: good$/m, "fio");
  // One line a job: version, name, group, error.
  const jobs = [...said.matchAll(/^3;fio-[^;]*;(\w+);\d+;(\d+);/gm)];
  require(jobs.length === 6 && jobs.every(([, , error]) => error === "0"), `${jobs.length} jobs`);
}

/** A disk that is full here: an error for the guest, which goes on. */
async function full(): Promise<void> {
  await using box = await Sandbox.create("full");
  const small = `${box.home}/small`;
  await Deno.mkdir(small);
  await command("mount", "-t", "tmpfs", "-o", "size=8m,mode=777", "none", small);
  try {
    const data = await image(`${small}/data.img`, 64);
    const run = "co.run=/blk,fill,/dev/xvda";
    const said = await guest(box, [{ name: "data", path: data }], run, "co-init: end");
    const end = /^fill: ended at (\d+) KiB: (.*)$/m.exec(said);
    require(end !== null, `the guest did not come to an end:\n${said.slice(-2000)}`);
    const at = Number(end[1]);
    require(at >= 4096 && at <= 8192, `it wrote ${at} KiB onto 8 MiB`);
    requireMatch(end[2] ?? "", /No space|Input\/output error/, "what the guest sees");
    requireMatch(said, /^fill: good$/m, "the disk still answers");
  } finally {
    await box.colinux("host", "stop", "--force", "--quiet");
    await command("umount", small);
  }
}

function newest(text: string): number {
  return Math.max(0, ...[...text.matchAll(/^append: (\d+) is safe$/gm)].map(([, n]) => Number(n)));
}

/** What was synced before the worker died is there, in order, on a clean file system. */
async function killed(): Promise<void> {
  await using box = await Sandbox.create("kill", DEBUG);
  const data = await image(`${box.home}/data.img`, 64);
  await command("mke2fs", "-q", "-t", "ext4", data);
  const disks = [{ name: "data", path: data }];
  await guest(box, disks, "co.run=/blk,append,/dev/xvda", "append: 100 is safe");
  await inside(box, "killall -9 colinux-worker");
  while ((await box.states()).vm !== "failed") {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const acknowledged = newest(await log(box));
  require(acknowledged >= 100, `${acknowledged} numbers`);
  await box.must("rm", "vm");
  const run = "co.run=/blk,count,/dev/xvda co.run=/bin/dmesg";
  const said = await guest(box, disks, run, "co-init: end");
  requireMatch(said, /EXT4-fs \(xvda\): recovery complete/, "the journal was replayed");
  require(!/EXT4-fs error|EXT4-fs warning/.test(said), `a damaged file system:\n${said}`);
  const there = Number(/^count: (\d+)$/m.exec(said)?.[1]);
  require(there >= acknowledged, `${acknowledged} numbers were safe, ${there} are there`);
  await box.must("rm", "vm", "--force");
  await command("e2fsck", "-fn", data);
}

/**
 * A driver that goes, and comes again, also one that keeps its grants; a disk that has grown
 * meanwhile.
 */
async function again(): Promise<void> {
  await using box = await Sandbox.create("again");
  const data = { name: "data", path: await image(`${box.home}/data.img`, 8) };
  const kept = { name: "kept", path: await image(`${box.home}/kept.img`, 8) };
  const run = "co.run=/blk,again,/dev/xvda co.run=/bin/cat,/sys/class/block/xvda/size " +
    "co.run=/bin/dd,if=/bin/busybox,of=/dev/xvdb,bs=64k,conv=fsync co.run=/blk,again,/dev/xvdb " +
    "co.run=/bin/dd,if=/dev/xvdb,of=/dev/xvdb,bs=4k,seek=1024,count=512,conv=fsync " +
    "co.run=/bin/dmesg";
  const disks = [data, { ...kept, persistentGrants: true }];
  const said = await guest(box, disks, run, "co-init: end");
  requireMatch(
    said,
    /^again: it is gone\n(?:.*\n)*again: good\n(?:.*\n)*16384\n(?:.*\n)*again: good$/m,
    "the driver",
  );
  requireMatch(said, /blkfront: xvda: .*persistent grants: disabled/, "the default");
  const enabled = said.match(/blkfront: xvdb: .*persistent grants: enabled/g) ?? [];
  require(enabled.length === 2, `persistent grants, twice: ${enabled.length} times`);
  const busybox = await Deno.readFile(`${BUILD}/images/busybox`);
  const written = await Deno.readFile(kept.path);
  require(busybox.every((byte, at) => byte === written[at]), "what was written");
  const part = Math.min(busybox.length, 2 * MIB);
  const copy = written.subarray(4 * MIB, 4 * MIB + part);
  require(copy.every((byte, at) => byte === busybox[at]), "what was read, and written again");
  await box.must("rm", "vm", "--force");
  await Deno.truncate(data.path, 5 * 1024 * MIB);
  const size = "co.run=/bin/cat,/sys/class/block/xvda/size";
  requireMatch(await guest(box, [data], size, "co-init: end"), /^10485760$/m, "5 GiB");
}

export const blockTests: E2eTest[] = [
  { name: "disk-verify", limit: 600, run: () => verify() },
  { name: "disk-verify-solo", limit: 600, run: () => verify(SOLO) },
  { name: "disk-verify-threads", limit: 600, run: () => verify(THREADS) },
  { name: "disk-full", limit: 300, run: full },
  { name: "disk-kill-9", limit: 400, run: killed },
  { name: "disk-again", limit: 300, run: again },
];
