// SPDX-License-Identifier: GPL-2.0-or-later
// Debian packages as data: resolve a name, download the .deb with apt into a
// cache keyed by its content, unpack it without installing.  Called by
// kernel.ts and initrd builders.  Distrusts: package names (they come from a
// definition file) and stale package lists (a 404 gets one `apt-get update`).

import { CliError, EXIT } from "../ui/errors.ts";

/** A failure that names the package at fault and what to do. */
export function packageError(
  message: string,
  hint: string,
  exit: number = EXIT.unavailable,
): CliError {
  return new CliError(message, { name: "PACKAGE", hint, exit });
}

export interface Deb {
  name: string;
  version: string;
  /** Absolute path of the .deb in the cache. */
  path: string;
}

interface Output {
  code: number;
  stdout: string;
  stderr: string;
}

/** Whether `name` may be handed to apt. */
export function packageName(name: string): boolean {
  return /^[a-z0-9][a-z0-9.+-]+$/.test(name);
}

async function run(cmd: string, args: string[], cwd?: string): Promise<Output> {
  let child: Deno.Command;
  try {
    child = new Deno.Command(cmd, {
      args,
      cwd,
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
      env: { LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
    });
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder();
    return { code, stdout: text.decode(stdout), stderr: text.decode(stderr) };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw packageError(
        `${cmd}: not found on this machine`,
        "kernels are taken from Debian packages: use a Debian system, or name a kernel file",
      );
    }
    throw error;
  }
}

/** One paragraph of `apt-cache show`, the candidate version's. */
async function show(name: string): Promise<Map<string, string> | undefined> {
  const out = await run("apt-cache", ["show", "--no-all-versions", "--", name]);
  if (out.code !== 0) return undefined;
  const fields = new Map<string, string>();
  for (const line of out.stdout.split("\n")) {
    const match = /^([A-Za-z0-9-]+): (.*)$/.exec(line);
    const [, key, value] = match ?? [];
    if (key && value && !fields.has(key)) fields.set(key, value);
    if (line === "" && fields.size > 0) break;
  }
  return fields.get("Package") === name ? fields : undefined;
}

let updated = false;

/** Refreshes the package lists, at most once a run; needs root or sudo. */
async function update(why: string): Promise<void> {
  if (updated) return;
  updated = true;
  const root = Deno.uid() === 0;
  const [cmd, args] = root
    ? ["apt-get", ["-q", "update"]]
    : ["sudo", ["-n", "apt-get", "-q", "update"]];
  const out = await run(cmd, args as string[]);
  if (out.code !== 0) {
    throw packageError(
      `${why}, and the package lists could not be refreshed: ${lastLine(out.stderr)}`,
      "run `apt-get update` as root, then try again",
    );
  }
}

function lastLine(text: string): string {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.at(-1)?.trim() ?? "no message";
}

async function candidate(name: string): Promise<Map<string, string>> {
  if (!packageName(name)) {
    throw packageError(
      `"${name}" is not a Debian package name`,
      "use a name such as linux-image-cloud-amd64",
    );
  }
  let fields = await show(name);
  if (!fields) {
    await update(`package ${name} is unknown here`);
    fields = await show(name);
  }
  if (!fields) {
    throw packageError(
      `package ${name}: apt knows no such package`,
      `search with \`apt-cache search ${name.split("-").slice(0, 2).join("-")}\``,
      EXIT.noInput,
    );
  }
  return fields;
}

/** Names of the packages that `name` depends on (first alternatives, no versions). */
export async function depends(name: string): Promise<string[]> {
  const fields = await candidate(name);
  return (fields.get("Depends") ?? "").split(",")
    .map((item) => item.trim().replace(/[ |(:].*$/, "")).filter((item) => item !== "");
}

/**
 * The .deb of the candidate version, downloaded once.  The file's name carries
 * name, version and architecture, and apt has checked its hash.
 */
export async function download(name: string, cache: string): Promise<Deb> {
  let fields = await candidate(name);
  for (let attempt = 0;; attempt++) {
    const version = fields.get("Version") ?? "";
    const arch = fields.get("Architecture") ?? "amd64";
    const file = `${name}_${version.replaceAll(":", "%3a")}_${arch}.deb`;
    const path = `${cache}/${file}`;
    if (await exists(path)) return { name, version, path };
    await Deno.mkdir(cache, { recursive: true });
    // A private folder, so that an interrupted download never looks finished.
    const partial = await Deno.makeTempDir({ dir: cache, prefix: "partial-" });
    try {
      const out = await run(
        "apt-get",
        ["-q", "-o", "APT::Sandbox::User=root", "download", `${name}=${version}`],
        partial,
      );
      if (out.code === 0 && await exists(`${partial}/${file}`)) {
        await Deno.rename(`${partial}/${file}`, path);
        return { name, version, path };
      }
      if (attempt > 0) {
        throw packageError(
          `package ${name} ${version}: download failed: ${lastLine(out.stderr)}`,
          "check the network and /etc/apt, then try again",
        );
      }
    } finally {
      await Deno.remove(partial, { recursive: true });
    }
    await update(`package ${name} ${version} could not be downloaded`);
    fields = await candidate(name);
  }
}

/** Unpacks a .deb below `target` without running or installing anything. */
export async function extract(deb: Deb, target: string): Promise<void> {
  await Deno.mkdir(target, { recursive: true });
  const out = await run("dpkg-deb", ["-x", deb.path, target]);
  if (out.code !== 0) {
    throw packageError(
      `${deb.path}: cannot be unpacked: ${lastLine(out.stderr)}`,
      "delete the file and try again; it may be damaged, or the disk full",
    );
  }
}

export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
