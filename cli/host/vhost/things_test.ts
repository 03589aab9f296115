// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Forward, Vm, VmState } from "../../rpc/proto.ts";
import { FakeMonitor } from "./testing.ts";
import { Things } from "./things.ts";

const smtp: Forward = {
  protocol: "tcp",
  hostAddress: "127.0.0.1",
  hostPort: 2525,
  guestPort: 25,
};
const tell = () => {};

function fixture() {
  const monitor = new FakeMonitor();
  const things = new Things(monitor, () => {});
  monitor.answers["human-monitor-command"] = ({ "command-line": line }) =>
    `${line}`.startsWith("hostfwd_add") ? "" : "it is removed\r\n";
  monitor.answers.device_add = ({ id }) =>
    void queueMicrotask(() => things.arrived(`${id}`.slice(1)));
  monitor.answers.device_del = ({ id }) =>
    void queueMicrotask(() => monitor.event("DEVICE_DELETED", { device: id }));
  const look = (state: VmState) => {
    const vm: Vm = { name: "mail", state, uid: 1000, id: 1, memory: 1 };
    things.look([vm]);
  };
  return { monitor, things, handlers: things.handlers, look };
}

/** Until all that was asked for is done: a VM without anything comes last. */
async function settled(things: Things): Promise<void> {
  await things.release("nobody");
}

Deno.test("things: a network with its ports lives as long as its VM, through restarts", async () => {
  const { monitor, things, handlers, look } = fixture();
  const nat = await handlers.nat({ vm: "mail", forwards: [smtp] }, tell);
  assert.deepEqual(nat, { device: "/dev/colinux-nic/525400c00001" });
  await handlers.forward({ vm: "mail", forward: { ...smtp, hostPort: 2526 } }, tell);
  const { forwards } = await handlers.forwards({ vm: "mail" }, tell);
  assert.deepEqual(forwards.map(({ hostPort }) => hostPort), [2525, 2526]);
  await handlers.unforward({ vm: "mail", forward: smtp }, tell);

  look("ready");
  monitor.commands.length = 0;
  look("restarting");
  look("running");
  await settled(things);
  assert.deepEqual(monitor.names(), [
    "netdev_del",
    "netdev_del",
    "netdev_add",
    "netdev_add",
    "human-monitor-command",
  ]);
  assert.match(`${monitor.commands.at(-1)?.args["command-line"]}`, /:2526-10\.0\.2\.15:25$/);

  look("stopped");
  await settled(things);
  assert.equal(monitor.commands.at(-1)?.args.id, "h525400c00001");
  assert.deepEqual(await handlers.forwards({ vm: "mail" }, tell), { forwards: [] });
});

Deno.test("things: a VM without a network of mode nat has no forwards", async () => {
  const { monitor, handlers } = fixture();
  const params = { vm: "mail", forward: smtp };
  const why = { name: "STATE", exit: 75, message: /^mail has no network of mode nat: nothing can/ };
  await assert.rejects(handlers.forward(params, tell), why);
  await assert.rejects(handlers.unforward(params, tell), why);
  assert.deepEqual(await handlers.forwards({ vm: "mail" }, tell), { forwards: [] });
  assert.deepEqual(monitor.commands, []);
});

Deno.test("things: a NIC that the host inside cannot use fails at once, in its words", async () => {
  const { monitor, things, handlers } = fixture();
  monitor.answers.device_add = ({ id }) =>
    void queueMicrotask(() => things.failed(`${id}`.slice(1) + " macvtap: no memory"));
  await assert.rejects(
    handlers.nat({ vm: "mail", forwards: [] }, tell),
    /in the virtual host: macvtap: no memory/,
  );
});
