// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux start: a VM that was stopped runs again, as it was defined then. */
import { verb } from "#args";
import { type Context, run } from "../ui/context.ts";
import type { Booted } from "../vm/boot.ts";

export function startCommand() {
  return verb("start", "Start a VM that is stopped", {
    description: `
Boots the VM again from the definition that up used, even if the file has
changed or is gone: up applies changes. Waits as up does.`,
    examples: [
      ["colinux start minimal", "boots it again after colinux stop minimal"],
    ],
    exit: [[1, "the guest ended before it was ready"]],
    see: ["up", "stop"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .action((name, options) =>
      run(options, async (context) => {
        const { pickRecord } = await import("../vm/pick.ts");
        const { definition } = await pickRecord(context, name);
        const { bootVm } = await import("../vm/boot.ts");
        const booted = await bootVm(context, definition, definition.file, { keep: true });
        await showBooted(context, booted);
      })
    );
}

/** The last words of up and start; the definition's own, if it has any, come first. */
export async function showBooted(context: Context, booted: Booted): Promise<void> {
  const { vm, host, already, definition, passwords } = booted;
  const { messageOf } = await import("../vm/message.ts");
  const message = await messageOf(context.paths, definition, passwords);
  const state = vm.state === "ready" ? "is ready" : "runs";
  const lines = [
    `${vm.name} ${state}${already ? " (already)" : ""}.`,
    ...message.split("\n").slice(0, -1).map((line) => line === "" ? "" : `  ${line}`),
    `  its console:  colinux console ${vm.name}    (^] q leaves it)`,
    `  power it off: colinux stop ${vm.name}`,
  ];
  const result: Record<string, unknown> = { vm, host, already };
  if (message !== "") result.message = message;
  if (passwords.size > 0) result.passwords = Object.fromEntries(passwords);
  context.out.result(result, lines.join("\n") + "\n", true);
}
