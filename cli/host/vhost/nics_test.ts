// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Forward } from "../../rpc/proto.ts";
import { Bus } from "./bus.ts";
import { Forwards } from "./forwards.ts";
import { BRIDGES, SLOTS } from "./layout.ts";
import { Nics } from "./nics.ts";
import { FakeMonitor } from "./testing.ts";

const smtp: Forward = {
  protocol: "tcp",
  hostAddress: "127.0.0.1",
  hostPort: 2525,
  guestPort: 25,
};

/** A machine whose host inside answers each plug and unplug at once. */
function machine(patience?: number) {
  const monitor = new FakeMonitor();
  const bus = new Bus(monitor, patience);
  const forwards = new Forwards(monitor);
  const notes: string[] = [];
  let rooms = 0;
  const nics = new Nics(
    bus,
    forwards,
    () => Promise.resolve(void rooms++),
    (line) => notes.push(line),
  );
  monitor.answers["human-monitor-command"] = () => "";
  monitor.answers.device_add = ({ id }) => void queueMicrotask(() => bus.arrived(`${id}`.slice(1)));
  monitor.answers.device_del = ({ id }) =>
    void queueMicrotask(() => monitor.event("DEVICE_DELETED", { device: id }));
  /** Since the last time: commands with the name of their thing. */
  const said = () =>
    monitor.commands.splice(0).map(({ command, args }) =>
      `${command} ${args.id ?? args["command-line"]}`
    );
  return { monitor, bus, forwards, nics, notes, said, rooms: () => rooms };
}

Deno.test("nics: a user network, a hub between, a NIC; all of it goes with the VM", async () => {
  const { monitor, nics, forwards, said, rooms } = machine();
  assert.deepEqual(await nics.plug("mail", 0), { device: "/dev/colinux-nic/525400c00001" });
  assert.deepEqual(monitor.commands.map(({ args }) => args), [
    {
      type: "user",
      id: "u525400c00001",
      hostname: "mail",
      net: "10.0.2.0/24",
      host: "10.0.2.2",
      dns: "10.0.2.3",
      dhcpstart: "10.0.2.15",
      "ipv6-prefix": "fd63:6f4c:694e:0::",
      "ipv6-prefixlen": 64,
      "ipv6-host": "fd63:6f4c:694e:0::2",
      "ipv6-dns": "fd63:6f4c:694e:0::3",
    },
    { type: "hubport", id: "k525400c00001", hubid: 1, netdev: "u525400c00001" },
    { type: "hubport", id: "h525400c00001", hubid: 1 },
    {
      driver: "virtio-net-pci",
      id: "d525400c00001",
      netdev: "h525400c00001",
      mac: "52:54:00:c0:00:01",
      host_mtu: 65521,
      romfile: "",
      bus: "bridge1",
      addr: "1",
    },
  ]);
  await nics.plug("mail", 1);
  await nics.plug("web", 0);
  assert.equal(rooms(), 3);
  const [, , , , second] = monitor.commands;
  assert.equal(second?.args.net, "10.0.3.0/24");
  assert.equal(second?.args["ipv6-dns"], "fd63:6f4c:694e:1::3");
  assert.deepEqual(nics.network("mail"), { id: "u525400c00001", guest: "10.0.2.15" });
  assert.throws(
    () => nics.network("nobody"),
    /^STATE: nobody has no network of mode nat: nothing/,
  );
  await forwards.add("mail", nics.network("mail"), smtp);
  said();

  await nics.release("mail");
  assert.deepEqual(said(), [
    "netdev_del k525400c00001",
    "netdev_del u525400c00001",
    "device_del d525400c00001",
    "netdev_del h525400c00001",
    "netdev_del k525400c00002",
    "netdev_del u525400c00002",
    "device_del d525400c00002",
    "netdev_del h525400c00002",
  ]);
  assert.deepEqual(forwards.list("mail"), []);
  assert.throws(() => nics.network("mail"));
  await nics.release("mail");
  assert.deepEqual(said(), []);
  assert.equal(nics.network("web").id, "u525400c00003");
});

