// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux exec: a command in a guest. */
import { verb } from "#args";
import { run, setExit } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

/** A shell's and env(1)'s convention for what ran nothing. */
const NOT_RUN = 125;
const TIMED_OUT = 124;

export function execCommand() {
  return verb("exec", "Run a command in a guest", {
    description: `
The command's words are those behind --; no shell looks at them. Its stdout and
stderr come out here as they are, separately, and its exit code is this
command's. It runs as root in root's home, unless -u and -w say otherwise, with
the environment of a fresh login.

stdin goes to the command when it is not a terminal, or with -i. -t gives it a
terminal: then all of its output is on stdout. ^C and SIGTERM go to the command,
a second one ends this program as well; and with this program, however it ends,
ends the command.

It needs coLinux's agent in the guest (images that coLinux builds have it), and
no network.`,
    examples: [
      ["colinux exec minimal -- uname -r", "the guest's kernel"],
      ["colinux exec -q mailserver -- postqueue -j", "a line for a crontab"],
      ["tar c files | colinux exec mailserver -w /srv -- tar x", "data through stdin"],
      ["colinux exec -it -- top", "on a terminal, in the only VM"],
    ],
    exit: [
      [124, "--timeout has passed; the command was ended"],
      [125, "it was not run, or its end is not known: no such VM, no agent"],
      [126, "the guest cannot run it"],
      [127, "the guest does not have it"],
      [128, "and more: a signal ended it (128 + its number)"],
    ],
    see: ["shell", "cp", "console"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .argument("[command...]", "-- and the command's words")
    .usage("[options] [name] -- command...")
    .option("-i, --interactive", "stdin goes to the command even from a terminal")
    .option("-t, --tty", "give the command a terminal")
    .option("-u, --user <user>", "run as this user of the guest, by name or number")
    .option("-w, --workdir <folder>", "run in this folder of the guest")
    .option("-e, --env <name=value>", "set a variable (may be repeated)", variable, [])
    .action(async (first, rest, options) => {
      const { name, argv } = split(first === undefined ? [] : [first, ...rest], Deno.args);
      try {
        await run(options, async (context) => {
          const { withClient } = await import("../rpc/session.ts");
          const { allVms, pickLive } = await import("../vm/list.ts");
          const { runCommand } = await import("../vm/run_command.ts");
          const { Collected } = await import("../vm/collect.ts");
          await withClient(context, async (none) => {
            const { vm, client } = pickLive(await allVms(context, none), none, name);
            const collected = options.json ? new Collected() : undefined;
            const terminal = options.tty && Deno.stdin.isTerminal();
            const { code, signal } = await runCommand(context, client, vm.name, {
              argv,
              env: [
                ...(options.tty ? [`TERM=${Deno.env.get("TERM") ?? "vt100"}`] : []),
                ...options.env,
              ],
              ...(options.user === undefined ? {} : { user: options.user }),
              ...(options.workdir === undefined ? {} : { cwd: options.workdir }),
            }, {
              tty: options.tty === true,
              stdin: options.interactive === true || terminal === true || !Deno.stdin.isTerminal(),
              output: (stream, bytes) => {
                if (collected !== undefined) collected.add(stream, bytes);
                else if (stream === "stdout") context.out.bytes(bytes);
                else context.out.errorBytes(bytes);
              },
            });
            if (collected !== undefined) {
              context.out.result({ code, signal, ...collected.texts() }, "");
            }
            setExit(code);
          });
        });
      } catch (error) {
        throw notRun(error);
      }
    });
}

function variable(text: string, before: string[]): string[] {
  if (!/^[^=\0]+=/.test(text)) {
    throw new CliError(`-e ${text}: not of the form NAME=VALUE`, {
      name: "USAGE",
      hint: "colinux exec --help",
      exit: EXIT.usage,
    });
  }
  return [...before, text];
}

/** The VM's name is what stands before --, the command what stands behind it. */
export function split(
  operands: readonly string[],
  line: readonly string[],
): { name: string | undefined; argv: string[] } {
  const dashes = line.indexOf("--");
  const argv = dashes < 0 ? [] : line.slice(dashes + 1);
  const before = operands.slice(0, operands.length - argv.length);
  if (argv.length === 0 || before.length > 1) {
    throw new CliError(
      argv.length === 0 ? "the command is missing" : `more than one name: ${before.join(" ")}`,
      {
        name: "USAGE",
        hint: "write colinux exec NAME -- COMMAND (colinux shell NAME for a shell)",
        exit: EXIT.usage,
      },
    );
  }
  return { name: before[0], argv };
}

/** Our own failures must not look like the command's exit codes. */
function notRun(error: unknown): unknown {
  if (!(error instanceof CliError) || error.exit === EXIT.usage || error.name === "INTR") {
    return error;
  }
  const { name, hint, detail, data } = error;
  const exit = name === "TIMEOUT" && error.exit === EXIT.tempFail ? TIMED_OUT : NOT_RUN;
  return new CliError(error.message, { name, hint, detail, data, exit });
}
