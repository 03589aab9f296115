// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux rm: forgets VMs. */
import { verb } from "#args";
import { run } from "../ui/context.ts";

export function rmCommand() {
  return verb("rm", "Forget a VM that does not run", {
    description: `
Frees what the helper keeps of the VM and removes its record, its saved console
log and its root disk. The definition, kernels and images stay, and so do its
data disks and their credentials, for the next up, unless --disks removes them
too. A VM that runs is refused unless --force ends it first.`,
    examples: [
      ["colinux rm minimal", "after colinux stop minimal"],
      ["colinux rm --force minimal", "even if it runs"],
      ["colinux rm --disks mailserver", "with all its mail"],
    ],
    exit: [[75, "the VM runs"]],
    see: ["stop", "ls"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .option("-f, --force", "end the VM first if it runs")
    .option("--disks", "remove its data disks and credentials too")
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickVm } = await import("../vm/list.ts");
        const { isLive, removeRecord, vmFolder } = await import("../vm/records.ts");
        const { protoError } = await import("../rpc/errors.ts");
        await withClient(context, async (client, host) => {
          const { vms, live } = await allVms(context, client);
          const vm = pickVm(vms, name);
          if (isLive(vm) && options.force !== true) {
            throw protoError(
              "STATE",
              `${vm.name} ${vm.state === "restarting" ? "will run again" : "runs"}`,
              `colinux stop ${vm.name} first, or rm --force`,
            );
          }
          if (client !== undefined && live.has(vm.name)) {
            await client.call("vm.delete", { name: vm.name, force: options.force === true }, {
              signal: context.signal,
            });
            await host.release(vm.name);
          }
          const kept = await removeRecord(context.paths, vm.name, options.disks === true);
          const note = kept.length === 0
            ? ""
            : `  ${kept.join(", ")} stay${kept.length === 1 ? "s" : ""} in ` +
              `${vmFolder(context.paths, vm.name)}\n`;
          context.out.result({ removed: vm.name, kept }, `${vm.name} is gone.\n${note}`, true);
        });
      })
    );
}
