// SPDX-License-Identifier: GPL-2.0-or-later
/** `restart`: a VM that runs is restarted by its helper, another one is booted. */
import { withClient } from "../rpc/session.ts";
import type { Context } from "../ui/context.ts";
import { type Booted, bootVm } from "./boot.ts";
import { pickRecord } from "./pick.ts";
import { isLive, writeState } from "./records.ts";
import { VmWatch } from "./watch.ts";

/** Unpacking a kernel under emulation takes its time. */
const LONG_MS = 300_000;

export interface RestartOptions {
  force: boolean;
  grace: number;
}

export async function restartVm(
  context: Context,
  name: string | undefined,
  { force, grace }: RestartOptions,
): Promise<Booted> {
  const { definition } = await pickRecord(context, name);
  return await withClient(context, async (client, host) => {
    const known = client === undefined ? [] : (await client.call("vm.list", {})).vms;
    const current = known.find((vm) => vm.name === definition.name);
    if (client === undefined || current === undefined || !isLive(current)) {
      return await bootVm(context, definition, definition.file, { keep: true });
    }
    const watch = new VmWatch(context, definition.name);
    try {
      await watch.start(client);
      context.progress(`${definition.name}: restarting`);
      const { vm: running } = await client.call(
        "vm.restart",
        force ? { name: definition.name, force } : { name: definition.name, timeoutMs: grace },
        { signal: context.signal, timeoutMs: grace + LONG_MS },
      );
      const wanted = definition.ready === undefined ? "running" : "ready";
      const vm = await watch.until(client, running, wanted);
      await writeState(context.paths, vm);
      return { vm, host: host.kind, already: false, definition, passwords: new Map() };
    } finally {
      watch.stop();
    }
  });
}
