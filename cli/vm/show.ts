// SPDX-License-Identifier: GPL-2.0-or-later
/** One VM for a person. */
import { showSize } from "../config/size.ts";
import type { Vm } from "../rpc/proto.ts";
import { showDuration } from "../ui/duration.ts";
import { fit } from "../ui/text.ts";

export function showVm(vm: Vm): string {
  const rows: [string, string][] = [["memory", showSize(vm.memory)]];
  if (vm.uptimeMs !== undefined) rows.push(["up", showDuration(vm.uptimeMs)]);
  if (vm.pid !== undefined) rows.push(["worker", `pid ${vm.pid}`]);
  if (vm.overheadBytes !== undefined) rows.push(["overhead", showSize(vm.overheadBytes)]);
  if (vm.reason !== undefined) rows.push(["reason", fit(vm.reason, 300)]);
  if (vm.lastLine !== undefined) rows.push(["console", fit(vm.lastLine, 200)]);
  return `${vm.name}: ${vm.state}\n` +
    rows.map(([key, value]) => `  ${key.padEnd(8)}  ${value}\n`).join("");
}
