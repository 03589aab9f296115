// SPDX-License-Identifier: GPL-2.0-or-later
/** Definitions bent at random: the loader answers or reports, it never breaks. */
import assert from "node:assert/strict";
import { CliError } from "../ui/errors.ts";
import { loadDefinition } from "./load.ts";

const configs = new URL("../../configs/", import.meta.url).pathname;
const PIECES = ['"', "{", "}", "[", "]", ",", ":", "//", "/*", "*/", "\\", "\\u", "1e9", "null"]
  .concat(["\n", "\t", "é", "日", "\u{1f600}", "\0", '"name"', '"memory"', "-", "true"]);

/** The same sequence in every run (xorshift). */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function bend(text: string, next: (below: number) => number): string {
  const characters = [...text];
  for (let count = 1 + next(4); count > 0; count--) {
    const at = next(characters.length + 1);
    const piece = PIECES[next(PIECES.length)] ?? "";
    const cut = next(3) === 0 ? next(12) : next(2);
    characters.splice(at, cut, ...piece);
  }
  return characters.join("");
}

Deno.test("a bent definition is loaded or reported, with places inside the file", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/vm.jsonc`;
    const original = await Deno.readTextFile(`${configs}minimal.jsonc`);
    const next = numbers(20260101);
    let refused = 0;
    for (let round = 0; round < 1500; round++) {
      const text = bend(original, next);
      await Deno.writeTextFile(file, text);
      try {
        await loadDefinition(file, "vm.jsonc");
      } catch (error) {
        assert(error instanceof CliError, `${error}\n${text}`);
        assert.equal(error.exit, 78);
        const problems = error.data.problems as { line: number; column: number }[];
        assert(problems.length > 0, text);
        const lines = text.split("\n");
        for (const { line, column } of problems) {
          const source = lines[line - 1];
          assert(source !== undefined && column >= 1, text);
          assert(column <= [...source].length + 1, `${line}:${column}\n${text}`);
        }
        refused++;
      }
    }
    assert(refused > 500);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
