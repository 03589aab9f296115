// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux schema: the JSON Schema of definitions, for editors. */
import { verb } from "#args";
import { run } from "../ui/context.ts";

export function schemaCommand() {
  return verb("schema", "Print the JSON Schema of definitions", {
    description: `
Editors complete and check definitions by it: write
"$schema": "…/configs/schema.json" as the first key. configs/schema.json is this
output.`,
    examples: [["colinux schema > configs/schema.json", "after the schema has changed"]],
    see: ["validate"],
  }).action((options) =>
    run(options, async (context) => {
      const { jsonSchema } = await import("../config/schema.ts");
      context.out.text(jsonSchema());
    })
  );
}
