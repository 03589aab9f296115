// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The one test runner, called by tests/run.  Prints one line per test and
 * "N passed, N failed" as the very last; exits with 1 if any failed, 64 on
 * bad arguments.  A test that cannot run has failed.
 */
import { endAll, runLogged } from "./process.ts";
import { allTests, type Test } from "./suites.ts";

const build = Deno.env.get("BUILD") ?? `${Deno.cwd()}/build`;
const logs = `${build}/tests/logs`;

interface Options {
  list: boolean;
  soak: boolean;
  jobs: number;
  names: string[];
}

function parse(args: readonly string[]): Options {
  const options: Options = { list: false, soak: false, jobs: 2, names: [] };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? "";
    if (arg === "--list") options.list = true;
    else if (arg === "--soak") options.soak = true;
    else if (arg === "--jobs") options.jobs = Number(args[++i]);
    else if (arg.startsWith("-")) throw new Error(`unknown option ${arg}`);
    else options.names.push(arg.replace(/\/$/, ""));
  }
  if (!Number.isInteger(options.jobs) || options.jobs < 1) throw new Error("--jobs wants a number");
  return options;
}

function select(tests: readonly Test[], options: Options): Test[] {
  if (options.names.length === 0) return tests.filter((t) => options.soak || !t.soak);
  for (const name of options.names) {
    if (!tests.some((t) => t.name === name || t.name.startsWith(`${name}/`))) {
      throw new Error(`no test or suite is called ${name}; tests/run --list shows them`);
    }
  }
  return tests.filter((t) =>
    options.names.some((name) =>
      t.name === name || (t.name.startsWith(`${name}/`) && (options.soak || !t.soak))
    )
  );
}

async function runOne(test: Test): Promise<boolean> {
  const log = `${logs}/${test.name.replace("/", "-")}.log`;
  const { code, timedOut, seconds } = await runLogged(test.argv, log, test.limit);
  const took = `${seconds.toFixed(1)} s`;
  if (code === 0) {
    console.log(`ok   ${test.name} (${took})`);
    return true;
  }
  const why = timedOut ? `ended after ${test.limit} s` : `exit code ${code}`;
  console.log(`FAIL ${test.name} (${took}): ${why}; ${log.replace(`${Deno.cwd()}/`, "")}`);
  const lines = (await Deno.readTextFile(log)).trimEnd().split("\n");
  for (const line of lines.slice(-6)) console.log(`     | ${line.slice(0, 200)}`);
  return false;
}

async function runAll(tests: readonly Test[], jobs: number): Promise<[number, number]> {
  const queue = [...tests.filter((t) => !t.alone)];
  let passed = 0;
  let failed = 0;
  const worker = async () => {
    for (let test = queue.shift(); test; test = queue.shift()) {
      if (await runOne(test)) passed++;
      else failed++;
    }
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  queue.push(...tests.filter((t) => t.alone));
  await worker();
  return [passed, failed];
}

async function main(): Promise<number> {
  const options = parse(Deno.args);
  const tests = await allTests(build);
  const chosen = select(tests, options);
  if (options.list) {
    for (const test of chosen) console.log(test.name + (test.soak ? " (soak)" : ""));
    return 0;
  }
  await Deno.mkdir(logs, { recursive: true });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(signal, () => {
      endAll();
      Deno.exit(130);
    });
  }
  const [passed, failed] = await runAll(chosen, options.jobs);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

try {
  Deno.exit(await main());
} catch (error) {
  console.error(`tests/run: ${error instanceof Error ? error.message : error}`);
  Deno.exit(64);
}
