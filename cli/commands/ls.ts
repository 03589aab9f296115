// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux ls: the VMs there are. */
import { verb } from "#args";
import { run } from "../ui/context.ts";

export function lsCommand() {
  return verb("ls", "List the VMs", {
    description: `
Shows this user's VMs (root: everybody's) with their state: created, running,
ready, restarting, stopped, saved or failed, and what there is to say about it:
what it waits for, or why it ended. With --json: {"vms":[{"name","state",…}]}.
Never starts a host: what does not run is remembered.`,
    examples: [
      ["colinux ls", "a table"],
      ["colinux ls --json | jq -r '.vms[].name'", "the names alone"],
    ],
    see: ["status", "host status"],
  }).alias("list").action((options) =>
    run(options, async (context) => {
      const { withClient } = await import("../rpc/session.ts");
      const { allVms } = await import("../vm/list.ts");
      await withClient(context, async (client) => {
        const { vms } = await allVms(context, client);
        const { fit, table } = await import("../ui/text.ts");
        const { showSize } = await import("../config/size.ts");
        const { showDuration } = await import("../ui/duration.ts");
        const { describe } = await import("../vm/show.ts");
        const rows = vms.map((vm) => [
          vm.name,
          vm.state,
          showSize(vm.memory),
          vm.uptimeMs === undefined ? "-" : showDuration(vm.uptimeMs),
          fit(describe(vm), 100),
        ]);
        const text = rows.length === 0
          ? ""
          : table([["NAME", "STATE", "MEMORY", "UP", "REASON"], ...rows]);
        if (rows.length === 0) context.progress("there is no VM; colinux up minimal makes one");
        context.out.result({ vms }, text);
      });
    })
  );
}
