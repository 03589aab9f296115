// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Which accelerators to try, and what came of it. /dev/kvm may open and still
 * not run a stock kernel, so only a boot that gives a sign of life counts; the
 * verdict is kept until the machine is started again.
 */
import type { VhostOptions } from "./options.ts";

export interface Accelerator {
  name: string;
  cpu: string;
  /** Milliseconds until the first sign of life; undefined: as long as it takes. */
  patience: number | undefined;
  /** The module's protect= when nobody asks for another: emulators flush their TLB at each toggle. */
  protect: "wp" | "none";
  /** For the command line of the kernels on it, the guests' as well. */
  words: readonly string[];
  /** CPUs of the host, if this machine has as many; of two, the second is for guests alone. */
  cpus: number;
}

/**
 * Plain qemu64 is two to three times faster under TCG than richer models.  An emulator
 * does not speculate: what kernels do against it is lost time, a tenth of all.  And each
 * LOCK prefix that a kernel with one CPU patches away at its boot costs a guest's monitor
 * two passages into its page tables: 8,800 of them, 0.45 s.
 */
export const TCG: Accelerator = {
  name: "tcg",
  cpu: "qemu64",
  patience: undefined,
  protect: "none",
  words: ["mitigations=off", "noreplace-smp"],
  cpus: 2,
};
const KVM: Accelerator = {
  name: "kvm",
  cpu: "host",
  patience: 6000,
  protect: "wp",
  words: [],
  cpus: 1,
};

interface Verdicts {
  boot: string;
  /** Why an accelerator does not work here, by name. */
  bad: Record<string, string>;
}

/** The wrapper has read it: Deno may not. */
function bootId(): string {
  return Deno.env.get("COLINUX_BOOT_ID") ?? "unknown";
}

async function load(path: string): Promise<Verdicts> {
  const boot = bootId();
  try {
    const saved = JSON.parse(await Deno.readTextFile(path)) as Verdicts;
    if (saved.boot === boot && typeof saved.bad === "object") return saved;
  } catch {
    // Absent or damaged: nothing is known yet.
  }
  return { boot, bad: {} };
}

/** Notes that an accelerator does not work until the next boot of this machine. */
export async function condemn(path: string, name: string, why: string): Promise<void> {
  const verdicts = await load(path);
  verdicts.bad[name] = why;
  // Several daemons share the file.
  const fresh = `${path}.${Deno.pid}`;
  await Deno.writeTextFile(fresh, JSON.stringify(verdicts) + "\n");
  await Deno.rename(fresh, path);
}

/** Deno may refuse to look at a device: then QEMU tells, at once. */
async function absent(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

/** Accelerators in the order of trying, and why faster ones are left out. */
export async function candidates(
  path: string,
  options: VhostOptions,
): Promise<{ list: Accelerator[]; why: string | undefined }> {
  if (options.accel !== undefined) {
    const known = [KVM, TCG].find((one) => one.name === options.accel?.split(",")[0]);
    const base = known ?? { ...TCG, protect: "wp" as const };
    return { list: [{ ...base, name: options.accel, patience: undefined }], why: undefined };
  }
  const { bad } = await load(path);
  if (await absent("/dev/kvm")) return { list: [TCG], why: "no /dev/kvm" };
  if (bad.kvm !== undefined) return { list: [TCG], why: `kvm: ${bad.kvm}` };
  return { list: [KVM, TCG], why: undefined };
}
