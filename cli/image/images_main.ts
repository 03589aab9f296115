// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * What the Makefile runs to build initrds: `images_main.ts BUILD RELEASE...`
 * gives build/images/shell.initrd and, for each kernel release,
 * build/vhost/RELEASE/{vmlinuz,initrd}. A file that is newer than all that it
 * is made of stays as it is.
 */
import { PROGRAMS, vhostInitrd } from "../host/vhost/image.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import { busybox, shellInitrd } from "./shell.ts";

async function mtime(path: string): Promise<number> {
  return (await Deno.stat(path)).mtime?.getTime() ?? 0;
}

/** Whether `target` must be made again from `sources`. */
async function stale(target: string, sources: string[]): Promise<boolean> {
  let made: number;
  try {
    made = await mtime(target);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
  const times = await Promise.all(sources.map(mtime));
  return times.some((time) => time >= made);
}

/** A whole file or none: a reader never sees half of it. */
async function write(path: string, data: Uint8Array): Promise<void> {
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
  await Deno.writeFile(`${path}.new`, data);
  await Deno.rename(`${path}.new`, path);
}

async function build(out: string, releases: string[]): Promise<void> {
  const cache = `${out}/cache`;
  const here = import.meta.dirname ?? ".";
  const scripts = `${here}/../host/vhost`;
  const code = [`${here}/cpio.ts`, `${here}/shell.ts`, `${here}/modules.ts`];

  const shell = `${out}/images/shell.initrd`;
  const agent = `${out}/bin/colinux-agent`;
  if (await stale(shell, [...code, `${here}/shell.init`, `${here}/provider.ts`, agent])) {
    await write(shell, await shellInitrd(cache, `${here}/shell.init`, agent));
  }
  // The tests' images take it from here.
  const tool = `${out}/images/busybox`;
  if (await stale(tool, code)) {
    await write(tool, await Deno.readFile(await busybox(cache)));
    await Deno.chmod(tool, 0o755);
  }
  for (const release of releases) {
    const kernel = `${cache}/kernels/${release}`;
    const ko = `${out}/kext/linux/${release}/colinux.ko`;
    const dir = `${out}/vhost/${release}`;
    const sources = [
      ...["init.sh", "hotplug.sh", "debug.sh", "image.ts"].map((name) => `${scripts}/${name}`),
      ...PROGRAMS.map((name) => `${out}/bin/${name}`),
      ...code,
      ko,
      `${kernel}/package`,
    ];
    if (await stale(`${dir}/vmlinuz`, [`${kernel}/package`])) {
      await write(`${dir}/vmlinuz`, await Deno.readFile(`${kernel}/vmlinuz`));
    }
    if (!await stale(`${dir}/initrd`, sources)) continue;
    const initrd = await vhostInitrd({
      modules: `${kernel}/modules`,
      ko,
      busybox: await busybox(cache),
      bin: `${out}/bin`,
      scripts,
    });
    await write(`${dir}/initrd`, initrd);
  }
  const first = releases[0];
  if (first !== undefined) {
    await write(`${out}/vhost/default`, new TextEncoder().encode(`${first}\n`));
  }
}

if (import.meta.main) {
  const [out, ...releases] = Deno.args;
  if (out === undefined) Deno.exit(EXIT.usage);
  try {
    await build(out, releases);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    console.error(`error: ${error.message}\nhint: ${error.hint ?? ""}`);
    Deno.exit(error.exit);
  }
}
