// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * VMs made in the virtual host by JSON-RPC, as on a machine that has the module
 * itself: their workers do the NAT, which `up` leaves to QEMU there.
 */
import { askDaemon } from "./inside.ts";
import { require, type Sandbox } from "./sandbox.ts";

export interface RpcVm {
  name: string;
  /** Bytes. */
  memory: number;
  kernel: string;
  initrd?: string;
  cmdline?: string;
  readyConsole: string;
  disks?: { name: string; path: string; readOnly: boolean; persistentGrants?: boolean }[];
  /** Addresses are those of the virtual host. */
  forwards?: { protocol: string; hostAddress: string; hostPort: number; guestPort: number }[];
}

async function ask(box: Sandbox, request: Record<string, unknown>): Promise<unknown> {
  const { ok, error } = await askDaemon(box, request);
  require(ok !== undefined, JSON.stringify(error));
  return ok;
}

/** Makes and starts it, in the place of one that has ended; the virtual host runs. */
export async function startByRpc(box: Sandbox, vm: RpcVm): Promise<void> {
  const { disks = [], forwards = [], kernel, initrd, ...rest } = vm;
  const file = async (path: string) => await ask(box, { call: "publish", path });
  await ask(box, { call: "release", vm: vm.name });
  const made = [];
  for (const { path, ...disk } of disks) {
    const { name, readOnly } = disk;
    const found = await ask(box, { call: "disk", vm: vm.name, name, path, readOnly }) as object;
    made.push({ ...disk, ...found });
  }
  const params = {
    ...rest,
    kernel: await file(kernel),
    ...(initrd === undefined ? {} : { initrd: await file(initrd) }),
    disks: made,
    nets: [{ mode: "nat", mac: "52:54:00:12:34:56", forwards }],
  };
  const { out } = await box.must("rpc", "vm.list");
  const { vms } = JSON.parse(out) as { vms: { name: string }[] };
  const name = JSON.stringify({ name: vm.name });
  if (vms.some((one) => one.name === vm.name)) await box.must("rpc", "vm.delete", name);
  await box.must("rpc", "vm.create", JSON.stringify(params));
  await box.must("rpc", "vm.start", name);
}
