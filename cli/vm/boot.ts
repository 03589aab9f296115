// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * `up` and `start`: from a definition to a VM that runs, or is ready when the
 * definition says what ready means. Idempotent. Whatever fails before the
 * guest ran leaves no VM behind.
 */
import type { Definition } from "../config/definition.ts";
import { chooseHost } from "../host/choose.ts";
import { type Host, isHostDown } from "../host/host.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { Vm } from "../rpc/proto.ts";
import { openClient } from "../rpc/session.ts";
import type { Context } from "../ui/context.ts";
import { makeDirs } from "../ui/dirs.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { protoError } from "../rpc/errors.ts";
import { createVm } from "./create.ts";
import type { RootOptions } from "./root.ts";
import { lockVm } from "./lock.ts";
import {
  isLive,
  keepRecords,
  readRecord,
  type VmRecord,
  writeDefinition,
  writeState,
} from "./records.ts";
import { VmWatch } from "./watch.ts";

export interface Booted {
  vm: Vm;
  host: "local" | "virtual";
  /** It ran already. */
  already: boolean;
  /** What it was made from. */
  definition: Definition;
  /** Passwords that were made for it just now. */
  passwords: ReadonlyMap<string, string>;
}

export async function bootVm(
  context: Context,
  definition: Definition,
  shown: string,
  options: RootOptions = {},
): Promise<Booted> {
  const { paths } = context;
  await makeDirs(paths);
  const record = await readRecord(paths, definition.name);
  checkSameFile(definition, record);
  const host = await chooseHost(context);
  if (host.why !== "" && context.host === undefined) context.progress(host.why);
  const watch = new VmWatch(context, definition.name);
  let client: RpcClient | undefined;
  let runs = false;
  const lock = new DisposableStack();
  lock.use(await lockVm(paths, definition.name));
  try {
    client = await openRunning(context, host);
    let existing = await find(client, definition.name);
    const already = existing !== undefined && isLive(existing);
    if (client === undefined || !already) {
      client?.close();
      // Makes room for this VM, if need be with another virtual host.
      await host.start({ memory: definition.memory });
      client = await openClient(context, host);
      existing = await find(client, definition.name);
    }
    await watch.start(client);
    let current: Vm;
    let passwords: Booted["passwords"] = new Map();
    if (existing !== undefined && isLive(existing)) {
      if (options.rebuild === true) {
        throw protoError(
          "STATE",
          `${definition.name} runs: its root disk cannot be replaced`,
          `colinux stop ${definition.name} first`,
        );
      }
      if (record !== undefined && changed(definition, record.definition)) {
        context.progress(
          `${shown} has changed since ${definition.name} started: ` +
            `colinux stop ${definition.name} and up again apply it`,
        );
      }
      current = existing;
    } else {
      const created = await createVm(context, host, client, definition, existing, options);
      current = created.vm;
      passwords = created.passwords;
      await writeDefinition(paths, definition);
    }
    await writeState(paths, current);
    lock.dispose();
    runs = true;
    // A VM that runs already knows only what it was made from.
    const made = already ? record?.definition ?? definition : definition;
    const wanted = made.ready !== undefined ? "ready" : "running";
    const vm = await watch.until(client, current, wanted);
    await writeState(paths, vm);
    return { vm, host: host.kind, already, definition: made, passwords };
  } catch (error) {
    lock.dispose();
    watch.stop();
    if (runs && context.signal.aborted) {
      context.progress(`${definition.name} goes on: colinux stop ${definition.name} ends it`);
    }
    // A virtual host without a VM ends by itself, and its memory of this one with it.
    if (client !== undefined) {
      await keepRecords(client, paths).catch((second: unknown) =>
        context.debug(`keeping records: ${second}`)
      );
    }
    throw error;
  } finally {
    watch.stop();
    client?.close();
  }
}

/** A client of a host that runs already. */
async function openRunning(context: Context, host: Host): Promise<RpcClient | undefined> {
  try {
    return await openClient(context, host);
  } catch (error) {
    if (isHostDown(error)) return undefined;
    throw error;
  }
}

async function find(client: RpcClient | undefined, name: string): Promise<Vm | undefined> {
  const { vms } = await client?.call("vm.list", {}) ?? { vms: [] };
  return vms.find((vm) => vm.name === name);
}

/** The same name from another file is a mistake, never a silent replacement. */
function checkSameFile(definition: Definition, record: VmRecord | undefined): void {
  if (record === undefined || record.definition.file === definition.file) return;
  try {
    Deno.lstatSync(record.definition.file);
  } catch {
    // The old file is gone: the definition has moved.
    return;
  }
  throw new CliError(
    `"${definition.name}" is defined twice: ${record.definition.file} and ${definition.file}`,
    {
      name: "AMBIGUOUS",
      hint: `give one of them another name, or colinux rm ${definition.name} first`,
      exit: EXIT.config,
      data: { files: [record.definition.file, definition.file] },
    },
  );
}

function changed(a: Definition, b: Definition): boolean {
  const key = (definition: Definition) => JSON.stringify(Object.entries(definition).sort());
  return key(a) !== key(b);
}
