// SPDX-License-Identifier: GPL-2.0-or-later
/** Images that cannot be built, with the real mmdebstrap. */
import { BUILD, require, requireMatch, type Result, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

async function refused(
  box: Sandbox,
  image: string,
  code: number,
  says: RegExp,
  run: (file: string) => Promise<Result> = (file) => box.colinux("image", "build", file),
): Promise<void> {
  const file = await box.write("bad.jsonc", `{ "name": "bad", "image": ${image} }`);
  const { code: exit, err } = await run(file);
  require(exit === code, `${image}: exit code ${exit}, not ${code}`);
  requireMatch(err, says, image);
}

async function badImages(): Promise<void> {
  await using box = await Sandbox.create("image");
  await Deno.mkdir(`${BUILD}/cache/images`, { recursive: true });
  await refused(
    box,
    `{ "packages": ["colinux-no-such-package"] }`,
    66,
    /package colinux-no-such-package: there is none in bookworm/,
  );
  await refused(
    box,
    `{ "scripts": ["#!/bin/sh\\necho what it said; echo and why >&2; exit 42\\n"] }`,
    42,
    /failed with exit code 42\n(.*\n)*what it said\n(.*\n)*and why\n/,
  );
  // A folder of its own in front of the cache, with little room.
  const small = `mount -t tmpfs -o size=48m none '${BUILD}/cache/images' && `;
  await refused(
    box,
    "{}",
    73,
    /no space is left in .*cache\/images/,
    (file) =>
      box.run([
        ...["unshare", "--mount", "sh", "-c"],
        `${small} exec '${BUILD}/bin/colinux' image build '${file}'`,
      ]),
  );
  const { out } = await box.must("image", "ls", "--json");
  const { images } = JSON.parse(out) as { images: { name: string }[] };
  require(!images.some(({ name }) => name === "bad"), `something was kept: ${out}`);
}

export const imageTests: E2eTest[] = [{ name: "image-input", limit: 900, run: badImages }];
