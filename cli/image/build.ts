// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Builds the root of a Debian guest: mmdebstrap makes a tar of it from this
 * machine's package sources, guest/setup.sh finishes it inside, and
 * guest/finish.sh turns it into an ext4 image, kernel and initrd. Nothing is
 * mounted, no container engine is needed; other users than root work in a user
 * name space.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import { AS_ROOT, checkNameSpaces } from "./name_spaces.ts";
import { failed, lacksSpace, must, run } from "./process.ts";
import { BASE_PACKAGES, EXCLUDED, GUEST, type Recipe } from "./recipe.ts";
import { sourcesFor } from "./sources.ts";
import { type Image, type Manifest, newId, type Store } from "./store.ts";

export interface Builder {
  readonly signal: AbortSignal;
  /** A step. */
  progress(line: string): void;
  /** The newest line of a long step. */
  newest(line: string): void;
}

export async function buildImage(
  builder: Builder,
  store: Store,
  recipe: Recipe,
  name: string,
): Promise<Image> {
  const { image, key } = recipe;
  return await store.add(key, builder.signal, async (folder): Promise<Manifest> => {
    await checkNameSpaces();
    builder.progress(`${name}: building an image of ${image.distribution} (about 2 minutes)`);
    await prepare(folder, recipe);
    await makeTar(builder, folder, recipe);
    builder.progress(`${name}: making its file system`);
    const finish = ["sh", "-c", GUEST.finish];
    const args = Deno.uid() === 0 ? finish : ["unshare", ...AS_ROOT, ...finish];
    await must("making the file system", args[0] ?? "", args.slice(1), {
      cwd: folder,
      signal: builder.signal,
    });
    const kernel = (await Deno.readTextFile(`${folder}/release`)).trim();
    const { size } = await Deno.stat(`${folder}/root.img`);
    for (const scrap of ["release", "overlay", "overlay.tar", "debconf"].concat(SOURCES)) {
      await Deno.remove(`${folder}/${scrap}`, { recursive: true }).catch(() => {});
    }
    return {
      format: 1,
      id: newId(key),
      key,
      name,
      created: new Date().toISOString(),
      distribution: image.distribution,
      kernel,
      size,
    };
  });
}

const SOURCES = ["machine.list", "machine.sources"];

/** Everything that mmdebstrap and setup.sh read, below `folder`. */
async function prepare(folder: string, recipe: Recipe): Promise<void> {
  const { image } = recipe;
  const sources = await sourcesFor(image.distribution);
  await write(`${folder}/machine.list`, sources.list);
  await write(`${folder}/machine.sources`, sources.deb822);
  await write(`${folder}/debconf`, image.debconf.map((line) => `${line}\n`).join(""));
  const top = `${folder}/overlay/colinux-setup`;
  for (const sub of ["files", "scripts"]) await Deno.mkdir(`${top}/${sub}`, { recursive: true });
  const hooks = `${folder}/overlay/hooks`;
  await Deno.mkdir(hooks);
  await write(`${hooks}/colinux`, GUEST.initramfs, 0o755);
  await write(`${top}/setup.sh`, GUEST.setup, 0o755);
  await write(`${top}/set-password.sh`, GUEST.setPassword);
  for (const path of sources.keyrings) {
    await Deno.mkdir(`${top}/keyrings${parent(path)}`, { recursive: true });
    await Deno.copyFile(path, `${top}/keyrings${path}`).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new CliError(`${path}, which /etc/apt names as Signed-By, does not exist`, {
        name: "SOURCES",
        hint: "for Debian's own it is in the package debian-archive-keyring",
        exit: EXIT.unavailable,
      });
    });
  }
  await Deno.writeFile(`${top}/agent`, recipe.agent);
  await write(`${top}/agent.service`, GUEST.agentUnit);
  const users = Object.entries(image.users).map(([name, { password, shell, groups }]) => {
    // Generated ones differ from VM to VM: seed.ts puts them into its own root.
    const hash = password === undefined || password === "generate" ? "!" : password;
    return `${name}:${hash}:${shell}:${groups.join(",")}\n`;
  });
  await write(`${top}/users.list`, users.join(""));
  let list = "";
  for (const [number, file] of recipe.files.entries()) {
    await Deno.writeFile(`${top}/files/${number}`, file.bytes);
    list += `${number} ${file.mode} ${file.owner} ${file.path}\n`;
  }
  await write(`${top}/files.list`, list);
  for (const [number, { bytes }] of recipe.scripts.entries()) {
    await Deno.writeFile(`${top}/scripts/${number}`, bytes, { mode: 0o755 });
  }
  await write(`${top}/scripts.list`, recipe.scripts.map((_, number) => `${number}\n`).join(""));
}

async function write(path: string, text: string, mode = 0o644): Promise<void> {
  await Deno.writeTextFile(path, text, { mode });
}

function parent(path: string): string {
  return path.slice(0, path.lastIndexOf("/"));
}