Deno.test("nics: a reset ends all connections, and opens the ports again; the NIC stays", async () => {
  const { monitor, nics, forwards, notes, said } = machine();
  await nics.plug("mail", 0);
  await nics.plug("web", 0);
  await forwards.add("mail", nics.network("mail"), smtp);
  await forwards.add("mail", nics.network("mail"), { ...smtp, hostPort: 2526 });
  await forwards.add("web", nics.network("web"), { ...smtp, hostPort: 8080 });
  said();
  await nics.reset("mail");
  assert.deepEqual(said(), [
    "netdev_del k525400c00001",
    "netdev_del u525400c00001",
    "netdev_add u525400c00001",
    "netdev_add k525400c00001",
    "human-monitor-command hostfwd_add u525400c00001 tcp:127.0.0.1:2525-10.0.2.15:25",
    "human-monitor-command hostfwd_add u525400c00001 tcp:127.0.0.1:2526-10.0.2.15:25",
  ]);
  // Somebody else was faster.
  monitor.answers["human-monitor-command"] = ({ "command-line": line }) =>
    `${line}`.includes(":2525-") ? "Could not set up" : "";
  await nics.reset("mail");
  assert.deepEqual(forwards.list("mail").map(({ hostPort }) => hostPort), [2526]);
  assert.deepEqual(notes, ["mail: forward 127.0.0.1:2525:25 is lost: its port has gone"]);
});

Deno.test("nics: a plug that fails leaves nothing, and costs no slot", async () => {
  const { monitor, bus, nics, said } = machine(5);
  monitor.answers.device_add = () => new Error("QEMU: no");
  for (let i = 0; i <= BRIDGES * SLOTS; i++) await assert.rejects(nics.plug("mail", 0), /QEMU: no/);
  assert.deepEqual(said().slice(-7), [
    "netdev_add u525400c0003f",
    "netdev_add k525400c0003f",
    "netdev_add h525400c0003f",
    "device_add d525400c0003f",
    "netdev_del h525400c0003f",
    "netdev_del k525400c0003f",
    "netdev_del u525400c0003f",
  ]);
  monitor.answers.netdev_add = ({ id }) => `${id}`.startsWith("k") ? new Error("QEMU: no hub") : {};
  await assert.rejects(nics.plug("mail", 0), /no hub/);
  assert.deepEqual(said().slice(-1), ["netdev_del u525400c00040"]);
  delete monitor.answers.netdev_add;

  // The host inside says that it cannot use it: it goes.
  monitor.answers.device_add = ({ id }) =>
    void queueMicrotask(() => bus.failed(`${id}`.slice(1), "no macvtap"));
  await assert.rejects(nics.plug("mail", 0), /in the virtual host: no macvtap/);
  assert.deepEqual(said().slice(-1), ["device_del d525400c00041"]);

  // It does not say anything.
  monitor.answers.device_add = () => ({});
  monitor.answers.device_del = () => ({});
  await assert.rejects(nics.plug("mail", 0), /does not see the NIC 525400c00042 come/);
  assert.throws(() => nics.network("mail"));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const free = [];
  while (!bus.full) free.push(bus.take("NIC"));
  assert.equal(free.length, BRIDGES * SLOTS - 1);
  await assert.rejects(nics.plug("mail", 0), /no slot for another NIC/);
});

Deno.test("nics: one that does not go has no ports and no connections any more", async () => {
  const { monitor, bus, nics, said } = machine(5);
  await nics.plug("mail", 0);
  monitor.answers.device_del = () => ({});
  said();
  await assert.rejects(nics.release("mail"), /does not let the NIC 525400c00001 go/);
  assert.deepEqual(said().slice(0, 2), ["netdev_del k525400c00001", "netdev_del u525400c00001"]);
  monitor.answers.device_add = ({ id }) => void queueMicrotask(() => bus.arrived(`${id}`.slice(1)));
  await nics.plug("mail", 0);
  assert.equal(monitor.commands.at(-1)?.args.addr, "2");
});
