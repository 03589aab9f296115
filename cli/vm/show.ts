// SPDX-License-Identifier: GPL-2.0-or-later
/** One VM for a person. */
import { showSize } from "../config/size.ts";
import type { Vm } from "../rpc/proto.ts";
import { showDuration } from "../ui/duration.ts";
import { fit } from "../ui/text.ts";
import { whatFor } from "./watch.ts";

/** Why it is as it is, in a few words; "" when there is nothing to say. */
export function describe(vm: Vm): string {
  const what = whatFor(vm);
  if (what !== "" || vm.restarts === undefined) return what || (vm.reason ?? "");
  return `restarted ${vm.restarts === 1 ? "once" : `${vm.restarts} times`}: ${vm.reason ?? ""}`;
}

export function showVm(vm: Vm): string {
  const rows: [string, string][] = [["memory", showSize(vm.memory)]];
  if (vm.uptimeMs !== undefined) rows.push(["up", showDuration(vm.uptimeMs)]);
  if (vm.pid !== undefined) rows.push(["worker", `pid ${vm.pid}`]);
  if (vm.overheadBytes !== undefined) rows.push(["overhead", showSize(vm.overheadBytes)]);
  if (vm.waiting !== undefined) {
    rows.push(["waits", fit(vm.state === "restarting" ? vm.waiting : `for ${vm.waiting}`, 300)]);
  }
  if (vm.reason !== undefined) rows.push(["reason", fit(vm.reason, 300)]);
  if (vm.restarts !== undefined) rows.push(["restarts", String(vm.restarts)]);
  if (vm.autostart === true) rows.push(["starts", "with this machine"]);
  if (vm.lastLine !== undefined) rows.push(["console", fit(vm.lastLine, 200)]);
  return `${vm.name}: ${vm.state}\n` +
    rows.map(([key, value]) => `  ${key.padEnd(8)}  ${value}\n`).join("");
}
