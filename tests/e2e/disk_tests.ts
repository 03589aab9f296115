// SPDX-License-Identifier: GPL-2.0-or-later
/** Disks of VMs as the virtual host carries them. */
import { askDaemon, DEBUG, inside } from "./inside.ts";
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const MIB = 1 << 20;

async function image(box: Sandbox, name: string, size: number): Promise<string> {
  const path = `${box.home}/${name}`;
  await Deno.writeFile(path, new Uint8Array());
  await Deno.truncate(path, size);
  return path;
}

/** The path inside of a disk that was plugged in. */
async function plug(box: Sandbox, path: string, vm: string, readOnly = false): Promise<string> {
  const { ok } = await askDaemon(box, { call: "disk", vm, name: "data", path, readOnly });
  require(typeof ok?.path === "string", `${path} was not plugged in`);
  return ok.path;
}

async function qemu(box: Sandbox): Promise<number> {
  const [line] = (await box.processes("qemu-system")).filter((p) => / ?\S*qemu-system/.test(p));
  return Number(line?.split(" ")[0]);
}

/** Files that a process has open, by the end of their names. */
async function hasOpen(pid: number, path: string): Promise<boolean> {
  for await (const entry of Deno.readDir(`/proc/${pid}/fd`)) {
    if (await Deno.readLink(`/proc/${pid}/fd/${entry.name}`).catch(() => "") === path) return true;
  }
  return false;
}

/** Come and go, several at once; locked against others; grown between; the owner's alone inside. */
async function hotplug(): Promise<void> {
  await using box = await Sandbox.create("plug", DEBUG);
  await box.must("host", "start");
  const pid = await qemu(box);
  const data = await image(box, "data.img", 64 * MIB);
  const spool = await image(box, "spool.img", 8 * MIB);
  const [one, two] = await Promise.all([plug(box, data, "mail"), plug(box, spool, "mail")]);
  requireMatch(await inside(box, `ls -lL ${one}`), /^brw-------\s+1 owner\s+owner/, "its rights");
  await inside(box, `dd if=/bin/busybox of=${one} bs=64k conv=fsync`);
  await inside(box, `dd if=/bin/busybox of=${two} bs=64k conv=fsync`);
  const busybox = await Deno.readFile(`${BUILD}/images/busybox`);
  for (const path of [data, spool]) {
    const bytes = (await Deno.readFile(path)).subarray(0, busybox.length);
    require(bytes.every((byte, at) => byte === busybox[at]), `${path} holds what was written`);
  }

  const locked = await askDaemon(box, {
    ...{ call: "disk", vm: "web", name: "shared", path: data, readOnly: false },
  });
  requireMatch(
    String(locked.error?.message),
    /shared: .*data.img is in use by the VM mail/,
    "lock",
  );
  // Another virtual host, so another QEMU: its lock is the kernel's.
  await using other = await Sandbox.create("plug2");
  await other.must("host", "start");
  const refused = await askDaemon(other, {
    ...{ call: "disk", vm: "mail", name: "data", path: data, readOnly: false },
  });
  requireMatch(String(refused.error?.message), new RegExp(`in use by pid ${pid} \\(`), "by whom");

  await askDaemon(box, { call: "release", vm: "mail" });
  require(!await hasOpen(pid, data), "an unplugged disk's file is closed");
  requireMatch(await inside(box, "echo /dev/colinux-disk/*"), /\*/, "no disk is left inside");
  await Deno.truncate(data, 96 * MIB);
  const grown = await plug(box, data, "mail", true);
  const size = await inside(box, `cat /sys/block/$(basename $(readlink ${grown}))/size`);
  require(Number(size) * 512 === 96 * MIB, `a grown disk: ${size} sectors`);
  requireMatch(
    await inside(box, `ls -lL ${grown}; ! dd if=/dev/zero of=${grown} count=1 2>&1`),
    /^br--------[\s\S]*not permitted|Read-only/,
    "a read-only disk",
  );
}

