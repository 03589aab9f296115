// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux validate: every problem of a definition, without starting anything. */
import { verb } from "#args";
import { run } from "../ui/context.ts";

export function validateCommand() {
  return verb("validate", "Check a definition", {
    description: `
Lists every problem at once, as file:line:column, the line and a caret, with a
suggestion where a key or value is misspelt. Checks the files that it names and
the memory against this machine. Starts nothing. --json prints the definition as
it was understood; problems are in the error object ("problems").`,
    examples: [
      ["colinux validate mine.jsonc", "silent but for one line when all is well"],
      ["colinux validate --json mine.jsonc", "for editors and CI"],
    ],
    exit: [[66, "there is no such file"], [78, "it has problems"]],
    see: ["schema", "up"],
  })
    .argument("<file|name>", "a definition")
    .action((wanted, options) =>
      run(options, async (context) => {
        const { findDefinition } = await import("../config/find.ts");
        const { file, shown } = await findDefinition(wanted, context.paths);
        const { loadDefinition } = await import("../config/load.ts");
        const definition = await loadDefinition(file, shown);
        context.out.result({ definition }, `${shown}: ${definition.name} is well defined.\n`, true);
      })
    );
}
