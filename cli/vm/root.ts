// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A VM's own root disk, kernel and initrd in <state>/vms/NAME, taken from an
 * image: made when they are absent, replaced when the image is another one,
 * else kept with all that the guest has written. Data disks are never touched.
 * Called by create.ts.
 */
import type { BuiltImage, Definition } from "../config/definition.ts";
import { showSize } from "../config/size.ts";
import { findOrBuild } from "../image/find.ts";
import { grow, repair } from "../image/ext4.ts";
import { must } from "../image/process.ts";
import { hashPassword, seedOf, seedRoot } from "../image/seed.ts";
import type { Image } from "../image/store.ts";
import { isRecord } from "../rpc/errors.ts";
import type { Context } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { ensureCredentials } from "./credentials.ts";
import { vmFolder } from "./records.ts";

export interface RootOptions {
  /** Build the image anew, with the newest packages. */
  rebuild?: boolean;
  /** `start`: what is there is used, whatever has changed. */
  keep?: boolean;
}

export interface Root {
  disk: string;
  kernel: string;
  initrd: string;
  /** Passwords made just now: the only time that they are shown. */
  passwords: Map<string, string>;
}

/** What root.json remembers of a root disk. */
interface Made {
  image: string;
  seed: string;
}

export async function prepareRoot(
  context: Context,
  definition: Definition,
  options: RootOptions,
): Promise<Root | undefined> {
  const { image: wanted, name } = definition;
  if (wanted === undefined) return undefined;
  const folder = vmFolder(context.paths, name);
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const root: Root = {
    disk: `${folder}/root.img`,
    kernel: `${folder}/vmlinuz`,
    initrd: `${folder}/initrd`,
    passwords: new Map(),
  };
  const made = await readMade(folder);
  const seed = seedOf(definition, context.paths.state);
  const seedText = JSON.stringify(seed);
  const size = "size" in wanted ? wanted.size : undefined;
  let image: Image | undefined;
  if (made === undefined || options.keep !== true) {
    image = await findOrBuild(context, wanted, name, {
      rebuild: options.rebuild === true,
      have: made?.image,
    });
  }
  if (image !== undefined && image.manifest.id !== made?.image) {
    checkSize(name, image, size);
    context.progress(
      made === undefined
        ? `${name}: making its root disk`
        : `${name}: its root disk is replaced, its other disks stay`,
    );
    const users = "users" in wanted ? generatedUsers(wanted) : [];
    const { all, fresh } = await ensureCredentials(context.paths, name, users);
    root.passwords = fresh;
    const hashes = new Map<string, string>();
    for (const user of users) hashes.set(user, await hashPassword(all.get(user) ?? ""));
    await replace(context, folder, image, (disk) => seedRoot(disk, seed, hashes));
    await writeMade(folder, { image: image.manifest.id, seed: seedText });
  } else if (made !== undefined && made.seed !== seedText) {
    await repair(root.disk);
    await seedRoot(root.disk, seed, new Map());
    await writeMade(folder, { image: made.image, seed: seedText });
  }
  if (size !== undefined && (await Deno.stat(root.disk)).size < size) {
    await grow(root.disk, size, context.signal);
  }
  return root;
}

function generatedUsers(image: BuiltImage): string[] {
  return Object.entries(image.users).filter(([, user]) => user.password === "generate")
    .map(([name]) => name);
}

function checkSize(name: string, image: Image, size: number | undefined): void {
  if (size === undefined || size >= image.manifest.size) return;
  throw new CliError(
    `image.size: ${showSize(size)} is too small for the root of ${name}, which needs ` +
      `${showSize(image.manifest.size)}`,
    {
      name: "TOOSMALL",
      hint: `write "size": "${Math.ceil(image.manifest.size / 2 ** 30)} GiB" or more; a disk ` +
        "takes as much room here as it holds",
      exit: EXIT.config,
    },
  );
}

/** New files beside the old ones; the record goes first, so that no mixture is ever trusted. */
async function replace(
  context: Context,
  folder: string,
  image: Image,
  seed: (disk: string) => Promise<void>,
): Promise<void> {
  const fresh = (name: string) => `${folder}/${name}.new`;
  const what = `copying the image into ${folder}`;
  const { signal } = context;
  try {
    for (
      const [from, name] of [
        [image.root, "root.img"],
        [image.kernel, "vmlinuz"],
        [image.initrd, "initrd"],
      ] as const
    ) {
      const args = ["--reflink=auto", "--sparse=always", "--", from, fresh(name)];
      await must(what, "cp", args, { cwd: folder, signal });
      await Deno.chmod(fresh(name), 0o600);
    }
    await seed(fresh("root.img"));
    const names = ["root.img", "vmlinuz", "initrd"];
    await must(what, "sync", ["--", ...names.map(fresh)], { cwd: folder, signal });
    await Deno.remove(`${folder}/root.json`).catch(() => {});
    for (const name of names) await Deno.rename(fresh(name), `${folder}/${name}`);
  } finally {
    for (const name of ["root.img", "vmlinuz", "initrd"]) {
      await Deno.remove(fresh(name)).catch(() => {});
    }
  }
}

/** Undefined when any part is absent: then all of it is made again. */
async function readMade(folder: string): Promise<Made | undefined> {
  try {
    for (const name of ["root.img", "vmlinuz", "initrd"]) await Deno.stat(`${folder}/${name}`);
    const made: unknown = JSON.parse(await Deno.readTextFile(`${folder}/root.json`));
    if (isRecord(made) && typeof made.image === "string" && typeof made.seed === "string") {
      return { image: made.image, seed: made.seed };
    }
  } catch {
    // As good as none.
  }
  return undefined;
}

async function writeMade(folder: string, made: Made): Promise<void> {
  await Deno.writeTextFile(`${folder}/root.json.new`, JSON.stringify(made), { mode: 0o600 });
  await Deno.rename(`${folder}/root.json.new`, `${folder}/root.json`);
}
