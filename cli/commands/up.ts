// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux up: a definition becomes a VM that runs. */
import { verb } from "#args";
import { run } from "../ui/context.ts";
import { showBooted } from "./start.ts";

export function upCommand() {
  return verb("up", "Boot the VM of a definition and wait until it is ready", {
    description: `
FILE is a definition (configs/default.jsonc explains every key); NAME finds
NAME.jsonc, or the file whose "name" is NAME. Both are looked for in the current
folder, ~/.config/colinux, /etc/colinux and among the shipped ones, in this order.

A VM that runs already is left as it is. Where /dev/colinux is absent a virtual
host is started first, and one line says why. While it waits, up shows the
guest's newest console line on stderr. It ends when the VM is ready (key
"ready"), else as soon as it runs. When the guest ends first, up fails with the
reason and the last lines of its console. Interrupting up leaves the VM running.

A definition with an image gets it built first, unless it was built before; that
takes some minutes. The VM's own root disk is made from it, and replaced when
the definition's image has changed, or with --rebuild: then what the guest wrote
there is gone, while its other disks stay. Passwords that the definition wants
generated are shown once; they are kept in the file credentials of the VM's
folder.`,
    examples: [
      ["colinux up minimal", "boots the shipped configs/minimal.jsonc"],
      ["colinux up ./web.jsonc --timeout 2m", "gives up waiting after two minutes"],
      ["colinux up mailserver --rebuild", "with the newest packages, its data kept"],
      ["colinux up minimal --quiet && echo ready", "for scripts and cron"],
    ],
    exit: [[1, "the guest ended before it was ready"], [78, "the definition is wrong"]],
    see: ["validate", "start", "console", "logs", "image"],
  })
    .argument("<file|name>", "a definition")
    .option("--rebuild", "build its image anew, with the newest packages")
    .action((wanted, options) =>
      run(options, async (context) => {
        const { findDefinition } = await import("../config/find.ts");
        const { file, shown } = await findDefinition(wanted, context.paths);
        const { loadDefinition } = await import("../config/load.ts");
        const definition = await loadDefinition(file, shown);
        context.debug(`definition ${file}`);
        const { bootVm } = await import("../vm/boot.ts");
        const rebuild = options.rebuild === true;
        await showBooted(context, await bootVm(context, definition, shown, { rebuild }));
      })
    );
}
