// SPDX-License-Identifier: GPL-2.0-or-later
/** Image, disks, network, checks and variables: what is accepted, and what is said of the rest. */
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { loadDefinition } from "./load.ts";
import type { Definition } from "./definition.ts";

async function load(text: string): Promise<Definition> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/vm.jsonc`, text);
    return await loadDefinition(`${folder}/vm.jsonc`, "vm.jsonc");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function problems(text: string): Promise<string[]> {
  try {
    await load(text);
    return [];
  } catch (error) {
    assert(error instanceof CliError && error.exit === 78, String(error));
    const list = error.data.problems as { line: number; column: number; message: string }[];
    return list.map(({ line, column, message }) =>
      `${line}:${column} ${message.replace(/ \/\S*\//, " DIR/")}`
    );
  }
}

Deno.test("an image brings kernel, command line and network of its own", async () => {
  const definition = await load('{ "image": { "packages": ["hello"] } }');
  assert.equal(definition.kernel, undefined);
  assert.equal(definition.cmdline, "root=/dev/xvda ro console=hvc0");
  assert.deepEqual(definition.network, { mode: "nat", forwards: [] });
  assert(definition.image !== undefined && "packages" in definition.image);
  assert.equal(definition.image.size, 2 ** 31);
  assert.deepEqual(definition.image.packages, ["hello"]);
});

Deno.test("units, forwards and paths are resolved", async () => {
  const definition = await load(`{ "image": { "files": { "/a": { "text": "x" } },
    "users": { "alice": {} }, "scripts": ["#!/bin/sh"] },
    "disks": [{ "name": "data", "size": "1 GiB", "mount": "/srv" },
      { "name": "old", "size": "1 GiB", "persistentGrants": true }],
    "network": { "forwards": ["2525:25", "127.0.0.1:5353:53/udp"], "mac": "02:AA:00:00:00:01" },
    "ready": { "tcp": [{ "port": 25, "expect": "220 " }] },
    "health": { "interval": "1m" }, "restart": "on-failure", "autostart": true,
    "message": ["hello"] }`);
  assert.deepEqual(definition.disks, [
    { name: "data", format: "ext4", readOnly: false, size: 2 ** 30, mount: "/srv" },
    { name: "old", format: "ext4", readOnly: false, size: 2 ** 30, persistentGrants: true },
  ]);
  assert.equal(definition.network?.mac, "02:aa:00:00:00:01");
  assert.deepEqual(definition.network?.forwards.map((forward) => forward.protocol), ["tcp", "udp"]);
  assert.deepEqual(definition.health, {
    intervalMs: 60_000,
    timeoutMs: 5000,
    failures: 3,
    restart: false,
  });
  assert(definition.image !== undefined && "files" in definition.image);
  assert.deepEqual(definition.image.files["/a"], { text: "x", mode: "0644", owner: "root:root" });
  assert.deepEqual(definition.image.users.alice, { shell: "/bin/bash", groups: [] });
});

Deno.test("every problem of the new keys is listed at once, with its place", async () => {
  assert.deepEqual(
    await problems(`{ "image": { "distributon": "x", "distribution": "bookwrm", "size": "1 MiB",
  "packages": ["Nope", 5], "debconf": ["a b/c selekt x", "short"],
  "files": { "etc/x": { "text": "a", "from": "b" }, "/ok": {}, "/y": { "tekst": "" } },
  "users": { "Alice": { "password": "secret" } }, "scripts": ["missing.sh"] },
"disks": [ { "name": "data" },
  { "name": "data", "size": "1 GiB", "format": "ext3" },
  { "name": "root", "size": "1 GiB", "mount": "/srv/" } ],
"network": { "mode": "tap",
  "forwards": ["127.0.0.1:2525:25", "0.0.0.0:2525:26", "nonsense"] },
"ready": { "tcp": [ { "port": 0, "expct": "x" } ] },
"health": { "interval": "soon" },
"restart": "allways", "autostart": "yes" }`),
    [
      '1:14 unknown key "distributon": did you mean "distribution"?',
      '1:50 unknown value "bookwrm": did you mean "bookworm"?',
      "1:69 image.size: 1 MiB is too little for a disk: at least 16 MiB",
      "2:16 image.packages.0: is not the name of a Debian package",
      "2:24 image.packages.1: must be a string",
      '2:40 image.debconf.0: unknown debconf type "selekt": did you mean "select"?',
      '2:58 image.debconf.1: "short " is no answer for debconf: write package, question, type ' +
      'and value, such as "postfix postfix/main_mailer_type select Internet Site"',
      '3:14 "etc/x" is no path in the image: write an absolute one such as "/etc/motd"',
      '3:23 image.files.etc/x: needs either "text" or "from"',
      "3:46 image.files.etc/x.from: no such file: DIR/b",
      '3:60 image.files./ok: needs either "text" or "from"',
      '3:70 image.files./y: needs either "text" or "from"',
      '3:72 unknown key "tekst": did you mean "text"?',
      '4:14 "Alice" cannot be a user: 1 to 32 of a-z, 0-9, dash and underscore, beginning with ' +
      "a letter",
      '4:37 image.users.Alice.password: must be "generate", or a hash such as `openssl passwd -6` ' +
      "prints; a password itself does not belong into a definition",
      "4:63 image.scripts.0: no such file: DIR/missing.sh",
      '5:12 disk 1 needs a "size", or the "path" of a file that is there',
      '6:13 two disks have the name "data"',
      '6:48 unknown value "ext3": did you mean "ext4"?',
      '7:13 the name "root" is the root disk\'s',
      '7:47 disks.2.mount: must be an absolute path such as "/srv"',
      '8:22 the mode "tap" needs the key "tap"',
      '9:15 forwards need the mode "nat"',
      "9:37 two forwards use port 2525 (tcp) of this machine",
      '9:56 network.forwards.2: "nonsense" is not a forward such as "127.0.0.1:2525:25"',
      "10:31 ready.tcp.0.port: must be a port: 1 to 65535",
      '10:34 unknown key "expct": did you mean "expect"?',
      '11:25 health.interval: "soon" is not a duration such as "30s"',
      '12:12 unknown value "allways": did you mean "always"?',
      "12:36 autostart: must be true or false",
    ],
  );
});

