// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../../ui/errors.ts";
import type { DiskRequest } from "../host.ts";
import { Bus } from "./bus.ts";
import { DiskBus } from "./disk_bus.ts";
import { Disks } from "./disks.ts";
import { BRIDGES, DISK_THREAD, SLOTS } from "./layout.ts";
import { FakeMonitor } from "./testing.ts";
import { diskNode, VmDisks } from "./vm_disks.ts";

const request: DiskRequest = { path: "/disk.img", vm: "mail", name: "data", readOnly: false };

/** A machine whose host inside answers each plug and unplug at once. */
function machine() {
  const monitor = new FakeMonitor();
  const plain = new Bus(monitor);
  const bus = new DiskBus(plain);
  const disks = new Disks(bus);
  monitor.answers.device_add = ({ serial }) =>
    void queueMicrotask(() => plain.arrived(`${serial}`));
  monitor.answers.device_del = ({ id }) =>
    void queueMicrotask(() => monitor.event("DEVICE_DELETED", { device: id }));
  monitor.answers["query-named-block-nodes"] = () =>
    monitor.commands.filter(({ command }) => command === "blockdev-add")
      .map(({ args }) => ({ "node-name": args["node-name"], image: { "virtual-size": 4096 } }));
  return { monitor, bus, disks, vmDisks: new VmDisks(bus, () => disks.makeRoom()) };
}

Deno.test("disks: flushes reach the file, a lock keeps others out, devices are opened as such", () => {
  const node = diskNode(request);
  const text = JSON.stringify(node);
  const caches = [...text.matchAll(/"cache":(\{[^}]*\})/g)].map(([, cache]) => cache);
  assert.deepEqual(caches, Array(2).fill('{"direct":false,"no-flush":false}'));
  assert.match(text, /"driver":"file".*"locking":"on"/);
  assert.equal(node["read-only"], false);
  assert.match(JSON.stringify(diskNode({ ...request, path: "/dev/sdb1" })), /"host_device"/);
  const readOnly = JSON.stringify(diskNode({ ...request, readOnly: true }));
  assert.equal(readOnly.match(/"read-only":true/g)?.length, 2);
});

Deno.test("disks: a VM's disk comes, and goes with it; the next plug sees its new size", async () => {
  const { monitor, vmDisks } = machine();
  const first = await vmDisks.publish(request);
  const second = await vmDisks.publish({ ...request, vm: "web", path: "/other.img" });
  assert.match(first.path, /^\/dev\/colinux-disk\/vm1-/);
  assert.equal(first.size, 4096);
  assert.notEqual(first.path, second.path);
  const added = monitor.commands.find(({ command }) => command === "device_add")?.args;
  assert.equal(added?.["share-rw"], false);
  assert.equal(added?.["write-cache"], "on");
  assert.equal(added?.iothread, DISK_THREAD);
  assert.equal(added?.werror, "report");
  const before = monitor.commands.length;
  await vmDisks.release("mail");
  assert.deepEqual(monitor.names().slice(before), ["device_del", "blockdev-del"]);
  assert.equal(monitor.commands.at(-1)?.args["node-name"], `n${first.path.split("/").at(-1)}`);
  await vmDisks.release("mail");
  assert.equal(monitor.commands.length, before + 2);
  assert.notEqual((await vmDisks.publish(request)).path, first.path);
});

Deno.test("disks: what is in use says by whom, what QEMU cannot open says why", async () => {
  const { monitor, vmDisks } = machine();
  await vmDisks.publish(request);
  const says = async (message: string, more: Partial<DiskRequest> = {}) => {
    monitor.answers["blockdev-add"] = () => new Error(`QEMU: ${message}`);
    const error = await vmDisks.publish({ ...request, ...more }).then(() => undefined, (e) => e);
    assert(error instanceof CliError);
    return `${error.name} ${error.exit} ${error.message}`;
  };
  const locked = 'Failed to get "write" lock';
  assert.equal(
    await says(locked, { vm: "web", name: "spool" }),
    "BUSY 75 disk spool: /disk.img is in use by the VM mail, as disk data",
  );
  assert.equal(
    await says(locked, { name: "spool" }),
    "BUSY 75 disk spool: /disk.img is in use by this VM itself, as disk data",
  );
  assert.equal(
    await says(locked, { path: "/nobodys.img" }),
    "BUSY 75 disk data: /nobodys.img is in use by another VM",
  );
  assert.match(await says("Could not open '/x': Permission denied"), /^PERM 77 .*be written$/);
  assert.match(await says("Could not open '/x': Bad stuff"), /^IO 74 disk data: .*: Could not/);
});

Deno.test("disks: a failed plug costs no slot; kernels make room for disks", async () => {
  const { monitor, bus, disks, vmDisks } = machine();
  monitor.answers["blockdev-add"] = () => new Error("QEMU: no");
  for (let i = 0; i <= BRIDGES * SLOTS; i++) await assert.rejects(vmDisks.publish(request));
  delete monitor.answers["blockdev-add"];
  const kernel = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(kernel, "kernel");
    const first = await disks.publish(kernel);
    assert.deepEqual(await disks.publish(kernel), first);
    for (let i = 1; i < BRIDGES * SLOTS; i++) await vmDisks.publish(request);
    assert(bus.full);
    await vmDisks.publish(request);
    const serial = first.path.split("/").at(-1);
    assert.equal(monitor.commands.find((c) => c.command === "device_del")?.args.id, `d${serial}`);
    await assert.rejects(vmDisks.publish(request), /no slot/);
  } finally {
    await Deno.remove(kernel);
  }
});
