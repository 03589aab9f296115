// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux console: a VM's console here. */
import { duration, verb, wholeNumber } from "#args";
import { run, setExit } from "../ui/context.ts";
import { EXIT } from "../ui/errors.ts";

export function consoleCommand() {
  return verb("console", "Use a VM's console", {
    description: `
On a terminal: every key goes to the guest; ^] opens a menu (q leaves, ^] sends
^], s shows the state). The guest is told the terminal's size. Several people
may look and type at once; leaving does not disturb the guest, and its log goes
on without a viewer.

Without a terminal on stdin it is a plain pipe: stdin to the console, the console
to stdout. It ends as soon as --wait-for's text was shown; without it, when stdin
has ended and the console was silent for --idle; and in any case when the VM ends
or --timeout has passed (exit code 75). Mind that a guest echoes what it reads.`,
    examples: [
      ["colinux console", "the console of the only VM"],
      ["echo 'uname -r' | colinux console minimal", "one command, its output on stdout"],
      [
        "echo 'make; echo done-$?' | colinux console --wait-for done-0 --timeout 10m",
        "a long one",
      ],
      ["colinux console minimal </dev/null --replay 65536", "what the console showed"],
    ],
    exit: [[1, "the VM ended before --wait-for's text was shown"]],
    see: ["logs"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("--replay <bytes>", "first show so much of the log (terminal: 4096)", wholeNumber)
    .option("--wait-for <text>", "pipe: end when the console has shown this text")
    .option("--idle <duration>", "pipe: end after so much silence", duration, 2000)
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickLive } = await import("../vm/list.ts");
        const { pipeConsole, terminalConsole } = await import("../vm/console.ts");
        await withClient(context, async (none, _host) => {
          const { vm, client } = pickLive(await allVms(context, none), none, name);
          if (Deno.stdin.isTerminal() && Deno.stdout.isTerminal()) {
            const ending = await terminalConsole(context, client, vm, options.replay ?? 4096);
            if (ending !== "closed") return;
            const { vm: now } = await client.call("vm.get", { name: vm.name });
            context.progress(`${vm.name} is ${now.state}${now.reason ? `: ${now.reason}` : ""}`);
            if (now.state === "failed") setExit(EXIT.failure);
            return;
          }
          await pipeConsole(context, client, vm, options.replay ?? 0, {
            waitFor: options.waitFor,
            idleMs: options.idle,
          });
        });
      })
    );
}
