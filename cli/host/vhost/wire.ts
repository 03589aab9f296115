// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What the CLI and the virtual host's daemon say to each other on daemon.sock:
 * one JSON line asks, JSON lines answer, the last one holds ok or error. After
 * the ok of "connect" the connection is a byte stream to colinuxd.
 * Both sides are this user's; lines are bounded all the same.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import { LineSplitter } from "../../rpc/lines.ts";
import type { Forward } from "../../rpc/proto.ts";
import { isRecord } from "../../rpc/errors.ts";
import type { DiskRequest, HostFile, HostStatus } from "../host.ts";

export interface Calls {
  /** Waits until the host is up; memory: bytes of guest memory wanted. */
  start: { params: { stay?: boolean; memory?: number }; result: HostStatus };
  status: { params: Record<never, never>; result: HostStatus };
  publish: { params: { path: string }; result: HostFile };
  disk: { params: DiskRequest; result: HostFile };
  /** A VM's network of mode nat; the answer is what its worker is to open. */
  nat: { params: { vm: string; forwards: Forward[] }; result: { device: string } };
  forward: { params: { vm: string; forward: Forward }; result: Record<never, never> };
  unforward: { params: { vm: string; forward: Forward }; result: Record<never, never> };
  forwards: { params: { vm: string }; result: { forwards: Forward[] } };
  release: { params: { vm: string }; result: Record<never, never> };
  connect: { params: Record<never, never>; result: Record<never, never> };
  stop: { params: Record<never, never>; result: Record<never, never> };
}
export type CallName = keyof Calls;

export const MAX_LINE = 64 << 10;
const encoder = new TextEncoder();

export async function sendLine(conn: Deno.Conn, message: unknown): Promise<void> {
  await sendBytes(conn, encoder.encode(JSON.stringify(message) + "\n"));
}

export async function sendBytes(conn: Deno.Conn, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await conn.write(bytes.subarray(at));
}

/** The objects that come as lines, until the other side closes. */
export async function* readLines(
  conn: Deno.Conn,
): AsyncGenerator<Record<string, unknown>, void, void> {
  const lines = new LineSplitter(MAX_LINE);
  const buffer = new Uint8Array(16 << 10);
  for (;;) {
    const count = await conn.read(buffer);
    if (count === null) return;
    for (const line of lines.push(buffer.subarray(0, count))) {
      const value: unknown = JSON.parse(line);
      if (!isRecord(value)) throw new Error("a line that is not an object");
      yield value;
    }
  }
}

/** An error as it crosses the socket. */
export function packError(error: unknown): Record<string, unknown> {
  if (error instanceof CliError) {
    const { message, name, hint, exit, detail } = error;
    return { message, name, hint, exit, detail };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { message: `virtual host: ${message}`, name: "VHOST", exit: EXIT.software };
}

export function unpackError(value: unknown): CliError {
  const record = isRecord(value) ? value : {};
  const text = (key: string) => typeof record[key] === "string" ? record[key] : undefined;
  const hint = text("hint");
  const detail = text("detail");
  return new CliError(text("message") ?? "the virtual host's daemon failed", {
    name: text("name") ?? "VHOST",
    exit: typeof record.exit === "number" ? record.exit : EXIT.software,
    ...(hint === undefined ? {} : { hint }),
    ...(detail === undefined ? {} : { detail }),
  });
}

export function stoppingError(): CliError {
  return new CliError("the virtual host is stopping", {
    name: "HOSTDOWN",
    hint: "try again in a moment",
    exit: EXIT.tempFail,
  });
}
