// SPDX-License-Identifier: GPL-2.0-or-later
/** The program as @bomb.sh/tab describes it to shells. Loaded by completion only. */
import type { Command } from "#args";
import tab from "@bomb.sh/tab/commander";
import { paths } from "./paths.ts";

const OF_VMS = ["start", "stop", "rm", "status", "wait", "console", "logs", "exec", "shell"];
const OF_DEFINITIONS = ["up", "validate"];

export function describe(program: Command): Command {
  // The same object; tab's types know commander's own Command only.
  const plain = program as unknown as Parameters<typeof tab>[0];
  const root = tab(plain, { completionCommandName: "completion" });
  for (const verb of OF_VMS) {
    const name = root.commands.get(verb)?.arguments.get("name");
    if (name !== undefined) name.handler = (offer) => vmNames().forEach((vm) => offer(vm, "VM"));
  }
  for (const verb of OF_DEFINITIONS) {
    const file = root.commands.get(verb)?.arguments.get("file|name");
    if (file !== undefined) {
      file.handler = (offer) => definitions().forEach((one) => offer(one, "definition"));
    }
  }
  return program;
}

function vmNames(): string[] {
  return names(`${paths().state}/vms`, /^(?!.*\.lock$)(.*)$/);
}

function definitions(): string[] {
  const { userConfigs, systemConfigs, shippedConfigs } = paths();
  const all = [Deno.cwd(), userConfigs, systemConfigs, shippedConfigs].flatMap((folder) =>
    names(folder, /^(.*)\.jsonc$/)
  );
  return [...new Set(all)];
}

function names(folder: string, pattern: RegExp): string[] {
  try {
    return [...Deno.readDirSync(folder)].flatMap((entry) => pattern.exec(entry.name)?.[1] ?? [])
      .sort();
  } catch {
    return [];
  }
}
