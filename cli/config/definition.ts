// SPDX-License-Identifier: GPL-2.0-or-later
/** A checked definition: sizes are bytes, times milliseconds, paths absolute. */
import type { InitrdSpec, KernelSpec } from "../image/provider.ts";
import type { Forward, HealthSpec, RestartPolicy, TcpCheck } from "../rpc/proto.ts";

export interface Definition {
  /** Absolute path of the file. */
  file: string;
  name: string;
  memory: number;
  vcpus: number;
  /** Absent: the image's own. */
  kernel?: KernelSpec;
  initrd?: InitrdSpec;
  cmdline: string;
  image?: ImageSpec;
  disks?: DiskDefinition[];
  network?: NetworkDefinition;
  ready?: { console?: string; tcp?: TcpCheck[] };
  health?: HealthSpec;
  /** Absent: never. */
  restart?: RestartPolicy;
  autostart?: boolean;
  message?: string[];
}

/** What an image is built from, or the file of one that was exported. */
export type ImageSpec = BuiltImage | { file: string };

export interface BuiltImage {
  distribution: string;
  size: number;
  kernel: string;
  packages: string[];
  debconf: string[];
  files: Record<string, ImageFile>;
  users: Record<string, ImageUser>;
  scripts: Source[];
}

/** A text of the definition's, or a file on this machine. */
export type Source = { text: string } | { file: string };
export type ImageFile = Source & { mode: string; owner: string };

export interface ImageUser {
  /** "generate", a hash, or none. */
  password?: string;
  shell: string;
  groups: string[];
}

export interface DiskDefinition {
  name: string;
  /** Bytes; absent with a path. */
  size?: number;
  format: "ext4" | "none";
  mount?: string;
  /** A file or device that is used as it is. */
  path?: string;
  readOnly: boolean;
  /** The driver may keep its grants; absent: it may not. */
  persistentGrants?: boolean;
}

export interface NetworkDefinition {
  mode: "nat" | "tap";
  tap?: string;
  mac?: string;
  forwards: Forward[];
}
