// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux host: the place where VMs run. */
import { Command, verb } from "#args";
import type { Host, HostStatus } from "../host/host.ts";
import { type Context, run, setExit } from "../ui/context.ts";

/** What a mail server in an emulated guest may take to power off. */
const STOP_MS = 90_000;

export function hostCommand() {
  return new Command("host")
    .summary("Start, stop or show the host that carries the VMs")
    .description(
      "The host is this machine's own /dev/colinux, or a virtual host in QEMU where there\n" +
        "is none. up starts a virtual host by itself, and it ends with its last VM.",
    )
    .helpOption("-h, --help", "show this page")
    .addCommand(startCommand())
    .addCommand(stopCommand())
    .addCommand(statusCommand());
}

async function choose(context: Context): Promise<Host> {
  return await (await import("../host/choose.ts")).chooseHost(context);
}

function startCommand() {
  return verb("start", "Start the virtual host and keep it", {
    description: `
It stays until colinux host stop, also when no VM runs. A host that runs already
is kept from now on. On a machine with /dev/colinux there is nothing to start.`,
    examples: [["colinux host start", "so that the next up is faster"]],
    see: ["host status", "host stop"],
  }).action((options) =>
    run(options, async (context) => {
      const { makeDirs } = await import("../ui/dirs.ts");
      await makeDirs(context.paths);
      const host = await choose(context);
      if (host.why !== "" && context.host === undefined) context.progress(host.why);
      const status = await host.start({ stay: true });
      context.out.result(status, await show(status), true);
    })
  );
}

function stopCommand() {
  return verb("stop", "Stop the virtual host", {
    description: `
Powers its VMs off first, all at once, by force after 90 seconds unless --force
ends them at once. Their records stay.`,
    examples: [["colinux host stop", "everything down"]],
    see: ["host start"],
  })
    .option("-f, --force", "end VMs at once")
    .action((options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { isLive, keepRecords } = await import("../vm/records.ts");
        await withClient(context, async (client, host) => {
          if (client !== undefined && host.kind === "virtual") {
            const { vms } = await client.call("vm.list", {}, { signal: context.signal });
            const force = options.force === true;
            await Promise.all(
              vms.filter(isLive).map(({ name }) => {
                context.progress(`${name}: ${force ? "ending it" : "powering off"}`);
                return client.call(
                  "vm.stop",
                  force ? { name, force } : { name, timeoutMs: STOP_MS },
                  {
                    signal: context.signal,
                    timeoutMs: STOP_MS + 60_000,
                  },
                );
              }),
            );
            await keepRecords(client, context.paths);
            client.close();
          }
          await host.stop();
          context.out.result(await host.status(), "the virtual host is stopped.\n", true);
        });
      })
    );
}

function statusCommand() {
  return verb("status", "Show the host", {
    description: "Which host VMs run on, why, and whether it is up.",
    examples: [["colinux host status --json", "for scripts"]],
    exit: [[0, "it runs"], [3, "it does not"]],
    see: ["doctor"],
  }).action((options) =>
    run(options, async (context) => {
      const status = await (await choose(context)).status();
      context.out.result(status, await show(status), true);
      if (!status.running) setExit(3);
    })
  );
}

async function show(status: HostStatus): Promise<string> {
  const { showSize } = await import("../config/size.ts");
  const rows: [string, string][] = [];
  if (status.why !== "") rows.push(["why", status.why]);
  if (status.pid !== undefined) rows.push(["process", `pid ${status.pid}`]);
  if (status.accelerator !== undefined) {
    const why = status.acceleratorWhy ? ` (${status.acceleratorWhy})` : "";
    rows.push(["runs by", `${status.accelerator}${why}`]);
  }
  if (status.kernel !== undefined) rows.push(["kernel", status.kernel]);
  if (status.memory !== undefined) rows.push(["memory", showSize(status.memory)]);
  if (status.stay === true) rows.push(["stays", "until colinux host stop"]);
  if (status.log !== undefined) rows.push(["log", status.log]);
  return `the ${status.kind} host ${status.running ? "runs" : "does not run"}\n` +
    rows.map(([key, value]) => `  ${key.padEnd(8)}  ${value}\n`).join("");
}
