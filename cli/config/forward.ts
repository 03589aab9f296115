// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Port forwards as definitions and `colinux port` write them:
 * "127.0.0.1:2525:25", "[::1]:5353:53/udp", "2525:25" (this machine alone).
 */
import type { Forward } from "../rpc/proto.ts";

export const FORWARD_EXAMPLE = "127.0.0.1:2525:25";
const LOOPBACK = "127.0.0.1";

export type ParsedForward = { forward: Forward } | { problem: string };

/** Never throws; `problem` is a sentence about the value. */
export function parseForward(text: string): ParsedForward {
  const match = /^(?:(\[[^\]]*\]|[^[\]:]*):)?([^:/]*):([^:/]*)(?:\/(.*))?$/.exec(text);
  if (match === null) return { problem: `"${text}" is not a forward such as "${FORWARD_EXAMPLE}"` };
  const [, address, hostPort = "", guestPort = "", protocol = "tcp"] = match;
  if (protocol !== "tcp" && protocol !== "udp") {
    return { problem: `unknown protocol "${protocol}": a forward is /tcp or /udp` };
  }
  const hostAddress = address === undefined ? LOOPBACK : parseAddress(address);
  if (hostAddress === undefined) {
    return {
      problem: `"${address}" is not an address of this machine: write it in numbers, ` +
        `such as ${LOOPBACK} or [::1]`,
    };
  }
  for (const port of [hostPort, guestPort]) {
    if (!isPort(port)) return { problem: `"${port}" is not a port: 1 to 65535` };
  }
  return {
    forward: {
      protocol,
      hostAddress,
      hostPort: Number(hostPort),
      guestPort: Number(guestPort),
    },
  };
}

/** The form that parseForward takes. */
export function showForward(forward: Forward): string {
  const { hostAddress: address, hostPort, guestPort, protocol } = forward;
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${hostPort}:${guestPort}${protocol === "tcp" ? "" : `/${protocol}`}`;
}

function isPort(text: string): boolean {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65535;
}

function parseAddress(text: string): string | undefined {
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) {
    const parts = text.split(".").map(Number);
    return parts.every((part) => part < 256) ? parts.join(".") : undefined;
  }
  if (!/^\[[0-9a-fA-F:.]+\]$/.test(text)) return undefined;
  try {
    return new URL(`http://${text}/`).hostname.slice(1, -1);
  } catch {
    return undefined;
  }
}
