// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The schema of a definition: every key that works today, with its
 * documentation and limits. `colinux schema` and configs/schema.json come from
 * it. Loaded lazily (zod). Messages here are what a person reads after
 * file:line:column, so they name the value, never the library's types.
 */
import { z } from "#jsonc";
import { either, pathText, sizeText } from "./parts.ts";
import { disksKey, networkKey } from "./schema_devices.ts";
import { imageKey, PACKAGE } from "./schema_image.ts";
import { autostartKey, healthKey, messageKey, readyKey, restartKey } from "./schema_life.ts";
import { MIB, showSize } from "./size.ts";

export const MIN_MEMORY = 32 * MIB;
export const MAX_MEMORY = 2 ** 40;
export const DEFAULTS = {
  memory: "256 MiB",
  cmdline: "console=hvc0",
  imageCmdline: "root=/dev/xvda ro console=hvc0",
  vcpus: 1,
} as const;
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const BUILTIN_INITRDS = ["shell"] as const;

const nameKey = z.string({ error: "must be a string" })
  .regex(NAME_PATTERN, {
    error:
      "must be 1 to 63 of a-z, 0-9, dot, dash and underscore, and begin with a letter or digit",
  })
  .describe("Name of the VM. Default: the file's name without its extension.");

const memoryKey = sizeText(memoryProblem, "256 MiB").describe(
  `Guest memory: a size such as "256 MiB" or "1 GiB", or a number of bytes. ` +
    `At least ${showSize(MIN_MEMORY)}, less than the host has. Default: "${DEFAULTS.memory}".`,
);

function memoryProblem(bytes: number): string | undefined {
  if (bytes <= 0) return `${bytes} bytes of memory are not possible: at least ${least()}`;
  if (bytes < MIN_MEMORY) {
    return `${showSize(bytes)} is too little for a Linux guest: at least ${least()}`;
  }
  if (bytes > MAX_MEMORY) {
    return `${showSize(bytes)} is more than a guest can have: at most ${showSize(MAX_MEMORY)}`;
  }
  if (bytes % MIB !== 0) return `${bytes} bytes is not a multiple of 1 MiB`;
  return undefined;
}

function least(): string {
  return showSize(MIN_MEMORY);
}

const packageKernel = z.strictObject({
  package: z.string({ error: "must be the name of a Debian package" })
    .regex(PACKAGE, { error: "is not the name of a Debian package" })
    .describe("Debian package with the kernel, for example linux-image-cloud-amd64."),
}, { error: 'must be a path or { "package": "linux-image-cloud-amd64" }' });

const kernelKey = either(
  pathText,
  packageKernel,
  "The guest's kernel, unmodified: a file (bzImage or ELF, relative to the definition), or the " +
    "one in a Debian package. Default: the image's own; required without an image.",
);

const initrdKey = pathText.superRefine((value, context) => {
  const builtin = /^builtin:(.*)$/.exec(value)?.[1];
  if (builtin === undefined || (BUILTIN_INITRDS as readonly string[]).includes(builtin)) return;
  context.addIssue({
    code: "invalid_value",
    values: BUILTIN_INITRDS.map((name) => `builtin:${name}`),
    input: value,
  });
}).describe(
  `The guest's initrd: a file (relative to the definition), or "builtin:shell", a busybox ` +
    `with a shell on the console. Default: the image's own, else none.`,
);

const cmdlineKey = z.string({ error: "must be a string" })
  .max(1023, { error: "must be at most 1023 bytes" })
  // deno-lint-ignore no-control-regex
  .regex(/^[^\x00-\x1f]*$/, { error: "must not hold control characters" })
  .describe(
    `The kernel's command line. Default: "${DEFAULTS.cmdline}", with an image ` +
      `"${DEFAULTS.imageCmdline}".`,
  );

const vcpusKey = z.literal(1, { error: "must be 1: guests of several CPUs do not work yet" })
  .describe("Number of virtual CPUs; 1 is what works today. Default: 1.");

export const definitionSchema = z.strictObject({
  $schema: z.string({ error: "must be a string" }).describe("For editors; ignored.").optional(),
  name: nameKey.optional(),
  memory: memoryKey.optional(),
  vcpus: vcpusKey.optional(),
  kernel: kernelKey.optional(),
  initrd: initrdKey.optional(),
  cmdline: cmdlineKey.optional(),
  image: imageKey.optional(),
  disks: disksKey.optional(),
  network: networkKey.optional(),
  ready: readyKey.optional(),
  health: healthKey.optional(),
  restart: restartKey.optional(),
  autostart: autostartKey.optional(),
  message: messageKey.optional(),
}, { error: "a definition must be an object: { … }" });

export type DefinitionInput = z.output<typeof definitionSchema>;

/** The JSON Schema of definitions, as configs/schema.json has it. */
export function jsonSchema(): string {
  const schema = z.toJSONSchema(definitionSchema, { io: "input", unrepresentable: "any" });
  const { $schema, ...rest } = schema;
  return JSON.stringify(
    {
      $schema,
      $comment: "SPDX-License-Identifier: GPL-2.0-or-later. Made by `colinux schema`.",
      title: "coLinux VM definition",
      ...rest,
    },
    null,
    2,
  ) + "\n";
}
