// SPDX-License-Identifier: GPL-2.0-or-later
/** exec and cp of the built colinux, against a double of the helper whose guest runs a script. */
import assert from "node:assert/strict";
import { FakeError } from "../rpc/testing.ts";
import { test, type World } from "../testing.ts";

interface Running {
  params: Record<string, unknown>;
  data(stream: string, text: string): void;
  exit(how: Record<string, unknown>): void;
}

/** The guest: `begin` runs at exec.start, `input` for each exec.write. */
function guest(
  world: World,
  begin: (command: Running) => void,
  input: (command: Running, text: string, eof: boolean) => void = () => {},
): void {
  const running = new Map<number, Running>();
  world.helper.overrides["exec.start"] = (params, client) => {
    const exec = running.size + 1;
    const event = (method: string, more: Record<string, unknown>) =>
      client.send({ jsonrpc: "2.0", method, params: { name: params.name, exec, ...more } });
    const command: Running = {
      params,
      data: (stream, text) =>
        event("exec.data", { stream, data: new TextEncoder().encode(text).toBase64() }),
      exit: (how) => event("exec.exit", how),
    };
    running.set(exec, command);
    setTimeout(() => begin(command), 1);
    return { exec };
  };
  world.helper.overrides["exec.write"] = (params) => {
    const text = new TextDecoder().decode(Uint8Array.fromBase64(String(params.data)));
    const command = running.get(Number(params.exec));
    if (command !== undefined) input(command, text, params.eof === true);
    return {};
  };
}

test("exec: streams apart, the exit code, what is asked for", {}, async (world) => {
  await world.run(["up", world.define("web")]);
  let asked: Record<string, unknown> = {};
  guest(world, (command) => {
    asked = command.params;
    command.data("stdout", "out\n");
    command.data("stderr", "err\n");
    command.exit({ code: 7 });
  });
  const args = ["-u", "bob", "-w", "/srv", "-e", "A=b=c", "-e", "D=", "--", "ls", "--json", "-q"];
  const ran = await world.run(["exec", "web", ...args]);
  assert.deepEqual(ran, { code: 7, out: "out\n", err: "err\n" });
  assert.deepEqual(asked, {
    name: "web",
    argv: ["ls", "--json", "-q"],
    env: ["A=b=c", "D="],
    user: "bob",
    cwd: "/srv",
    stdin: true,
  });
  const json = await world.run(["exec", "--json", "--", "ls"]);
  assert.deepEqual(JSON.parse(json.out), { code: 7, stdout: "out\n", stderr: "err\n" });
  assert.equal(json.err, "");
});

test("exec: events before the answer, a signal, our own failures", {}, async (world) => {
  await world.run(["up", world.define("web")]);
  world.helper.overrides["exec.start"] = (_params, client) => {
    const event = (method: string, params: unknown) =>
      client.send({ jsonrpc: "2.0", method, params });
    event("exec.data", { name: "web", exec: 5, stream: "stdout", data: "bWluZQ==" });
    event("exec.data", { name: "web", exec: 6, stream: "stdout", data: "bm90" });
    event("exec.exit", { name: "web", exec: 5, signal: 15 });
    return { exec: 5 };
  };
  assert.deepEqual(await world.run(["exec", "--", "x"]), { code: 143, out: "mine", err: "" });

  guest(world, (command) => command.exit({ error: "the agent in the guest has begun anew" }));
  const gone = await world.run(["exec", "--", "x"]);
  assert.equal(gone.code, 125);
  assert.match(
    gone.err,
    /^colinux: the agent in the guest has begun anew\n {2}hint: colinux logs web/,
  );
  world.helper.overrides["exec.start"] = () => {
    throw new FakeError(22, "GUEST", "the agent of web does not answer");
  };
  const silent = await world.run(["exec", "--", "x"]);
  assert.deepEqual([silent.code, /does not answer/.test(silent.err)], [125, true]);
  guest(world, () => {});
  const late = await world.run(["exec", "--timeout", "300ms", "--", "x"]);
  assert.deepEqual([late.code, /not done after/.test(late.err)], [124, true]);
  assert.equal((await world.run(["exec", "nosuch", "--", "x"])).code, 125);
  for (const args of [["web"], ["web", "x"], ["-e", "novalue", "--", "x"], ["a", "b", "--", "x"]]) {
    assert.equal((await world.run(["exec", ...args])).code, 64, args.join(" "));
  }
  assert.equal((await world.run(["shell", "web"])).code, 64);
});

test("exec: stdin in order, whoever is busy meanwhile", {}, async (world) => {
  await world.run(["up", world.define("web")]);
  let got = "";
  guest(world, () => {}, (command, text, eof) => {
    got += text;
    if (eof) command.exit({ code: 0 });
  });
  const take = world.helper.overrides["exec.write"];
  let calls = 0;
  world.helper.overrides["exec.write"] = (params, client) => {
    if (++calls % 2) throw new FakeError(5, "BUSY", "web's worker does not keep up");
    return take?.(params, client);
  };
  const text = Array.from({ length: 30_000 }, (_, i) => `${i}\n`).join("");
  const ran = await world.run(["exec", "--", "cat"], text);
  assert.deepEqual([ran.code, got === text], [0, true]);
});

test("cp: what the agent says when it cannot, with the guest's name", {}, async (world) => {
  await world.run(["up", world.define("web")]);
  guest(world, (command) => {
    command.data("stderr", "/etc/x: No such \x1b[2Jfile\n");
    command.exit({ code: 1 });
  });
  const get = await world.run(["cp", "web:/etc/x", "/nowhere-at-all"]);
  assert.deepEqual([get.code, get.err], [74, "colinux: web:/etc/x: No such ?[2Jfile\n"]);
  const file = world.write("file", "text");
  const put = await world.run(["cp", file, ":/etc/x"]);
  assert.deepEqual([put.code, put.err], [74, "colinux: web:/etc/x: No such ?[2Jfile\n"]);
  guest(world, (command) => {
    command.data("stdout", "coCP");
    command.exit({ code: 0 });
  });
  assert.equal((await world.run(["cp", "web:/etc/x", `${file}.new`])).code, 74);
  assert.throws(() => Deno.statSync(`${file}.new`));
});
