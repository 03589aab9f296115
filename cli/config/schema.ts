// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The schema of a definition: every key that works today, with its
 * documentation and limits. `colinux schema` and configs/schema.json come from
 * it. Loaded lazily (zod). Messages here are what a person reads after
 * file:line:column, so they name the value, never the library's types.
 */
import { z } from "#jsonc";
import { MIB, parseSize, showSize } from "./size.ts";

export const MIN_MEMORY = 32 * MIB;
export const MAX_MEMORY = 2 ** 40;
export const DEFAULTS = { memory: "256 MiB", cmdline: "console=hvc0", vcpus: 1 } as const;
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const BUILTIN_INITRDS = ["shell"] as const;

/** "integer, string": what the key accepts, for messages about a wrong type. */
const nameKey = z.string({ error: "must be a string" })
  .regex(NAME_PATTERN, {
    error:
      "must be 1 to 63 of a-z, 0-9, dot, dash and underscore, and begin with a letter or digit",
  })
  .describe("Name of the VM. Default: the file's name without its extension.");

const memoryKey = z.union([z.string(), z.number()], {
  error: 'must be a size such as "256 MiB" or a number of bytes',
}).superRefine((value, context) => {
  const size = parseSize(value);
  const problem = "problem" in size ? size.problem : memoryProblem(size.bytes);
  if (problem !== undefined) context.addIssue({ code: "custom", message: problem });
}).describe(
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

const pathText = z.string({ error: "must be a path" }).min(1, { error: "must not be empty" });

const packageKernel = z.strictObject({
  package: z.string({ error: "must be the name of a Debian package" })
    .regex(/^[a-z0-9][a-z0-9.+-]+$/, { error: "is not the name of a Debian package" })
    .describe("Debian package with the kernel, for example linux-image-cloud-amd64."),
}, { error: 'must be a path or { "package": "linux-image-cloud-amd64" }' });

const kernelKey = z.unknown().superRefine((value, context) => {
  const schema = typeof value === "string" ? pathText : packageKernel;
  const result = schema.safeParse(value);
  for (const issue of result.error?.issues ?? []) {
    context.addIssue({ ...issue, input: value } as z.core.$ZodRawIssue);
  }
}).meta({
  description: "The guest's kernel, unmodified: a file (bzImage or ELF, relative to the " +
    "definition), or the one in a Debian package.",
  anyOf: [
    { type: "string", minLength: 1 },
    inner(z.toJSONSchema(packageKernel)),
  ],
});

/** A schema inside another one has no dialect of its own. */
function inner({ $schema: _dialect, ...rest }: Record<string, unknown>): Record<string, unknown> {
  return rest;
}

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
    `with a shell on the console. Default: none.`,
);

const cmdlineKey = z.string({ error: "must be a string" })
  .max(1023, { error: "must be at most 1023 bytes" })
  // deno-lint-ignore no-control-regex
  .regex(/^[^\x00-\x1f]*$/, { error: "must not hold control characters" })
  .describe(`The kernel's command line. Default: "${DEFAULTS.cmdline}".`);

const vcpusKey = z.literal(1, { error: "must be 1: guests of several CPUs do not work yet" })
  .describe("Number of virtual CPUs; 1 is what works today. Default: 1.");

const readyKey = z.strictObject({
  console: z.string({ error: "must be a string" })
    .min(1, { error: "must not be empty" })
    .refine((text) => new TextEncoder().encode(text).length <= 256, {
      error: "must be at most 256 bytes",
    })
    .describe("The VM is ready when its console has shown this text."),
}, { error: 'must be an object such as { "console": "login:" }' })
  .describe("When the VM counts as ready. Default: none, `up` ends when the VM runs.");

export const definitionSchema = z.strictObject({
  $schema: z.string({ error: "must be a string" }).describe("For editors; ignored.").optional(),
  name: nameKey.optional(),
  memory: memoryKey.optional(),
  vcpus: vcpusKey.optional(),
  kernel: kernelKey,
  initrd: initrdKey.optional(),
  cmdline: cmdlineKey.optional(),
  ready: readyKey.optional(),
}, { error: "a definition must be an object: { … }" });

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
