// SPDX-License-Identifier: GPL-2.0-or-later
/** The image that a definition means: from the store, from a file, or built now. */
import type { BuiltImage, ImageSpec } from "../config/definition.ts";
import type { Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { importImage } from "./archive.ts";
import { buildImage } from "./build.ts";
import { recipeOf } from "./recipe.ts";
import { type Image, Store } from "./store.ts";

export interface FindOptions {
  /** Build it even if there is one. */
  rebuild?: boolean;
  /** Id of the image that the caller has a copy of: undefined comes back if that will do. */
  have?: string | undefined;
}

export async function findOrBuild(
  context: Context,
  wanted: ImageSpec,
  name: string,
  options: FindOptions,
): Promise<Image | undefined> {
  if ("file" in wanted) return await importImage(context, wanted.file);
  if (Deno.build.os !== "linux") return await imported(context, name);
  return await fromRecipe(context, wanted, name, options);
}

/** Where nothing can be built: the image that was built elsewhere for a definition of this name. */
async function imported(context: Context, name: string): Promise<Image> {
  const images = await new Store(context.paths).list();
  const newest = images.findLast(({ manifest }) => manifest.name === name);
  if (newest !== undefined) return newest;
  throw new CliError(`there is no image for ${name}, and this machine cannot build one`, {
    name: "NOENT",
    hint: `on a Debian machine: colinux image build ${name}; colinux image export ${name} FILE; ` +
      "here: colinux image import FILE",
    exit: EXIT.noInput,
  });
}

async function fromRecipe(
  context: Context,
  wanted: BuiltImage,
  name: string,
  options: FindOptions,
): Promise<Image | undefined> {
  const store = new Store(context.paths);
  const recipe = await recipeOf(wanted, context.paths);
  using _lock = await store.lock(
    recipe.key,
    () => context.progress(`${name}: waiting for another build of this image`),
  );
  if (options.rebuild !== true) {
    const newest = await store.newest(recipe.key);
    if (newest !== undefined) return newest;
    // Its copy outlives the store's.
    if (options.have?.startsWith(`${recipe.key}-`)) return undefined;
  }
  const builder = {
    signal: context.signal,
    progress: (line: string) => context.progress(line),
    newest: (line: string) => context.out.transient(line),
  };
  return await buildImage(builder, store, recipe, name);
}