/** Every fsync inside is an fdatasync of the file on this machine: no unsafe cache on the way. */
async function flush(): Promise<void> {
  await using box = await Sandbox.create("flush", DEBUG);
  await box.must("host", "start");
  const pid = await qemu(box);
  const disk = await plug(box, await image(box, "data.img", 8 * MIB), "mail");
  const trace = `${box.home}/trace`;
  const strace = new Deno.Command("strace", {
    args: ["-f", "-y", "-e", "trace=fdatasync,fsync", "-o", trace, "-p", String(pid)],
    stdin: "null",
    stderr: "piped",
  }).spawn();
  const reader = strace.stderr.pipeThrough(new TextDecoderStream()).getReader();
  for (let said = ""; !/attached/.test(said);) {
    const { value, done } = await reader.read();
    require(!done, `strace does not attach: ${said}`);
    said += value;
  }
  const times = 5;
  for (let at = 0; at < times; at++) {
    await inside(box, `dd if=/bin/busybox of=${disk} bs=4096 count=1 seek=${at} conv=fsync`);
  }
  strace.kill("SIGINT");
  await reader.cancel();
  await strace.status;
  const text = await Deno.readTextFile(trace);
  const syncs = [...text.matchAll(/f(?:data)?sync\(\d+<[^>]*data\.img>/g)].length;
  require(syncs >= times, `${times} flushes inside, ${syncs} on this machine:\n${text}`);
}

/** A VM that has ended has no disk plugged in, whoever ended it. */
async function ended(): Promise<void> {
  await using box = await Sandbox.create("ended", DEBUG);
  const data = await image(box, "data.img", 8 * MIB);
  const disks = `"disks": [ { "name": "data", "path": "${data}" } ],`;
  const file = await box.guest("vm", "co.stay", "co-init: ready", disks);
  await box.must("host", "start");
  const pid = await qemu(box);
  await box.must("up", file);
  require(await hasOpen(pid, data), "a disk stays as long as its VM");
  await box.must("stop", "vm", "--force");
  require(!await hasOpen(pid, data), "stop returns when the disk is free");
  await box.must("start", "vm");
  require(await hasOpen(pid, data), "start plugs it in again");
  await inside(box, "killall -9 colinux-worker");
  while (await hasOpen(pid, data)) await new Promise((resolve) => setTimeout(resolve, 100));
  requireMatch(await inside(box, "echo /dev/colinux-disk/vm*"), /\*/, "no disk of a VM is left");
  require((await box.states()).vm === "failed", "the VM has ended");
}

/** kill -9 of the helper inside: its VM ends with it, the disk is free, the next up works. */
async function helperKilled(): Promise<void> {
  await using box = await Sandbox.create("helper", DEBUG);
  const data = await image(box, "data.img", 8 * MIB);
  const disks = `"disks": [ { "name": "data", "path": "${data}" } ],`;
  const file = await box.guest("vm", "co.stay", "co-init: ready", disks);
  await box.must("host", "start");
  const pid = await qemu(box);
  await box.must("up", file);
  await inside(box, "killall -9 colinuxd");
  while (await hasOpen(pid, data)) await new Promise((resolve) => setTimeout(resolve, 100));
  require((await box.states()).vm === "failed", "a VM without its helper has ended");
  await box.must("up", file);
  require((await box.states()).vm === "ready", "up after the helper was killed");
  require(await qemu(box) === pid, "the virtual host went on");
  // The killed one's worker is not even a zombie.
  await inside(box, "until [ $(pidof colinux-worker | wc -w) = 1 ]; do usleep 100000; done");
}

export const diskTests: E2eTest[] = [
  { name: "host-disks", limit: 300, run: hotplug },
  { name: "host-flush", limit: 300, run: flush },
  { name: "host-disk-ended", limit: 400, run: ended },
  { name: "host-helper-killed", limit: 400, run: helperKilled },
];
