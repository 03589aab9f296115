// SPDX-License-Identifier: GPL-2.0-or-later
/** Building, with a double of mmdebstrap; tar, mke2fs and debugfs are the real ones. */
import assert from "node:assert/strict";
import type { BuiltImage } from "../config/definition.ts";
import { CliError } from "../ui/errors.ts";
import { findOrBuild } from "./find.ts";
import { recipeOf } from "./recipe.ts";
import { run } from "./process.ts";
import { Store } from "./store.ts";
import { type Bench, plainImage, withBench } from "./testing.ts";

async function refused(bench: Bench, lines: string, image = plainImage): Promise<CliError> {
  Deno.env.set("FAKE_LINES", lines);
  try {
    await findOrBuild(bench.context, image, "vm", {});
  } catch (error) {
    assert(error instanceof CliError, String(error));
    return error;
  } finally {
    Deno.env.delete("FAKE_LINES");
  }
  throw new Error("it was built");
}

function leftOvers(bench: Bench): string[] {
  return [...Deno.readDirSync(`${bench.paths.cache}/images`)].map(({ name }) => name)
    .filter((name) => !name.startsWith(".lock-"));
}

Deno.test("the key is the content's, not that of names and places", () =>
  withBench(async ({ folder, paths }) => {
    await Deno.writeTextFile(`${folder}/a`, "same");
    await Deno.writeTextFile(`${folder}/b`, "same");
    const key = async (change: Partial<BuiltImage>) =>
      (await recipeOf({ ...plainImage, ...change }, paths)).key;
    const script = (name: string) => key({ scripts: [{ file: `${folder}/${name}` }] });
    assert.equal(await script("a"), await script("b"));
    await Deno.writeTextFile(`${folder}/b`, "other");
    const keys = [
      await key({}),
      await script("a"),
      await script("b"),
      await key({ distribution: "trixie" }),
      await key({ kernel: "linux-image-amd64" }),
      await key({ packages: [] }),
      await key({ debconf: [] }),
      await key({ users: {} }),
      await key({ files: { "/etc/motd": { text: "hello", mode: "0600", owner: "root:root" } } }),
      await key({ files: { "/etc/motd": { text: "hullo", mode: "0644", owner: "root:root" } } }),
    ];
    assert.equal(new Set(keys).size, keys.length);
    assert.equal(await key({ size: 1 << 30, packages: ["postfix"] }), keys[0]);
    await Deno.writeTextFile(`${paths.lib}/bin/colinux-agent`, "newer");
    assert.notEqual(await key({}), keys[0]);
  }));

Deno.test("an image is built once, kept whole, and built again when that is asked", () =>
  withBench(async (bench) => {
    const { context, paths } = bench;
    const first = await findOrBuild(context, plainImage, "vm", {});
    assert(first !== undefined);
    assert.equal(first.manifest.kernel, "6.1.0-test");
    assert.match(await Deno.readTextFile(first.kernel), /^kernel of/);
    assert.equal((await Deno.stat(first.root)).size, first.manifest.size);
    const { code } = await run("e2fsck", ["-fn", first.root]);
    assert.equal(code, 0);
    assert.deepEqual(leftOvers(bench), [first.manifest.id]);
    const asked = bench.arguments();
    assert(
      asked.some((line) => /^--include=.*\blinux-image-cloud-amd64\b.*\bpostfix\b/.test(line)),
    );
    assert((await findOrBuild(context, plainImage, "vm", {}))?.manifest.id === first.manifest.id);
    assert.equal(bench.builds(), 1);
    await new Promise((resolve) => setTimeout(resolve, 1100));
    const second = await findOrBuild(context, plainImage, "vm", { rebuild: true });
    assert.equal(bench.builds(), 2);
    assert.notEqual(second?.manifest.id, first.manifest.id);
    assert.equal(
      (await new Store(paths).newest(first.manifest.key))?.manifest.id,
      second?.manifest.id,
    );
    // Whoever has a copy needs no image.
    for (const { manifest } of await new Store(paths).list()) {
      await new Store(paths).remove(manifest.id);
    }
    const have = first.manifest.id;
    assert.equal(await findOrBuild(context, plainImage, "vm", { have }), undefined);
  }));

