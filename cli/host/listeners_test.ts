// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Forward } from "../rpc/proto.ts";
import { collides, type Listener, parseListeners, portInUse } from "./listeners.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  " +
  "timeout inode";
const TCP = `${HEAD}
   0: 0100007F:09DD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4711 1 0
   1: 0100007F:09DE 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0
   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 0
   3: nonsense
   4: 0100007F:0019 00000000:0000 0A
`;
const TCP6 = `${HEAD}
   0: 00000000000000000000000001000000:0277 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1
   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 2
   2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 3
   3: B80D0120000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 4
`;

Deno.test("listeners: the kernel's tables are read, whatever else is in them", () => {
  assert.deepEqual(parseListeners(TCP, "tcp"), [
    { address: "127.0.0.1", port: 2525, uid: 1000, inode: "4711" },
    { address: "0.0.0.0", port: 22, uid: 0, inode: "4713" },
  ]);
  assert.deepEqual(parseListeners(TCP6, "tcp").map(({ address, port }) => `${address} ${port}`), [
    "::1 631",
    ":: 80",
    "127.0.0.1 8080",
    "2001:db8::1 81",
  ]);
  assert.deepEqual(parseListeners(TCP, "udp"), []);
  assert.deepEqual(parseListeners("", "tcp"), []);
});

Deno.test("listeners: which of them keeps a forward from its port", () => {
  const forward = (hostAddress: string): Forward => ({
    protocol: "tcp",
    hostAddress,
    hostPort: 25,
    guestPort: 25,
  });
  const listener = (address: string, port = 25): Listener => ({
    address,
    port,
    uid: 0,
    inode: "1",
  });
  const rows: [string, string, boolean][] = [
    ["127.0.0.1", "127.0.0.1", true],
    ["127.0.0.1", "127.0.0.2", false],
    ["127.0.0.1", "0.0.0.0", true],
    ["0.0.0.0", "127.0.0.1", true],
    ["::", "127.0.0.1", true],
    ["::1", "127.0.0.1", false],
    ["::1", "::1", true],
    ["0.0.0.0", "::1", false],
  ];
  for (const [theirs, ours, expected] of rows) {
    assert.equal(collides(listener(theirs), forward(ours)), expected, `${theirs} and ${ours}`);
  }
  assert.equal(collides(listener("0.0.0.0", 26), forward("127.0.0.1")), false);
});

Deno.test("listeners: who has a port, with pid and command", async () => {
  using listener = Deno.listen({ hostname: "0.0.0.0", port: 0 });
  const { port } = listener.addr;
  const forward: Forward = {
    protocol: "tcp",
    hostAddress: "127.0.0.1",
    hostPort: port,
    guestPort: 25,
  };
  const error = await portInUse(forward);
  assert.equal(error?.name, "BUSY");
  assert.equal(error?.exit, 75);
  assert.match(
    error?.message ?? "",
    new RegExp(`^forward 127.0.0.1:${port}:25: port ${port}/tcp .* by pid ${Deno.pid} \\(\\S*deno`),
  );
  assert.equal(await portInUse({ ...forward, protocol: "udp" }), undefined);
  listener.close();
  assert.equal(await portInUse(forward), undefined);
});
