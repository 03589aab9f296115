// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { checkDisk } from "./disk.ts";
import { filesUsers, parseProcesses, showProcesses } from "./processes.ts";

Deno.test("a disk that cannot be one is refused in words", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const image = `${folder}/image`;
    const check = async (path: string, readOnly = false) => {
      try {
        return (await checkDisk({ path, vm: "vm", name: "data", readOnly })).path;
      } catch (error) {
        if (!(error instanceof CliError)) throw error;
        return `${error.name} ${error.exit} ${error.message.replace(folder, "")}`;
      }
    };
    assert.equal(await check(image), "NOENT 66 disk data: /image does not exist");
    assert.equal(await check(folder), "NOENT 66 disk data:  is not a file");
    await Deno.writeTextFile(image, "");
    assert.equal(await check(image), "INVAL 65 disk data: /image is empty");
    await Deno.truncate(image, 1000);
    assert.equal(await check(image), "INVAL 65 disk data: /image has 1000 bytes");
    await Deno.truncate(image, 1024);
    await Deno.symlink("image", `${folder}/link`);
    assert.equal(await check(`${folder}/link`), image);
    await Deno.chmod(image, 0o444);
    assert.equal(await check(image), "PERM 77 disk data: /image is read-only");
    assert.equal(await check(image, true), image);
    assert.equal(await check("/dev/sdb"), "/dev/sdb");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("who has a file open is found, whatever its name", async () => {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  try {
    const path = `${folder}/a [b]*?\\ c`;
    using _open = await Deno.open(path, { write: true, create: true });
    const users = await filesUsers(path);
    assert.deepEqual(users.map(({ pid }) => pid), [Deno.pid]);
    assert.match(users[0]?.command ?? "", /deno/);
    assert.deepEqual(await filesUsers(`${folder}/a`), []);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("processes are shown in one line", () => {
  const found = parseProcesses(`12 nginx -g \x1b[31m \n7 ${"x".repeat(99)}\n\nnonsense\n3 \n`);
  assert.deepEqual(found.map(({ pid }) => pid), [12, 7, 3]);
  assert.equal(showProcesses(found), `pid 12 (nginx -g ?[31m), pid 7 (${"x".repeat(60)}…), pid 3`);
});
