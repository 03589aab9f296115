// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * All that an image is made of, read into memory once, and its key: the same
 * content has the same key, whatever it is called and wherever it lies. Versions
 * of packages are no part of it: they are asked for by building again.
 */
import { createHash } from "node:crypto";
import type { BuiltImage, Source } from "../config/definition.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import type { Paths } from "../ui/paths.ts";
import agentUnit from "./guest/agent.service" with { type: "text" };
import finish from "./guest/finish.sh" with { type: "text" };
import initramfs from "./guest/initramfs.sh" with { type: "text" };
import setPassword from "./guest/set-password.sh" with { type: "text" };
import setup from "./guest/setup.sh" with { type: "text" };

/** What every image has beside the packages; build.ts adds these. */
export const BASE_PACKAGES = ["systemd-sysv", "systemd-resolved", "dbus", "udev", "iproute2"]
  .concat(["netbase", "procps", "e2fsprogs", "initramfs-tools", "lz4", "ca-certificates", "less"]);

/** Not read by package managers' users in a guest, yet half of the small files. */
export const EXCLUDED = ["man/*", "info/*", "locale/*", "doc/*", "lintian/*"];

export const GUEST = { agentUnit, finish, initramfs, setPassword, setup };

export interface RecipeFile {
  path: string;
  mode: string;
  owner: string;
  bytes: Uint8Array<ArrayBuffer>;
}

export interface Recipe {
  key: string;
  image: BuiltImage;
  files: RecipeFile[];
  scripts: { shown: string; bytes: Uint8Array<ArrayBuffer> }[];
  /** The agent's program. */
  agent: Uint8Array<ArrayBuffer>;
}

const MAX_FILE = 256 << 20;

export async function recipeOf(image: BuiltImage, paths: Paths): Promise<Recipe> {
  const files: RecipeFile[] = [];
  for (const [path, file] of Object.entries(image.files).sort(([a], [b]) => a < b ? -1 : 1)) {
    files.push({ path, mode: file.mode, owner: file.owner, bytes: await bytesOf(file) });
  }
  const scripts: Recipe["scripts"] = [];
  for (const [index, script] of image.scripts.entries()) {
    const shown = "file" in script ? script.file : `image.scripts.${index}`;
    scripts.push({ shown, bytes: await bytesOf(script) });
  }
  const agent = await agentProgram(paths);
  const hash = createHash("sha256");
  const add = (value: unknown) => hash.update(`${JSON.stringify(value)}\n`);
  add([image.distribution, image.kernel, [...image.packages].sort(), [...image.debconf].sort()]);
  add([BASE_PACKAGES, EXCLUDED, GUEST]);
  add(Object.entries(image.users).sort(([a], [b]) => a < b ? -1 : 1));
  for (const { path, mode, owner, bytes } of files) add([path, mode, owner, digest(bytes)]);
  for (const { bytes } of scripts) add(digest(bytes));
  add(digest(agent));
  return { key: hash.digest("hex").slice(0, 16), image, files, scripts, agent };
}

export function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function bytesOf(source: Source): Promise<Uint8Array<ArrayBuffer>> {
  if ("text" in source) return new TextEncoder().encode(source.text);
  try {
    const { size } = await Deno.stat(source.file);
    if (size > MAX_FILE) {
      throw new CliError(`${source.file} is larger than 256 MiB`, {
        name: "TOOBIG",
        hint: "put it on a disk of the VM",
        exit: EXIT.data,
      });
    }
    return await Deno.readFile(source.file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CliError(`${source.file}: no such file`, { name: "NOINPUT", exit: EXIT.noInput });
  }
}

async function agentProgram(paths: Paths): Promise<Uint8Array<ArrayBuffer>> {
  const places = [`${paths.lib}/bin/colinux-agent`, `${paths.lib}/colinux-agent`];
  for (const path of places) {
    try {
      return await Deno.readFile(path);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  throw new CliError(`${places[0]}: no such file`, {
    name: "INSTALLATION",
    hint: "run make, or install again",
    exit: EXIT.software,
  });
}
