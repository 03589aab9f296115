// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Finished images: <cache>/images/ID holds root.img, vmlinuz, initrd and
 * manifest.json. A folder appears under its name only when it is complete and on
 * the disk; what is unfinished is called .new-* and belongs to whoever has the
 * lock of the same name.
 */
import { isRecord } from "../rpc/errors.ts";
import { CliError, EXIT } from "../ui/errors.ts";
import type { Paths } from "../ui/paths.ts";
import { AS_ROOT } from "./name_spaces.ts";
import { must, run } from "./process.ts";

export interface Manifest {
  format: 1;
  /** KEY-TIME: the newest of one key is the one that counts. */
  id: string;
  key: string;
  /** Of the definition it was built for. */
  name: string;
  /** ISO 8601. */
  created: string;
  distribution: string;
  /** Release of the kernel in it. */
  kernel: string;
  /** Bytes that root.img needs at least. */
  size: number;
}

export interface Image {
  manifest: Manifest;
  root: string;
  kernel: string;
  initrd: string;
}

export const FILES = ["root.img", "vmlinuz", "initrd"] as const;
const ID = /^[0-9a-f]{16}-\d{14}$/;

/** Undefined for anything that this build did not write. */
export function asManifest(value: unknown): Manifest | undefined {
  if (!isRecord(value) || value.format !== 1) return undefined;
  const texts = ["id", "key", "name", "created", "distribution", "kernel"];
  if (!texts.every((key) => typeof value[key] === "string")) return undefined;
  if (!Number.isSafeInteger(value.size)) return undefined;
  if (!ID.test(String(value.id)) || !String(value.id).startsWith(`${value.key}-`)) return undefined;
  return value as unknown as Manifest;
}

export function newId(key: string, now = new Date()): string {
  return `${key}-${now.toISOString().replace(/\D/g, "").slice(0, 14)}`;
}

export class Store {
  readonly folder: string;

  constructor(paths: Pick<Paths, "cache">) {
    this.folder = `${paths.cache}/images`;
  }

  /** Oldest first. */
  async list(): Promise<Image[]> {
    const ids: string[] = [];
    try {
      for await (const entry of Deno.readDir(this.folder)) {
        if (ID.test(entry.name)) ids.push(entry.name);
      }
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
    const images = await Promise.all(ids.map((id) => this.#read(id)));
    return images.filter((image) => image !== undefined)
      .sort((a, b) => a.manifest.created < b.manifest.created ? -1 : 1);
  }

  async newest(key: string): Promise<Image | undefined> {
    return (await this.list()).findLast(({ manifest }) => manifest.key === key);
  }

  async get(id: string): Promise<Image | undefined> {
    return ID.test(id) ? await this.#read(id) : undefined;
  }

  async #read(id: string): Promise<Image | undefined> {
    const folder = `${this.folder}/${id}`;
    let manifest: Manifest | undefined;
    try {
      manifest = asManifest(JSON.parse(await Deno.readTextFile(`${folder}/manifest.json`)));
    } catch {
      return undefined;
    }
    if (manifest?.id !== id) return undefined;
    return {
      manifest,
      root: `${folder}/root.img`,
      kernel: `${folder}/vmlinuz`,
      initrd: `${folder}/initrd`,
    };
  }

  /**
   * One builder of a key at a time. `fill` gets an empty folder, and its manifest
   * makes it an image; whatever goes wrong leaves nothing.
   */
  async add(
    key: string,
    signal: AbortSignal,
    fill: (folder: string) => Promise<Manifest>,
  ): Promise<Image> {
    const fresh = `${this.folder}/.new-${key}`;
    try {
      const manifest = await fill(await this.#empty(fresh));
      const text = new TextEncoder().encode(`${JSON.stringify(manifest, null, 2)}\n`);
      await Deno.writeFile(`${fresh}/manifest.json`, text);
      const files = [...FILES, "manifest.json"].map((name) => `${fresh}/${name}`);
      await must("keeping the image", "sync", ["--", ...files, fresh], { signal });
      await Deno.rename(fresh, `${this.folder}/${manifest.id}`);
      await must("keeping the image", "sync", ["--", this.folder]);
      const image = await this.#read(manifest.id);
      if (image === undefined) throw new Error(`image ${manifest.id} is gone`);
      return image;
    } finally {
      await discard(fresh);
    }
  }

  /** Held while an image of this key is looked for and built. */
  async lock(key: string, waits: () => void): Promise<Disposable> {
    await Deno.mkdir(this.folder, { recursive: true });
    const file = await Deno.open(`${this.folder}/.lock-${key}`, {
      create: true,
      write: true,
      mode: 0o600,
    });
    if (!await file.tryLock(true)) {
      waits();
      await file.lock(true);
    }
    return { [Symbol.dispose]: () => file.close() };
  }

  async remove(id: string): Promise<void> {
    const image = await this.get(id);
    if (image === undefined) throw noImage(id);
    await discard(`${this.folder}/${id}`);
  }

  async #empty(folder: string): Promise<string> {
    await discard(folder);
    await Deno.mkdir(folder, { recursive: true });
    return folder;
  }
}

export function noImage(wanted: string): CliError {
  return new CliError(`there is no image "${wanted}"`, {
    name: "NOENT",
    hint: "colinux image ls shows the images there are",
    exit: EXIT.noInput,
  });
}

/** A folder that a name space of another user may have filled; never into a mount. */
async function discard(folder: string): Promise<void> {
  const args = ["-rf", "--one-file-system", "--", folder];
  if (Deno.uid() === 0) await must("removing what is unfinished", "rm", args);
  else {
    const { code } = await run("rm", args);
    if (code !== 0) {
      await must("removing what is unfinished", "unshare", [...AS_ROOT, "rm", ...args]);
    }
  }
}
