// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The machine tests: main.ts --list, or main.ts NAME to run one; called by
 * tests/run.  Everything they need is built before: make test does.
 */
import { bedTests } from "./bed_tests.ts";
import { bootTests } from "./boot_tests.ts";
import { engineTests } from "./engine_tests.ts";
import { hostileTests } from "./hostile_tests.ts";
import { lifeTests } from "./life_tests.ts";
import { stormTests } from "./storm_tests.ts";
import type { MachineTest } from "./table.ts";

const tests: MachineTest[] = [
  ...bootTests,
  ...bedTests,
  ...lifeTests,
  ...stormTests,
  ...hostileTests,
  ...engineTests,
];

const name = Deno.args[0];
if (name === "--list") {
  for (const test of tests) console.log(`${test.name} ${test.limit}${test.soak ? " soak" : ""}`);
} else {
  const test = tests.find((t) => t.name === name);
  if (!test) {
    console.error(`no machine test is called ${name}`);
    Deno.exit(64);
  }
  try {
    await test.run();
  } catch (error) {
    console.log(`FAILED: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
