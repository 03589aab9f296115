// SPDX-License-Identifier: GPL-2.0-or-later
/** QEMU's command line for a virtual host; machine.ts runs it. */
import type { Accelerator } from "./accel.ts";
import { BRIDGES, DISK_THREAD, type Layout, PORTS } from "./layout.ts";
import { MIB, type VhostOptions } from "./options.ts";

export interface Image {
  release: string;
  vmlinuz: string;
  initrd: string;
}

/** A path inside a QEMU option: commas are doubled. */
function quote(path: string): string {
  return path.replaceAll(",", ",,");
}

function socketPort(name: string, number: number, path: string, server: boolean): string[] {
  const mode = server ? "server=on,wait=off" : "server=off";
  return [
    "-chardev",
    `socket,id=c.${name},path=${quote(path)},${mode}`,
    "-device",
    `virtserialport,bus=serial.0,nr=${number},chardev=c.${name},name=colinux.${name},id=p.${name}`,
  ];
}

/**
 * What nobody reads or uses in the virtual host; each switch of threads, each call pays for
 * it. `make bench` gives them to the guest too: like is compared with like.
 */
export const LEAN = ["psi=0", "noautogroup", "audit=0", "lsm=landlock,lockdown"];

/**
 * Of two emulated CPUs guests have the second one to themselves: no process, no device's
 * interrupt gets there, so it need not leave the guest's world, after which an emulator
 * runs cold. The module rings at the first by a page of its local APIC. Emulated TSCs are
 * one, which Linux does not believe of several CPUs.
 */
export const PAIR = [
  "isolcpus=domain,managed_irq,1",
  "irqaffinity=0",
  "nox2apic",
  "tsc=reliable",
  "colinux.guest_cpu=1",
];

export function cpus(accel: Accelerator, options: VhostOptions): number {
  return options.smp ?? Math.min(accel.cpus, navigator.hardwareConcurrency);
}

export function kernelCommandLine(accel: Accelerator, options: VhostOptions): string {
  return [
    "console=ttyS0",
    "quiet",
    "loglevel=4",
    "panic=-1",
    "oops=panic",
    // A busy machine makes an emulated TSC look unsteady; guests need it.
    "tsc=nowatchdog",
    // Nor does an emulator starved of CPU time tick while the kernel tries its timer: it would panic.
    "no_timer_check",
    ...LEAN,
    ...accel.words,
    ...(accel.cpus === 2 && cpus(accel, options) === 2 ? PAIR : []),
    // /init waits for so many streams.
    `colinux_ports=${PORTS}`,
    `colinux.protect=${options.protect ?? accel.protect}`,
    options.append,
  ].filter((word) => word !== "").join(" ");
}

export function qemuArguments(
  image: Image,
  accel: Accelerator,
  options: VhostOptions,
  memory: number,
  at: Layout,
): string[] {
  const args = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  args.push("-name", "colinux-host,debug-threads=on", "-machine", "pc", "-accel", accel.name);
  args.push("-cpu", options.cpu ?? accel.cpu, "-smp", String(cpus(accel, options)));
  args.push("-m", `${Math.floor(memory / MIB)}M`);
  args.push("-kernel", image.vmlinuz, "-initrd", image.initrd);
  args.push("-append", kernelCommandLine(accel, options));
  // The serial console is QEMU's standard output, which the daemon reads.
  args.push("-serial", "stdio");
  args.push("-qmp", `unix:${quote(at.qmp)},server=off`);
  args.push("-device", `virtio-serial-pci,id=serial,max_ports=31`);
  args.push(...socketPort("ctl", 1, at.ctl, false));
  if (options.debug) args.push(...socketPort("debug", 2, at.debug, true));
  for (let port = 0; port < PORTS; port++) {
    args.push(...socketPort(String(port), port + 3, at.port(port), true));
  }
  args.push("-object", `iothread,id=${DISK_THREAD}`);
  for (let bridge = 1; bridge <= BRIDGES; bridge++) {
    args.push("-device", `pci-bridge,id=bridge${bridge},chassis_nr=${bridge}`);
  }
  args.push(...options.qemu);
  return args;
}
