// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * colinux completion, and the hidden verb that the printed script calls at
 * each <Tab>. It asks no host: names come from the records and the folders.
 */
import { Command, verb } from "#args";
import { run } from "../ui/context.ts";

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;

/** `bare` is the program without these two verbs, to be described to the shell. */
export function completionCommand(bare: () => Command) {
  return verb("completion", "Print the completion script of a shell", {
    description: `
Completes verbs, options, the names of VMs and of definitions.`,
    examples: [
      ["source <(colinux completion bash)", "in ~/.bashrc"],
      ["colinux completion fish > ~/.config/fish/completions/colinux.fish", "once"],
    ],
  })
    .addArgument(shellArgument())
    .action((shell, options) => run(options, () => complete(bare, ["completion", shell])));
}

function shellArgument() {
  return new Command().createArgument("<shell>", "the shell").choices(SHELLS);
}

export function completeCommand(bare: () => Command) {
  return new Command("complete")
    .argument("[words...]")
    .allowUnknownOption()
    .allowExcessArguments()
    .action((words) => run({}, () => complete(bare, ["complete", "--", ...words])));
}

async function complete(bare: () => Command, args: string[]): Promise<void> {
  const { describe } = await import("../ui/complete.ts");
  const program = await describe(bare());
  await program.parseAsync(args, { from: "user" });
}
