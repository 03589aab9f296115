// SPDX-License-Identifier: GPL-2.0-or-later
/** The built colinux, run as a person or cron runs it, against a double of the helper. */
import assert from "node:assert/strict";
import { FakeError, type Guest } from "./rpc/testing.ts";
import { root, test } from "./testing.ts";

const BOOTS: Guest = { lines: ["Booting paravirtualized kernel on Xen", "shell here", "~ # "] };
const READY = ', "ready": { "console": "shell here" }';

test(
  "a VM's life: up, ls, status, logs, console, stop, start, rm",
  { web: BOOTS },
  async (world) => {
    const file = world.define("web", READY);
    const up = await world.run(["up", file]);
    assert.equal(up.code, 0, up.err);
    assert.match(up.out, /web is ready\.\n.*colinux console web/);
    const create = world.helper.calls.find(({ method }) => method === "vm.create")?.params;
    assert.deepEqual({ ...create, kernel: undefined }, {
      name: "web",
      memory: 256 << 20,
      kernel: undefined,
      cmdline: "console=hvc0",
      vcpus: 1,
      readyConsole: "shell here",
    });

    const again = await world.run(["up", file, "--json"]);
    assert.equal(again.code, 0);
    assert.equal(JSON.parse(again.out).already, true);
    assert.equal(again.err, "");
    assert.equal(world.helper.calls.filter(({ method }) => method === "vm.create").length, 1);

    const ls = await world.run(["ls", "--json"]);
    const { vms } = JSON.parse(ls.out);
    assert.deepEqual(Object.keys(JSON.parse(ls.out)), ["vms"]);
    assert.deepEqual([vms[0].name, vms[0].state], ["web", "ready"]);

    assert.equal((await world.run(["status"])).code, 0);
    assert.match((await world.run(["logs", "web"])).out, /Booting paravirtualized kernel on Xen/);
    assert.equal((await world.run(["logs", "-n", "1"])).out, "~ # \r\n");

    const follow = world.run(["logs", "--follow", "-n", "1", "--timeout", "10s"]);
    const pipe = await world.run(["console", "--wait-for", "uname -r"], "uname -r\n");
    assert.equal(pipe.code, 0, pipe.err);
    assert.match(pipe.out, /uname -r/);
    const idle = await world.run(["console", "--idle", "50ms"], "hello\n");
    assert.deepEqual([idle.code, idle.out], [0, "hello\n"]);

    const refused = await world.run(["rm", "web"]);
    assert.equal(refused.code, 75);
    assert.match(refused.err, /web runs\n {2}hint: colinux stop web/);
    const stop = await world.run(["stop", "-q"]);
    assert.deepEqual(stop, { code: 0, out: "", err: "" });
    const followed = await follow;
    assert.equal(followed.code, 0, followed.err);
    assert.match((await world.run(["logs", "-f"])).out, /paravirtualized/);
    assert.equal((await world.run(["status", "-q"])).code, 3);
    assert.equal((await world.run(["wait", "--for", "stopped"])).code, 0);
    assert.equal((await world.run(["start"])).code, 0);
    assert.equal((await world.run(["rm", "--force"])).code, 0);
    assert.equal((await world.run(["status", "web"])).code, 4);
    assert.deepEqual(JSON.parse((await world.run(["ls", "--json"])).out), { vms: [] });
  },
);

test("a guest that dies first: reason, last words, exit code", {
  web: {
    lines: ["Kernel panic - not syncing: \x1b[2JNo init"],
    end: { state: "failed", reason: "the guest panicked", exit: 1 },
  },
}, async (world) => {
  const file = world.define("web", READY);
  const up = await world.run(["up", file]);
  assert.equal(up.code, 1);
  assert.equal(up.out, "");
  assert.match(up.err, /web failed before it was ready: the guest panicked/);
  assert.match(up.err, /\| Kernel panic - not syncing: No init\n/);
  const status = await world.run(["status"]);
  assert.equal(status.code, 1);
  assert.match(status.out, /reason +the guest panicked/);
  const json = await world.run(["up", file, "--json"]);
  const { error } = JSON.parse(json.err);
  assert.equal(error.name, "KILLED");
  assert.equal(error.vm.state, "failed");
});

test("what ended is remembered after the helper has gone", { web: BOOTS }, async (world) => {
  await world.run(["up", world.define("web", READY)]);
  await world.run(["stop"]);
  world.helper.close();
  assert.equal(JSON.parse((await world.run(["ls", "--json"])).out).vms[0].state, "stopped");
  const status = await world.run(["status"]);
  assert.deepEqual([status.code, status.err], [3, ""]);
  assert.match((await world.run(["logs"])).out, /paravirtualized/);
  const lost = await world.run(["console"]);
  assert.equal(lost.code, 75);
  assert.match(lost.err, /web does not run\n {2}hint: colinux start web/);
});