Deno.test("keys that need another one say so", async () => {
  const kernel = '"kernel": { "package": "linux-image-cloud-amd64" }';
  assert.deepEqual(
    await problems(`{ ${kernel}, "ready": {}, "health": {},
"disks": [ { "name": "a", "size": "1 GiB", "mount": "/a" } ], "network": { "tap": "tap0" } }`),
    [
      '1:64 ready needs "console" or "tcp"',
      '1:78 health repeats the checks of "ready.tcp": add them',
      "2:53 mount needs an image, whose list of file systems gets it",
      '2:83 tap needs "mode": "tap"',
    ],
  );
  assert.match(
    (await problems(`{ ${kernel}, "ready": { "tcp": [{ "port": 25 }] } }`))[0] ?? "",
    /needs the agent in the guest/,
  );
});

Deno.test("variables: set, unset, empty, default, escaped, in keys", async () => {
  Deno.env.set("COLINUX_TEST_NAME", "web");
  Deno.env.set("COLINUX_TEST_EMPTY", "");
  try {
    const definition = await load(`{ "name": "\${COLINUX_TEST_NAME}-\${COLINUX_TEST_EMPTY:-x}",
      "memory": "\${COLINUX_TEST_UNSET:-64} MiB",
      "image": { "users": { "\${COLINUX_TEST_NAME}": {} },
        "files": { "/a": { "text": "$\${HOME} \${COLINUX_TEST_EMPTY}$x \${COLINUX_TEST_UNSET:-}" } } } }`);
    assert.equal(definition.name, "web-x");
    assert.equal(definition.memory, 64 << 20);
    assert(definition.image !== undefined && "users" in definition.image);
    assert.deepEqual(Object.keys(definition.image.users), ["web"]);
    const file = definition.image.files["/a"];
    assert(file !== undefined && "text" in file);
    assert.equal(file.text, "${HOME} $x ");
    assert.deepEqual(
      await problems(`{ "image": {},
  "name": "\${COLINUX_TEST_NAM}",
  "message": ["a \\t\${", "\${1x}", "$\${fine} \${COLINUX_TEST_UNSET}"] }`),
      [
        "2:11 name: must be 1 to 63 of a-z, 0-9, dot, dash and underscore, and begin with a " +
        "letter or digit",
        "2:12 the variable COLINUX_TEST_NAM is not set: did you mean COLINUX_TEST_NAME?",
        '3:20 "${" without a "}": write ${VAR}, ${VAR:-default}, or $${ for the characters ' +
        "themselves",
        '3:26 "${1x}" is no variable: write ${VAR}, ${VAR:-default}, or $${ for the characters ' +
        "themselves",
        "3:44 the variable COLINUX_TEST_UNSET is not set: set it, or write " +
        "${COLINUX_TEST_UNSET:-default}",
      ],
    );
  } finally {
    Deno.env.delete("COLINUX_TEST_NAME");
    Deno.env.delete("COLINUX_TEST_EMPTY");
  }
});
