// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Forward } from "../../rpc/proto.ts";
import { CliError } from "../../ui/errors.ts";
import { Forwards } from "./forwards.ts";
import { FakeMonitor } from "./testing.ts";

const smtp: Forward = {
  protocol: "tcp",
  hostAddress: "127.0.0.1",
  hostPort: 2525,
  guestPort: 25,
};
const dns: Forward = { ...smtp, protocol: "udp", hostPort: 5353, guestPort: 53 };
const MAIL = { id: "u1", guest: "10.0.2.15" };
const WEB = { id: "u2", guest: "10.0.2.15" };

function fixture() {
  const monitor = new FakeMonitor();
  monitor.answers["human-monitor-command"] = ({ "command-line": line }) =>
    `${line}`.startsWith("hostfwd_add") ? "" : "host forwarding rule for x removed\r\n";
  const lines = () => monitor.commands.map(({ args }) => args["command-line"]);
  return { monitor, forwards: new Forwards(monitor), lines };
}

async function refused(work: Promise<void>): Promise<string> {
  const error = await work.then(() => undefined, (e: unknown) => e);
  assert(error instanceof CliError);
  return `${error.name} ${error.exit} ${error.message}`;
}

Deno.test("forwards: from a port here to the guest, until they are removed", async () => {
  const { monitor, forwards, lines } = fixture();
  await forwards.add("mail", MAIL, smtp);
  await forwards.add("mail", MAIL, dns);
  await forwards.add("web", WEB, { ...smtp, hostPort: 8080, guestPort: 80 });
  assert.deepEqual(lines(), [
    "hostfwd_add u1 tcp:127.0.0.1:2525-10.0.2.15:25",
    "hostfwd_add u1 udp:127.0.0.1:5353-10.0.2.15:53",
    "hostfwd_add u2 tcp:127.0.0.1:8080-10.0.2.15:80",
  ]);
  assert.deepEqual(forwards.list("mail"), [smtp, dns]);
  assert.deepEqual(forwards.list("nobody"), []);
  assert.equal(
    await refused(forwards.remove("web", smtp)),
    "NOENT 66 127.0.0.1:2525/tcp is not forwarded to port 25 of this VM",
  );
  assert.match(await refused(forwards.remove("mail", { ...smtp, guestPort: 26 })), /to port 26 of/);
  await forwards.remove("mail", smtp);
  assert.equal(lines().at(-1), "hostfwd_remove u1 tcp:127.0.0.1:2525");
  assert.match(await refused(forwards.remove("mail", smtp)), /^NOENT 66 /);
  assert.deepEqual(forwards.list("mail"), [dns]);

  monitor.answers["human-monitor-command"] = () => "unrecognized netdev id 'u1'\r\n";
  assert.match(
    await refused(forwards.remove("mail", dns)),
    /^IO 74 QEMU did not close .*:5353\/udp/,
  );
});

Deno.test("forwards: they go with their network, or are opened again in a new one", async () => {
  const { monitor, forwards, lines } = fixture();
  await forwards.add("mail", MAIL, smtp);
  await forwards.add("mail", MAIL, dns);
  await forwards.add("web", WEB, { ...smtp, hostPort: 8080 });
  assert.deepEqual(await forwards.reopen(MAIL), []);
  assert.deepEqual(lines().slice(3), lines().slice(0, 2));
  monitor.answers["human-monitor-command"] = ({ "command-line": line }) =>
    `${line}`.includes("tcp") ? "Could not set up" : "";
  assert.deepEqual(await forwards.reopen(MAIL), [smtp]);
  assert.deepEqual(forwards.list("mail"), [dns]);
  forwards.forget(MAIL);
  assert.deepEqual(forwards.list("mail"), []);
  assert.equal(forwards.list("web").length, 1);
});

Deno.test("forwards: what cannot be is refused in words, and leaves nothing", async () => {
  const { monitor, forwards, lines } = fixture();
  const add = (forward: Forward) => refused(forwards.add("mail", MAIL, forward));
  await forwards.add("web", WEB, smtp);
  assert.match(await add(smtp), /^BUSY 75 forward 127.0.0.1:2525:25: .* the VM web already$/);
  for (const hostAddress of ["::1", "127.0.0.1-x", "localhost", ""]) {
    assert.match(await add({ ...smtp, hostAddress }), /^INVAL 65 .*IPv4 addresses only$/);
  }
  assert.equal(lines().length, 1);

  // A real listener of this process on a port of this machine.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = { ...smtp, hostPort: listener.addr.port };
  monitor.answers["human-monitor-command"] = () => "Could not set up host forwarding rule";
  assert.match(
    await add(taken),
    new RegExp(`port ${taken.hostPort}/tcp of this machine is in use by pid ${Deno.pid} \\(.*deno`),
  );
  assert.match(await add({ ...smtp, hostPort: 9 }), /forward 127.0.0.1:9:25: /);
  assert.match(await add({ ...taken, protocol: "udp" }), /^INVAL 65 .*does not give that port$/);
  monitor.answers["human-monitor-command"] = () => new Error("QEMU is gone");
  await add(dns);
  monitor.answers["human-monitor-command"] = () => "";
  await forwards.add("mail", MAIL, dns);
  for (let port = 10000; port < 10063; port++) {
    await forwards.add("mail", MAIL, { ...smtp, hostPort: port });
  }
  assert.match(await add({ ...smtp, hostPort: 9999 }), /^LIMIT 75 the VM has 64 forwards already/);
});
