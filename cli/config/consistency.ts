// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What no single key shows: keys that need or exclude each other, names and
 * ports used twice. Looks at the raw value, which may be wrong in any way, so
 * that these problems are listed together with the schema's.
 */
import { isRecord } from "../rpc/errors.ts";
import type { Forward } from "../rpc/proto.ts";
import { parseForward } from "./forward.ts";
import { PLACEHOLDER } from "./placeholder.ts";

export interface Finding {
  path: PropertyKey[];
  /** The key itself is at fault, not its value. */
  onKey?: boolean;
  message: string;
}

export function findInconsistencies(value: Record<string, unknown>): Finding[] {
  return [
    ...kernelAndImage(value),
    ...files(value.image),
    ...users(value.image),
    ...disks(value),
    ...network(value.network),
    ...checks(value),
    ...message(value),
  ];
}

function kernelAndImage(value: Record<string, unknown>): Finding[] {
  if (value.kernel !== undefined || value.image !== undefined) return [];
  return [{
    path: ["kernel"],
    message: 'missing key "kernel": a path or { "package": "linux-image-cloud-amd64" }, ' +
      'unless there is an "image"',
  }];
}

/** The entries of image.files or image.users that are objects. */
function entries(image: unknown, key: string): [string, Record<string, unknown>][] {
  const all = isRecord(image) ? image[key] : undefined;
  if (!isRecord(all)) return [];
  return Object.entries(all).filter((entry): entry is [string, Record<string, unknown>] =>
    isRecord(entry[1])
  );
}

function files(image: unknown): Finding[] {
  const found: Finding[] = [];
  for (const [name, entry] of entries(image, "files")) {
    const path = ["image", "files", name];
    if (!/^(\/[^/\0\n]+)+$/.test(name) || /\/\.\.?(\/|$)/.test(name)) {
      found.push({
        path,
        onKey: true,
        message: `"${name}" is no path in the image: write an absolute one such as "/etc/motd"`,
      });
    }
    if ((entry.text === undefined) === (entry.from === undefined)) {
      found.push({ path, message: `image.files.${name}: needs either "text" or "from"` });
    }
  }
  return found;
}

function users(image: unknown): Finding[] {
  const found: Finding[] = [];
  for (const [name] of entries(image, "users")) {
    if (/^[a-z_][a-z0-9_-]{0,31}$/.test(name)) continue;
    found.push({
      path: ["image", "users", name],
      onKey: true,
      message: `"${name}" cannot be a user: 1 to 32 of a-z, 0-9, dash and underscore, beginning ` +
        "with a letter",
    });
  }
  return found;
}

function disks(value: Record<string, unknown>): Finding[] {
  const found: Finding[] = [];
  const seen = { name: new Map<string, number>(), mount: new Map<string, number>() };
  const all = Array.isArray(value.disks) ? value.disks : [];
  for (const [index, disk] of all.entries()) {
    if (!isRecord(disk)) continue;
    const at = (key: string) => ["disks", index, key];
    for (const key of ["name", "mount"] as const) {
      const text = disk[key];
      if (typeof text !== "string") continue;
      const first = seen[key].get(text);
      if (first === undefined) seen[key].set(text, index);
      else found.push({ path: at(key), message: `two disks have the ${key} "${text}"` });
    }
    if (disk.name === "root") {
      found.push({ path: at("name"), message: 'the name "root" is the root disk\'s' });
    }
    if (disk.size === undefined && disk.path === undefined) {
      found.push({
        path: ["disks", index],
        message: `disk ${index + 1} needs a "size", or the "path" of a file that is there`,
      });
    }
    if (disk.path !== undefined && disk.size !== undefined) {
      found.push({
        path: at("size"),
        message: "a disk with a path has the size that it has: leave size out",
      });
    }
    if (disk.mount !== undefined && value.image === undefined) {
      found.push({
        path: at("mount"),
        message: "mount needs an image, whose list of file systems gets it",
      });
    }
    if (disk.mount !== undefined && disk.format === "none") {
      found.push({ path: at("mount"), message: 'a disk of format "none" cannot be mounted' });
    }
  }
  return found;
}

function network(network: unknown): Finding[] {
  if (!isRecord(network)) return [];
  const found: Finding[] = [];
  const { mode, tap, forwards } = network;
  if (mode === "tap" && tap === undefined) {
    found.push({ path: ["network", "mode"], message: 'the mode "tap" needs the key "tap"' });
  }
  if (tap !== undefined && mode !== "tap") {
    found.push({ path: ["network", "tap"], message: 'tap needs "mode": "tap"' });
  }
  const mac = network.mac;
  if (typeof mac === "string" && (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) {
    found.push({ path: ["network", "mac"], message: `mac: ${mac} is a multicast address` });
  }
  const all = Array.isArray(forwards) ? forwards : [];
  if (all.length > 0 && (mode === "tap" || mode === "none")) {
    found.push({ path: ["network", "forwards"], message: 'forwards need the mode "nat"' });
  }
  const seen: Forward[] = [];
  for (const [index, text] of all.entries()) {
    const parsed = typeof text === "string" ? parseForward(text) : undefined;
    if (parsed === undefined || !("forward" in parsed)) continue;
    const { forward } = parsed;
    if (seen.some((other) => clash(other, forward))) {
      found.push({
        path: ["network", "forwards", index],
        message: `two forwards use port ${forward.hostPort} (${forward.protocol}) of this machine`,
      });
    }
    seen.push(forward);
  }
  return found;
}

/** One address twice, or all addresses and one of them. */
function clash(a: Forward, b: Forward): boolean {
  if (a.protocol !== b.protocol || a.hostPort !== b.hostPort) return false;
  const any = (forward: Forward) => ["0.0.0.0", "::"].includes(forward.hostAddress);
  return a.hostAddress === b.hostAddress || any(a) || any(b);
}

function checks(value: Record<string, unknown>): Finding[] {
  const found: Finding[] = [];
  const ready = value.ready;
  const tcp = isRecord(ready) ? ready.tcp : undefined;
  if (isRecord(ready) && Object.keys(ready).length === 0) {
    found.push({ path: ["ready"], message: 'ready needs "console" or "tcp"' });
  }
  // An initrd of one's own may carry it too.
  if (tcp !== undefined && value.image === undefined && value.initrd === undefined) {
    found.push({
      path: ["ready", "tcp"],
      message: 'ready.tcp needs the agent in the guest: "image" and "builtin:shell" have it',
    });
  }
  if (value.health !== undefined && tcp === undefined) {
    found.push({ path: ["health"], message: 'health repeats the checks of "ready.tcp": add them' });
  }
  return found;
}

/** A placeholder that could never be filled in; other braces are just text. */
function message(value: Record<string, unknown>): Finding[] {
  const found: Finding[] = [];
  const lines = Array.isArray(value.message) ? value.message : [];
  const network = isRecord(value.network) ? value.network : {};
  const forwards = (Array.isArray(network.forwards) ? network.forwards : []).map((text) =>
    parseForward(String(text))
  );
  const users = new Set(entries(value.image, "users").map(([name]) => name));
  for (const [index, line] of lines.entries()) {
    for (const [whole, what = "", of = ""] of String(line).matchAll(PLACEHOLDER)) {
      const known = what.startsWith("password")
        ? users.has(of)
        : forwards.some((one) => "forward" in one && String(one.forward.guestPort) === of);
      if (known) continue;
      const why = what.startsWith("password")
        ? `image.users has no "${of}"`
        : `no forward leads to port ${of}`;
      found.push({ path: ["message", index], message: `${whole}: ${why}` });
    }
  }
  return found;
}
