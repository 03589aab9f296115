// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import type { Definition } from "../config/definition.ts";
import { parseForward } from "../config/forward.ts";
import type { Paths } from "../ui/paths.ts";
import { fingerprint, messageOf } from "./message.ts";

const paths = { state: "/my state" } as Paths;

function forward(text: string) {
  const parsed = parseForward(text);
  assert("forward" in parsed);
  return parsed.forward;
}

Deno.test("the message says where things are, and a password once", async () => {
  const definition = {
    name: "vm",
    network: {
      mode: "nat",
      forwards: [
        forward("0.0.0.0:5353:53/udp"),
        forward("0.0.0.0:2525:25"),
        forward("[::1]:1:993"),
      ],
    },
    message: [
      "{address 25} {host 25} {port 25} {address 993} {address 53} {what 1}",
      "{password a} {password b}",
      '"{password-of a}"',
      "{fingerprint 993}",
    ],
  } as unknown as Definition;
  const shown = await messageOf(
    paths,
    definition,
    new Map([["a", "secret"]]),
    (address) => Promise.resolve(`<${address}>`),
  );
  assert.equal(
    shown,
    `127.0.0.1:2525 127.0.0.1 2525 [::1]:1 (no forward leads to port 53) {what 1}
secret (in /my state/vms/vm/credentials)
"$(sed -n 's/^a://p' '/my state/vms/vm/credentials')"
<[::1]:1>
`,
  );
});

Deno.test("fingerprints look like those of openssl", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const openssl = async (...args: string[]) => {
      const { stdout } = await new Deno.Command("openssl", { args, cwd: folder, stderr: "null" })
        .output();
      return new TextDecoder().decode(stdout).trim();
    };
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    await openssl("req", "-x509", ...curve, "-subj", "/CN=x", "-keyout", "k", "-out", "c");
    const pem = await Deno.readTextFile(`${folder}/c`);
    const theirs = await openssl("x509", "-in", "c", "-noout", "-fingerprint", "-sha256");
    const ours = await fingerprint(["depth=0", ...pem.split("\n"), "---"]);
    assert.equal(ours, theirs.replace(/^.*=/, ""));
    assert.equal(await fingerprint(["no certificate"]), undefined);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
