// SPDX-License-Identifier: GPL-2.0-or-later
/** A VM's own disks: made, kept, replaced, grown; its names and passwords in them. */
import assert from "node:assert/strict";
import type { Definition } from "../config/definition.ts";
import { run } from "../image/process.ts";
import { plainImage, withBench } from "../image/testing.ts";
import { CliError } from "../ui/errors.ts";
import { credentialsFile, readCredentials } from "./credentials.ts";
import { prepareDisks } from "./data_disks.ts";
import { prepareRoot, type Root } from "./root.ts";

const definition: Definition = {
  file: "/d/vm.jsonc",
  name: "my_vm",
  memory: 1,
  vcpus: 1,
  cmdline: "",
  image: plainImage,
  disks: [{ name: "data", size: 32 << 20, format: "ext4", mount: "/srv", readOnly: false }],
};

async function inside(disk: string, path: string): Promise<string> {
  const { lines } = await run("debugfs", ["-R", `cat ${path}`, disk]);
  return lines.filter((line) => !line.startsWith("debugfs ")).join("\n");
}

/** Whether a hash is the password's. */
async function fits(hash: string, password: string): Promise<boolean> {
  const salt = hash.split("$")[2] ?? "";
  const args = ["passwd", "-6", "-salt", salt, "-stdin"];
  const { lines } = await run("openssl", args, { stdin: `${password}\n` });
  return lines.includes(hash);
}

Deno.test("a root disk is made with its names, file systems and passwords, and kept", () =>
  withBench(async (bench) => {
    const { context, paths } = bench;
    const root = await prepareRoot(context, definition, {}) as Root;
    const password = root.passwords.get("alice") ?? "";
    assert.match(password, /^([a-km-np-z2-9]{5}-){3}[a-km-np-z2-9]{5}$/);
    const hash = /^alice:([^:]*):/m.exec(await inside(root.disk, "/etc/shadow"))?.[1] ?? "";
    assert(await fits(hash, password), hash);
    assert(!(await inside(root.disk, "/etc/shadow")).includes(password));
    assert.equal(await inside(root.disk, "/etc/hostname"), "my-vm");
    assert.match(await inside(root.disk, "/etc/fstab"), /^LABEL=data \/srv ext4 /m);
    assert.match(await inside(root.disk, "/etc/machine-id"), /^[0-9a-f]{32}$/);
    assert.equal((await Deno.stat(root.disk)).size, plainImage.size);
    assert.equal((await run("e2fsck", ["-fn", root.disk])).code, 0);
    assert.equal((await Deno.stat(credentialsFile(paths, "my_vm"))).mode! & 0o777, 0o600);

    await run("debugfs", ["-w", "-R", "mkdir /was-here", root.disk]);
    const again = await prepareRoot(context, definition, {}) as Root;
    assert.deepEqual([...again.passwords], []);
    assert.match(await inside(root.disk, "/etc/fstab"), /data/);
    assert.equal(
      (await run("debugfs", ["-R", "stat /was-here", root.disk])).lines.length > 2,
      true,
    );

    // Another disk: the same root learns of it, and grows with the definition.
    const larger: Definition = {
      ...definition,
      image: { ...plainImage, size: 320 << 20 },
      disks: [...definition.disks ?? [], {
        name: "old",
        path: "/x.img",
        format: "ext4",
        mount: "/old",
        readOnly: true,
      }],
    };
    await prepareRoot(context, larger, {});
    assert.match(await inside(root.disk, "/etc/fstab"), /^\/dev\/xvdc \/old ext4 ro 0 2$/m);
    assert.equal((await Deno.stat(root.disk)).size, 320 << 20);
    assert.equal((await run("e2fsck", ["-fn", root.disk])).code, 0);
    assert(await fits(hash, password) && (await inside(root.disk, "/etc/shadow")).includes(hash));
    assert.equal(bench.builds(), 1);
  }));

Deno.test("another image replaces the root; the password stays; start keeps what there is", () =>
  withBench(async (bench) => {
    const { context, paths } = bench;
    const first = await prepareRoot(context, definition, {}) as Root;
    const password = first.passwords.get("alice");
    await run("debugfs", ["-w", "-R", "mkdir /was-here", first.disk]);
    const changed = { ...definition, image: { ...plainImage, packages: ["nginx"] } };
    await prepareRoot(context, changed, { keep: true });
    assert.equal(bench.builds(), 1);
    const second = await prepareRoot(context, changed, {}) as Root;
    assert.equal(bench.builds(), 2);
    assert.deepEqual([...second.passwords], []);
    assert.equal((await readCredentials(paths, "my_vm")).get("alice"), password);
    const { lines } = await run("debugfs", ["-R", "stat /was-here", second.disk]);
    assert(lines.some((line) => /not found/.test(line)), lines.join("\n"));
    const hash = /^alice:([^:]*):/m.exec(await inside(second.disk, "/etc/shadow"))?.[1] ?? "";
    assert(await fits(hash, password ?? ""));
  }));

Deno.test("a size that the root does not fit into is refused with the size that it needs", () =>
  withBench(async ({ context }) => {
    const small = { ...definition, image: { ...plainImage, size: 16 << 20 } };
    await assert.rejects(
      prepareRoot(context, small, {}),
      (error) =>
        error instanceof CliError && error.exit === 78 &&
        /too small for the root/.test(error.message),
    );
  }));

Deno.test("data disks are made once, grow with what is on them, and never shrink", () =>
  withBench(async ({ context, paths, notes }) => {
    const size = (bytes: number): Definition => ({
      ...definition,
      disks: [
        { name: "data", size: bytes, format: "ext4", readOnly: false },
        { name: "raw", size: bytes, format: "none", readOnly: false },
      ],
    });
    const file = (name: string) => `${paths.state}/vms/my_vm/${name}.img`;
    await prepareDisks(context, size(32 << 20));
    assert.equal((await Deno.stat(file("data"))).size, 32 << 20);
    assert.equal((await Deno.stat(file("data"))).mode! & 0o777, 0o600);
    await run("debugfs", ["-w", "-R", "mkdir /mail", file("data")]);
    await prepareDisks(context, size(32 << 20));
    await prepareDisks(context, size(64 << 20));
    for (const name of ["data", "raw"]) assert.equal((await Deno.stat(file(name))).size, 64 << 20);
    await prepareDisks(context, size(32 << 20));
    assert.equal((await Deno.stat(file("data"))).size, 64 << 20);
    assert(notes.some((note) => note.includes("none shrinks")));
    assert.equal((await run("e2fsck", ["-fn", file("data")])).code, 0);
    const { lines } = await run("dumpe2fs", ["-h", file("data")]);
    assert(lines.some((line) => /^Filesystem volume name: +data$/.test(line)));
    assert(lines.some((line) => /^Block count: +65536$/.test(line)));
    assert.equal((await run("debugfs", ["-R", "ls /mail", file("data")])).code, 0);
    assert.equal((await Deno.readFile(file("raw"))).every((byte) => byte === 0), true);
  }));
