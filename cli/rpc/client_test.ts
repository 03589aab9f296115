// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { MAX_LINE, RpcClient } from "./client.ts";
import { FakeError, FakeHelper } from "./testing.ts";

async function withHelper(
  body: (helper: FakeHelper, open: () => Promise<RpcClient>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const helper = new FakeHelper(`${folder}/s`);
  const clients: RpcClient[] = [];
  try {
    await body(helper, async () => {
      const transport = await Deno.connect({ transport: "unix", path: `${folder}/s` });
      const client = await RpcClient.open(transport);
      clients.push(client);
      return client;
    });
  } finally {
    for (const client of clients) client.close();
    helper.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function named(name: string, exit?: number) {
  return (error: unknown) =>
    error instanceof CliError && error.name === name && (exit === undefined || error.exit === exit);
}

Deno.test("hello comes first and its answer is kept", () =>
  withHelper(async (helper, open) => {
    const client = await open();
    assert.equal(helper.calls[0]?.method, "hello");
    assert.equal(client.hello?.build, "fake");
  }));

Deno.test("another contract's version is refused with both numbers", () =>
  withHelper(async (helper, open) => {
    helper.overrides["hello"] = () => ({ version: 7, build: "x", abi: 1, uid: 0, pid: 1 });
    await assert.rejects(
      open(),
      (error) => named("ABI", 76)(error) && /version 7/.test(`${error}`),
    );
  }));

Deno.test("an error keeps name, hint and exit code", () =>
  withHelper(async (_helper, open) => {
    const client = await open();
    await assert.rejects(client.call("vm.get", { name: "no" }), named("NOENT", 66));
    await assert.rejects(client.request("no.such", {}), named("NOSYS", 76));
  }));

Deno.test("answers find their requests in any order", () =>
  withHelper(async (helper, open) => {
    const client = await open();
    const gate = Promise.withResolvers<void>();
    helper.overrides["slow"] = async () => {
      await gate.promise;
      return "slow";
    };
    const other = await open();
    const slow = client.request("slow", {});
    assert.deepEqual((await other.call("vm.list", {})).vms, []);
    gate.resolve();
    assert.equal(await slow, "slow");
  }));

Deno.test("a request ends by time-out, by abort and by the end of the stream", () =>
  withHelper(async (helper, open) => {
    helper.overrides["never"] = () => new Promise(() => {});
    const client = await open();
    await assert.rejects(client.request("never", {}, { timeoutMs: 5 }), named("TIMEOUT", 75));
    const second = await open();
    const controller = new AbortController();
    const reason = new CliError("stop", { name: "INTR" });
    const waiting = second.request("never", {}, { signal: controller.signal });
    controller.abort(reason);
    await assert.rejects(waiting, (error) => error === reason);
    const third = await open();
    const lost = third.request("never", {});
    helper.close();
    await assert.rejects(lost, named("CONNECTION", 69));
    assert.equal((await third.closed)?.name, "CONNECTION");
    await assert.rejects(third.request("hello", {}), named("CONNECTION"));
  }));

Deno.test("events arrive in order, unknown ones are ignored", () =>
  withHelper(async (helper, open) => {
    const client = await open();
    const seen: string[] = [];
    client.on("console.line", ({ line }) => seen.push(line));
    helper.overrides["go"] = (_params, peer) => {
      peer.send({ jsonrpc: "2.0", method: "of.the.future", params: {} });
      for (const line of ["a", "b", "c"]) {
        peer.send({ jsonrpc: "2.0", method: "console.line", params: { name: "x", line } });
      }
      return 1;
    };
    await client.request("go", {});
    assert.deepEqual(seen, ["a", "b", "c"]);
  }));

for (
  const [what, line] of [
    ["no JSON", "{"],
    ["no object", "[]"],
    ["an answer without a number", '{"jsonrpc":"2.0","result":1}'],
  ] as const
) {
  Deno.test(`nonsense ends the connection: ${what}`, () =>
    withHelper(async (helper, open) => {
      const client = await open();
      helper.overrides["bad"] = (_params, peer) => {
        peer.send(line);
        return new Promise(() => {});
      };
      await assert.rejects(client.request("bad", {}), named("PROTOCOL", 76));
    }));
}

Deno.test("a line without end is cut off", () =>
  withHelper(async (helper, open) => {
    const client = await open();
    helper.overrides["long"] = (_params, peer) => {
      peer.send("x".repeat(MAX_LINE + 1));
      return new Promise(() => {});
    };
    await assert.rejects(client.request("long", {}), named("PROTOCOL", 76));
  }));

Deno.test("an error of the helper that has only a number is known by it", () =>
  withHelper(async (helper, open) => {
    helper.overrides["vm.start"] = () => {
      throw new FakeError(12, "", "zImage?");
    };
    const client = await open();
    await assert.rejects(client.call("vm.start", { name: "x" }), named("KERNEL", 65));
  }));
