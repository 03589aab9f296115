// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { parseDuration, showDuration } from "./duration.ts";
import { fit, lastLines, plain, table } from "./text.ts";
import { tail } from "../vm/logs.ts";
import { Search } from "../vm/console.ts";

Deno.test("durations", () => {
  for (
    const [text, ms] of [
      ["30", 30_000],
      ["1.5", 1500],
      ["500ms", 500],
      ["1m30s", 90_000],
      ["2h", 7_200_000],
      ["", undefined],
      ["-1", undefined],
      ["10x", undefined],
      ["99d", undefined],
    ] as const
  ) assert.equal(parseDuration(text), ms, text);
  assert.equal(showDuration(1234), "1.2 s");
  assert.equal(showDuration(61_000), "1 min 1 s");
});

Deno.test("a guest's text cannot drive the terminal", () => {
  assert.equal(plain("a\x1b[2J\x1b]0;title\x07b\x1bc\x9b1m\x00c\r\n"), "ab1mc\n");
  assert.equal(plain("\x1b]52;c;AAAA"), "");
  assert.equal(fit("ab\ncd\tef\x1b[31m!", 6), "ab cd…");
  assert.deepEqual(lastLines("1\r\n\r\n2\r\n3", 2), ["2", "3"]);
});

Deno.test("tables align", () => {
  assert.equal(table([["NAME", "S"], ["ä", "b"]]), "NAME  S\nä     b\n");
});

Deno.test("the last lines of a log", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  for (
    const [text, lines, wanted] of [
      ["a\nb\nc\n", 2, "b\nc\n"],
      ["a\nb\nc", 1, "c"],
      ["a\nb\n", 9, "a\nb\n"],
      ["\n\n\n", 1, "\n"],
      ["a\n", 0, ""],
      ["", 3, ""],
    ] as const
  ) assert.equal(new TextDecoder().decode(tail(bytes(text), lines)), wanted, text);
});

Deno.test("a text is found across any cut", () => {
  const whole = new TextEncoder().encode("aababc");
  for (let size = 1; size <= whole.length; size++) {
    const search = new Search("abc");
    let found = false;
    for (let at = 0; at < whole.length; at += size) {
      found = search.push(whole.subarray(at, at + size));
    }
    assert(found);
    assert(!new Search("abd").push(whole));
  }
});
