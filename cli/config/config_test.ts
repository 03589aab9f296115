// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { findDefinition, scanName } from "./find.ts";
import type { Definition } from "./definition.ts";
import { loadDefinition } from "./load.ts";
import { placeOf } from "./report.ts";
import { jsonSchema } from "./schema.ts";
import { parseSize, showSize } from "./size.ts";
import { distance, suggest } from "./suggest.ts";
import { readTree } from "./tree.ts";
import type { Paths } from "../ui/paths.ts";

const configs = new URL("../../configs/", import.meta.url).pathname;

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The problems of a text as "line:column message". */
async function problems(text: string, name = "vm.jsonc"): Promise<string[]> {
  let found: string[] = [];
  await inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/${name}`, text);
    try {
      await loadDefinition(`${folder}/${name}`, name);
    } catch (error) {
      assert(error instanceof CliError && error.exit === 78, String(error));
      const list = error.data.problems as { line: number; column: number; message: string }[];
      found = list.map(({ line, column, message }) =>
        `${line}:${column} ${message.replaceAll(folder, "DIR")}`
      );
      for (const { line, column } of list) {
        assert(error.detail?.includes(`${name}:${line}:${column}: `));
      }
    }
  });
  return found;
}

const KERNEL = '"kernel": { "package": "linux-image-cloud-amd64" }';

Deno.test("the shipped definitions are well defined", async () => {
  const minimal = await loadDefinition(`${configs}minimal.jsonc`);
  assert.equal(minimal.name, "minimal");
  assert.equal(minimal.memory, 256 << 20);
  assert.deepEqual(minimal.initrd, { builtin: "shell" });
  assert.equal((await loadDefinition(`${configs}default.jsonc`)).name, "default");
  const mail = await loadDefinition(`${configs}mailserver.jsonc`);
  assert.deepEqual(mail.network?.forwards.map(({ hostPort }) => hostPort), [2525, 1587, 1993]);
  assert.deepEqual(mail.disks?.map(({ mount }) => mount), ["/srv"]);
});

/** default.jsonc with its examples as keys; prose begins with none of these characters. */
async function allOfDefault(): Promise<string> {
  const text = await Deno.readTextFile(`${configs}default.jsonc`);
  return text.replace(/^(\s*)\/\/( +)(?=["{}[\]])/gm, "$1$2");
}

/** "image.files.*.mode" for every key of a JSON schema, and of a value. */
function keysOf(schema: Record<string, unknown>, path: string[] = []): string[] {
  const nested = (child: unknown, step: string) =>
    keysOf(child as Record<string, unknown>, [...path, step]);
  const keys: string[] = path.length === 0 ? [] : [path.join(".")];
  for (const [key, child] of Object.entries(schema.properties ?? {})) {
    keys.push(...nested(child, key));
  }
  if (schema.items) keys.push(...nested(schema.items, "*"));
  if (typeof schema.additionalProperties === "object") {
    keys.push(...nested(schema.additionalProperties, "*"));
  }
  for (const other of (schema.anyOf ?? []) as Record<string, unknown>[]) {
    keys.push(...keysOf(other, path));
  }
  return keys;
}

function keysUsed(value: unknown, path: string[] = [], maps = /^image\.(files|users)$/): string[] {
  if (typeof value !== "object" || value === null) return [path.join(".")];
  const inMap = Array.isArray(value) || maps.test(path.join("."));
  return [path.join(".")].concat(
    Object.entries(value).flatMap(([key, child]) =>
      keysUsed(child, [...path, inMap ? "*" : key], maps)
    ),
  );
}

Deno.test("default.jsonc shows every key, with values that are accepted", async () => {
  const all = await allOfDefault();
  const used = new Set(keysUsed(readTree(all, () => undefined).value));
  for (const key of keysOf(JSON.parse(jsonSchema()))) assert(used.has(key), `not shown: ${key}`);
  // The one key that excludes another one's default.
  const valid = all.replace('"tap": "tap0",', "");
  assert.deepEqual(await problems(valid, "default.jsonc"), []);
});

Deno.test("default.jsonc shows the defaults", async () => {
  await inFolder(async (folder) => {
    const file = `${folder}/default.jsonc`;
    await Deno.writeTextFile(
      file,
      '{ "image": {}, "disks": [{ "name": "d", "size": "1 GiB" }], ' +
        '"ready": { "tcp": [{ "port": 25 }] }, "health": {}, "network": {} }',
    );
    const least = await loadDefinition(file);
    await Deno.writeTextFile(file, (await allOfDefault()).replace('"tap": "tap0",', ""));
    const shown = await loadDefinition(file);
    assert.deepEqual(shown.health, least.health);
    assert.equal(shown.memory, least.memory);
    assert.equal(shown.vcpus, least.vcpus);
    const pick = ({ image, disks, network }: Definition) => {
      assert(image !== undefined && "size" in image);
      const { distribution, size, kernel } = image;
      const { format, readOnly } = disks?.[0] ?? {};
      return { distribution, size, kernel, format, readOnly, mode: network?.mode };
    };
    assert.deepEqual(pick(shown), pick(least));
  });
});

Deno.test("configs/schema.json is what colinux schema prints", async () => {
  const drift = "run: build/bin/colinux schema > configs/schema.json";
  assert.equal(await Deno.readTextFile(`${configs}schema.json`), jsonSchema(), drift);
});

Deno.test("every problem is listed at once, with its place", async () => {
  assert.deepEqual(
    await problems(`{
\t"memroy": "1 GiB",
  ${KERNEL},
  "vcpus": 2, "initrd": "builtin:shel",
  "memory": "1 MiB", "memory": 0,
  "ready": { "consol": "x" }
} more`),
    [
      '2:2 unknown key "memroy": did you mean "memory"?',
      "4:12 vcpus: must be 1: guests of several CPUs do not work yet",
      '4:25 unknown value "builtin:shel": did you mean "builtin:shell"?',
      '5:22 duplicate key "memory": it stands in line 5 already',
      "5:32 memory: 0 bytes of memory are not possible: at least 32 MiB",
      '6:14 unknown key "consol": did you mean "console"?',
      "7:3 nothing may follow the end of the definition",
    ],
  );
});

for (
  const [memory, said] of [
    ['"1 MiB"', /1 MiB is too little/],
    ["0", /0 bytes of memory are not possible/],
    ["-1", /-1 bytes of memory are not possible/],
    ['"-1 GiB"', /are not possible/],
    ['"256 MB"', /unknown unit "MB": did you mean "256 MiB"\?/],
    ['"256"', /no unit: did you mean "256 MiB"\?/],
    ['"much"', /is not a size/],
    ["true", /must be a size/],
    ["1e300", /must be a whole number/],
    ["67108865", /not a multiple of 1 MiB/],
    ['"1 TiB"', /more than this machine has/],
    ['"2 TiB"', /more than a guest can have/],
  ] as const
) {
  Deno.test(`memory ${memory} is refused in words`, async () => {
    const [only, ...others] = await problems(`{ "memory": ${memory}, ${KERNEL} }`);
    assert.match(only ?? "", said);
    assert.match(only ?? "", /^1:13 /);
    assert.deepEqual(others, []);
  });
}

Deno.test("syntax errors have places too", async () => {
  assert.deepEqual(await problems(`{ ${KERNEL}`), ['1:53 a "}" is missing']);
  assert.deepEqual(await problems(""), ["1:1 the file holds no definition: { … }"]);
  assert.deepEqual(await problems("[]"), ["1:1 a definition must be an object: { … }"]);
  assert.match((await problems("[".repeat(100_000)))[0] ?? "", /nested too deeply/);
  assert.match((await problems(`{ "__proto__": 1, ${KERNEL} }`))[0] ?? "", /unknown key "__proto/);
});

Deno.test("a missing key is told from a wrong one", async () => {
  assert.match((await problems("{}"))[0] ?? "", /^1:1 missing key "kernel"/);
  assert.match((await problems('{"kernel": 5}'))[0] ?? "", /^1:12 kernel: must be a path or/);
  assert.deepEqual(await problems('{"kernel": "vmlinuz"}'), [
    "1:12 kernel: no such file: DIR/vmlinuz",
  ]);
  assert.match((await problems(`{${KERNEL}}`, "Ümlaut.jsonc"))[0] ?? "", /cannot be the name/);
});

Deno.test("columns count characters, and CRLF is a line end", () => {
  assert.deepEqual(placeOf('{\r\n"ä": "日", x', 13), {
    line: 2,
    column: 11,
    source: '"ä": "日", x',
  });
});

Deno.test("sizes", () => {
  assert.deepEqual(parseSize("1.5 GiB"), { bytes: 1.5 * 2 ** 30 });
  assert.deepEqual(parseSize(4096), { bytes: 4096 });
  assert("problem" in parseSize("0.3 KiB"));
  assert.equal(showSize(256 << 20), "256 MiB");
  assert.equal(showSize(1.5 * 2 ** 30), "1.5 GiB");
});

Deno.test("suggestions", () => {
  assert.equal(distance("memroy", "memory"), 1);
  assert.equal(suggest("Kernel", ["name", "kernel"]), "kernel");
  assert.equal(suggest("zzz", ["name", "kernel"]), undefined);
});

Deno.test("scanName sees the top level's name only", () => {
  assert.equal(scanName('// "name": "no"\n{ "a": { "name": "x" }, "name": "y" }'), "y");
  assert.equal(scanName('{ "a": "name", "b": "c" }'), undefined);
  assert.equal(scanName('{ /* " */ "name" : "q\\u0041" }'), "qA");
});

Deno.test("definitions are found in order, and never twice in a folder", () =>
  inFolder(async (folder) => {
    const paths = {
      userConfigs: `${folder}/user`,
      systemConfigs: `${folder}/system`,
      shippedConfigs: `${folder}/shipped`,
    } as Paths;
    for (const name of ["cwd", "user", "system", "shipped"]) await Deno.mkdir(`${folder}/${name}`);
    const write = (path: string, text: string) => Deno.writeTextFile(`${folder}/${path}`, text);
    await write("shipped/web.jsonc", "{}");
    const find = (wanted: string) => findDefinition(wanted, paths, `${folder}/cwd`);
    assert.equal((await find("web")).file, `${folder}/shipped/web.jsonc`);
    assert.equal((await find("web.jsonc")).file, `${folder}/shipped/web.jsonc`);
    await write("user/site.jsonc", '{ "name": "web" }');
    assert.equal((await find("web")).file, `${folder}/user/site.jsonc`);
    await write("cwd/web.jsonc", "{}");
    assert.deepEqual(await find("web"), { file: `${folder}/cwd/web.jsonc`, shown: "web.jsonc" });
    await write("cwd/other.jsonc", '{ "name": "web" }');
    await assert.rejects(
      find("web"),
      (error) =>
        error instanceof CliError && error.exit === 78 && /other.*web\.jsonc/.test(error.message),
    );
    await assert.rejects(
      find("wbe2"),
      (error) => error instanceof CliError && error.exit === 66 && /"web"/.test(error.hint ?? ""),
    );
  }));
