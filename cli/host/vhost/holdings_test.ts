// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Vm, VmState } from "../../rpc/proto.ts";
import { Holdings } from "./holdings.ts";

function vm(name: string, state: VmState, restarts?: number): Vm {
  return { name, state, uid: 1000, id: 1, memory: 1, restarts };
}

Deno.test("holdings: kept while the VM lives or will live again, let go when it has ended", async () => {
  const released: string[] = [];
  const holder = {
    release: (name: string) => {
      released.push(name);
      return Promise.resolve();
    },
  };
  const holdings = new Holdings([holder], () => {});
  holdings.hold("mail");
  // Its last run, and no run yet: the new one is still on its way.
  holdings.look([vm("mail", "stopped")]);
  holdings.look([]);
  for (const state of ["created", "running", "ready", "restarting", "running"] as const) {
    holdings.look([vm("mail", state), vm("other", "ready")]);
  }
  assert.deepEqual(released, []);
  holdings.look([vm("mail", "failed")]);
  assert.deepEqual(released, ["mail"]);
  holdings.look([]);
  assert.deepEqual(released, ["mail"]);

  holdings.hold("web");
  holdings.look([vm("web", "ready")]);
  holdings.look([]);
  assert.deepEqual(released, ["mail", "web"]);
  holdings.hold("web");
  await holdings.release("web");
  assert.deepEqual(released, ["mail", "web", "web"]);
});

Deno.test("holdings: what a VM's next run gets while its last one is let go is not touched", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const order: string[] = [];
  const slow = { release: () => promise };
  const other = {
    release: () => {
      order.push("release");
      return Promise.resolve();
    },
  };
  const holdings = new Holdings([slow, other], () => {});
  holdings.hold("mail");
  holdings.look([vm("mail", "ready")]);
  holdings.look([vm("mail", "stopped")]);
  holdings.hold("mail");
  order.push("made anew");
  resolve();
  await new Promise((done) => setTimeout(done, 0));
  assert.deepEqual(order, ["release", "made anew"]);
});

Deno.test("holdings: what a guest that starts again has is reset, once for each death", async () => {
  const reset: string[] = [];
  const nothing = () => Promise.resolve();
  const holder = {
    release: nothing,
    reset: (name: string) => {
      reset.push(name);
      return Promise.reject(new Error("no such network"));
    },
  };
  const notes: string[] = [];
  const holdings = new Holdings([holder, { release: nothing }], (line) => notes.push(line));
  holdings.hold("mail");
  holdings.look([vm("mail", "stopped", 7)]);
  // The first look at it, whatever it shows; others hold nothing.
  holdings.look([vm("mail", "restarting", 1), vm("other", "running")]);
  holdings.look([vm("mail", "running", 1), vm("other", "restarting")]);
  holdings.look([vm("mail", "ready", 1)]);
  assert.deepEqual(reset, []);
  // It asked to reboot, or somebody said restart: no failure is counted.
  holdings.look([vm("mail", "restarting")]);
  holdings.look([vm("mail", "restarting")]);
  holdings.look([vm("mail", "running")]);
  assert.equal(reset.length, 1);
  // A crash is counted at once.
  holdings.look([vm("mail", "restarting", 1)]);
  holdings.look([vm("mail", "running", 1)]);
  assert.equal(reset.length, 2);
  // Nobody looked while it waited, or while it ran.
  holdings.look([vm("mail", "running", 2)]);
  assert.equal(reset.length, 3);
  holdings.look([vm("mail", "restarting", 3)]);
  holdings.look([vm("mail", "restarting", 4)]);
  assert.deepEqual(reset, Array(5).fill("mail"));
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(notes[0], "mail: Error: no such network");

  // The next run begins anew.
  holdings.look([vm("mail", "stopped", 4)]);
  holdings.hold("mail");
  holdings.look([vm("mail", "running", 5)]);
  assert.equal(reset.length, 5);
});
