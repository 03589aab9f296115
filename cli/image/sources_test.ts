// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { sourcesFor } from "./sources.ts";

async function from(files: Record<string, string>, distribution: string) {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/sources.list.d`);
    for (const [name, text] of Object.entries(files)) {
      await Deno.writeTextFile(`${folder}/${name}`, text);
    }
    return await sourcesFor(distribution, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const ONE_LINE = `# deb http://commented.example/debian bookworm main
deb [arch=amd64 signed-by=/k/a.gpg] http://m.example/debian bookworm main contrib # why
deb-src http://m.example/debian bookworm main
deb http://m.example/security bookworm-security main
deb http://m.example/debian bookworm-backports main
deb http://other.example/apt cloud-sdk-bookworm main
`;
const DEB822 = `Types: deb deb-src
# a comment
URIs: http://m.example/debian
Suites: bookworm bookworm-updates trixie
Components: main
Signed-By: /k/b.gpg

Types: deb
URIs: http://off.example/
Suites: bookworm
Enabled: no
Components: main

Types: deb
URIs: http://third.example/
Suites: nodistro
Components: main

Types: deb
URIs: http://inside.example/
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
`;

Deno.test("only Debian's suites of the release, in both formats, with their keys", async () => {
  const found = await from(
    {
      "sources.list": ONE_LINE,
      "sources.list.d/x.sources": DEB822,
      "sources.list.d/no.txt": "deb",
    },
    "bookworm",
  );
  assert.equal(
    found.list,
    "deb [arch=amd64 signed-by=/k/a.gpg] http://m.example/debian bookworm main contrib\n" +
      "deb http://m.example/security bookworm-security main\n",
  );
  assert.equal(
    found.deb822,
    `Types: deb
URIs: http://m.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /k/b.gpg

Types: deb
URIs: http://inside.example/
Suites: bookworm-security
Components: main
Signed-By: \n -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
`,
  );
  assert.deepEqual(found.keyrings, ["/k/a.gpg", "/k/b.gpg"]);
});

Deno.test("another release comes from where the machine's own comes from", async () => {
  const found = await from({ "sources.list": ONE_LINE }, "trixie");
  assert.match(found.list, /^deb \[.*\] http:\/\/m\.example\/debian trixie main contrib\n/);
  assert.match(found.list, /security trixie-security main/);
});

Deno.test("a machine without Debian's sources is told so", async () => {
  await assert.rejects(
    from({ "sources.list": "deb http://u.example/ubuntu jammy main\n" }, "bookworm"),
    (error) => error instanceof CliError && /no package sources of Debian/.test(error.message),
  );
});
