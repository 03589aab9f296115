// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { LineSplitter, LineTooLong } from "./lines.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("lines survive any cut, also inside a character", () => {
  const whole = bytes("eins\nzwölf\n\n日本\nrest");
  for (let size = 1; size <= whole.length; size++) {
    const lines = new LineSplitter(100);
    const got: string[] = [];
    for (let at = 0; at < whole.length; at += size) {
      got.push(...lines.push(whole.subarray(at, at + size)));
    }
    assert.deepEqual(got, ["eins", "zwölf", "", "日本"]);
    assert.equal(lines.pending, 4);
  }
});

Deno.test("a line at the limit passes, one more byte does not", () => {
  assert.deepEqual(new LineSplitter(4).push(bytes("abcd\n")), ["abcd"]);
  assert.throws(() => new LineSplitter(4).push(bytes("abcde\n")), LineTooLong);
  const lines = new LineSplitter(4);
  lines.push(bytes("abc"));
  assert.throws(() => lines.push(bytes("de")), LineTooLong);
});
