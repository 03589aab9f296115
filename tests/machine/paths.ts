// SPDX-License-Identifier: GPL-2.0-or-later
/** Where builds and kernels are; what a machine test needs is made here, once. */

export const BUILD = Deno.env.get("BUILD") ?? `${Deno.cwd()}/build`;
export const LOGS = `${BUILD}/tests/logs`;
export const GUEST = `${BUILD}/tests/guest`;
const WORK = `${BUILD}/tests/machine`;

/** The four kernels, by the names of their packages. */
export const KERNELS = {
  "6.1-cloud": "linux-image-cloud-amd64",
  "6.1": "linux-image-amd64",
  "6.12-cloud": "linux-image-6.12-cloud-amd64",
  "6.12": "linux-image-6.12-amd64",
} as const;
export type Kernel = keyof typeof KERNELS;

/** Throws with the command's whole output unless it succeeds; returns stdout. */
export async function command(name: string, ...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(name, { args }).output();
  const text = new TextDecoder();
  if (!success) {
    throw new Error(`${name} ${args.join(" ")}: ${text.decode(stderr)}${text.decode(stdout)}`);
  }
  return text.decode(stdout);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

/** Two tests at once build a file once: the name is a lock that the kernel drops. */
export async function once(file: string, make: (temporary: string) => Promise<void>) {
  await Deno.mkdir(WORK, { recursive: true });
  using lock = await Deno.open(`${WORK}/lock`, { create: true, write: true });
  await lock.lock(true);
  if (await exists(file)) return;
  await make(`${file}.new`);
  await Deno.rename(`${file}.new`, file);
}

export async function release(kernel: Kernel): Promise<string> {
  const file = `${BUILD}/cache/kernels/by-package/${KERNELS[kernel]}`;
  try {
    return (await Deno.readTextFile(file)).trim();
  } catch {
    throw new Error(`kernel ${kernel} is absent (${file}): make test-kernels`);
  }
}

export async function kernelDir(kernel: Kernel): Promise<string> {
  return `${BUILD}/cache/kernels/${await release(kernel)}`;
}

/** The guest kernel as codom wants it: an uncompressed ELF. */
export async function guestElf(kernel: Kernel): Promise<string> {
  const file = `${WORK}/${await release(kernel)}.elf`;
  const image = `${await kernelDir(kernel)}/vmlinuz`;
  await once(file, async (to) => {
    await command(`${BUILD}/tests/unbz`, image, to);
  });
  return file;
}

/** The tests' initrd with the modules of that kernel. */
export async function guestInitrd(kernel: Kernel): Promise<string> {
  const version = await release(kernel);
  const modules = `${GUEST}/modules-${version}.cpio`;
  const file = `${WORK}/${version}.initrd`;
  if (!await exists(modules)) {
    await once(modules, async () => {
      await command(
        "make",
        "-s",
        "-C",
        "tests/guest",
        "modules",
        `KVER=${version}`,
        `KERNEL=${await kernelDir(kernel)}`,
      );
      await Deno.rename(modules, `${modules}.new`);
    });
  }
  await Deno.mkdir(WORK, { recursive: true });
  const temporary = `${file}.${Deno.pid}`;
  await concatenate(temporary, [`${GUEST}/initrd.cpio`, modules]);
  await Deno.rename(temporary, file);
  return file;
}

export async function concatenate(to: string, from: readonly string[]): Promise<void> {
  using out = await Deno.open(to, { create: true, write: true, truncate: true });
  for (const path of from) {
    const bytes = await Deno.readFile(path);
    for (let at = 0; at < bytes.length;) at += await out.write(bytes.subarray(at));
  }
}

/** The module built for a host kernel, without its debug sections. */
export function moduleFile(version: string): string {
  return `${BUILD}/kext/linux/${version}/colinux.ko`;
}

/** Packs a folder as an initial RAM disk. */
export async function pack(dir: string, to: string): Promise<void> {
  const script = 'cd "$1" && find . -mindepth 1 | LC_ALL=C sort | ' +
    'cpio --quiet -o -H newc --reproducible -R 0:0 >"$2"';
  await command("sh", "-c", script, "sh", dir, to);
}
