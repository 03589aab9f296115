// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Prints the licences of everything that the bundle holds, from deno.lock and
 * the packages in Deno's cache. Called by cli/Makefile; a package without a
 * licence text stops the build.
 */

interface Lock {
  npm?: Record<string, unknown>;
}

interface Package {
  name: string;
  version: string;
  license?: string;
}

async function* packagesOf(lock: Lock): AsyncGenerator<[Package, string]> {
  const cache = `${Deno.env.get("DENO_DIR")}/npm`;
  for (const key of Object.keys(lock.npm ?? {}).sort()) {
    const match = /^((?:@[^/]+\/)?[^@]+)@([^_]+)/.exec(key);
    const [, name = "", version = ""] = match ?? [];
    yield [await readPackage(cache, name, version), key];
  }
}

/** The cache has a folder for each registry; its name is no business of ours. */
async function folderOf(cache: string, name: string, version: string): Promise<string> {
  for await (const registry of Deno.readDir(cache)) {
    const folder = `${cache}/${registry.name}/${name}/${version}`;
    try {
      await Deno.stat(folder);
      return folder;
    } catch {
      // Another registry's.
    }
  }
  throw new Error(`${name} ${version} is not in the cache`);
}

async function readPackage(cache: string, name: string, version: string): Promise<Package> {
  const folder = await folderOf(cache, name, version);
  const info: Package = JSON.parse(await Deno.readTextFile(`${folder}/package.json`));
  return { ...info, license: `${info.license ?? "?"}\n\n${await licenceText(folder)}` };
}

async function licenceText(folder: string): Promise<string> {
  for await (const entry of Deno.readDir(folder)) {
    if (/^(licen[cs]e|copying)/i.test(entry.name)) {
      return (await Deno.readTextFile(`${folder}/${entry.name}`)).trim();
    }
  }
  return "(the package carries no licence text; the line above is its declaration)";
}

if (import.meta.main) {
  const [deno = ""] = Deno.args;
  const rule = "=".repeat(76);
  const lock: Lock = JSON.parse(await Deno.readTextFile("deno.lock"));
  let text = "coLinux's CLI is GPL-2.0-or-later. It is shipped with the following.\n";
  text += `\n${rule}\ndeno (the runtime)\n${rule}\n${(await Deno.readTextFile(deno)).trim()}\n`;
  for await (const [{ name, version, license }] of packagesOf(lock)) {
    text += `\n${rule}\n${name} ${version}: ${license}\n`;
  }
  await Deno.stdout.write(new TextEncoder().encode(text));
}