test("a failed start leaves no VM behind", { web: BOOTS }, async (world) => {
  world.helper.overrides["vm.start"] = () => {
    throw new FakeError(12, "KERNEL", "vmlinuz: not a kernel");
  };
  const up = await world.run(["up", world.define("web")]);
  assert.equal(up.code, 65);
  assert.match(up.err, /vmlinuz: not a kernel\n {2}hint: use a stock x86-64 kernel/);
  assert.equal(world.helper.vms.size, 0);
  assert.deepEqual(JSON.parse((await world.run(["ls", "--json"])).out), { vms: [] });
});

test("the same name from two files names both", { web: BOOTS }, async (world) => {
  const file = world.define("web");
  const other = world.define("other", ', "name": "web"');
  assert.equal((await world.run(["up", file])).code, 0);
  const up = await world.run(["up", other]);
  assert.equal(up.code, 78);
  assert(up.err.includes(`"web" is defined twice: ${file} and ${other}`), up.err);
});

test("--timeout ends a wait and leaves the VM running", {
  web: { lines: ["never"] },
}, async (world) => {
  const up = await world.run(["up", world.define("web", READY), "--timeout", "1s"]);
  assert.equal(up.code, 75, up.err);
  assert.match(up.err, /not done after 1\.0 s/);
  assert.equal(world.helper.vms.get("web")?.vm.state, "running");
});

test("several VMs: NAME is needed, and near misses are named", {}, async (world) => {
  await world.run(["up", world.define("web")]);
  await world.run(["up", world.define("mail")]);
  const none = await world.run(["logs"]);
  assert.deepEqual([none.code, none.err], [
    64,
    "colinux: there are 2 VMs: name one\n  hint: mail, web\n",
  ]);
  assert.match((await world.run(["stop", "wbe"])).err, /did you mean "web"\?/);
});

test("the command line is checked", {}, async (world) => {
  const unknown = await world.run(["upp"]);
  assert.equal(unknown.code, 64);
  assert.match(unknown.err, /unknown command 'upp'\n {2}hint: Did you mean up\?/);
  for (const args of [[], ["up"], ["ls", "x"], ["ls", "--timeout", "soon"], ["ls", "--jsom"]]) {
    assert.equal((await world.run(args)).code, 64, args.join(" "));
  }
  const json = await world.run(["ls", "--nope", "--json"]);
  assert.equal(JSON.parse(json.err).error.name, "USAGE");
  const nothing = await world.run(["up", "nothing-like-this", "--json"]);
  assert.equal(nothing.code, 66);
  assert.equal(typeof JSON.parse(nothing.err).error.hint, "string");
});

test("every verb has a page with examples", {}, async (world) => {
  const { out, code } = await world.run(["--help"]);
  assert.equal(code, 0);
  assert.match(out, /Exit codes/);
  const verbs = [...out.matchAll(/^ {2}([a-z]+)(?:\|\w+)? .*\[?/gm)].map((match) => match[1] ?? "")
    .filter((verb) => verb !== "help" && !/^(host|port)$/.test(verb));
  for (const verb of ["up", "console", "logs", "doctor", "rpc"]) assert(verbs.includes(verb), verb);
  for (
    const args of [["up"], ["console"], ["host", "start"], ["port", "add"], ["doctor"], [
      "completion",
    ]]
  ) {
    const page = await world.run([...args, "--help"]);
    assert.equal(page.code, 0);
    assert.match(page.out, /Examples:\n {2}\$ /);
  }
});

test("rpc, schema, validate and completion", { web: BOOTS }, async (world) => {
  assert.deepEqual(JSON.parse((await world.run(["rpc", "vm.list"])).out), { vms: [] });
  assert.equal((await world.run(["rpc", "vm.list", "{"])).code, 64);
  assert.equal((await world.run(["rpc", "no.such"])).code, 76);
  assert.equal(
    (await world.run(["schema"])).out,
    await Deno.readTextFile(`${root}configs/schema.json`),
  );
  const bad = await world.run(["validate", world.write("x.jsonc", '{ "kernal": 1 }')]);
  assert.equal(bad.code, 78);
  assert.match(bad.err, /x\.jsonc:1:3: unknown key "kernal": did you mean "kernel"\?\n/);
  assert.match((await world.run(["completion", "bash"])).out, /colinux/);
  await world.run(["up", world.define("web")]);
  assert.match((await world.run(["complete", "--", "console", ""])).out, /^web/m);
});

test("a helper that speaks nonsense or closes early is told from a bug", {}, async (world) => {
  world.helper.overrides["vm.list"] = (_params, client) => {
    client.send("nonsense");
    return {};
  };
  const ls = await world.run(["ls"]);
  assert.deepEqual([ls.code, /not JSON/.test(ls.err)], [76, true]);
  world.helper.overrides["hello"] = () => {
    throw new FakeError(9, "ABI", "the module's ABI is 3, this helper's 4");
  };
  const abi = await world.run(["ls"]);
  assert.equal(abi.code, 76);
  assert.match(abi.err, /ABI is 3.*\n {2}hint: install module, helper and CLI of one build/);
});
