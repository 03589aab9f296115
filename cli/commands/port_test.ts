// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux port against a double of the helper. */
import assert from "node:assert/strict";
import { FakeError } from "../rpc/testing.ts";
import { test } from "../testing.ts";

const MAIL = { protocol: "tcp", hostAddress: "127.0.0.1", hostPort: 2525, guestPort: 25 };

/** A port that nothing here listens on. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

test("port add, ls and rm ask the worker", { web: { lines: [] } }, async (world) => {
  const { helper } = world;
  const forwards: unknown[] = [MAIL];
  helper.overrides["port.add"] = ({ forward }) => {
    forwards.push(forward);
    return {};
  };
  helper.overrides["port.list"] = () => ({ forwards });
  helper.overrides["port.remove"] = ({ forward }) => {
    assert.deepEqual(forward, forwards.pop());
    return {};
  };
  await world.run(["up", world.define("web")]);
  const port = freePort();
  // One word is the forward, for the only VM there is.
  const add = await world.run(["port", "add", `[::1]:${port}:53/udp`]);
  assert.deepEqual([add.code, add.out], [0, `web: [::1]:${port}:53/udp is open.\n`], add.err);
  assert.deepEqual(forwards[1], {
    ...{ protocol: "udp", hostAddress: "::1", hostPort: port, guestPort: 53 },
  });
  const ls = await world.run(["port", "ls", "web"]);
  assert.deepEqual([ls.code, ls.out], [0, `127.0.0.1:2525:25\n[::1]:${port}:53/udp\n`]);
  const json = await world.run(["port", "ls", "--json"]);
  assert.deepEqual(JSON.parse(json.out), { name: "web", forwards });
  const rm = await world.run(["port", "rm", "web", `[::1]:${port}:53/udp`, "--json"]);
  assert.deepEqual(JSON.parse(rm.out).forward.guestPort, 53);
  assert.deepEqual(forwards, [MAIL]);
});

test("what cannot be forwarded is told why", { web: { lines: [] } }, async (world) => {
  const { helper } = world;
  await world.run(["up", world.define("web")]);
  const wrong = await world.run(["port", "add", "web", "25"]);
  assert.equal(wrong.code, 64);
  assert.match(wrong.err, /"25" is not a forward such as .*\n {2}hint: write \[NAME\]/);
  assert.equal((await world.run(["port", "rm"])).code, 64);
  assert.equal((await world.run(["port", "add", "nobody", "1025:25"])).code, 66);

  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const used = await world.run(["port", "add", `${taken.addr.port}:25`]);
  assert.equal(used.code, 75);
  assert.match(used.err, new RegExp(`in use by pid ${Deno.pid} \\(`));
  assert(!helper.calls.some(({ method }) => method === "port.add"));

  helper.overrides["port.add"] = () => {
    throw new FakeError(7, "PERM", "port 127.0.0.1:80/tcp of the host: ports below 1024");
  };
  const low = await world.run(["port", "add", `${freePort()}:80`, "--json"]);
  assert.equal(low.code, 77);
  assert.equal(JSON.parse(low.err).error.name, "PERM");
});
