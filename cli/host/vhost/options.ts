// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * How a virtual host is made. Everybody gets the defaults; tests and people who
 * debug set COLINUX_VHOST_* in the environment of the command that starts it
 * (HACKING.md has the list).
 */
import { CliError, EXIT } from "../../ui/errors.ts";

export interface VhostOptions {
  /** Kernel release; undefined: the one that make built first. */
  kernel: string | undefined;
  /** kvm, tcg …; undefined: tried in order. */
  accel: string | undefined;
  cpu: string | undefined;
  /** CPUs; undefined: as the accelerator has it, and this machine. */
  smp: number | undefined;
  /** Bytes; undefined: sized by the guests asked for. */
  memory: number | undefined;
  /** The module's protect=; undefined: wp natively fast, none under emulation. */
  protect: string | undefined;
  /** More words for the host's kernel command line. */
  append: string;
  /** More arguments for QEMU. */
  qemu: string[];
  /** A root shell at debug.sock. */
  debug: boolean;
}

export const MIB = 1 << 20;

/** What the virtual host itself needs beside its guests. */
const HOST_NEEDS = 384 * MIB;
/** A guest's memory, its monitor's tables, and the host's own records of the pages. */
const PER_GUEST_BYTE = 17 / 16;
const MINIMUM = 768 * MIB;
const USUAL = 4096 * MIB;
/** A mail server and a small guest beside it: what people run at once shares one virtual host. */
const USUAL_GUESTS = (512 + 256) * MIB;

function number(name: string): number | undefined {
  const value = Deno.env.get(name);
  if (value === undefined || value === "") return undefined;
  if (!/^[1-9][0-9]{0,14}$/.test(value)) {
    throw new CliError(`${name} is "${value}"`, {
      name: "USAGE",
      hint: "it takes a whole number above 0",
      exit: EXIT.usage,
    });
  }
  return Number(value);
}

export function optionsFromEnvironment(): VhostOptions {
  const text = (name: string) => Deno.env.get(`COLINUX_VHOST_${name}`) || undefined;
  const mib = number("COLINUX_VHOST_MEMORY");
  return {
    kernel: text("KERNEL"),
    accel: text("ACCEL"),
    cpu: text("CPU"),
    smp: number("COLINUX_VHOST_SMP"),
    memory: mib === undefined ? undefined : mib * MIB,
    protect: text("PROTECT"),
    append: text("APPEND") ?? "",
    qemu: (text("QEMU") ?? "").split(/\s+/).filter((word) => word !== ""),
    debug: text("DEBUG") === "1",
  };
}

/** The virtual host that guests of so many bytes need. */
export function hostFor(guests: number): number {
  return HOST_NEEDS + Math.ceil(guests * PER_GUEST_BYTE);
}

/** The guests that a virtual host of so many bytes has room for. */
export function roomIn(host: number): number {
  return Math.max(0, Math.floor((host - HOST_NEEDS) / PER_GUEST_BYTE));
}

/**
 * Memory of a new virtual host in bytes. QEMU takes pages only when they are
 * touched, so a roomy size costs little; more than this machine has free would
 * end in swap or worse. Half of that is roomy, three quarters when less would
 * not do for the usual guests.
 */
export function sizeMemory(wanted: number, available: number): number {
  const least = wanted === 0 ? MINIMUM : Math.max(MINIMUM, hostFor(wanted));
  if (least > available) {
    throw new CliError(
      `not enough memory: ${toMib(wanted)} MiB of guests need a virtual host of ${
        toMib(least)
      } MiB, this machine has ${toMib(available)} MiB free`,
      {
        name: "NOMEM",
        hint: "give the guest less memory, or end other programs",
        exit: EXIT.unavailable,
      },
    );
  }
  const usual = Math.min(hostFor(USUAL_GUESTS), Math.floor(available * 3 / 4));
  const roomy = Math.min(USUAL, Math.max(Math.floor(available / 2), usual));
  return Math.ceil(Math.max(least, roomy) / MIB) * MIB;
}

export function toMib(bytes: number): number {
  return Math.ceil(bytes / MIB);
}
