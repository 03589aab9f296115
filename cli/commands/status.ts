// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux status: one VM, with the exit codes of an LSB init script. */
import { verb } from "#args";
import type { VmState } from "../rpc/proto.ts";
import { run, setExit } from "../ui/context.ts";
import { CliError } from "../ui/errors.ts";

const LSB = { running: 0, failed: 1, notRunning: 3, unknown: 4 } as const;

function exitOf(state: VmState): number {
  if (state === "running" || state === "ready") return LSB.running;
  return state === "failed" ? LSB.failed : LSB.notRunning;
}

export function statusCommand() {
  return verb("status", "Show one VM, by exit code too", {
    description: `
Shows state, memory, the reason when it has ended, and the newest console line.
With --json the counters of the engine as well.`,
    examples: [
      ["colinux status minimal", "for a person"],
      ["colinux status -q minimal || colinux start minimal", "for cron"],
    ],
    exit: [
      [LSB.running, "the VM runs (running, ready)"],
      [LSB.failed, "it has ended badly (failed)"],
      [LSB.notRunning, "it does not run (created, stopped, saved; restarting: not yet again)"],
      [LSB.unknown, "unknown: there is no such VM, or its host does not answer"],
    ],
    see: ["ls", "logs", "wait"],
  })
    .argument("[name]", "the VM; may be left out when there is only one")
    .action((name, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickVm } = await import("../vm/list.ts");
        try {
          await withClient(context, async (client) => {
            const { vms, live } = await allVms(context, client);
            const vm = pickVm(vms, name);
            const got = client !== undefined && live.has(vm.name)
              ? await client.call("vm.get", { name: vm.name }, { signal: context.signal })
              : { vm, counters: [] };
            const { showVm } = await import("../vm/show.ts");
            context.out.result(got, showVm(got.vm), true);
            setExit(exitOf(got.vm.state));
          });
        } catch (error) {
          if (!(error instanceof CliError) || error.name === "USAGE") throw error;
          throw new CliError(error.message, {
            name: error.name,
            hint: error.hint,
            exit: LSB.unknown,
          });
        }
      })
    );
}
