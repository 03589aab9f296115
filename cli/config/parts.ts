// SPDX-License-Identifier: GPL-2.0-or-later
/** Building blocks of the schema's objects: texts, sizes, "this or that". Loaded lazily (zod). */
import { z } from "#jsonc";
import { parseDuration } from "../ui/duration.ts";
import { parseSize } from "./size.ts";

export const text = z.string({ error: "must be a string" });
export const filledText = text.min(1, { error: "must not be empty" });
export const pathText = z.string({ error: "must be a path" }).min(1, {
  error: "must not be empty",
});
export const flag = z.boolean({ error: "must be true or false" });

/** A size whose bytes `problem` accepts. */
export function sizeText(problem: (bytes: number) => string | undefined, example: string) {
  return z.union([z.string(), z.number()], {
    error: `must be a size such as "${example}" or a number of bytes`,
  }).superRefine((value, context) => {
    const size = parseSize(value);
    const message = "problem" in size ? size.problem : problem(size.bytes);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

/** A duration in milliseconds between two limits. */
export function durationText(least: number, most: number, example: string) {
  return z.string({ error: `must be a duration such as "${example}"` })
    .superRefine((value, context) => {
      const ms = parseDuration(value);
      let message: string | undefined;
      if (ms === undefined) message = `"${value}" is not a duration such as "${example}"`;
      else if (ms < least || ms > most) {
        message = `must be between ${least / 1000} s and ${most / 1000} s`;
      }
      if (message !== undefined) context.addIssue({ code: "custom", message });
    });
}

/** The object that may stand where `either` accepts a string too: for "did you mean". */
const objects = new WeakMap<object, z.ZodType>();

/** A string or an object, with the messages of the one that was meant. */
export function either(string: z.ZodType, object: z.ZodType, description: string) {
  const schema = z.unknown().superRefine((value, context) => {
    const result = (typeof value === "string" ? string : object).safeParse(value);
    for (const issue of result.error?.issues ?? []) {
      context.addIssue({ ...issue, input: value } as z.core.$ZodRawIssue);
    }
  }).meta({ description, anyOf: [inner(string), inner(object)] });
  objects.set(schema, object);
  return schema;
}

/** A schema inside another one has no dialect of its own. */
function inner(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
  });
  return rest;
}

/** The keys that may stand in the object at a path; none where any may. */
export function keysAt(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const here = objectIn(schema);
  if (path.length === 0) return here instanceof z.ZodObject ? Object.keys(here.shape) : [];
  const [step, ...rest] = path;
  let next: unknown;
  if (here instanceof z.ZodObject) next = here.shape[String(step)];
  else if (here instanceof z.ZodArray) next = here.element;
  else if (here instanceof z.ZodRecord) next = here.valueType;
  return next instanceof z.ZodType ? keysAt(next, rest) : [];
}

function objectIn(schema: z.ZodType): z.ZodType {
  let here = schema;
  while (here instanceof z.ZodOptional) here = here.unwrap() as z.ZodType;
  return objects.get(here) ?? here;
}
