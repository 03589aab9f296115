// SPDX-License-Identifier: GPL-2.0-or-later
import { CliError } from "../../ui/errors.ts";
import { hostFor, MIB, roomIn, sizeMemory } from "./options.ts";

function equal(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`got ${actual}, expected ${expected}`);
}

Deno.test("memory: roomy on a large machine, never more than half of what is free", () => {
  equal(sizeMemory(0, 65536 * MIB), 4096 * MIB);
  equal(sizeMemory(256 * MIB, 4096 * MIB), 2048 * MIB);
});

Deno.test("memory: a mail server and a small guest share one host on a small machine, too", () => {
  equal(sizeMemory(512 * MIB, 2000 * MIB), hostFor(768 * MIB));
  equal(roomIn(sizeMemory(512 * MIB, 2000 * MIB)) >= 768 * MIB, true);
  equal(sizeMemory(256 * MIB, 1200 * MIB), 900 * MIB);
});

Deno.test("memory: enough for the guests asked for", () => {
  equal(sizeMemory(6000 * MIB, 8000 * MIB), hostFor(6000 * MIB));
  equal(roomIn(hostFor(6000 * MIB)) >= 6000 * MIB, true);
  equal(roomIn(hostFor(6000 * MIB)) < 6001 * MIB, true);
});

Deno.test("memory: too little is said clearly", () => {
  try {
    sizeMemory(4096 * MIB, 2048 * MIB);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    equal(error.name, "NOMEM");
    equal(/4096 MiB of guests.*2048 MiB free/.test(error.message), true);
    return;
  }
  throw new Error("accepted");
});
