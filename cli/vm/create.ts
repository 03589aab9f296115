// SPDX-License-Identifier: GPL-2.0-or-later
/** From a definition to a VM that runs: kernel, initrd, vm.create, vm.start. For boot.ts. */
import type { Definition } from "../config/definition.ts";
import type { DiskRequest, Host, HostFile } from "../host/host.ts";
import type { RpcClient } from "../rpc/client.ts";
import { protoError } from "../rpc/errors.ts";
import type { Params, Vm } from "../rpc/proto.ts";
import type { Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { disksOf, netsOf } from "./devices.ts";

/** Unpacking a kernel under emulation takes its time. */
const LONG_MS = 300_000;

export async function createVm(
  context: Context,
  host: Host,
  client: RpcClient,
  definition: Definition,
  existing: Vm | undefined,
): Promise<Vm> {
  const { name } = definition;
  const { signal } = context;
  const files = new Published(host);
  await host.release(name);
  try {
    const params = await paramsFor(context, files, definition);
    signal.throwIfAborted();
    // What is left of its last run makes room.
    if (existing !== undefined) await client.call("vm.delete", { name });
    return await makeAndStart(context, client, params);
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
  files: Published,
  definition: Definition,
): Promise<Params<"vm.create">> {
  const { imageProvider } = await import("../image/image.ts");
  const images = imageProvider(context);
  if (definition.kernel === undefined) {
    throw new CliError(`${definition.name} has no kernel`, {
      name: "DEFINITION",
      hint: 'give it a "kernel"',
      exit: EXIT.config,
    });
  }
  const kernel = await images.kernelFor(definition.kernel);
  const params: Params<"vm.create"> = {
    name: definition.name,
    memory: definition.memory,
    kernel: await files.publish(kernel),
    cmdline: definition.cmdline,
    vcpus: definition.vcpus,
  };
  if (definition.initrd !== undefined) {
    const initrd = await images.initrdFor(definition.initrd, kernel);
    const { size } = await Deno.stat(initrd);
    if (size >= definition.memory) {
      throw protoError(
        "INITRD",
        `the initrd ${initrd} (${size} bytes) is larger than the memory of ${definition.name}`,
      );
    }
    params.initrd = await files.publish(initrd);
  }
  const disks = await disksOf(context.paths, definition, (disk) => files.publishDisk(disk));
  const nets = await netsOf(context.paths, definition);
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

/** Files as the helper knows them; its messages get the names that a person knows. */
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
