// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Definition } from "../config/definition.ts";
import type { DiskRequest } from "../host/host.ts";
import type { Forward } from "../rpc/proto.ts";
import type { Paths } from "../ui/paths.ts";
import { disksOf, netsOf, stableMac } from "./devices.ts";

const paths = { state: "/state" } as Paths;
const base: Definition = { file: "/d/vm.jsonc", name: "vm", memory: 1, vcpus: 1, cmdline: "" };

Deno.test("an address belongs to one VM of one state folder, and stays", async () => {
  const mac = await stableMac("/state", "vm");
  assert.match(mac, /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
  assert.equal(Number.parseInt(mac.slice(0, 2), 16) & 3, 2);
  assert.equal(await stableMac("/state", "vm"), mac);
  assert.notEqual(await stableMac("/state", "vm2"), mac);
  assert.notEqual(await stableMac("/other", "vm"), mac);
});

Deno.test("disks and networks as vm.create takes them", async () => {
  const asked: string[] = [];
  const publish = ({ vm, name, path, readOnly }: DiskRequest) => {
    asked.push(`${vm} ${name} ${path} ${readOnly ? "ro" : "rw"}`);
    return Promise.resolve({ path: `/published${path}` });
  };
  const outer: Forward = {
    protocol: "tcp",
    hostAddress: "127.0.0.1",
    hostPort: 2525,
    guestPort: 25,
  };
  const definition: Definition = {
    ...base,
    disks: [
      { name: "data", size: 1, format: "ext4", readOnly: false, persistentGrants: true },
      { name: "cd", path: "/a.iso", format: "none", readOnly: true },
    ],
    network: { mode: "tap", tap: "tap0", mac: "02:00:00:00:00:01", forwards: [outer] },
  };
  assert.deepEqual(await disksOf(paths, definition, "/r.img", publish), [
    { name: "root", readOnly: false, path: "/published/r.img" },
    {
      name: "data",
      readOnly: false,
      persistentGrants: true,
      path: "/published/state/vms/vm/data.img",
    },
    { name: "cd", readOnly: true, path: "/published/a.iso" },
  ]);
  assert.deepEqual(asked, [
    "vm root /r.img rw",
    "vm data /state/vms/vm/data.img rw",
    "vm cd /a.iso ro",
  ]);
  const tap = { mode: "tap", tap: "tap0", mac: "02:00:00:00:00:01", forwards: [outer] } as const;
  const prepareNat = (forwards: Forward[]) => {
    asked.push(`nat ${forwards.length}`);
    return Promise.resolve({ device: "/dev/nic", forwards: [] });
  };
  assert.deepEqual(await netsOf(paths, definition, prepareNat), [tap]);
  assert.deepEqual(await netsOf(paths, base, prepareNat), []);
  assert.equal(asked.length, 3);
  const nat: Definition = { ...base, network: { mode: "nat", mac: tap.mac, forwards: [outer] } };
  assert.deepEqual(await netsOf(paths, nat, prepareNat), [
    { mode: "nat", mac: tap.mac, device: "/dev/nic", forwards: [] },
  ]);
  assert.equal(asked.at(-1), "nat 1");
  const native = (forwards: Forward[]) => Promise.resolve({ forwards });
  assert.deepEqual(await netsOf(paths, nat, native), [
    { mode: "nat", mac: tap.mac, forwards: [outer] },
  ]);
});
