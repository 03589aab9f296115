// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What commands ask of kernels and initrds. Paths in a spec are absolute
 * already. cli/image/image.ts exports `imageProvider: ImageProviderFactory`.
 */
import type { HostContext } from "../host/host.ts";

/** A kernel file, or the one inside a Debian package. */
export type KernelSpec = { file: string } | { package: string };
/** An initrd file, or one that coLinux builds ("shell"). */
export type InitrdSpec = { file: string } | { builtin: string };

export interface ImageProvider {
  /** Absolute path of a kernel image (bzImage or ELF), from the cache when it is there. */
  kernelFor(spec: KernelSpec): Promise<string>;
  /** Absolute path of an initrd; `kernel` is what kernelFor gave, for its modules. */
  initrdFor(spec: InitrdSpec, kernel: string): Promise<string>;
  /** Names accepted behind "builtin:". */
  readonly builtins: readonly string[];
}

export type ImageProviderFactory = (context: HostContext) => ImageProvider;

/**
 * What the built-in shell prints on its console when it takes input:
 * `ready` of configs/minimal.jsonc waits for this text.
 */
export const SHELL_READY = "colinux: the guest is at its shell";
