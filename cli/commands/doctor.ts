// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux doctor: what works here, what does not, and what to do about it. */
import { verb } from "#args";
import { run, setExit } from "../ui/context.ts";
import { EXIT } from "../ui/errors.ts";

export function doctorCommand() {
  return verb("doctor", "Check what this machine can do", {
    description: `
Looks at this machine (device, helper, emulator, accelerators, folders) and, when
a host runs, asks its helper for its own checks: CPU, module, protection. Starts
nothing; colinux host start first shows everything.`,
    examples: [
      ["colinux doctor", "a line each, with advice"],
      ["colinux doctor --json", '{"ok","checks":[{"name","ok","detail","hint"}],"host"}'],
    ],
    exit: [[1, "no host can run VMs here"]],
    see: ["host status"],
  }).action((options) =>
    run(options, async (context) => {
      const { examine } = await import("../vm/doctor.ts");
      const report = await examine(context);
      const lines = report.checks.map((check) =>
        `${check.ok ? "ok  " : "no  "} ${check.name}: ${check.detail}\n` +
        (check.ok || check.hint === undefined ? "" : `       ${check.hint}\n`)
      );
      context.out.result(report, lines.join(""));
      if (!report.ok) setExit(EXIT.failure);
    })
  );
}
