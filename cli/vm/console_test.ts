// SPDX-License-Identifier: GPL-2.0-or-later
/** The console in a real terminal. */
import assert from "node:assert/strict";
import { test, type World } from "../testing.ts";

/** A person at a terminal: types, and waits for what the screen shows. */
class Person {
  readonly #child: Deno.ChildProcess;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<string>;
  screen = "";

  constructor(world: World, args: string[]) {
    this.#child = world.terminal(args);
    this.#writer = this.#child.stdin.getWriter();
    this.#reader = this.#child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async type(text: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(text));
  }

  async sees(text: string): Promise<void> {
    while (!this.screen.includes(text)) {
      const { value, done } = await this.#reader.read();
      assert(!done, `the screen never showed ${text}: ${JSON.stringify(this.screen)}`);
      this.screen += value;
    }
  }

  async leaves(): Promise<number> {
    for (;;) {
      const { value, done } = await this.#reader.read();
      if (done) break;
      this.screen += value;
    }
    await this.#writer.close().catch(() => {});
    await this.#child.stderr.cancel();
    return (await this.#child.status).code;
  }
}

const SHELL = { lines: ["welcome"], answer: (input: string) => `<${input}>` };

test("a terminal: keys as they are, the menu, two viewers", { web: SHELL }, async (world) => {
  await world.run(["up", world.define("web")]);
  const one = new Person(world, ["console"]);
  const two = new Person(world, ["console", "web"]);
  await one.sees("[colinux] console of web");
  await one.sees("welcome");
  await two.sees("welcome");
  await one.type("\x03");
  await one.sees("<\x03>");
  await two.sees("<\x03>");
  await two.type("a\x1d");
  await two.sees("q: leave");
  await two.type("\x1d");
  await one.sees("<\x1d>");
  await two.type("\x1ds");
  await two.sees("web is running");
  await two.type("b\x1dq");
  assert.equal(await two.leaves(), 0);
  await one.sees("<b>");
  const resize = world.helper.calls.find(({ method }) => method === "console.resize");
  assert.equal(typeof resize?.params.columns, "number");
  assert.equal((await world.run(["stop", "web"])).code, 0);
  await one.sees("web is stopped");
  assert.equal(await one.leaves(), 0);
});

test("up on a terminal shows the guest's newest line and cleans up", {
  web: { lines: ["Linux version 6.1", "almost"] },
}, async (world) => {
  const up = new Person(world, ["up", world.define("web", ', "ready": { "console": "done" }')]);
  await up.sees("almost");
  world.helper.print("web", "done\r\n");
  await up.sees("web is ready.");
  assert.equal(await up.leaves(), 0);
});
