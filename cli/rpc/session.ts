// SPDX-License-Identifier: GPL-2.0-or-later
/** A host and a connection to its helper, for one command. */
import { chooseHost } from "../host/choose.ts";
import { type Host, isHostDown, type Transport } from "../host/host.ts";
import type { Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { RpcClient } from "./client.ts";

export interface Session {
  readonly host: Host;
  readonly client: RpcClient;
}

/** Connects to a host that runs already; CliError HOSTDOWN when it does not. */
export async function openClient(context: Context, host: Host): Promise<RpcClient> {
  const transport = await connect(context, host);
  const client = await RpcClient.open(transport, { signal: context.signal });
  context.debug(`connected to ${host.kind} colinuxd ${client.hello?.build ?? ""}`);
  return client;
}

async function connect(context: Context, host: Host): Promise<Transport> {
  try {
    return await host.connect();
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
    throw new CliError(`the state in ${context.paths.state} belongs to another user`, {
      name: "STATEDIR",
      hint: "set COLINUX_HOME to a folder that is yours",
      exit: EXIT.noPerm,
    });
  }
}

/** Runs `body` with a client, or with none when the host is down. Never starts a host. */
export async function withClient<T>(
  context: Context,
  body: (client: RpcClient | undefined, host: Host) => Promise<T>,
): Promise<T> {
  const host = await chooseHost(context);
  let client: RpcClient | undefined;
  try {
    client = await openClient(context, host);
  } catch (error) {
    if (!isHostDown(error)) throw error;
  }
  try {
    return await body(client, host);
  } finally {
    client?.close();
  }
}
