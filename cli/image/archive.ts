// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * An image as one file: a tar, compressed by zstd, of manifest.json with the
 * checksums of the other members, then these. Distrusts the file: only these
 * four plain files are taken out of it, and nothing is an image before all
 * checksums are right. Called by find.ts and `colinux image`.
 */
import { createHash } from "node:crypto";
import { isRecord } from "../rpc/errors.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import type { HostContext } from "../host/host.ts";
import { must, run } from "./process.ts";
import { asManifest, FILES, type Image, type Manifest, Store } from "./store.ts";

type Sums = Record<string, string>;

/** Writes `file`, or leaves nothing. */
export async function exportImage(context: HostContext, image: Image, file: string): Promise<void> {
  const { signal, paths } = context;
  const sums: Sums = {};
  const folder = image.root.slice(0, image.root.lastIndexOf("/"));
  for (const name of FILES) sums[name] = await sha256(`${folder}/${name}`, signal);
  const scratch = await Deno.makeTempDir({ dir: `${paths.cache}/images`, prefix: ".export-" });
  const part = `${file}.part`;
  const what = `writing ${file}`;
  try {
    const manifest = { ...image.manifest, sha256: sums };
    await Deno.writeTextFile(`${scratch}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
    const owner = ["--owner=0", "--group=0", "--numeric-owner", "--mode=0644"];
    const members = ["-C", scratch, "manifest.json", "-C", folder, ...FILES];
    // Programs write it: the wrapper gives Deno itself the state folder only.
    const args = ["-I", "zstd -T0", "--sparse", ...owner, "-cf", part, ...members];
    await must(what, "tar", args, { signal });
    await must(what, "sync", ["--", part]);
    await must(what, "mv", ["-T", "--", part, file]);
  } finally {
    await run("rm", ["-f", "--", part]);
    await Deno.remove(scratch, { recursive: true });
  }
}

/** The image of an exported file; it is in the store afterwards. Idempotent. */
export async function importImage(context: HostContext, file: string): Promise<Image> {
  const store = new Store(context.paths);
  const { signal } = context;
  const manifest = await manifestIn(file, signal);
  using _lock = await store.lock(
    manifest.key,
    () => context.progress(`waiting for another build of image ${manifest.id}`),
  );
  const there = await store.get(manifest.id);
  if (there !== undefined) return there;
  context.progress(`importing the image ${manifest.id} (${manifest.name})`);
  return await store.add(manifest.key, signal, async (folder) => {
    const args = ["-I", "zstd", "--no-same-owner", "--no-same-permissions", "-C", folder];
    await must(`unpacking ${file}`, "tar", [...args, "-xf", file, "manifest.json", ...FILES], {
      cwd: folder,
      signal,
    });
    const sums = sumsOf(await parse(`${folder}/manifest.json`));
    for (const name of FILES) {
      const path = `${folder}/${name}`;
      const plain = (await Deno.lstat(path)).isFile;
      if (!plain || sums[name] !== await sha256(path, signal)) {
        throw notImage(file, `${name} is damaged: its checksum is wrong`);
      }
    }
    return manifest;
  });
}

async function manifestIn(file: string, signal: AbortSignal): Promise<Manifest> {
  // It is the first member: no more than that is read.
  const args = ["-I", "zstd", "--occurrence=1", "-O", "-xf", file, "manifest.json"];
  const { code, lines } = await run("tar", args, { signal });
  if (code !== 0) throw notImage(file, lines.at(-1) ?? "tar cannot read it");
  let value: unknown;
  try {
    value = JSON.parse(lines.join("\n"));
  } catch {
    throw notImage(file, "it has no manifest");
  }
  const manifest = asManifest(value);
  if (manifest === undefined) throw notImage(file, "its manifest is of another version");
  const { format, id, key, name, created, distribution, kernel, size } = manifest;
  return { format, id, key, name, created, distribution, kernel, size };
}

async function parse(path: string): Promise<unknown> {
  return JSON.parse(await Deno.readTextFile(path));
}

function sumsOf(manifest: unknown): Sums {
  const sums = isRecord(manifest) ? manifest.sha256 : undefined;
  return isRecord(sums) ? sums as Sums : {};
}

async function sha256(path: string, signal: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(1 << 20);
  for (;;) {
    signal.throwIfAborted();
    const count = await file.read(buffer);
    if (count === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
  }
}

function notImage(file: string, why: string): CliError {
  return new CliError(`${file} is not an image that can be used: ${why}`, {
    name: "IMAGE",
    hint: "an image is a file that colinux image export has written",
    exit: EXIT.data,
  });
}
