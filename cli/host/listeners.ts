// SPDX-License-Identifier: GPL-2.0-or-later
/** Why a port of this machine cannot be had: who has it, as far as this user may see. */
import { showForward } from "../config/forward.ts";
import { protoError } from "../rpc/errors.ts";
import type { Forward } from "../rpc/proto.ts";
import type { CliError } from "../ui/errors.ts";
import { showProcesses, socketOwners, socketTable } from "./processes.ts";

export interface Listener {
  address: string;
  port: number;
  uid: number;
  inode: string;
}

/** States of a socket that takes what comes: TCP_LISTEN, and TCP_CLOSE of udp. */
const OPEN: Record<Forward["protocol"], string> = { tcp: "0A", udp: "07" };
const LAST_PRIVILEGED = 1023;

/** A table of the kernel's (/proc/net/tcp and its like). Lines that are odd are passed over. */
export function parseListeners(table: string, protocol: Forward["protocol"]): Listener[] {
  const found: Listener[] = [];
  for (const line of table.split("\n")) {
    const [, local = "", , state, , , , uid, , inode] = line.trim().split(/\s+/);
    const [, hex = "", port = ""] = /^([0-9A-F]{8}|[0-9A-F]{32}):([0-9A-F]{4})$/.exec(local) ?? [];
    if (hex === "" || state !== OPEN[protocol] || inode === undefined) continue;
    found.push({ address: address(hex), port: parseInt(port, 16), uid: Number(uid), inode });
  }
  return found;
}

/** 32-bit words, each in the byte order of this machine: little-endian wherever coLinux runs. */
function address(hex: string): string {
  const bytes = (hex.match(/.{8}/g) ?? [])
    .flatMap((word) => (word.match(/../g) ?? []).reverse().map((byte) => parseInt(byte, 16)));
  if (bytes.length === 4) return bytes.join(".");
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 255;
  if (mapped) return bytes.slice(12).join(".");
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  }
  return new URL(`http://[${groups.join(":")}]/`).hostname.slice(1, -1);
}

/** Whether a listener keeps a forward from its port. */
export function collides(listener: Listener, forward: Forward): boolean {
  if (listener.port !== forward.hostPort) return false;
  const any = (text: string) => text === "0.0.0.0" || text === "::";
  return listener.address === forward.hostAddress || any(forward.hostAddress) ||
    listener.address === "::" ||
    (listener.address === "0.0.0.0" && !forward.hostAddress.includes(":"));
}

/** Who has the port, in words; undefined when nobody seems to. */
export async function portInUse(forward: Forward): Promise<CliError | undefined> {
  const { protocol } = forward;
  for (const table of [protocol, `${protocol}6`]) {
    for (const listener of parseListeners(await socketTable(table), protocol)) {
      if (!collides(listener, forward)) continue;
      const who = showProcesses(await socketOwners(listener.inode)) ||
        `a program of the user with uid ${listener.uid}`;
      return protoError(
        "BUSY",
        `forward ${showForward(forward)}: port ${forward.hostPort}/${protocol} of this machine ` +
          `is in use by ${who}`,
        "end it, or forward another port",
      );
    }
  }
  return undefined;
}

/** What a refused port means when the system gives no reason. */
export async function whyRefused(forward: Forward): Promise<CliError> {
  const label = `forward ${showForward(forward)}`;
  const used = await portInUse(forward);
  if (used !== undefined) return used;
  if (forward.hostPort <= LAST_PRIVILEGED && Deno.uid() !== 0) {
    return protoError(
      "PERM",
      `${label}: ports of this machine below ${LAST_PRIVILEGED + 1} are root's`,
      "forward a higher port",
    );
  }
  return protoError(
    "INVAL",
    `${label}: this machine does not give that port`,
    `is ${forward.hostAddress} an address of this machine?`,
  );
}
