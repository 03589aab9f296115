// SPDX-License-Identifier: GPL-2.0-or-later
/** The end-to-end tests: main.ts --list, or main.ts NAME; called by tests/run. */
import { conetTests } from "./conet_tests.ts";
import { blockTests } from "./block_tests.ts";
import { diskTests } from "./disk_tests.ts";
import { execTests } from "./exec_tests.ts";
import { hostileTests } from "./hostile_tests.ts";
import { hostTests } from "./host_tests.ts";
import { imageTests } from "./image_tests.ts";
import { inputTests } from "./input_tests.ts";
import { mailKillTests } from "./mail_kill_tests.ts";
import { mailTests } from "./mail_tests.ts";
import { netTests } from "./net_tests.ts";
import { lifeTests } from "./life_tests.ts";
import { userTests } from "./user_tests.ts";
import { type E2eTest, vmTests } from "./vm_tests.ts";

const tests: E2eTest[] = [
  ...inputTests,
  ...vmTests,
  ...execTests,
  ...hostTests,
  ...diskTests,
  ...blockTests,
  ...netTests,
  ...lifeTests,
  ...conetTests,
  ...imageTests,
  ...mailTests,
  ...mailKillTests,
  ...userTests,
  ...hostileTests,
];

const name = Deno.args[0];
if (name === "--list") {
  for (const { name, limit, soak } of tests) console.log(`${name} ${limit}${soak ? " soak" : ""}`);
} else {
  const test = tests.find((t) => t.name === name);
  if (!test) {
    console.error(`no end-to-end test is called ${name}`);
    Deno.exit(64);
  }
  try {
    await test.run();
  } catch (error) {
    console.log(`FAILED: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
