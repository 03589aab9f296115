// SPDX-License-Identifier: GPL-2.0-or-later
/** The schema of "disks" and "network". */
import { z } from "#jsonc";
import { FORWARD_EXAMPLE, parseForward } from "./forward.ts";
import { flag, pathText, text } from "./parts.ts";
import { diskSize } from "./schema_image.ts";

/** xvda is the root's; more than these no definition needs. */
export const MAX_DISKS = 15;
export const DISK_FORMATS = ["ext4", "none"] as const;
export const NETWORK_MODES = ["nat", "tap", "none"] as const;

const diskEntry = z.strictObject({
  name: text.regex(/^[a-z0-9][a-z0-9_-]{0,15}$/, {
    error: "must be 1 to 16 of a-z, 0-9, dash and underscore",
  }).describe("Name of the disk: its file and the label of its file system."),
  size: diskSize("4 GiB").describe(
    "Size of a disk that coLinux makes; it may grow, never shrink. Required without path.",
  ).optional(),
  format: z.enum(DISK_FORMATS).describe(
    '"ext4": a new disk gets this file system; "none": it is all zero. Default: "ext4".',
  ).optional(),
  mount: text.regex(/^\/[^\s]*[^\s/]$/, { error: 'must be an absolute path such as "/srv"' })
    .describe("Where the guest mounts it (with an image). Default: nowhere.").optional(),
  path: pathText.describe(
    "A raw file or a block device of this machine (relative to the definition), used as it is. " +
      "Default: a file in the VM's state folder, that coLinux makes.",
  ).optional(),
  readOnly: flag.describe("The guest cannot write it. Default: false.").optional(),
  persistentGrants: flag.describe(
    "Lets the guest's driver lend the same pages for all its requests, into which it then " +
      "copies every byte; lending others costs nothing here. Default: false.",
  ).optional(),
}, { error: 'must be an object such as { "name": "data", "size": "4 GiB" }' });

export const disksKey = z.array(diskEntry, { error: "must be a list of disks" })
  .max(MAX_DISKS, { error: `must be at most ${MAX_DISKS} disks` })
  .describe("Disks after the root disk, in this order: xvdb, xvdc … Default: none.");

const forwardText = text.superRefine((value, context) => {
  const parsed = parseForward(value);
  if ("problem" in parsed) context.addIssue({ code: "custom", message: parsed.problem });
});

export const networkKey = z.strictObject({
  mode: z.enum(NETWORK_MODES).describe(
    '"nat": out through this machine, in by forwards; "tap": a tap device of this machine; ' +
      '"none". Default: "nat".',
  ).optional(),
  tap: text.regex(/^[A-Za-z0-9_.-]{1,15}$/, { error: 'must be a device such as "tap0"' })
    .describe('Name of the tap device, with mode "tap".').optional(),
  mac: text.regex(/^([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}$/, {
    error: 'must be an address such as "02:00:00:12:34:56"',
  }).describe("Address of the guest's interface. Default: made from the VM's name.").optional(),
  forwards: z.array(forwardText, { error: "must be a list of forwards" })
    .max(64, { error: "must be at most 64 forwards" })
    .describe(
      `Ports of this machine that lead to the guest's, with mode "nat": ` +
        `"[address:]port:guestPort[/udp]", such as "${FORWARD_EXAMPLE}". Default: none.`,
    ).optional(),
}, { error: 'must be an object such as { "mode": "nat" }' })
  .describe('The guest\'s network. Default: "nat" with an image, else none.');

export type DiskInput = z.input<typeof diskEntry>;
export type NetworkInput = z.input<typeof networkKey>;
