// SPDX-License-Identifier: GPL-2.0-or-later
// Kernels out of Debian packages: image, modules and, for module builds,
// headers, unpacked side by side under <cache>/kernels/<KVER>, nothing
// installed (6.12's headers package would pull an image into /boot).  Called
// by the Makefile (kernel_main.ts), the virtual host and `up`.

import { type Deb, depends, download, exists, extract, packageError, packageName } from "./deb.ts";

export interface Kernel {
  /** The release, as uname -r prints it. */
  version: string;
  /** Folder with vmlinuz, config, System.map, modules/ and maybe headers/. */
  dir: string;
  vmlinuz: string;
  /** The folder that holds kernel/ and modules.order. */
  modules: string;
  /** Build folder for out-of-tree modules, if headers were asked for. */
  kdir?: string;
}

const IMAGE = /^linux-image-(\d+\.\d+.*)$/;

/** Where apt keeps its lists: what a name means changes only when they do. */
const LISTS = "/var/lib/apt/lists";

/** The release that `name` meant when apt's lists were as they are now. */
async function known(name: string, cache: string): Promise<string | undefined> {
  try {
    const note = `${cache}/kernels/by-package/${name}`;
    const [noted, lists] = await Promise.all([Deno.stat(note), Deno.stat(LISTS)]);
    if ((noted.mtime ?? 0) <= (lists.mtime ?? 0)) return undefined;
    return (await Deno.readTextFile(note)).trim();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Follows meta packages (linux-image-cloud-amd64) to the package of one release. */
async function resolve(name: string): Promise<string> {
  for (let hops = 0; hops < 4; hops++) {
    const next: string | undefined = (await depends(name)).find((item) => IMAGE.test(item));
    if (next === undefined) break;
    name = next;
  }
  if (!IMAGE.test(name)) {
    throw packageError(
      `package ${name} is not a kernel`,
      "use a kernel package such as linux-image-cloud-amd64",
    );
  }
  return name;
}

/** The release named by a kernel package, checked against what was unpacked. */
async function releaseIn(root: string, name: string): Promise<string> {
  for await (const entry of Deno.readDir(`${root}/boot`)) {
    const match = /^vmlinuz-(.+)$/.exec(entry.name);
    if (match?.[1] !== undefined) return match[1];
  }
  throw packageError(
    `package ${name} holds no /boot/vmlinuz-*`,
    "use a kernel package such as linux-image-cloud-amd64",
  );
}

async function moduleTree(root: string, release: string): Promise<string> {
  for (const prefix of ["lib", "usr/lib"]) {
    const path = `${root}/${prefix}/modules/${release}`;
    if (await exists(path)) return path;
  }
  throw packageError(`kernel ${release}: its package holds no modules`, "report this as a bug");
}

/**
 * Debian's headers include /usr/src/... by absolute path.  Rewrites those in
 * place to paths beside the including file, so that the tree builds from here.
 */
async function makeRelocatable(src: string): Promise<void> {
  for await (const entry of Deno.readDir(src)) {
    const makefile = `${src}/${entry.name}/Makefile`;
    if (!entry.isDirectory || !await exists(makefile)) continue;
    const text = await Deno.readTextFile(makefile);
    const fixed = text.replace(
      /^include \/usr\/src\//gm,
      "include $(dir $(abspath $(lastword $(MAKEFILE_LIST))))../",
    );
    if (fixed !== text) await Deno.writeTextFile(makefile, fixed);
  }
}

async function unpackHeaders(release: string, cache: string, into: string): Promise<void> {
  const first = `linux-headers-${release}`;
  const wanted = [first];
  for (const name of await depends(first)) {
    if (/^linux-(headers-.*-common|kbuild-)/.test(name)) wanted.push(name);
  }
  const debs: Deb[] = [];
  for (const name of wanted) debs.push(await download(name, `${cache}/deb`));
  for (const deb of debs) await extract(deb, into);
  await makeRelocatable(`${into}/usr/src`);
}

/** Runs `fill` on a new folder that appears as `path` only when it is complete. */
async function whole(path: string, fill: (dir: string) => Promise<void>): Promise<void> {
  if (await exists(path)) return;
  const parent = path.slice(0, path.lastIndexOf("/"));
  await Deno.mkdir(parent, { recursive: true });
  const dir = await Deno.makeTempDir({ dir: parent, prefix: ".new-" });
  try {
    await fill(dir);
    await Deno.chmod(dir, 0o755);
    await Deno.rename(dir, path);
  } catch (error) {
    await Deno.remove(dir, { recursive: true });
    // Somebody else finished the same content first: theirs is as good.
    if (!(error instanceof Error && await exists(path))) throw error;
  }
}

/**
 * The kernel of a Debian package, from the cache or downloaded.  `cache` is the
 * cache folder (absolute); headers: also what out-of-tree modules need.
 */
export async function debianKernel(
  name: string,
  cache: string,
  options: { headers?: boolean } = {},
): Promise<Kernel> {
  const noted = packageName(name) && await known(name, cache);
  const image = noted ? `linux-image-${noted}` : await resolve(name);
  const release = image.replace(/^linux-image-/, "").replace(/-unsigned$/, "");
  const dir = `${cache}/kernels/${release}`;
  await whole(dir, async (fresh) => {
    const deb = await download(image, `${cache}/deb`);
    await extract(deb, `${fresh}/root`);
    const found = await releaseIn(`${fresh}/root`, image);
    if (found !== release) {
      throw packageError(
        `package ${image} holds kernel ${found}, not ${release}`,
        "report this as a bug",
      );
    }
    const root = `${fresh}/root`;
    for (const file of ["vmlinuz", "System.map", "config"]) {
      await Deno.rename(`${root}/boot/${file}-${release}`, `${fresh}/${file}`);
    }
    await Deno.rename(await moduleTree(root, release), `${fresh}/modules`);
    await Deno.remove(root, { recursive: true });
    await Deno.writeTextFile(`${fresh}/package`, `${deb.name} ${deb.version}\n`);
  });
  const kernel: Kernel = {
    version: release,
    dir,
    vmlinuz: `${dir}/vmlinuz`,
    modules: `${dir}/modules`,
  };
  if (options.headers) {
    await whole(`${dir}/headers`, (fresh) => unpackHeaders(release, cache, fresh));
    kernel.kdir = `${dir}/headers/usr/src/linux-headers-${release}`;
  }
  await Deno.mkdir(`${cache}/kernels/by-package`, { recursive: true });
  await Deno.writeTextFile(`${cache}/kernels/by-package/${name}`, `${release}\n`);
  return kernel;
}
