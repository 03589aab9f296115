// SPDX-License-Identifier: GPL-2.0-or-later
/** Images that cannot be built, with the real mmdebstrap. */
import { BUILD, freePort, require, requireMatch, type Result, Sandbox } from "./sandbox.ts";
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

/** The next Debian, with its own kernel. */
async function trixie(): Promise<void> {
  await using box = await Sandbox.create("trixie");
  const file = await box.write(
    "trixie.jsonc",
    `{ "name": "trixie", "memory": "384 MiB",
  "image": { "distribution": "trixie", "packages": ["openssh-server"] },
  "network": { "mode": "nat", "forwards": ["127.0.0.1:${freePort()}:22"] },
  "ready": { "tcp": [{ "port": 22, "expect": "SSH-2.0-" }] } }\n`,
  );
  await box.must("up", file, "--timeout", "20m");
  const { out } = await box.must(
    ...["exec", "trixie", "--", "sh", "-c"],
    "uname -r; . /etc/os-release; echo $VERSION_CODENAME; systemctl list-units --failed --plain --no-legend",
  );
  requireMatch(out, /^6\.12\S+\ntrixie\n$/, "its kernel, its release, no unit has failed");
  await box.must("stop", "trixie");
  const { code } = await box.run(["e2fsck", "-fn", `${box.home}/state/vms/trixie/root.img`]);
  require(code === 0, "its root disk is clean");
}

export const imageTests: E2eTest[] = [
  { name: "image-input", limit: 900, run: badImages },
  { name: "image-trixie", limit: 1800, soak: true, run: trixie },
];
