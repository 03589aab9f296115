// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { whyNotNative } from "./choose.ts";
import { connectError, LocalHost } from "./local.ts";

Deno.test("native only where device and socket are there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const socket = `${folder}/socket`;
    const why = async (...seen: string[]) => await whyNotNative(new Set(seen), socket);
    assert.match(await why("kvm") ?? "", /^no \/dev\/colinux here \(.+\)$/);
    assert.match(await why("module") ?? "", /made no device/);
    assert.match(await why("device") ?? "", /colinuxd does not run/);
    await Deno.writeTextFile(socket, "");
    assert.equal(await why("device", "kvm"), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a module that the kernel refuses, or that is another kernel's, is one line", async () => {
  const why = async (built: string[], ...seen: string[]) =>
    await whyNotNative(new Set(seen), "/nowhere", built) ?? "";
  const release = Deno.osRelease();
  assert.equal(
    await why(["6.1.0-0-made-up"]),
    `no /dev/colinux here (the module is built for 6.1.0-0-made-up, this kernel is ${release})`,
  );
  assert.match(await why([release], "lockdown"), /\(the kernel is locked down: .* signed .*\)$/);
  assert.match(await why([release], "sigenforce"), /\(.*module\.sig_enforce=1: .* signed .*\)$/);
  assert.match(await why([], "secureboot"), /\(Secure Boot is on: .*\)$/);
  assert.match(await why([release]), /\(the module is not loaded\)$/);
  for (const seen of [[], ["lockdown"], ["sigenforce"], ["secureboot"], ["module"]]) {
    assert.ok(!(await why([release], ...seen)).includes("\n"));
  }
});

Deno.test("a helper that is absent, or refuses us, is said in words", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const host = new LocalHost("", `${folder}/none`);
    await assert.rejects(
      host.connect(),
      (error) => error instanceof CliError && error.name === "HOSTDOWN" && error.exit === 69,
    );
    assert.equal((await host.status()).running, false);
    const refused = connectError("/s", new Deno.errors.PermissionDenied());
    assert.deepEqual([refused.name, refused.exit], ["PERM", 77]);
    assert.throws(() => host.stop(), CliError);
    await Deno.writeTextFile(`${folder}/kernel`, "x");
    const { path } = await host.publishFile(`${folder}/../${folder.split("/").at(-1)}/kernel`);
    assert.equal(path, await Deno.realPath(`${folder}/kernel`));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