async function makeTar(builder: Builder, folder: string, recipe: Recipe): Promise<void> {
  const { image } = recipe;
  const owners = ["--owner=0", "--group=0", "--numeric-owner"];
  const pack = ["-C", "overlay", ...owners, "-cf", "overlay.tar", "colinux-setup"];
  await must("packing", "tar", pack, { cwd: folder });
  const sources: string[] = [];
  for (const name of SOURCES) {
    if ((await Deno.stat(`${folder}/${name}`)).size > 0) sources.push(`./${name}`);
  }
  const args = [
    "--variant=minbase",
    `--include=${[...new Set([...BASE_PACKAGES, image.kernel, ...image.packages])].join(",")}`,
    ...EXCLUDED.map((path) => `--dpkgopt=path-exclude=/usr/share/${path}`),
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    "--dpkgopt=force-confold",
    ...(await machineSettings()).map((line) => `--aptopt=${line}`),
    // Before the packages, so that their questions are answered and there is one initrd only.
    '--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/etc/initramfs-tools/hooks"',
    '--essential-hook=printf "MODULES=list\\nCOMPRESS=lz4\\n" > ' +
    '"$1/etc/initramfs-tools/conf.d/colinux"',
    "--essential-hook=copy-in overlay/hooks/colinux /etc/initramfs-tools/hooks",
    "--essential-hook=upload debconf /colinux-debconf",
    '--essential-hook=chroot "$1" debconf-set-selections /colinux-debconf',
    '--essential-hook=rm "$1/colinux-debconf"',
    "--customize-hook=tar-in overlay.tar /",
    '--customize-hook=chroot "$1" /colinux-setup/setup.sh',
    image.distribution,
    "root.tar",
    ...sources,
  ];
  // As root in our own folder; a name space's users may not look into it.
  const env: Record<string, string> = Deno.uid() === 0 ? { TMPDIR: folder } : {};
  const [program = "", ...words] = [...await mountsOfItsOwn(), "mmdebstrap", ...args];
  const { code, lines } = await run(program, words, {
    cwd: folder,
    env,
    signal: builder.signal,
    onLine: (line) => builder.newest(line),
  });
  if (code !== 0) throw explain(folder, recipe, lines);
}

/** root's mmdebstrap mounts /proc and the like: they go with it, however it ends. */
async function mountsOfItsOwn(): Promise<string[]> {
  if (Deno.uid() !== 0) return [];
  const words = ["unshare", "--mount", "--"];
  const [program = "", ...args] = words;
  return (await run(program, [...args, "true"])).code === 0 ? words : [];
}

/** What apt needs to reach its sources from this machine: proxies, certificates. */
async function machineSettings(): Promise<string[]> {
  const { code, lines } = await run("apt-config", ["dump"]);
  if (code !== 0) return [];
  return lines.filter((line) => /^Acquire::(http|https)::\S+ "[^"]+";$/.test(line));
}

/** The first reason that a person can do something about. */
function explain(folder: string, recipe: Recipe, lines: readonly string[]): CliError {
  const find = (pattern: RegExp) => {
    for (const line of lines) {
      const match = pattern.exec(line);
      if (match !== null) return match;
    }
    return undefined;
  };
  const script = find(/^colinux: script (\d+) fails (\d+)$/);
  if (script !== undefined) {
    const [, number = "0", code = "1"] = script;
    const begin = lines.indexOf(`colinux: script ${number} begins`);
    const end = lines.indexOf(script[0]);
    const shown = recipe.scripts[Number(number)]?.shown ?? number;
    return new CliError(`the script ${shown} failed with exit code ${code}`, {
      name: "SCRIPT",
      hint: "it runs as root in the new image; nothing of this attempt is kept",
      exit: Number(code),
      detail: lines.slice(begin + 1, end).slice(-50).join("\n"),
      data: { script: shown, code: Number(code) },
    });
  }
  const unknown = find(/E: Unable to locate package (\S+)/) ??
    find(/E: Package '?([^' ]+)'? has no installation candidate/);
  if (unknown !== undefined) {
    return new CliError(`package ${unknown[1]}: there is none in ${recipe.image.distribution}`, {
      name: "PACKAGE",
      hint:
        "check its name in image.packages (or image.kernel): apt-cache search, or Debian's site",
      exit: EXIT.noInput,
    });
  }
  const module = find(/^colinux: module (\S+) (\S+)$/);
  if (module !== undefined) {
    return new CliError(`kernel ${module[2]}: it has no driver ${module[1]}, which a guest needs`, {
      name: "KERNEL",
      hint: "use one of Debian's kernel packages, such as linux-image-cloud-amd64",
      exit: EXIT.data,
    });
  }
  const kernels = find(/^colinux: kernels (.*)$/);
  if (kernels !== undefined) {
    return new CliError(`the image must hold exactly one kernel, not: ${kernels[1]}`, {
      name: "KERNEL",
      hint: "name it in image.kernel, and no other one in image.packages",
      exit: EXIT.data,
    });
  }
  return (lacksSpace(lines) ? undefined : sourcesFail(recipe.image.distribution, find)) ??
    failed("building the image", "mmdebstrap", lines, folder);
}

/** The machine's sources do not give this release. */
function sourcesFail(
  distribution: string,
  find: (pattern: RegExp) => RegExpExecArray | undefined,
): CliError | undefined {
  const error = (why: string, hint: string) =>
    new CliError(`${distribution} cannot be had from this machine's package sources: ${why}`, {
      name: "SOURCES",
      hint,
      exit: EXIT.unavailable,
    });
  const key = find(/(?:GPG error: )?(\S+:\/\/\S+ \S+) InRelease: .*NO_PUBKEY/);
  if (key !== undefined) {
    return error(
      `${key[1]} is signed with keys that are not here`,
      "update the package debian-archive-keyring, and see what Signed-By names in /etc/apt",
    );
  }
  const fetch = find(/^E: Failed to fetch (\S+) +(.*)$/);
  if (fetch === undefined) return undefined;
  return error(
    `${fetch[1]}: ${fetch[2]?.replace(/ *\[IP:.*/, "").replace(/ +/g, " ")}`,
    `check the network, and that the mirrors in /etc/apt have ${distribution}`,
  );
}