Deno.test("two builds of one image at once are one", () =>
  withBench(async (bench) => {
    const build = () => findOrBuild(bench.context, plainImage, "vm", {});
    const [a, b] = await Promise.all([build(), build()]);
    assert.equal(a?.manifest.id, b?.manifest.id);
    assert.equal(bench.builds(), 1);
    assert(bench.notes.some((note) => note.includes("waiting for another build")));
  }));

Deno.test("a script that fails: its output, its exit code, nothing kept", () =>
  withBench(async (bench) => {
    const error = await refused(
      bench,
      "colinux: script 0 begins\\nwhat it said\\nand why\\ncolinux: script 0 fails 42\\nE: hook\\n",
    );
    assert.equal(error.exit, 42);
    assert.equal(error.detail, "what it said\nand why");
    assert.match(error.message, /image\.scripts\.0 failed with exit code 42/);
    assert.deepEqual(leftOvers(bench), []);
    assert((await findOrBuild(bench.context, plainImage, "vm", {})) !== undefined);
  }));

for (
  const [lines, exit, said] of [
    ["E: Unable to locate package nosuch\\n", 66, /^package nosuch: there is none in bookworm/],
    ["colinux: module xen-blkfront 6.1\\n", 65, /it has no driver xen-blkfront/],
    ["colinux: kernels /boot/a /boot/b\\n", 65, /exactly one kernel, not: \/boot\/a \/boot\/b/],
    [
      "E: Failed to fetch http://m/dists/bookworm/InRelease  404  Not Found [IP: 1.2.3.4 80]\\n",
      69,
      /^bookworm cannot be had .*: http:\/\/m\/dists\/bookworm\/InRelease: 404 Not Found$/,
    ],
    [
      "W: GPG error: http://m bookworm InRelease: The public key is not available: NO_PUBKEY 6E\\n",
      69,
      /^bookworm cannot be had .*: http:\/\/m bookworm is signed with keys that are not here$/,
    ],
    [
      "E: Failed to fetch http://m/Packages  Write error - write (28: No space left on device)\\n",
      73,
      /no space is left in \/.*\.new-/,
    ],
    ["cp: No space left on device\\n", 73, /no space is left in \/.*\.new-/],
    ["E: something else\\n", 73, /mmdebstrap failed: E: something else/],
  ] as const
) {
  Deno.test(`mmdebstrap says ${lines.slice(0, 24)}: told in words, nothing kept`, () =>
    withBench(async (bench) => {
      const error = await refused(bench, lines);
      assert.equal(error.exit, exit);
      assert.match(error.message, said);
      assert.deepEqual(leftOvers(bench), []);
    }));
}

Deno.test("an interrupted build ends its programs and leaves nothing", () =>
  withBench(async (bench) => {
    Deno.env.set("FAKE_HANGS", "1");
    const reason = new CliError("ended by SIGINT", { name: "INTR", exit: 130 });
    const build = findOrBuild(bench.context, plainImage, "vm", {});
    const hangs = `${bench.folder}/tools/hangs`;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      if (await Deno.stat(hangs).then(() => true, () => false)) break;
    }
    bench.abort.abort(reason);
    await assert.rejects(build, (error) => error === reason);
    assert.deepEqual(leftOvers(bench), []);
  }));

Deno.test("a half-built folder of a build that was killed is no image, and goes", () =>
  withBench(async (bench) => {
    const { key } = await recipeOf(plainImage, bench.paths);
    const fresh = `${bench.paths.cache}/images/.new-${key}`;
    await Deno.mkdir(fresh, { recursive: true });
    await Deno.writeTextFile(`${fresh}/root.img`, "half");
    assert.deepEqual(await new Store(bench.paths).list(), []);
    const image = await findOrBuild(bench.context, plainImage, "vm", {});
    assert.deepEqual(leftOvers(bench), [image?.manifest.id]);
  }));
