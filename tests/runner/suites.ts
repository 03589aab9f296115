// SPDX-License-Identifier: GPL-2.0-or-later
/** The table of everything that `make test` runs; read by the runner. */

export interface Test {
  /** suite/name; one can be run by naming it or its suite. */
  name: string;
  argv: readonly string[];
  /** Seconds after which the test and all its processes are ended. */
  limit: number;
  /** Only with --soak. */
  soak?: boolean;
  /** Runs while nothing else does. */
  alone?: boolean;
}

function make(dir: string, target: string, limit: number): Pick<Test, "argv" | "limit"> {
  return { argv: ["make", "--no-print-directory", "-C", dir, target], limit };
}

const deno = (build: string) => `${build}/cli/deno`;

/** Flags under which the scripts of tests/ run; no script needs a package. */
function script(build: string, file: string, ...args: string[]): string[] {
  return [
    deno(build),
    "run",
    "--quiet",
    "--no-config",
    "--no-prompt",
    // /proc of other processes wants everything.
    "--allow-all",
    file,
    ...args,
  ];
}

/** Asks tests/machine and tests/e2e for their own tables: "name limit [soak] [alone]" lines. */
async function listed(build: string, suite: string, file: string): Promise<Test[]> {
  const [command = "", ...args] = script(build, file, "--list");
  const { success, stdout, stderr } = await new Deno.Command(command, { args }).output();
  const text = new TextDecoder();
  // A suite that cannot even say what it has is one failed test.
  if (!success) {
    const why = text.decode(stderr).trim();
    return [{
      name: `${suite}/table`,
      argv: ["sh", "-c", 'echo "$1"; exit 1', "sh", why],
      limit: 9,
    }];
  }
  return text.decode(stdout).split("\n").filter(Boolean).map((line) => {
    const [name = "", limit = "60", ...flags] = line.split(" ");
    return {
      name: `${suite}/${name}`,
      argv: script(build, file, name),
      limit: Number(limit),
      soak: flags.includes("soak"),
      alone: flags.includes("alone"),
    };
  });
}

export async function allTests(build: string): Promise<Test[]> {
  return [
    { name: "unit/c", ...make("tests/unit", "check", 600) },
    { name: "unit/fuzz", ...make("tests/fuzz", "check", 900) },
    { name: "unit/cli", ...make("cli", "test", 600) },
    { name: "check/kext-darwin", argv: ["sh", "tests/unit/darwin/objects.sh"], limit: 300 },
    { name: "check/cli", ...make("cli", "check", 300) },
    { name: "check/proto", ...make("helperd", "check", 300) },
    { name: "check/house", argv: ["sh", "tests/house.sh"], limit: 120 },
    { name: "check/tests", argv: ["sh", "tests/runner/check.sh"], limit: 120 },
    { name: "machine/install", argv: ["sh", "tests/machine/install.sh"], limit: 1800, soak: true },
    { name: "machine/bochs", argv: ["sh", "tests/machine/bochs.sh"], limit: 1800, soak: true },
    ...await listed(build, "machine", "tests/machine/main.ts"),
    ...await listed(build, "e2e", "tests/e2e/main.ts"),
  ];
}
