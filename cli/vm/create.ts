// SPDX-License-Identifier: GPL-2.0-or-later
/** From a definition to a VM that runs: kernel, initrd, vm.create, vm.start. For boot.ts. */
import type { Definition } from "../config/definition.ts";
import type { DiskRequest, Host, HostFile, HostStatus } from "../host/host.ts";
import type { RpcClient } from "../rpc/client.ts";
import { protoError } from "../rpc/errors.ts";
import type { Params, Vm } from "../rpc/proto.ts";
import type { Context } from "../ui/context.ts";
import { CliError } from "../ui/errors.ts";
import { prepareDisks } from "./data_disks.ts";
import { disksOf, netsOf } from "./devices.ts";
import { prepareRoot, type Root, type RootOptions } from "./root.ts";

/** Unpacking a kernel under emulation takes its time. */
const LONG_MS = 300_000;

export interface Created {
  vm: Vm;
  /** Passwords that were made for it just now. */
  passwords: ReadonlyMap<string, string>;
}

export async function createVm(
  context: Context,
  host: Host,
  client: RpcClient,
  definition: Definition,
  existing: Vm | undefined,
  options: RootOptions,
): Promise<Created> {
  const { name } = definition;
  const { signal } = context;
  const files = new Published(host);
  await host.release(name);
  try {
    const root = await prepareRoot(context, definition, options);
    await prepareDisks(context, definition);
    const params = await paramsFor(context, host, files, definition, root);
    if (definition.autostart === true) {
      if (host.kind === "local") params.autostart = true;
      else context.progress(`${name}: autostart works only where make install put the module`);
    }
    signal.throwIfAborted();
    // What is left of its last run makes room.
    if (existing !== undefined) await client.call("vm.delete", { name });
    const vm = await makeAndStart(context, client, params);
    return { vm, passwords: root?.passwords ?? new Map() };
  } catch (error) {
    await host.release(name).catch((second: unknown) => context.debug(`release: ${second}`));
    throw files.inOurWords(error);
  }
}

async function makeAndStart(
  context: Context,
  client: RpcClient,
  params: Params<"vm.create">,
): Promise<Vm> {
  const { name } = params;
  const { signal } = context;
  try {
    context.progress(`${name}: creating`);
    await client.call("vm.create", params, { signal, timeoutMs: LONG_MS });
    signal.throwIfAborted();
    context.progress(`${name}: starting`);
    return (await client.call("vm.start", { name }, { signal, timeoutMs: LONG_MS })).vm;
  } catch (error) {
    // Another client's VM of that name is not ours to delete.
    if (!(error instanceof CliError && error.name === "EXISTS")) {
      await client.call("vm.delete", { name, force: true }).catch((second: unknown) =>
        context.debug(`vm.delete after a failed start: ${second}`)
      );
    }
    throw error;
  }
}

async function paramsFor(
  context: Context,
  host: Host,
  files: Published,
  definition: Definition,
  root: Root | undefined,
): Promise<Params<"vm.create">> {
  const { kernel, initrd } = await kernelFiles(context, definition, root);
  const params: Params<"vm.create"> = {
    name: definition.name,
    memory: definition.memory,
    kernel: await files.publish(kernel),
    cmdline: cmdlineFor(definition, await host.status()),
    vcpus: definition.vcpus,
  };
  if (initrd !== undefined) {
    const { size } = await Deno.stat(initrd);
    if (size >= definition.memory) {
      throw protoError(
        "INITRD",
        `the initrd ${initrd} (${size} bytes) is larger than the memory of ${definition.name}`,
      );
    }
    params.initrd = await files.publish(initrd);
  }
  const disks = await disksOf(
    context.paths,
    definition,
    root?.disk,
    (disk) => files.publishDisk(disk),
  );
  const nets = await netsOf(
    context.paths,
    definition,
    (forwards) => host.prepareNat(definition.name, forwards),
  );
  if (disks.length > 0) params.disks = disks;
  if (nets.length > 0) params.nets = nets;
  const { ready, health, restart } = definition;
  if (definition.image !== undefined) params.agent = true;
  if (ready?.console !== undefined) params.readyConsole = ready.console;
  if (ready?.tcp !== undefined) params.readyTcp = ready.tcp;
  if (health !== undefined) params.health = health;
  if (restart !== undefined) params.restart = restart;
  return params;
}

/** The definition's own kernel and initrd, else those of its image. */
async function kernelFiles(
  context: Context,
  definition: Definition,
  root: Root | undefined,
): Promise<{ kernel: string; initrd: string | undefined }> {
  const { imageProvider } = await import("../image/image.ts");
  const images = imageProvider(context);
  const own = definition.kernel;
  const kernel = own === undefined ? root?.kernel : await images.kernelFor(own);
  // The schema asks for one of the two.
  if (kernel === undefined) throw new Error(`${definition.name} has neither kernel nor image`);
  if (definition.initrd !== undefined) {
    return { kernel, initrd: await images.initrdFor(definition.initrd, kernel) };
  }
  return { kernel, initrd: own === undefined ? root?.initrd : undefined };
}

/** As many as colinuxd takes. */
const CMDLINE_MAX = 1023;

/** The host's words come first: of two that contradict each other kernels take the last. */
export function cmdlineFor({ cmdline }: Definition, { guestWords = [] }: HostStatus): string {
  const whole = [...guestWords, cmdline].filter((words) => words !== "").join(" ");
  return new TextEncoder().encode(whole).length <= CMDLINE_MAX ? whole : cmdline;
}

/** Things as the helper knows them; its messages get the names that a person knows. */
class Published {
  readonly #host: Host;
  readonly #names = new Map<string, string>();

  constructor(host: Host) {
    this.#host = host;
  }

  async publish(path: string): Promise<HostFile> {
    const file = await this.#host.publishFile(path);
    this.#names.set(file.path, path);
    return file;
  }

  async publishDisk(disk: DiskRequest): Promise<HostFile> {
    const file = await this.#host.publishDisk(disk);
    this.#names.set(file.path, disk.path);
    return file;
  }

  inOurWords(error: unknown): unknown {
    if (!(error instanceof CliError)) return error;
    let message = error.message;
    for (const [theirs, ours] of this.#names) message = message.replaceAll(theirs, ours);
    if (message === error.message) return error;
    const { name, hint, exit, detail, data } = error;
    return new CliError(message, { name, hint, exit, detail, data });
  }
}
