// SPDX-License-Identifier: GPL-2.0-or-later
/** The schema of "image": the root of a Debian guest, or the file of a finished one. */
import { z } from "#jsonc";
import { either, filledText, pathText, sizeText, text } from "./parts.ts";
import { MIB, showSize } from "./size.ts";
import { suggest } from "./suggest.ts";

export const DISTRIBUTIONS = ["bookworm", "trixie"] as const;
export const IMAGE_DEFAULTS = {
  distribution: "bookworm",
  size: "2 GiB",
  kernel: "linux-image-cloud-amd64",
} as const;
export const MAX_DISK = 2 ** 43;

export const PACKAGE = /^[a-z0-9][a-z0-9.+-]*[a-z0-9+]$/;
const DEBCONF_TYPES = ["string", "boolean", "select", "multiselect", "note", "password", "text"]
  .concat(["title", "error"]);

/** For root and data disks; mke2fs needs some room for itself. */
export function diskSize(example: string) {
  return sizeText((bytes) => {
    if (bytes < 16 * MIB) return `${showSize(bytes)} is too little for a disk: at least 16 MiB`;
    if (bytes > MAX_DISK) return `${showSize(bytes)} is more than a disk can have: at most 8 TiB`;
    return bytes % MIB === 0 ? undefined : `${bytes} bytes is not a multiple of 1 MiB`;
  }, example);
}

const debconfLine = text.superRefine((value, context) => {
  const message = debconfProblem(value);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

function debconfProblem(line: string): string | undefined {
  const [owner = "", question = "", type = ""] = line.trim().split(/[ \t]+/);
  const example = '"postfix postfix/main_mailer_type select Internet Site"';
  if (line.includes("\n")) return "must be one line: one answer each";
  if (type === "" || !question.includes("/")) {
    return `"${owner} ${question}" is no answer for debconf: write package, question, type ` +
      `and value, such as ${example}`;
  }
  if (DEBCONF_TYPES.includes(type)) return undefined;
  const near = suggest(type, DEBCONF_TYPES);
  return `unknown debconf type "${type}": ` +
    (near === undefined ? `it may be ${DEBCONF_TYPES.join(", ")}` : `did you mean "${near}"?`);
}

const fileEntry = z.strictObject({
  text: text.describe("The file's content.").optional(),
  from: pathText.describe("A file on this machine (relative to the definition) with the content.")
    .optional(),
  mode: text.regex(/^[0-7]{3,4}$/, { error: 'must be an octal mode such as "0644"' })
    .describe('Permissions. Default: "0644".').optional(),
  owner: text.regex(/^[a-z_][a-z0-9_-]*(:[a-z_][a-z0-9_-]*)?$/, {
    error: 'must be a user and a group such as "root:root"',
  }).describe('User and group that exist in the image. Default: "root:root".').optional(),
}, { error: 'must be an object such as { "text": "…" } or { "from": "path" }' });

const userEntry = z.strictObject({
  password: text.regex(/^(generate|!|\$[0-9a-z]+\$[^:\s]+)$/, {
    error: 'must be "generate", or a hash such as `openssl passwd -6` prints; a password ' +
      "itself does not belong into a definition",
  }).describe(
    '"generate": coLinux makes one, shows it once and keeps it in the VM\'s credentials file. ' +
      "Else its hash ($6$…). Default: none, nobody can log in with a password.",
  ).optional(),
  shell: text.regex(/^\/[^:\s]*$/, { error: 'must be a path such as "/bin/bash"' })
    .describe('Login shell. Default: "/bin/bash".').optional(),
  groups: z.array(
    text.regex(/^[a-z_][a-z0-9_-]*$/, { error: "is not the name of a group" }),
    { error: "must be a list of groups" },
  ).describe("Further groups; those that do not exist are made. Default: none.").optional(),
}, { error: 'must be an object such as { "password": "generate" }' });

const imageObject = z.strictObject({
  distribution: z.enum(DISTRIBUTIONS).describe(
    `Debian's release. Default: "${IMAGE_DEFAULTS.distribution}".`,
  ).optional(),
  size: diskSize(IMAGE_DEFAULTS.size).describe(
    `Size of the root disk; it may grow, never shrink. Default: "${IMAGE_DEFAULTS.size}".`,
  ).optional(),
  kernel: text.regex(PACKAGE, { error: "is not the name of a Debian package" }).describe(
    `Package with the guest's kernel. Default: "${IMAGE_DEFAULTS.kernel}".`,
  ).optional(),
  packages: z.array(
    text.regex(PACKAGE, { error: "is not the name of a Debian package" }),
    { error: "must be a list of packages" },
  ).describe("Debian packages beside the base system. Default: none.").optional(),
  debconf: z.array(debconfLine, { error: "must be a list of lines" }).describe(
    "Answers to the packages' questions, as debconf-set-selections reads them: \"package " +
      'question type value". Default: none.',
  ).optional(),
  files: z.record(z.string(), fileEntry, { error: 'must be an object: { "/path": { … } }' })
    .describe("Files to put into the image, by their path there. Default: none.").optional(),
  users: z.record(z.string(), userEntry, { error: 'must be an object: { "name": { … } }' })
    .describe("Users to make. Default: none but root, who has no password.").optional(),
  scripts: z.array(filledText, { error: "must be a list of scripts" }).describe(
    "Run as root in the finished root, in this order: a file on this machine (relative to the " +
      "definition), or the script itself if it begins with #! or has several lines. An exit code " +
      "other than 0 fails the build. Default: none.",
  ).optional(),
}, { error: 'must be a path or an object such as { "packages": ["postfix"] }' });

export const imageKey = either(
  pathText,
  imageObject,
  "The guest's root disk (xvda), with kernel and initrd in it: what to build it from, or a file " +
    "that `colinux image export` made. Default: none, the guest has no root disk.",
);

export type ImageInput = z.input<typeof imageObject>;
