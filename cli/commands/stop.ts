// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux stop: the guest powers off. */
import { duration, verb } from "#args";
import type { Vm, VmState } from "../rpc/proto.ts";
import { run } from "../ui/context.ts";

export function stopCommand() {
  return verb("stop", "Power a VM off", {
    description: `
Asks the guest to power off, and after --grace ends it by force. --force ends it
at once: like pulling the plug. The VM stays known (colinux start boots it
again); colinux rm forgets it. A virtual host ends with its last VM.
A VM that does not run is left as it is.`,
    examples: [
      ["colinux stop minimal", "a clean power-off, by force after 30 seconds"],
      ["colinux stop minimal --force", "at once"],
    ],
    see: ["start", "rm", "status"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("-f, --force", "end it at once")
    .option("--grace <duration>", "how long the guest may take to power off", duration, 30_000)
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickVm } = await import("../vm/list.ts");
        const { isLive, keepRecords } = await import("../vm/records.ts");
        await withClient(context, async (client, host) => {
          const listing = await allVms(context, client);
          let vm = pickVm(listing.vms, name);
          const before = vm.state;
          let forced = false;
          const done = client === undefined || !isLive(vm);
          if (!done) {
            context.progress(`${vm.name}: ${options.force ? "ending it" : "powering off"}`);
            const params = options.force
              ? { name: vm.name, force: true }
              : { name: vm.name, timeoutMs: options.grace };
            ({ vm, forced } = await client.call("vm.stop", params, {
              signal: context.signal,
              timeoutMs: options.grace + 60_000,
            }));
            await keepRecords(client, context.paths);
            await host.release(vm.name);
          }
          const how = done ? "did not run" : forced ? "was ended by force" : ended(vm, before);
          context.out.result({ vm, forced, already: done }, `${vm.name} ${how}.\n`, true);
        });
      })
    );
}

/** A guest may crash while it powers off. */
function ended(vm: Vm, before: VmState): string {
  if (before === "restarting") return "will not start again";
  return vm.state === "failed" ? `has ended: ${vm.reason}` : "has powered off";
}
