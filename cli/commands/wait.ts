// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux wait: until a VM is in a state. */
import { Option, verb } from "#args";
import { run } from "../ui/context.ts";

export function waitCommand() {
  return verb("wait", "Wait until a VM is ready, runs or has ended", {
    description: `
Ends at once when the VM is in that state already. ready: what the definition's
"ready" says; running: it runs; stopped: it does not run any more, however it
ended. Waiting for ready or running fails when the VM ends first, for good: one
that is started again by its "restart" is waited for.`,
    examples: [
      ["colinux wait minimal --for ready --timeout 2m", "after an up in the background"],
      ["colinux wait minimal --for stopped", "until the guest has powered off"],
    ],
    exit: [[1, "the VM ended first"], [75, "--timeout has passed"]],
    see: ["up", "status"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .addOption(
      new Option("--for <state>", "the state").choices(["ready", "running", "stopped"] as const)
        .default("ready" as const),
    )
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickVm } = await import("../vm/list.ts");
        await withClient(context, async (client) => {
          const { vms, live } = await allVms(context, client);
          let vm = pickVm(vms, name);
          if (client !== undefined && live.has(vm.name)) {
            const { VmWatch } = await import("../vm/watch.ts");
            const watch = new VmWatch(context, vm.name);
            try {
              await watch.start(client);
              ({ vm } = await client.call("vm.get", { name: vm.name }));
              vm = await watch.until(client, vm, options.for, true);
            } finally {
              watch.stop();
            }
          } else if (options.for !== "stopped") {
            const { protoError } = await import("../rpc/errors.ts");
            throw protoError("STATE", `${vm.name} does not run`, `colinux start ${vm.name}`);
          }
          context.out.result({ vm }, `${vm.name}: ${vm.state}\n`, true);
        });
      })
    );
}
