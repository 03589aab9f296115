// SPDX-License-Identifier: GPL-2.0-or-later
/** The disks and networks of a definition, as vm.create takes them. For create.ts. */
import type { Definition, DiskDefinition } from "../config/definition.ts";
import type { DiskRequest, HostFile, Nat } from "../host/host.ts";
import type { DiskSpec, Forward, NetSpec } from "../rpc/proto.ts";
import type { Paths } from "../ui/paths.ts";
import { vmFolder } from "./records.ts";

/** Where a disk is on this machine: its own path, or a file in the VM's folder. */
export function diskPath(paths: Paths, vm: string, disk: DiskDefinition): string {
  return disk.path ?? `${vmFolder(paths, vm)}/${disk.name}.img`;
}

/** The root disk first, so that it is xvda. `publish` makes a disk openable by the helper. */
export async function disksOf(
  paths: Paths,
  definition: Definition,
  root: string | undefined,
  publish: (request: DiskRequest) => Promise<HostFile>,
): Promise<DiskSpec[]> {
  const specs: DiskSpec[] = [];
  const vm = definition.name;
  const add = async (path: string, wanted: Omit<DiskSpec, "path">) => {
    const { name, readOnly } = wanted;
    specs.push({ ...wanted, ...await publish({ vm, name, readOnly, path }) });
  };
  if (root !== undefined) await add(root, { name: "root", readOnly: false });
  for (const disk of definition.disks ?? []) {
    const wanted: Omit<DiskSpec, "path"> = { name: disk.name, readOnly: disk.readOnly };
    if (disk.persistentGrants) wanted.persistentGrants = true;
    await add(diskPath(paths, vm, disk), wanted);
  }
  return specs;
}

/** `prepareNat` makes what a network of mode nat needs on this host. */
export async function netsOf(
  paths: Paths,
  definition: Definition,
  prepareNat: (forwards: Forward[]) => Promise<Nat>,
): Promise<NetSpec[]> {
  const { name, network } = definition;
  if (network === undefined) return [];
  const { mode, tap, forwards } = network;
  const nat = mode === "nat" ? await prepareNat(forwards) : { forwards };
  const spec: NetSpec = { mode, mac: network.mac ?? await stableMac(paths.state, name), ...nat };
  if (tap !== undefined) spec.tap = tap;
  return [spec];
}

/** The same VM has the same address as long as it lives; two VMs have two. */
export async function stableMac(state: string, name: string): Promise<string> {
  const text = new TextEncoder().encode(`${state}\0${name}`);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text)).subarray(0, 6);
  // Locally administered, for one receiver.
  digest[0] = ((digest[0] ?? 0) & 0xfc) | 0x02;
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
