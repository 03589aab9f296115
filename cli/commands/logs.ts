// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux logs: what a VM's console has shown. */
import { verb, wholeNumber } from "#args";
import { run } from "../ui/context.ts";

export function logsCommand() {
  return verb("logs", "Print a VM's console log", {
    description: `
The helper keeps the newest part of every console, also of a VM that has ended.
On a terminal control sequences of the guest are left out; into a pipe the bytes
go as they came. --json: {"name","data","dropped"} with data in base64.`,
    examples: [
      ["colinux logs minimal", "everything that is kept"],
      ["colinux logs -f minimal", "and what comes, until the VM ends or ^C"],
      ["colinux logs minimal -n 20", "the last 20 lines"],
    ],
    see: ["console", "status"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("-f, --follow", "go on with what comes")
    .option("-n, --lines <count>", "only the last lines", wholeNumber)
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickVm } = await import("../vm/list.ts");
        const { showLog } = await import("../vm/logs.ts");
        await withClient(context, async (client) => {
          const { vms, live } = await allVms(context, client);
          const vm = pickVm(vms, name);
          await showLog(context, live.has(vm.name) ? client : undefined, vm.name, {
            follow: options.follow === true,
            lines: options.lines,
          });
        });
      })
    );
}
