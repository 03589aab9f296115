// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux shell: a login shell in a guest. */
import { verb } from "#args";
import { run, setExit } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

export function shellCommand() {
  return verb("shell", "Log in to a guest", {
    description: `
The user's login shell on a terminal of its own: many at once, each with this
terminal's size, which it follows. It ends with the shell, and the shell with it.
The console stays as it is (colinux console).

It needs coLinux's agent in the guest, and no password: whoever owns the VM owns
all that is in it.`,
    examples: [
      ["colinux shell", "root's shell in the only VM"],
      ["colinux shell mailserver -u alice", "as another user"],
    ],
    exit: [[0, "and more: the shell's own exit code"]],
    see: ["exec", "console"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("-u, --user <user>", "log in as this user of the guest, by name or number")
    .action((name, options) =>
      run(options, async (context) => {
        if (!Deno.stdin.isTerminal() || !Deno.stdout.isTerminal()) {
          throw new CliError("a shell needs a terminal", {
            name: "USAGE",
            hint: "colinux exec NAME -- sh runs one in a pipe",
            exit: EXIT.usage,
          });
        }
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickLive } = await import("../vm/list.ts");
        const { runCommand } = await import("../vm/run_command.ts");
        await withClient(context, async (none) => {
          const { vm, client } = pickLive(await allVms(context, none), none, name);
          const { code } = await runCommand(context, client, vm.name, {
            argv: [],
            env: [`TERM=${Deno.env.get("TERM") ?? "vt100"}`],
            ...(options.user === undefined ? {} : { user: options.user }),
          }, { tty: true, stdin: true, output: (_stream, bytes) => context.out.bytes(bytes) });
          setExit(code);
        });
      })
    );
}
