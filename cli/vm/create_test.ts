// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Definition } from "../config/definition.ts";
import type { HostStatus } from "../host/host.ts";
import { TCG } from "../host/vhost/accel.ts";
import { cmdlineFor } from "./create.ts";

const base: Definition = { file: "/d/vm.jsonc", name: "vm", memory: 1, vcpus: 1, cmdline: "" };
const local: HostStatus = { kind: "local", running: true, why: "" };
const emulated: HostStatus = { ...local, kind: "virtual", guestWords: TCG.words };

Deno.test("the host's words come before the definition's, which win", () => {
  const definition = { ...base, cmdline: "console=hvc0 mitigations=auto" };
  assert.equal(cmdlineFor(definition, local), definition.cmdline);
  assert.equal(
    cmdlineFor(definition, emulated),
    `mitigations=off noreplace-smp ${definition.cmdline}`,
  );
  assert.equal(cmdlineFor(base, emulated), "mitigations=off noreplace-smp");
  assert.equal(cmdlineFor(base, { ...emulated, guestWords: [] }), "");
});

Deno.test("they never make a command line too long that was not", () => {
  const free = 1023 - "mitigations=off noreplace-smp ".length;
  const fits = { ...base, cmdline: "x".repeat(free) };
  assert.equal(cmdlineFor(fits, emulated).length, 1023);
  for (const cmdline of ["x".repeat(free + 1), "é".repeat(free - 1)]) {
    assert.equal(cmdlineFor({ ...base, cmdline }, emulated), cmdline);
  }
});
