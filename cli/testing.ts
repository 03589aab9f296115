// SPDX-License-Identifier: GPL-2.0-or-later
/** A world for tests of the built colinux: private state, a double of the helper. */
import { FakeHelper, type Guest } from "./rpc/testing.ts";

export const root = new URL("..", import.meta.url).pathname;
const colinux = `${Deno.env.get("BUILD") ?? `${root}build`}/bin/colinux`;

export interface Ran {
  code: number;
  out: string;
  err: string;
}

export class World {
  readonly #folder: string;
  readonly helper: FakeHelper;

  constructor(folder: string, guests: Record<string, Guest>) {
    this.#folder = folder;
    this.helper = new FakeHelper(`${folder}/s`, guests);
  }

  write(name: string, text: string): string {
    Deno.writeTextFileSync(`${this.#folder}/${name}`, text);
    return `${this.#folder}/${name}`;
  }

  /** A definition with files that exist. */
  define(name: string, more = ""): string {
    this.write("vmlinuz", "kernel");
    return this.write(`${name}.jsonc`, `{ "kernel": "vmlinuz"${more} }`);
  }

  /** As cron does: no HOME, no PATH, the root folder. */
  get #surroundings(): Deno.CommandOptions {
    return {
      clearEnv: true,
      env: { COLINUX_HOME: `${this.#folder}/home`, COLINUX_SOCKET: this.helper.socket },
      cwd: "/",
      stdout: "piped",
      stderr: "piped",
    };
  }

  /** In a terminal of its own. */
  terminal(args: string[]): Deno.ChildProcess {
    const command = [colinux, ...args].join(" ");
    return new Deno.Command("script", {
      ...this.#surroundings,
      args: ["-qefc", command, "/dev/null"],
      stdin: "piped",
    }).spawn();
  }

  async run(args: string[], input?: string): Promise<Ran> {
    const child = new Deno.Command(colinux, {
      ...this.#surroundings,
      args,
      stdin: input === undefined ? "null" : "piped",
    }).spawn();
    if (input !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
    }
    const { code, stdout, stderr } = await child.output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), err: text(stderr) };
  }
}

export function test(
  name: string,
  guests: Record<string, Guest>,
  body: (world: World) => Promise<void>,
): void {
  Deno.test(name, async () => {
    const folder = await Deno.makeTempDir();
    const world = new World(folder, guests);
    try {
      await body(world);
    } finally {
      world.helper.close();
      await Deno.remove(folder, { recursive: true });
    }
  });
}
