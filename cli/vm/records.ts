// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What the CLI remembers of VMs under <state>/vms/NAME: the definition it was
 * made from, its last state and console log. The helper forgets when it ends,
 * and a virtual host ends with its last VM; `start`, `ls`, `status` and `logs`
 * still answer. The helper's word always wins over a record.
 */
import type { Definition } from "../config/definition.ts";
import type { RpcClient } from "../rpc/client.ts";
import { isRecord } from "../rpc/errors.ts";
import type { Vm } from "../rpc/proto.ts";
import type { Paths } from "../ui/paths.ts";
import { base64Bytes } from "./base64.ts";

export interface VmRecord {
  definition: Definition;
  /** Last state that was seen, for when the helper knows it no more. */
  vm?: Vm;
}

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;

/** Everything of one VM's: its record, log, disks, credentials. */
export function vmFolder(paths: Paths, name: string): string {
  return `${paths.state}/vms/${name}`;
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await Deno.readTextFile(path));
  } catch {
    return undefined;
  }
}

export async function readRecord(paths: Paths, name: string): Promise<VmRecord | undefined> {
  if (!NAME.test(name)) return undefined;
  const definition = await readJson(`${vmFolder(paths, name)}/definition.json`);
  // Our own file, yet maybe of an older build.
  if (!isRecord(definition) || definition.name !== name) return undefined;
  const record: VmRecord = { definition: definition as unknown as Definition };
  const vm = await readJson(`${vmFolder(paths, name)}/state.json`);
  if (isRecord(vm) && vm.name === name) record.vm = vm as unknown as Vm;
  return record;
}

/** What a VM is made from; `up` and `start` alone say so. */
export async function writeDefinition(paths: Paths, definition: Definition): Promise<void> {
  const dir = vmFolder(paths, definition.name);
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  await replace(`${dir}/definition.json`, json(definition));
}

/** The state that was last seen; nothing when the VM has no record (any more). */
export async function writeState(paths: Paths, vm: Vm): Promise<void> {
  await replace(`${vmFolder(paths, vm.name)}/state.json`, json(vm));
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value, null, 2) + "\n");
}

let written = 0;

/** Never a half-written file under the final name, nor a folder that rm has removed. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.${Deno.pid}.${written++}`;
  try {
    await Deno.writeFile(temporary, bytes, { mode: 0o600 });
    await Deno.rename(temporary, path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

export async function listRecords(paths: Paths): Promise<VmRecord[]> {
  const records: VmRecord[] = [];
  try {
    for await (const entry of Deno.readDir(`${paths.state}/vms`)) {
      const record = await readRecord(paths, entry.name);
      if (record !== undefined) records.push(record);
    }
  } catch {
    // No VM was ever made.
  }
  return records.sort((a, b) => a.definition.name.localeCompare(b.definition.name));
}

/**
 * Forgets a VM: all but its data disks and the credentials that belong to them,
 * unless `disks` asks for these too. Gives the names of what was kept.
 */
export async function removeRecord(paths: Paths, name: string, disks: boolean): Promise<string[]> {
  if (!NAME.test(name)) return [];
  const folder = vmFolder(paths, name);
  const kept: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      const data = entry.name.endsWith(".img") && entry.name !== "root.img";
      if (data && !disks) kept.push(entry.name);
    }
    if (kept.length === 0) await Deno.remove(folder, { recursive: true });
    else {
      for await (const entry of Deno.readDir(folder)) {
        if (kept.includes(entry.name) || entry.name === "credentials") continue;
        await Deno.remove(`${folder}/${entry.name}`, { recursive: true });
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return kept.sort();
}

export function logFile(paths: Paths, name: string): string {
  return `${vmFolder(paths, name)}/console.log`;
}

export async function readLog(paths: Paths, name: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(logFile(paths, name));
  } catch {
    return undefined;
  }
}

/** It runs, or will by itself: nobody has to start it, and what it uses stays. */
export function isLive(vm: Pick<Vm, "state">): boolean {
  return vm.state === "running" || vm.state === "ready" || vm.state === "restarting";
}

/** Saves state and log of a VM that has a record, while the helper still knows them. */
export async function keepRecord(client: RpcClient, paths: Paths, vm: Vm): Promise<void> {
  if (await readRecord(paths, vm.name) === undefined) return;
  const { data } = await client.call("console.log", { name: vm.name });
  await replace(logFile(paths, vm.name), base64Bytes(data));
  await writeState(paths, vm);
}

/** keepRecord for every VM there is: after a stop, and before a virtual host ends. */
export async function keepRecords(client: RpcClient, paths: Paths): Promise<void> {
  const { vms } = await client.call("vm.list", {});
  for (const vm of vms) await keepRecord(client, paths, vm);
}

/** What a record says of a VM that no helper knows: it cannot run any more. */
export function recordedVm({ definition, vm: known }: VmRecord): Vm {
  const vm: Vm = {
    name: definition.name,
    state: "stopped",
    uid: known?.uid ?? Deno.uid() ?? 0,
    id: 0,
    memory: definition.memory,
  };
  if (known === undefined) return vm;
  if (isLive(known)) {
    vm.state = "failed";
    vm.reason = "its host, or colinuxd there, ended while it ran";
  } else {
    if (known.state !== "created") vm.state = known.state;
    if (known.reason !== undefined) vm.reason = known.reason;
  }
  if (known.exit !== undefined) vm.exit = known.exit;
  if (known.lastLine !== undefined) vm.lastLine = known.lastLine;
  return vm;
}
