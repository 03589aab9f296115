// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux restart: the guest powers off and boots again. */
import { duration, verb } from "#args";
import { run } from "../ui/context.ts";
import { showBooted } from "./start.ts";

export function restartCommand() {
  return verb("restart", "Restart a VM as it was started", {
    description: `
Asks the guest to power off, after --grace ends it by force, and boots it again
with what it was made from: a definition that has changed since is for stop and
up. --force ends it at once: like pulling the plug. Its place in a virtual host
is kept meanwhile. Waits as up does; a VM that does not run is started.`,
    examples: [
      ["colinux restart mailserver", "a clean power-off, then a boot"],
      ["colinux restart mailserver --force -q", "at once, when it does not react"],
    ],
    exit: [[1, "the guest ended before it was ready again"]],
    see: ["start", "stop", "wait"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("-f, --force", "end it at once")
    .option("--grace <duration>", "how long the guest may take to power off", duration, 30_000)
    .action((name, options) =>
      run(options, async (context) => {
        const { restartVm } = await import("../vm/restart.ts");
        const force = options.force === true;
        await showBooted(context, await restartVm(context, name, { force, grace: options.grace }));
      })
    );
}
