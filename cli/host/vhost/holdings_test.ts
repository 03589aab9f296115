// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Vm, VmState } from "../../rpc/proto.ts";
import { Holdings } from "./holdings.ts";

function vm(name: string, state: VmState): Vm {
  return { name, state, uid: 1000, id: 1, memory: 1 };
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
