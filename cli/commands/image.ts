// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux image: builds, lists, removes, exports and imports the roots of guests. */
import { Command, verb } from "#args";
import { showSize } from "../config/size.ts";
import type { Image } from "../image/store.ts";
import { type Context, run } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

export function imageCommand() {
  return new Command("image")
    .summary("Images that guests are made from")
    .description(
      "Images that guests are made from\n\n" +
        'An image is the root file system of a Debian guest, as "image" of a definition\n' +
        "describes it, with its kernel and initrd. It is built from this machine's package\n" +
        "sources, kept, and copied for each VM.",
    )
    .helpOption("-h, --help", "show this page")
    .addCommand(buildCommand())
    .addCommand(lsCommand())
    .addCommand(rmCommand())
    .addCommand(exportCommand())
    .addCommand(importCommand());
}

function buildCommand() {
  return verb("build", "Build the image of a definition", {
    description: `
Builds it anew, with the newest packages, even if there is one. The next up of
the VM replaces its root disk; its other disks stay. Needs root, or a user with
subordinate ids (package uidmap).`,
    examples: [["colinux image build mailserver", "security updates for the next up"]],
    exit: [[66, "a package does not exist"], [73, "no space, or a program failed"]],
    see: ["image ls", "up"],
  })
    .argument("<file|name>", "a definition")
    .action((wanted, options) =>
      run(options, async (context) => {
        const { definition, image } = await definitionOf(context, wanted);
        const { findOrBuild } = await import("../image/find.ts");
        const built = await findOrBuild(context, image, definition.name, { rebuild: true });
        const id = built?.manifest.id ?? "";
        context.out.result({ image: built?.manifest }, `${id}\n`);
      })
    );
}

async function definitionOf(context: Context, wanted: string) {
  const { findDefinition } = await import("../config/find.ts");
  const { file, shown } = await findDefinition(wanted, context.paths);
  const { loadDefinition } = await import("../config/load.ts");
  const definition = await loadDefinition(file, shown);
  const { image } = definition;
  if (image !== undefined) return { definition, image };
  throw new CliError(`${shown} describes no image`, {
    name: "DEFINITION",
    hint: 'the key "image" does: configs/default.jsonc explains it',
    exit: EXIT.config,
  });
}

function lsCommand() {
  return verb("ls", "List the images", {
    description: `
One line each: id, the definition it was built for, Debian's release, its kernel,
the room that it takes, when it was built.`,
    examples: [["colinux image ls --json", "for scripts"]],
  })
    .action((options) =>
      run(options, async (context) => {
        const { Store } = await import("../image/store.ts");
        const { table } = await import("../ui/text.ts");
        const images = await new Store(context.paths).list();
        const rows = images.map(({ manifest }) => [
          manifest.id,
          manifest.name,
          manifest.distribution,
          manifest.kernel,
          showSize(manifest.size),
          manifest.created.slice(0, 16).replace("T", " "),
        ]);
        const heads = ["ID", "FOR", "RELEASE", "KERNEL", "SIZE", "BUILT (UTC)"];
        const text = rows.length === 0 ? "" : table([heads, ...rows]);
        context.out.result({ images: images.map(({ manifest }) => manifest) }, text);
      })
    );
}

/** An id, or the name of a definition: its newest image. */
async function pick(context: Context, wanted: string): Promise<Image> {
  const { noImage, Store } = await import("../image/store.ts");
  const store = new Store(context.paths);
  const image = await store.get(wanted) ??
    (await store.list()).findLast(({ manifest }) => manifest.name === wanted);
  if (image === undefined) throw noImage(wanted);
  return image;
}

function rmCommand() {
  return verb("rm", "Remove an image", {
    description: `
VMs that were made from it have copies of their own and go on.`,
    examples: [
      ["colinux image rm mailserver", "the newest one of that definition"],
      ["colinux image rm --all", "all of them: up builds what it needs again"],
    ],
    exit: [[66, "there is no such image"]],
    see: ["image ls"],
  })
    .argument("[id|name...]", "images")
    .option("-a, --all", "every image")
    .action((wanted, options) =>
      run(options, async (context) => {
        const { Store } = await import("../image/store.ts");
        const store = new Store(context.paths);
        if (wanted.length === 0 && options.all !== true) {
          throw new CliError("which image?", {
            name: "USAGE",
            hint: "colinux image ls shows them; --all means every one",
            exit: EXIT.usage,
          });
        }
        const images = options.all === true
          ? await store.list()
          : await Promise.all(wanted.map((name) => pick(context, name)));
        const ids = [...new Set(images.map(({ manifest }) => manifest.id))];
        for (const id of ids) await store.remove(id);
        const text = ids.map((id) => `${id} is gone.\n`).join("");
        context.out.result({ removed: ids }, text, true);
      })
    );
}

function exportCommand() {
  return verb("export", "Write an image into one file", {
    description: `
The file (a tar with zstd, checksums inside) goes to a machine that cannot build
images. There a definition says "image": "FILE".`,
    examples: [["colinux image export mailserver mail.tar.zst", "for another machine"]],
    exit: [[66, "there is no such image"], [73, "the file cannot be written"]],
    see: ["image import"],
  })
    .argument("<id|name>", "an image, or a definition's name: its newest")
    .argument("<file>", "the file to write")
    .action((wanted, file, options) =>
      run(options, async (context) => {
        const image = await pick(context, wanted);
        const { exportImage } = await import("../image/archive.ts");
        const path = file.startsWith("/") ? file : `${Deno.cwd()}/${file}`;
        await exportImage(context, image, path);
        const { size } = await Deno.stat(path);
        const text = `${image.manifest.id} is in ${file} (${showSize(size)}).\n`;
        context.out.result({ image: image.manifest, file: path, size }, text, true);
      })
    );
}

function importCommand() {
  return verb("import", "Take an image from a file", {
    description: `
Checks the file's checksums and keeps the image, so that up finds it at once.
up does the same by itself for "image": "FILE".`,
    examples: [["colinux image import mail.tar.zst", "what image export wrote"]],
    exit: [[65, "the file is no image, or damaged"]],
    see: ["image export"],
  })
    .argument("<file>", "what image export has written")
    .action((file, options) =>
      run(options, async (context) => {
        const { importImage } = await import("../image/archive.ts");
        const { manifest } = await importImage(context, file);
        context.out.result({ image: manifest }, `${manifest.id}\n`);
      })
    );
}
