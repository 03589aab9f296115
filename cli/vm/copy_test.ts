// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { deflateSync } from "node:zlib";
import { place } from "./copy.ts";
import { FAILED, length32, MAGIC, pack, PACKED, record, text16 } from "./copy_stream.ts";
import { FileSink, Unpacker } from "./copy_unpack.ts";
import { split } from "../commands/exec.ts";

const file = (name: string) => record({ kind: "F", mode: 0o600, changed: 1500, name });
const folder = (name: string) => record({ kind: "D", mode: 0o755, changed: 0, name });
const link = (name: string) => record({ kind: "L", mode: 0o777, changed: 0, name });
const up = record({ kind: "U", mode: 0, changed: 0, name: "" });
const end = record({ kind: "Z", mode: 0, changed: 0, name: "" });
const bomb = deflateSync(new Uint8Array(65537));
const bytes = (text: string) => new TextEncoder().encode(text);
const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));

async function inFolder(body: (folder: string) => Promise<void> | void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a tree goes through the stream in pieces of any size", async () => {
  await inFolder(async (top) => {
    Deno.mkdirSync(`${top}/tree/sub/empty`, { recursive: true });
    Deno.writeFileSync(`${top}/tree/data`, new Uint8Array(200_000).map((_, i) => i * i));
    Deno.writeTextFileSync(`${top}/tree/sub/ä b`, "text");
    Deno.chmodSync(`${top}/tree/sub`, 0o710);
    Deno.writeTextFileSync(`${top}/tree/lines`, "the same line again\n".repeat(10_000));
    const whole = join(...await Array.fromAsync(pack(`${top}/tree`, () => assert.fail())));
    assert(whole.length < 320_000, `packed: ${whole.length}`);
    for (const step of [1000, 65536, whole.length]) {
      const sink = new FileSink(`${top}/back${step}`);
      const unpacker = new Unpacker(sink);
      for (let at = 0; at < whole.length; at += step) unpacker.push(whole.subarray(at, at + step));
      assert.equal(unpacker.finish(), true);
      for (const name of ["data", "lines"]) {
        const read = (folder: string) => Deno.readFileSync(`${top}/${folder}/${name}`);
        assert.deepEqual(read(`back${step}`), read("tree"));
      }
      const back = join(...await Array.fromAsync(pack(sink.made, () => assert.fail())));
      // All but the top's own name.
      const skip = (name: string) => MAGIC.length + folder(name).length;
      assert.deepEqual(back.slice(skip(`back${step}`)), whole.slice(skip("tree")));
    }
  });
});

Deno.test("what a hostile guest sends ends in an error, and lands nowhere", async () => {
  const streams: [string, Uint8Array, RegExp][] = [
    ["no magic", bytes("hello world, this is no copy"), /begins wrongly/],
    ["parent", join(MAGIC, file("..")), /a file named "\.\."/],
    ["slash", join(MAGIC, file("a/b")), /a file named/],
    ["empty name", join(MAGIC, folder("")), /a file named/],
    ["NUL", join(MAGIC, link("a\0b")), /a file named/],
    ["two at the top", join(MAGIC, file("a"), length32(0), file("b")), /out of place/],
    ["up at the top", join(MAGIC, up), /out of place/],
    ["end inside", join(MAGIC, folder("a"), end), /out of place/],
    ["end at once", join(MAGIC, end), /out of place/],
    ["large piece", join(MAGIC, file("a"), length32(1 << 30)), /impossible size/],
    ["packed nothing", join(MAGIC, file("a"), length32(0x80000000)), /impossible size/],
    ["packed noise", join(MAGIC, file("a"), length32(0x80000005), bytes("noise")), /damaged/],
    ["packed bomb", join(MAGIC, file("a"), length32(PACKED + bomb.length), bomb), /too large/],
    [
      "failed",
      join(MAGIC, file("a"), length32(3), bytes("abc"), length32(FAILED)),
      /could not read/,
    ],
    ["after the end", join(MAGIC, file("a"), length32(0), end, end), /after its end/],
    [
      "through a link",
      join(MAGIC, folder("a"), link("l"), text16("/"), folder("l"), file("x"), length32(0)),
      /cannot take its place/,
    ],
    ["deep", join(MAGIC, ...Array.from({ length: 100 }, () => folder("d"))), /out of place/],
  ];
  for (const [name, stream, says] of streams) {
    await inFolder((top) => {
      const unpacker = new Unpacker(new FileSink(`${top}/x`));
      assert.throws(
        () => {
          // In two pushes: what comes after the end counts as well.
          unpacker.push(stream.subarray(0, stream.length - 1));
          unpacker.push(stream.subarray(stream.length - 1));
          unpacker.push(stream.subarray(0, 1));
        },
        says,
        name,
      );
      unpacker.finish();
      const left = [...Deno.readDirSync(top)].map((entry) => entry.name);
      assert(left.every((entry) => entry === "x"), `${name}: ${left}`);
    });
  }
});

Deno.test("a file takes another's place only when it is whole", async () => {
  await inFolder((top) => {
    Deno.writeTextFileSync(`${top}/f`, "old");
    const cut = new Unpacker(new FileSink(`${top}/f`));
    cut.push(join(MAGIC, file("f"), length32(100), bytes("new")));
    assert.equal(cut.finish(), false);
    assert.equal(Deno.readTextFileSync(`${top}/f`), "old");
    const whole = new Unpacker(new FileSink(top));
    whole.push(join(MAGIC, file("f"), length32(3), bytes("new"), length32(0), end));
    assert.equal(whole.finish(), true);
    const info = Deno.statSync(`${top}/f`);
    assert.deepEqual([info.mode! & 0o777, info.mtime?.getTime()], [0o600, 1500]);
    assert.deepEqual([...Deno.readDirSync(top)].length, 1);
    const linked = new Unpacker(new FileSink(`${top}/f`));
    linked.push(join(MAGIC, link("f"), text16("../target"), end));
    assert.equal(Deno.readLinkSync(`${top}/f`), "../target");
    assert.throws(
      () => new Unpacker(new FileSink(`${top}/no/`)).push(join(MAGIC, file("f"))),
      /no such/,
    );
  });
});

Deno.test("which side a path is on", () => {
  assert.deepEqual(place("a:/b"), { vm: "a", path: "/b" });
  assert.deepEqual(place(":b:c"), { vm: "", path: "b:c" });
  assert.deepEqual(place("./a:b"), { vm: undefined, path: "./a:b" });
  assert.deepEqual(place("-"), { vm: undefined, path: "-" });
});

Deno.test("exec: the name before --, the command behind it", () => {
  const line = (text: string) => text.split(" ");
  assert.deepEqual(split(line("web ls -l"), line("exec -q web -- ls -l")), {
    name: "web",
    argv: ["ls", "-l"],
  });
  assert.deepEqual(split(line("ls"), line("exec -- ls")), { name: undefined, argv: ["ls"] });
  assert.deepEqual(split(line("ls --"), line("exec -- ls --")), {
    name: undefined,
    argv: ["ls", "--"],
  });
  assert.throws(() => split(line("web ls"), line("exec web ls")), /the command is missing/);
  assert.throws(() => split(line("a b c"), line("exec a b -- c")), /more than one name: a b/);
});
