// SPDX-License-Identifier: GPL-2.0-or-later
/** The record of a VM by name, for verbs that need its definition. */
import { protoError } from "../rpc/errors.ts";
import { withClient } from "../rpc/session.ts";
import type { Context } from "../ui/context.ts";
import { allVms, pickVm } from "./list.ts";
import { readRecord, type VmRecord } from "./records.ts";

export async function pickRecord(context: Context, name: string | undefined): Promise<VmRecord> {
  const vm = await withClient(
    context,
    async (client) => pickVm((await allVms(context, client)).vms, name),
  );
  const record = await readRecord(context.paths, vm.name);
  if (record !== undefined) return record;
  throw protoError(
    "NOENT",
    `${vm.name} was not made by this user's colinux up: its definition is not known here`,
    "colinux up FILE, or colinux rpc vm.start",
  );
}
