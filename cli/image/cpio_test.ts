// SPDX-License-Identifier: GPL-2.0-or-later
import { Cpio } from "./cpio.ts";

function list(archive: Uint8Array): string[] {
  const text = new TextDecoder("latin1").decode(archive);
  const rows: string[] = [];
  for (let at = 0; at < text.length;) {
    if (text.slice(at, at + 6) !== "070701") throw new Error(`no header at ${at}`);
    const field = (n: number) => parseInt(text.slice(at + 6 + 8 * n, at + 14 + 8 * n), 16);
    const name = text.slice(at + 110, at + 110 + field(11) - 1);
    const data = at + 110 + field(11) + (4 - (110 + field(11)) % 4) % 4;
    const size = field(6);
    rows.push(`${field(1).toString(8)} ${name} ${text.slice(data, data + size)}`);
    at = data + size + (4 - size % 4) % 4;
  }
  return rows;
}

function equal(actual: string[], expected: string[]): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) {
    throw new Error(`got ${JSON.stringify(actual)}, expected ${JSON.stringify(expected)}`);
  }
}

Deno.test("cpio: folders come before what is in them", () => {
  const archive = new Cpio().file("/usr/bin/tool", "abc", 0o755).symlink("bin", "usr/bin");
  equal(list(archive.bytes()), [
    "120777 bin usr/bin",
    "40755 usr ",
    "40755 usr/bin ",
    "100755 usr/bin/tool abc",
    "0 TRAILER!!! ",
  ]);
});

Deno.test("cpio: the same content gives the same bytes", () => {
  const make = () => new Cpio().directory("dev").file("init", "#!/bin/sh\n", 0o755).bytes();
  equal([make().join()], [make().join()]);
});

Deno.test("cpio: a path never leaves the archive", () => {
  for (const path of ["", "/", "../etc/passwd", "a/../../b"]) {
    let refused = false;
    try {
      new Cpio().file(path, "");
    } catch {
      refused = true;
    }
    if (!refused) throw new Error(`accepted ${path}`);
  }
});
