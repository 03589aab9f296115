// SPDX-License-Identifier: GPL-2.0-or-later
/** After a VM ended: remember what it was, and end a virtual host that nobody needs. */
import type { Host } from "../host/host.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { Context } from "../ui/context.ts";
import { ownHost } from "./lock.ts";
import { isLive, keepRecords } from "./records.ts";

export async function settle(context: Context, host: Host, client: RpcClient): Promise<void> {
  const vms = await keepRecords(client, context.paths);
  if (host.kind !== "virtual" || vms.some(isLive)) return;
  if ((await host.status()).stay === true) return;
  using lock = await ownHost(context.paths);
  // Whoever makes a VM now settles the host when that one ends.
  if (lock === undefined) return;
  const { vms: now } = await client.call("vm.list", {});
  if (now.some((vm) => isLive(vm) || vm.state === "created")) return;
  client.close();
  context.progress("no VM runs: stopping the virtual host");
  await host.stop();
}
