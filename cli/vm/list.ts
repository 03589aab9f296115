// SPDX-License-Identifier: GPL-2.0-or-later
/** The VMs there are: what the helper says, and what is remembered of the rest. */
import type { RpcClient } from "../rpc/client.ts";
import { protoError } from "../rpc/errors.ts";
import type { Vm } from "../rpc/proto.ts";
import type { Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { suggest } from "../config/suggest.ts";
import { listRecords, recordedVm } from "./records.ts";

export interface Listing {
  vms: Vm[];
  /** Names that the helper knows; the others are remembered only. */
  live: ReadonlySet<string>;
}

export async function allVms(context: Context, client: RpcClient | undefined): Promise<Listing> {
  const vms = client === undefined
    ? []
    : (await client.call("vm.list", {}, { signal: context.signal })).vms;
  const live = new Set(vms.map((vm) => vm.name));
  for (const record of await listRecords(context.paths)) {
    if (!live.has(record.definition.name)) vms.push(recordedVm(record));
  }
  return { vms: vms.sort((a, b) => a.name.localeCompare(b.name)), live };
}

/** The VM of that name; the only one there is when no name is given. */
export function pickVm(vms: readonly Vm[], name: string | undefined): Vm {
  if (name === undefined) {
    const [only] = vms;
    if (vms.length === 1 && only !== undefined) return only;
    throw new CliError(
      vms.length === 0 ? "there is no VM" : `there are ${vms.length} VMs: name one`,
      {
        name: vms.length === 0 ? "NOENT" : "USAGE",
        hint: vms.length === 0
          ? "colinux up configs/minimal.jsonc makes one"
          : vms.map((vm) => vm.name).join(", "),
        exit: vms.length === 0 ? EXIT.noInput : EXIT.usage,
      },
    );
  }
  const vm = vms.find((candidate) => candidate.name === name);
  if (vm !== undefined) return vm;
  const near = suggest(name, vms.map((other) => other.name));
  throw protoError(
    "NOENT",
    `there is no VM "${name}"`,
    near === undefined ? undefined : `did you mean "${near}"?`,
  );
}

/** pickVm for commands that need the helper to know the VM. */
export function pickLive(
  { vms, live }: Listing,
  client: RpcClient | undefined,
  name: string | undefined,
): { vm: Vm; client: RpcClient } {
  const vm = pickVm(vms, name);
  if (client === undefined || !live.has(vm.name)) {
    throw protoError("STATE", `${vm.name} does not run`, `colinux start ${vm.name} starts it`);
  }
  return { vm, client };
}
