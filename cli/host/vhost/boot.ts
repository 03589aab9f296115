// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Starts the machine of a virtual host: finds the image, sizes the memory,
 * tries the accelerators in turn. Called by daemon.ts.
 */
import type { Paths } from "../../ui/paths.ts";
import { CliError, EXIT } from "../../ui/errors.ts";
import { candidates, condemn } from "./accel.ts";
import type { Layout } from "./layout.ts";
import type { BoundedLog } from "./log.ts";
import { Machine, type MachineSetup } from "./machine.ts";
import { sizeMemory, type VhostOptions } from "./options.ts";
import type { Image } from "./qemu.ts";

/** A machine that says nothing for so long has died in its boot. */
const SILENCE_MS = 180_000;

export interface Booted {
  machine: Machine;
  image: Image;
  memory: number;
  /** Why no faster accelerator. */
  why: string | undefined;
}

export interface BootContext {
  paths: Paths;
  options: VhostOptions;
  layout: Layout;
  console: BoundedLog;
  /** Bytes of guest memory wanted at first. */
  wanted: number;
  progress(line: string): void;
  /** disk, nic, gone, failed: what hotplug.sh says. */
  onLine(word: string, rest: string): void;
  /** Told of each machine, so that stop() can end it in the middle of its boot. */
  onMachine(machine: Machine): void;
}

async function findImage(paths: Paths, release: string | undefined): Promise<Image> {
  const dir = `${paths.lib}/vhost`;
  try {
    const name = release ?? (await Deno.readTextFile(`${dir}/default`)).trim();
    const image = {
      release: name,
      vmlinuz: `${dir}/${name}/vmlinuz`,
      initrd: `${dir}/${name}/initrd`,
    };
    await Deno.stat(image.vmlinuz);
    await Deno.stat(image.initrd);
    return image;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CliError(`there is no virtual host image${release ? ` for ${release}` : ""}`, {
      name: "INSTALLATION",
      hint: paths.source === undefined ? "install coLinux again" : "run make",
      exit: EXIT.unavailable,
    });
  }
}

/** The loader separates names by spaces and colons: then bursts of clients are slower. */
async function findPreload(paths: Paths): Promise<string | undefined> {
  const path = `${paths.lib}/vhost/qemu_net.so`;
  if (Deno.build.os !== "linux" || /[ :]/.test(path)) return undefined;
  return await Deno.stat(path).then(() => path, () => undefined);
}

export async function boot(context: BootContext): Promise<Booted> {
  const { options, layout } = context;
  const image = await findImage(context.paths, options.kernel);
  const memory = options.memory ?? sizeMemory(context.wanted, Deno.systemMemoryInfo().available);
  const { list, why } = await candidates(layout.verdicts, options);
  let reason = why;
  for (const [index, accel] of list.entries()) {
    const last = index === list.length - 1;
    context.progress(
      `starting the virtual host (${accel.name}${reason === undefined ? "" : `; ${reason}`})`,
    );
    const preload = await findPreload(context.paths);
    const setup = { preload, image, accel, options, memory, layout, console: context.console };
    const found = await attempt(setup, context, last);
    if (typeof found !== "string") return { machine: found, image, memory, why: reason };
    reason = `${accel.name}: ${found}`;
    await condemn(layout.verdicts, accel.name, found);
  }
  throw new CliError(`no accelerator works: ${reason ?? ""}`, {
    name: "VHOST",
    exit: EXIT.unavailable,
  });
}

/** The machine when it is up, or why this accelerator is no good and another may be tried. */
async function attempt(
  setup: Omit<MachineSetup, "onLine">,
  context: BootContext,
  last: boolean,
): Promise<Machine | string> {
  const alive = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {});
  let machine: Machine | undefined;
  let silence: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => {
      ready.reject(
        machine?.failure(`the virtual host has said nothing for ${SILENCE_MS / 1000} s`),
      );
    }, SILENCE_MS);
  };
  const onLine = (word: string, rest: string) => {
    heard();
    if (word === "init") alive.resolve();
    else if (word === "ready") ready.resolve();
    else if (word === "progress") context.progress(`virtual host: ${rest}`);
    else if (word === "error") ready.reject(machine?.failure(`the virtual host: ${rest}`));
    else context.onLine(word, rest);
  };
  heard();
  let up = false;
  try {
    machine = await Machine.launch({ ...setup, onLine });
    context.onMachine(machine);
    const running = machine;
    const died = machine.ended.then((why) => {
      throw running.failure(`the virtual host died while it started: ${why}`);
    });
    died.catch(() => {});
    if (!last && !await within(setup.accel.patience, Promise.race([alive.promise, died]))) {
      return `no sign of life in ${(setup.accel.patience ?? 0) / 1000} s`;
    }
    await Promise.race([ready.promise, died]);
    up = true;
    return machine;
  } catch (error) {
    if (last || !(error instanceof CliError) || error.name !== "VHOST") throw error;
    return error.message.replace(/^QEMU ended at once: /, "")
      .replace(/^qemu-system-x86_64: (-accel [^ ]+ )?/, "");
  } finally {
    clearTimeout(silence);
    if (!up && machine) {
      machine.kill();
      await machine.ended;
    }
  }
}

async function within(ms: number | undefined, promise: Promise<void>): Promise<boolean> {
  if (ms === undefined) return await promise.then(() => true);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
