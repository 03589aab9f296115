// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { exportImage, importImage } from "./archive.ts";
import { findOrBuild } from "./find.ts";
import { must } from "./process.ts";
import { Store } from "./store.ts";
import { type Bench, plainImage, withBench } from "./testing.ts";

/** An exported image, and a store that has forgotten it. */
async function exported(bench: Bench): Promise<{ file: string; id: string; root: Uint8Array }> {
  const image = await findOrBuild(bench.context, plainImage, "vm", {});
  assert(image !== undefined);
  const file = `${bench.folder}/a b.tar.zst`;
  await exportImage(bench.context, image, file);
  const root = await Deno.readFile(image.root);
  await new Store(bench.paths).remove(image.manifest.id);
  return { file, id: image.manifest.id, root };
}

async function refused(bench: Bench, file: string, said: RegExp): Promise<void> {
  await assert.rejects(
    importImage(bench.context, file),
    (error) => error instanceof CliError && error.exit === 65 && said.test(error.message),
  );
  assert.deepEqual(await new Store(bench.paths).list(), []);
  const rest = [...Deno.readDirSync(`${bench.paths.cache}/images`)].map(({ name }) => name);
  assert.deepEqual(rest.filter((name) => !name.startsWith(".lock-")), []);
}

Deno.test("an image goes into one file and comes back the same", () =>
  withBench(async (bench) => {
    const { file, id, root } = await exported(bench);
    const image = await importImage(bench.context, file);
    assert.equal(image.manifest.id, id);
    assert.deepEqual(await Deno.readFile(image.root), root);
    assert.match(await Deno.readTextFile(image.kernel), /^kernel of/);
    // Once more is no work, and no other image.
    assert.equal((await importImage(bench.context, file)).root, image.root);
    const wanted = await findOrBuild(bench.context, { file }, "other", {});
    assert.equal(wanted?.manifest.id, id);
    assert.equal(bench.builds(), 1);
  }));

Deno.test("what is no image, or damaged, is refused and leaves nothing", () =>
  withBench(async (bench) => {
    const { file } = await exported(bench);
    const text = `${bench.folder}/text`;
    await Deno.writeTextFile(text, "hello");
    await refused(bench, text, /not an image/);
    await refused(bench, `${bench.folder}/absent`, /not an image/);
    const parts = `${bench.folder}/parts`;
    await Deno.mkdir(parts);
    const members = ["manifest.json", "root.img", "vmlinuz", "initrd"];
    const pack = (names: string[]) =>
      must("packing", "tar", ["-I", "zstd", "-C", parts, "-cf", text, ...names]);
    await must("unpacking", "tar", ["-I", "zstd", "-C", parts, "-xf", file]);
    await Deno.writeTextFile(`${parts}/initrd`, "changed");
    await pack(members);
    await refused(bench, text, /initrd is damaged/);
    await Deno.remove(`${parts}/initrd`);
    await Deno.symlink("/etc/passwd", `${parts}/initrd`);
    await pack(members);
    await refused(bench, text, /initrd is damaged/);
    const manifest = JSON.parse(await Deno.readTextFile(`${parts}/manifest.json`));
    manifest.id = "../../x";
    await Deno.writeTextFile(`${parts}/manifest.json`, JSON.stringify(manifest));
    await pack(members);
    await refused(bench, text, /another version/);
  }));

Deno.test("an export that fails leaves no file", () =>
  withBench(async (bench) => {
    const image = await findOrBuild(bench.context, plainImage, "vm", {});
    assert(image !== undefined);
    const file = `${bench.folder}/nowhere/x`;
    await assert.rejects(exportImage(bench.context, image, file), CliError);
    const rest = [...Deno.readDirSync(`${bench.paths.cache}/images`)].map(({ name }) => name);
    assert(!rest.some((name) => name.startsWith(".export")));
  }));
