// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Native where /dev/colinux and its helper are there already, else the virtual
 * host, with one line that says why. Nothing is ever loaded into the kernel.
 */
import type { Context } from "../ui/context.ts";
import { NATIVE_DEVICE, NATIVE_SOCKET } from "../ui/paths.ts";
import type { Host } from "./host.ts";

export async function chooseHost(context: Context): Promise<Host> {
  if (context.host === "local") return await local(context, "--host local");
  if (context.host === "virtual") return await virtual(context, "--host virtual");
  if (context.paths.nativeForced) return await local(context, "");
  const reason = await whyNotNative();
  if (reason === undefined) return await local(context, "");
  return await virtual(context, `${reason}: using the virtual host`);
}

async function local(context: Context, why: string): Promise<Host> {
  return (await import("./local.ts")).localHost(context, why);
}

async function virtual(context: Context, why: string): Promise<Host> {
  return (await import("./virtual.ts")).virtualHost(context, why);
}

export type Probe = "device" | "module" | "lockdown" | "sigenforce" | "secureboot" | "kvm";

/** What the wrapper saw in /dev and /sys, where Deno may not look. */
export function probes(): ReadonlySet<string> {
  return new Set((Deno.env.get("COLINUX_PROBE") ?? "").split(" "));
}

export function saw(probe: Probe, seen = probes()): boolean {
  return seen.has(probe);
}

/** Undefined when this machine can run VMs natively right now. */
export async function whyNotNative(
  seen = probes(),
  socket = NATIVE_SOCKET,
  built?: readonly string[],
): Promise<string | undefined> {
  if (!saw("device", seen)) {
    const why = whyNoDevice(seen, built ?? await releasesWithModule());
    return `no ${NATIVE_DEVICE} here (${why})`;
  }
  if (!await exists(socket)) return `${NATIVE_DEVICE} is here but colinuxd does not run`;
  return undefined;
}

function whyNoDevice(seen: ReadonlySet<string>, built: readonly string[]): string {
  if (Deno.build.os !== "linux") return "the kext is not loaded";
  if (saw("module", seen)) return "the module is loaded but made no device";
  const release = Deno.osRelease();
  if (built.length > 0 && !built.includes(release)) {
    return `the module is built for ${built.join(", ")}, this kernel is ${release}`;
  }
  if (saw("lockdown", seen)) return "the kernel is locked down: it loads signed modules only";
  if (saw("sigenforce", seen)) {
    return "the kernel was booted with module.sig_enforce=1: it loads signed modules only";
  }
  if (saw("secureboot", seen)) return "Secure Boot is on: the kernel loads signed modules only";
  return built.length > 0 ? "the module is not loaded" : "the module is not installed";
}

async function releasesWithModule(): Promise<string[]> {
  const releases: string[] = [];
  try {
    for await (const entry of Deno.readDir("/lib/modules")) {
      for (const name of ["updates/dkms/colinux.ko", "extra/colinux.ko", "updates/colinux.ko"]) {
        const path = `/lib/modules/${entry.name}/${name}`;
        if (await exists(path) || await exists(`${path}.xz`)) releases.push(entry.name);
      }
    }
  } catch {
    // No modules at all.
  }
  return [...new Set(releases)].sort();
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}
