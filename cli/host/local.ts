// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * This machine's own /dev/colinux through colinuxd. Nothing here starts or
 * loads anything: that is the administrator's (systemd, make install).
 */
import { CliError, EXIT } from "../ui/errors.ts";
import type { RpcClient } from "../rpc/client.ts";
import type { Forward } from "../rpc/proto.ts";
import { checkDisk } from "./disk.ts";
import type {
  DiskRequest,
  Host,
  HostFactory,
  HostFile,
  HostStatus,
  Nat,
  Transport,
} from "./host.ts";
import { portInUse } from "./listeners.ts";

export const localHost: HostFactory = (context, why) =>
  new LocalHost(why, context.paths.nativeSocket);

export class LocalHost implements Host {
  readonly kind = "local";
  readonly why: string;
  readonly #socket: string;

  constructor(why: string, socket: string) {
    this.why = why;
    this.#socket = socket;
  }

  async connect(): Promise<Transport> {
    try {
      return await Deno.connect({ transport: "unix", path: this.#socket });
    } catch (error) {
      throw connectError(this.#socket, error);
    }
  }

  async publishFile(path: string): Promise<HostFile> {
    return { path: await Deno.realPath(path) };
  }

  async publishDisk(request: DiskRequest): Promise<HostFile> {
    return { path: (await checkDisk(request)).path };
  }

  async prepareNat(_vm: string, forwards: Forward[]): Promise<Nat> {
    for (const forward of forwards) await checkPort(forward);
    return { forwards };
  }

  async addForward(client: RpcClient, name: string, forward: Forward): Promise<void> {
    await checkPort(forward);
    await client.call("port.add", { name, forward });
  }

  async removeForward(client: RpcClient, name: string, forward: Forward): Promise<void> {
    await client.call("port.remove", { name, forward });
  }

  async listForwards(client: RpcClient, name: string): Promise<Forward[]> {
    return (await client.call("port.list", { name })).forwards;
  }

  /** The worker held all that there was. */
  release(): Promise<void> {
    return Promise.resolve();
  }

  async status(): Promise<HostStatus> {
    let running = true;
    try {
      (await this.connect()).close();
    } catch {
      running = false;
    }
    return { kind: "local", running, why: this.why };
  }

  async start(): Promise<HostStatus> {
    const status = await this.status();
    if (!status.running) await this.connect();
    return status;
  }

  stop(): Promise<void> {
    throw new CliError("colinuxd of this machine is not ours to stop", {
      name: "PERM",
      hint: "as root: systemctl stop colinuxd",
      exit: EXIT.noPerm,
    });
  }
}

/** The worker could not say who has it. */
async function checkPort(forward: Forward): Promise<void> {
  const used = await portInUse(forward);
  if (used !== undefined) throw used;
}

/** Why a socket of colinuxd could not be connected to, in words. */
export function connectError(socket: string, error: unknown): CliError {
  if (error instanceof Deno.errors.PermissionDenied) {
    return new CliError(`${socket}: not permitted`, {
      name: "PERM",
      hint: "the administrator decides who may use coLinux: see the socket's group",
      exit: EXIT.noPerm,
    });
  }
  const absent = error instanceof Deno.errors.NotFound;
  return new CliError(`colinuxd does not run (${socket}${absent ? " is absent" : ""})`, {
    name: "HOSTDOWN",
    hint: "as root: systemctl start colinuxd",
    exit: EXIT.unavailable,
  });
}
