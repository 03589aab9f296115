// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What commands know of the place where VMs run: this machine's own
 * /dev/colinux (local.ts) or a virtual host in QEMU (virtual.ts). Both speak
 * the same JSON-RPC; commands never ask which one it is but to print `why`.
 */
import type { RpcClient } from "../rpc/client.ts";
import type { Forward } from "../rpc/proto.ts";
import { CliError } from "../ui/errors.ts";
import type { Paths } from "../ui/paths.ts";

/** What connecting to a host throws when it does not run, or is ending. */
export function isHostDown(error: unknown): boolean {
  return error instanceof CliError && error.name === "HOSTDOWN";
}

/** A byte stream to colinuxd; a Deno.UnixConn is one. */
export interface Transport {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
  close(): void;
}

/** A file as the helper can open it; size when the path is padded. */
export interface HostFile {
  path: string;
  size?: number;
}

/** A disk of a VM: an image or a block device of this machine. */
export interface DiskRequest {
  path: string;
  /** Whose it is: it is let go when that VM has ended. */
  vm: string;
  /** Its name in the definition, for messages. */
  name: string;
  readOnly: boolean;
}

export interface HostStatus {
  kind: "local" | "virtual";
  running: boolean;
  /** One line: why this kind. */
  why: string;
  /** QEMU's pid (virtual) or colinuxd's (local, when known). */
  pid?: number;
  /** Virtual: tcg, kvm … */
  accelerator?: string;
  /** Virtual: one line why not a faster accelerator. */
  acceleratorWhy?: string;
  /** Virtual: words for guests' command lines, as the accelerator likes them. */
  guestWords?: readonly string[];
  /** Kernel version of the virtual host. */
  kernel?: string;
  /** Memory of the virtual host in bytes. */
  memory?: number;
  /** Virtual: true when it stays though no VM runs. */
  stay?: boolean;
  /** Where its console log is, for a person who looks for the reason. */
  log?: string;
}

/** What a network of mode nat is made of. */
export interface Nat {
  /** Virtual: what the worker opens; the NAT is there already. */
  device?: string;
  /** Those that the worker is to make. */
  forwards: Forward[];
}

export interface HostContext {
  readonly paths: Paths;
  /** One line of progress for the person who waits (stderr; may be dropped). */
  progress(line: string): void;
  /** Aborted by ^C and by --timeout. */
  readonly signal: AbortSignal;
}

export interface StartOptions {
  /** Virtual: stay when the last VM stops (`host start`). `up` does not ask for it. */
  stay?: boolean;
  /** Virtual: bytes of guest memory that will be wanted at least. */
  memory?: number;
}

export interface Host {
  readonly kind: "local" | "virtual";
  /** One line saying why this host was chosen, "" when there is nothing to say. */
  readonly why: string;
  /** Connects to colinuxd. Never starts anything: CliError HOSTDOWN when the host does not run. */
  connect(): Promise<Transport>;
  /** Makes a file readable for the helper. Idempotent: the same file twice gives the same path. */
  publishFile(path: string): Promise<HostFile>;
  /**
   * Makes an image or a block device usable as a VM's disk. Refuses in words what is absent,
   * read-only or in use. In the virtual host it is this VM's until it has ended, or release().
   */
  publishDisk(request: DiskRequest): Promise<HostFile>;
  /**
   * Before vm.create, for a network of mode nat: the virtual host makes it here, ports and all,
   * for this VM until it has ended, or release(). Natively it is the worker's.
   * Says who has a port that is in use.
   */
  prepareNat(vm: string, forwards: Forward[]): Promise<Nat>;
  /** Opens a port of this machine for a VM that runs. */
  addForward(client: RpcClient, vm: string, forward: Forward): Promise<void>;
  /** Closes it again; connections that stand go on. */
  removeForward(client: RpcClient, vm: string, forward: Forward): Promise<void>;
  listForwards(client: RpcClient, vm: string): Promise<Forward[]>;
  /** Lets go what a VM that does not run held here: before it is made, and when that failed. */
  release(vm: string): Promise<void>;
  status(): Promise<HostStatus>;
  /** Idempotent; two callers at once get one host. Throws CliError with the reason in words. */
  start(options?: StartOptions): Promise<HostStatus>;
  /** Clean stop, nothing left behind. Idempotent. */
  stop(): Promise<void>;
}

/** cli/host/virtual.ts exports `virtualHost: HostFactory`, cli/host/local.ts `localHost`. */
export type HostFactory = (context: HostContext, why: string) => Host;
