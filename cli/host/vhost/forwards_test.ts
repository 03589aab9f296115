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

function fixture() {
  const monitor = new FakeMonitor();
  monitor.answers["human-monitor-command"] = () => "";
  const lines = () => monitor.commands.map(({ args }) => args["command-line"]);
  return { monitor, forwards: new Forwards(monitor), lines };
}

Deno.test("forwards: a port here, another inside, the way back for both", async () => {
  const { forwards, lines } = fixture();
  const inner = await forwards.map("mail", smtp);
  const innerDns = await forwards.map("mail", dns);
  assert.deepEqual(inner, { ...smtp, hostAddress: "198.18.3.15", hostPort: 20000 });
  assert.deepEqual(innerDns, { ...dns, hostAddress: "198.18.2.16", hostPort: 20001 });
  assert.deepEqual(lines(), [
    "hostfwd_add in tcp:127.0.0.1:2525-198.18.3.15:20000",
    "hostfwd_add out udp:127.0.0.1:5353-198.18.2.16:20001",
  ]);
  const unknown = { ...inner, hostPort: 1 };
  assert.deepEqual(forwards.outer("mail", [innerDns, unknown, inner]), [dns, unknown, smtp]);
  assert.deepEqual(forwards.outer("web", [inner]), [inner]);
  assert.equal(await forwards.unmap("web", smtp), undefined);
  assert.deepEqual(await forwards.unmap("mail", smtp), inner);
  assert.equal(await forwards.unmap("mail", smtp), undefined);
  assert.equal(lines().at(-1), "hostfwd_remove in tcp:127.0.0.1:2525");
});

Deno.test("forwards: they end with their VM, and inner ports are not used again at once", async () => {
  const { forwards, lines } = fixture();
  await forwards.map("mail", smtp);
  await forwards.map("mail", dns);
  const web = await forwards.map("web", { ...smtp, hostPort: 8080, guestPort: 80 });
  await forwards.release("mail");
  assert.deepEqual(lines().slice(3), [
    "hostfwd_remove in tcp:127.0.0.1:2525",
    "hostfwd_remove out udp:127.0.0.1:5353",
  ]);
  assert.deepEqual(await forwards.map("mail", smtp), {
    ...smtp,
    hostAddress: "198.18.3.15",
    hostPort: web.hostPort + 1,
  });
});

Deno.test("forwards: what cannot be is refused in words, and leaves nothing", async () => {
  const { monitor, forwards, lines } = fixture();
  const refused = async (forward: Forward) => {
    const error = await forwards.map("mail", forward).then(() => undefined, (e: unknown) => e);
    assert(error instanceof CliError);
    return `${error.name} ${error.exit} ${error.message}`;
  };
  await forwards.map("web", smtp);
  assert.match(await refused(smtp), /^BUSY 75 forward 127.0.0.1:2525:25: .* the VM web already$/);
  for (const hostAddress of ["::1", "127.0.0.1-x", "localhost", ""]) {
    assert.match(await refused({ ...smtp, hostAddress }), /^INVAL 65 .*IPv4 addresses only$/);
  }
  assert.equal(lines().length, 1);

  // A real listener of this process on a port of this machine.
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const taken = { ...smtp, hostPort: listener.addr.port };
  monitor.answers["human-monitor-command"] = () => "Could not set up host forwarding rule";
  assert.match(
    await refused(taken),
    new RegExp(`port ${taken.hostPort}/tcp of this machine is in use by pid ${Deno.pid} \\(.*deno`),
  );
  assert.match(await refused({ ...smtp, hostPort: 9 }), /forward 127.0.0.1:9:25: /);
  assert.match(
    await refused({ ...taken, protocol: "udp" }),
    /^INVAL 65 .*does not give that port$/,
  );
  monitor.answers["human-monitor-command"] = () => new Error("QEMU is gone");
  await refused(dns);
  monitor.answers["human-monitor-command"] = () => "";
  await forwards.map("mail", dns);
});
