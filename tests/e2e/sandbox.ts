// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A private place for one end-to-end test: its own state folder (so its own
 * virtual host), definitions written there, the real colinux run as a person
 * would.  At its end nothing of it may be left running.
 */
export const BUILD = Deno.env.get("BUILD") ?? `${Deno.cwd()}/build`;
const COLINUX = `${BUILD}/bin/colinux`;

/** A virtual host of one CPU, and of several, none for guests alone: workers as on other machines. */
export const SOLO = { COLINUX_VHOST_SMP: "1" }, THREADS = { COLINUX_VHOST_SMP: "3" };

export interface Result {
  code: number;
  out: string;
  err: string;
}

export class Sandbox implements AsyncDisposable {
  private constructor(
    readonly home: string,
    readonly env: Record<string, string>,
    readonly within: readonly string[],
  ) {}

  /** env: more variables for every colinux; within: words before each command. */
  static async create(
    name: string,
    env: Record<string, string> = {},
    within: readonly string[] = [],
  ): Promise<Sandbox> {
    // Short: a Unix socket's path has 107 bytes.
    const home = await Deno.makeTempDir({ prefix: `co-e2e-${name}-` });
    return new Sandbox(home, env, within);
  }

  async write(file: string, text: string): Promise<string> {
    const path = `${this.home}/${file}`;
    await Deno.writeTextFile(path, text);
    return path;
  }

  /** A definition of the tests' own guest: its init does what the command line says. */
  async guest(name: string, cmdline: string, ready: string, extra = ""): Promise<string> {
    return await this.write(
      `${name}.jsonc`,
      `{ "name": "${name}", "memory": "192 MiB", ${extra}
  "kernel": { "package": "linux-image-cloud-amd64" },
  "initrd": "${BUILD}/tests/guest/initrd.cpio",
  "cmdline": "console=hvc0 panic=-1 ${cmdline}",
  "ready": { "console": "${ready}" } }\n`,
    );
  }

  async run(argv: readonly string[], stdin?: string): Promise<Result> {
    console.log(`$ ${argv.join(" ")}`);
    const [command = "", ...args] = [...this.within, ...argv];
    const child = new Deno.Command(command, {
      args,
      env: { COLINUX_HOME: `${this.home}/state`, COLINUX_HOST: "virtual", ...this.env },
      stdin: stdin === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (stdin !== undefined) {
      const writer = child.stdin.getWriter();
      await writer.write(new TextEncoder().encode(stdin));
      await writer.close();
    }
    const { code, stdout, stderr } = await child.output();
    const text = new TextDecoder();
    const result = { code, out: text.decode(stdout), err: text.decode(stderr) };
    console.log(result.out + result.err + `(exit code ${code})`);
    return result;
  }

  async colinux(...args: string[]): Promise<Result> {
    return await this.run([COLINUX, ...args]);
  }

  async must(...args: string[]): Promise<Result> {
    const result = await this.colinux(...args);
    if (result.code !== 0) {
      throw new Error(`colinux ${args.join(" ")}: exit code ${result.code}\n${result.err}`);
    }
    return result;
  }

  async input(text: string, ...args: string[]): Promise<Result> {
    return await this.run([COLINUX, ...args], text);
  }

  /** colinux in a terminal of its own, with these keys typed. */
  async terminal(keys: string, ...args: string[]): Promise<Result> {
    const line = [COLINUX, ...args].map((word) => `'${word}'`).join(" ");
    return await this.run(["script", "--quiet", "--return", "--command", line, "/dev/null"], keys);
  }

  async states(): Promise<Record<string, string>> {
    const { out } = await this.must("ls", "--json");
    const { vms } = JSON.parse(out) as { vms: { name: string; state: string }[] };
    return Object.fromEntries(vms.map((vm) => [vm.name, vm.state]));
  }

  /** Processes that belong to this sandbox, whose command line says `what`. */
  async processes(what = ""): Promise<string[]> {
    const found: string[] = [];
    for await (const entry of Deno.readDir("/proc")) {
      if (!/^\d+$/.test(entry.name) || entry.name === String(Deno.pid)) continue;
      try {
        const line = await Deno.readTextFile(`/proc/${entry.name}/cmdline`);
        const environment = await Deno.readTextFile(`/proc/${entry.name}/environ`);
        if (!line.includes(what)) continue;
        if (line.includes(this.home) || environment.includes(this.home)) {
          found.push(`${entry.name} ${line.replaceAll("\0", " ")}`);
        }
      } catch {
        // It has ended meanwhile.
      }
    }
    return found;
  }

  async qemus(): Promise<number> {
    return (await this.processes("qemu-system")).filter((p) => / ?\S*qemu-system/.test(p)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.colinux("host", "stop", "--force", "--quiet");
    for (const process of await this.processes()) {
      console.log(`left behind: ${process}`);
      try {
        Deno.kill(Number(process.split(" ")[0]), "SIGKILL");
      } catch {
        // It has ended meanwhile.
      }
    }
    await Deno.remove(this.home, { recursive: true });
  }
}

/** Free a moment ago on this machine's loopback; nobody else asks in the range it is from. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

export function require(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

export function requireMatch(text: string, pattern: RegExp, what: string): void {
  require(pattern.test(text), `${what}: ${pattern} is not in\n${text.slice(0, 2000)}`);
}
