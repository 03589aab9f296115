// SPDX-License-Identifier: GPL-2.0-or-later
/** What a person sees of a VM that is not ready yet, not well, or starts again by itself. */
import assert from "node:assert/strict";
import { test, type World } from "../testing.ts";

const TCP = ', "initrd": "builtin:shell", "ready": { "tcp": [{ "port": 587, "expect": "220 " }] }';
const QUIET = { lines: ["Booting"] };

/** Until the double has been asked so often, or whoever should ask has ended. */
async function asked(world: World, method: string, by: Promise<unknown>, times = 1) {
  let over = false;
  by.then(() => over = true);
  const calls = () => world.helper.calls.filter((call) => call.method === method).length;
  while (!over && calls() < times) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("up waits for the checks and says for what", { web: QUIET }, async (world) => {
  const file = world.define("web", TCP);
  const late = world.run(["up", file, "--timeout", "8s"]);
  await asked(world, "vm.start", late);
  world.helper.become("web", { waiting: "port 587: connection refused" });
  const { code, err } = await late;
  assert.equal(code, 75);
  assert.match(err, /not done after 8\.0 s: web is waiting for port 587: connection refused\n/);
  assert.match(err, /last lines of its console:\n {2}\| Booting\n/);
  assert.match(err, /web goes on/);
  assert.match((await world.run(["ls"])).out, /web +running .* waiting for port 587: conn/);
  assert.match((await world.run(["status"])).out, /waits +for port 587: connection refused\n/);

  const json = await world.run(["up", file, "--timeout", "1s", "--json"]);
  const { error } = JSON.parse(json.err);
  assert.deepEqual([error.name, error.vm.waiting], ["TIMEOUT", "port 587: connection refused"]);

  const wait = world.run(["wait", "web", "--for", "ready", "--json"]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  delete world.helper.vms.get("web")?.vm.waiting;
  world.helper.become("web", { state: "ready" });
  assert.equal(JSON.parse((await wait).out).vm.state, "ready");
  assert.match((await world.run(["up", file])).out, /web is ready \(already\)/);
  const create = world.helper.calls.find(({ method }) => method === "vm.create")?.params;
  assert.deepEqual(create?.readyTcp, [{ port: 587, expect: "220 " }]);
});

test("a VM that starts again by itself: up fails, wait waits", { web: QUIET }, async (world) => {
  const file = world.define("web", `${TCP}, "restart": "on-failure"`);
  const up = world.run(["up", file]);
  await asked(world, "vm.start", up);
  const reason = "the guest's kernel crashed";
  world.helper.become("web", { state: "restarting", restarts: 1, reason });
  const { code, err } = await up;
  assert.equal(code, 1);
  assert.match(err, /web failed before it was ready: the guest's kernel crashed\n/);
  assert.match(err, /hint: it is started again.*colinux stop web ends that/);
  assert.equal((await world.run(["status", "-q"])).code, 3);
  assert.match((await world.run(["ls"])).out, /web +restarting .* restarting: the guest's kernel/);
  assert.equal((await world.run(["rm", "web"])).code, 75);

  const wait = world.run(["wait", "--for", "ready", "--timeout", "20s"]);
  const again = world.run(["up", file, "--timeout", "20s"]);
  // The first up was the first to subscribe; an up and a wait get their VM after that.
  await asked(world, "events.subscribe", Promise.all([wait, again]), 3);
  await new Promise((resolve) => setTimeout(resolve, 300));
  world.helper.become("web", { state: "running" });
  world.helper.become("web", { state: "ready" });
  assert.equal((await wait).code, 0);
  assert.match((await again).out, /web is ready \(already\)/);
  assert.match((await world.run(["ls"])).out, /restarted once: the guest's kernel crashed/);
  assert.match((await world.run(["status"])).out, /restarts +1\n/);
  world.helper.become("web", { state: "restarting" });
  assert.match((await world.run(["stop"])).out, /^web will not start again\.\n/);
  const create = world.helper.calls.find(({ method }) => method === "vm.create")?.params;
  assert.equal(create?.restart, "on-failure");
});

test("not well: seen in ls, status and by who waits", { web: QUIET }, async (world) => {
  await world.run(["up", world.define("web")]);
  world.helper.become("web", { reason: "port 993 has not answered for 90 s" });
  assert.match((await world.run(["ls"])).out, /not well: port 993 has not answered/);
  assert.match((await world.run(["status"])).out, /reason +port 993 has not answered for 90 s/);
  const wait = await world.run(["wait", "--for", "ready", "--timeout", "1s"]);
  assert.equal(wait.code, 75);
  assert.match(wait.err, /web is not well: port 993/);
});

test("restart: a running VM by the helper, a stopped one as start does", {
  web: { lines: ["Booting", "shell here"] },
}, async (world) => {
  await world.run(["up", world.define("web", ', "ready": { "console": "shell here" }')]);
  const first = world.helper.vms.get("web")?.vm.id;
  const restart = await world.run(["restart", "web", "--grace", "5s"]);
  assert.equal(restart.code, 0, restart.err);
  assert.match(restart.out, /^web is ready\.\n/);
  assert.notEqual(world.helper.vms.get("web")?.vm.id, first);
  const call = () => world.helper.calls.findLast(({ method }) => method === "vm.restart")?.params;
  assert.deepEqual(call(), { name: "web", timeoutMs: 5000 });
  const quiet = await world.run(["restart", "--force", "-q"]);
  assert.deepEqual([quiet.code, quiet.out, quiet.err], [0, "", ""]);
  assert.deepEqual(call(), { name: "web", force: true });
  const json = JSON.parse((await world.run(["restart", "--json"])).out);
  assert.deepEqual([json.vm.state, json.already], ["ready", false]);

  const calls = world.helper.calls.length;
  await world.run(["stop"]);
  assert.equal((await world.run(["restart"])).code, 0);
  const later = world.helper.calls.slice(calls).map(({ method }) => method);
  assert(later.includes("vm.start") && !later.includes("vm.restart"), later.join(" "));
  assert.equal((await world.run(["restart", "none"])).code, 66);
});

test("autostart is asked of a native host", { web: QUIET }, async (world) => {
  await world.run(["up", world.define("web", ', "autostart": true')]);
  const create = world.helper.calls.find(({ method }) => method === "vm.create")?.params;
  assert.equal(create?.autostart, true);
  world.helper.become("web", { autostart: true });
  assert.match((await world.run(["status"])).out, /starts +with this machine\n/);
});

test("colinuxd was killed: said in words, and up works", { web: QUIET }, async (world) => {
  const file = world.define("web");
  await world.run(["up", file]);
  world.helper.vms.clear();
  const status = await world.run(["status"]);
  assert.equal(status.code, 1);
  assert.match(
    status.out,
    /web: failed\n(.*\n)* +reason +its host, or colinuxd there, ended while/,
  );
  assert.equal((await world.run(["up", file])).code, 0);
  assert.equal((await world.run(["status"])).code, 0);
});
