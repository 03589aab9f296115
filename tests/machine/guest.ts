// SPDX-License-Identifier: GPL-2.0-or-later
/** Guests inside a virtual host, run by codom: what every machine test repeats. */
import { Host, type HostOptions } from "./host.ts";
import { BUILD, GUEST, guestElf, guestInitrd, type Kernel } from "./paths.ts";

export interface GuestOptions {
  kernel?: Kernel;
  /** MiB */
  memory?: number;
  append?: string;
  /** The guest's notices go to a second process that polls, as with the worker. */
  polled?: boolean;
  /** Or to one that halts its CPU until they come: the host has another for guests. */
  paired?: boolean;
}

/** A host with everything that codom needs for these guest kernels. */
export async function hostWithGuests(
  options: HostOptions,
  ...kernels: Kernel[]
): Promise<Host> {
  const files: Record<string, string> = {
    "hostile": `${GUEST}/hostile`,
    "cotool": `${BUILD}/tests/cotool`,
    ...options.files,
  };
  for (const kernel of kernels) {
    files[`${kernel}.elf`] = await guestElf(kernel);
    files[`${kernel}.initrd`] = await guestInitrd(kernel);
  }
  const memory = options.memory ??
    (kernels.includes("6.1") || kernels.includes("6.12") ? 1536 : 1024);
  return await Host.start({ ...options, files, memory });
}

/** The command line that runs a Linux guest to its end. */
export function codom(options: GuestOptions): string {
  const { kernel = "6.1-cloud", memory = 192, append = "", polled, paired } = options;
  return `/codom ${
    paired ? "-p" : polled ? "-e" : ""
  } /${kernel}.elf /${kernel}.initrd ${memory} console=hvc0 quiet panic=-1 ${append}`;
}

export function hostile(args: string, quiet = "-q"): string {
  return `/codom ${quiet} /hostile - 64 ${args}`;
}

/** Starts it in the background; its output goes to /tmp/NAME.log, its code to /tmp/NAME.rc. */
export async function background(host: Host, name: string, line: string): Promise<void> {
  const files = `/tmp/${name}`;
  await host.must(`rm -f ${files}.*`);
  await host.must(
    `(${line} >${files}.log 2>&1 & pid=$!; echo $pid >${files}.pid; wait $pid; echo $? >${files}.rc) &`,
  );
  await host.must(`until [ -s ${files}.pid ]; do sleep 0.1; done`);
}

/** Waits for a text in its output, or for its end (then that is an error). */
export async function awaitText(host: Host, name: string, text: string): Promise<void> {
  const files = `/tmp/${name}`;
  const test = `grep -q '${text}' ${files}.log`;
  await host.sh(`until ${test}; do [ -s ${files}.rc ] && break; sleep 0.2; done`);
  if ((await host.sh(test)).code !== 0) {
    throw new Error(
      `guest ${name} ended without '${text}':\n${await host.must(`cat ${files}.log`)}`,
    );
  }
}

export async function awaitEnd(host: Host, name: string): Promise<{ code: number; log: string }> {
  await host.must(`until [ -s /tmp/${name}.rc ]; do sleep 0.2; done`);
  const code = Number((await host.must(`cat /tmp/${name}.rc`)).trim());
  return { code, log: await host.must(`cat /tmp/${name}.log`) };
}

export function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** The workload ran to its end and nothing of it failed. */
export function requireWorkload(out: string): void {
  const end = /WORKLOAD (\d+) passed, (\d+) failed/.exec(out);
  require(end !== null, `the workload did not end:\n${out.slice(-3000)}`);
  const failed = out.split("\n").filter((line) => line.startsWith("FAIL "));
  require(end[2] === "0", `the workload failed in the guest:\n${failed.join("\n")}`);
}

export async function runWorkload(host: Host, guest: GuestOptions, names = ""): Promise<string> {
  const append = `${guest.append ?? ""} co.run=/workload${names && `,${names}`}`;
  const { code, out } = await host.sh(`${codom({ ...guest, append })} 2>&1`);
  requireWorkload(out);
  require(code === 0, `codom ended with ${code}: the guest did not power off cleanly`);
  return out;
}

export async function hello(host: Host): Promise<Map<string, string>> {
  const out = await host.must("/cotool hello");
  return new Map(
    out.trim().split("\n").map((line): [string, string] => {
      const at = line.indexOf(" ");
      return [line.slice(0, at), line.slice(at + 1).trim()];
    }),
  );
}

/** No VM, no page, no complaint, and the module goes. */
export async function leavesNothing(host: Host): Promise<void> {
  const now = await hello(host);
  require(now.get("vms") === "0", `${now.get("vms")} VMs are left`);
  require(now.get("held_pages") === "0", `the module still holds ${now.get("held_pages")} pages`);
  await host.rmmod();
}
