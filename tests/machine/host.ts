// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A virtual host for one machine test: a Debian kernel in QEMU (TCG) with
 * busybox, the module and codom, driven by a shell on its second serial port.
 * Trusts nothing it reads; every wait ends with the runner's time-out at the
 * latest, which ends the whole process group.
 */
import {
  BUILD,
  command,
  type Kernel,
  kernelDir,
  LOGS,
  moduleFile,
  pack,
  release,
} from "./paths.ts";
import { Qmp } from "./qmp.ts";

export interface HostOptions {
  name: string;
  kernel?: Kernel;
  cpu?: string;
  cpus?: number;
  memory?: number;
  append?: string;
  /** path inside the host: file here */
  files?: Record<string, string>;
  qemu?: string[];
  /** the guest binaries (codom, module) are absent: only the host itself */
  bare?: boolean;
  /** Another initial RAM disk than the harness's own, and what it says when it is up. */
  initrd?: string;
  ready?: string;
}

/** Fast under TCG and without what makes QEMU 7.2 wrong. */
export const MAX_CPU = "max,-smap,-smep,-la57,-erms,-fsrm,-pku";

/** What a healthy host never says. */
const BAD_LOG =
  /BUG:|Oops|general protection|Kernel panic|Call Trace|soft lockup|hard LOCKUP|rcu.*stall|double fault|WARNING: CPU|Bad page/;

export interface Output {
  code: number;
  out: string;
}

export class Host implements AsyncDisposable {
  #pending = "";
  #reader: ReadableStreamDefaultReader<string>;
  #writer: WritableStreamDefaultWriter<Uint8Array>;
  ended = false;
  /** What came before the host was ready. */
  greeting = "";

  private constructor(
    private readonly child: Deno.ChildProcess,
    readonly qmp: Qmp,
    readonly log: string,
    private readonly scratch: string,
  ) {
    this.#reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    this.#writer = child.stdin.getWriter();
  }

  static async start(options: HostOptions): Promise<Host> {
    const kernel = options.kernel ?? "6.1-cloud";
    const scratch = await Deno.makeTempDir({ prefix: "co-" });
    const log = `${LOGS}/machine-${options.name}.console`;
    await Deno.mkdir(LOGS, { recursive: true });
    const initrd = options.initrd ?? await hostInitrd(kernel, scratch, options);
    const qmp = `${scratch}/qmp`;
    // Another init knows no second port: its console is the port that we read.
    const ports = options.initrd ? ["stdio"] : [`file:${log}`, "stdio"];
    const append = `console=ttyS0 loglevel=5 panic=-1 tsc=nowatchdog no_timer_check ${
      options.append ?? ""
    }`;
    // No QEMU outlives its test, however that ends.
    const child = new Deno.Command("setpriv", {
      args: [
        ...["--pdeathsig", "KILL", "qemu-system-x86_64"],
        ...["-accel", "tcg", "-cpu", options.cpu ?? MAX_CPU, "-smp", String(options.cpus ?? 1)],
        ...["-m", String(options.memory ?? 768), "-display", "none", "-no-reboot", "-nic", "none"],
        ...["-monitor", "none", ...ports.flatMap((port) => ["-serial", port])],
        ...["-qmp", `unix:${qmp},server=on,wait=off`],
        ...["-kernel", `${await kernelDir(kernel)}/vmlinuz`, "-initrd", initrd],
        ...["-append", append, ...(options.qemu ?? [])],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const host = new Host(child, new Qmp(qmp), log, scratch);
    host.greeting = await host.#until(options.ready ?? "<ready>");
    return host;
  }

  async #until(marker: string | RegExp): Promise<string> {
    for (;;) {
      const at = typeof marker === "string"
        ? this.#pending.indexOf(marker)
        : this.#pending.search(marker);
      const end = at < 0 ? -1 : this.#pending.indexOf("\n", at);
      if (end >= 0) {
        const text = this.#pending.slice(0, end + 1);
        this.#pending = this.#pending.slice(end + 1);
        return text;
      }
      const { value, done } = await this.#reader.read();
      if (done) {
        this.ended = true;
        throw new Error(`the virtual host ended (${this.log}); last: ${this.#pending.slice(-400)}`);
      }
      this.#pending += value;
    }
  }

  /** Runs a line in the host's shell. */
  async sh(line: string): Promise<Output> {
    console.log(`host# ${line}`);
    await this.#writer.write(new TextEncoder().encode(line + "\n"));
    const text = (await this.#until(/<rc \d+>/)).replaceAll("\r", "");
    const match = /<rc (\d+)>\n$/.exec(text);
    const out = text.slice(0, match?.index);
    console.log(out.trimEnd());
    return { code: Number(match?.[1]), out };
  }

  /** Runs a line that must succeed; returns its output. */
  async must(line: string): Promise<string> {
    const { code, out } = await this.sh(line);
    if (code !== 0) throw new Error(`in the host: ${line}: exit code ${code}\n${out}`);
    return out;
  }

  async insmod(parameters = "protect=wp"): Promise<void> {
    await this.must(`insmod /colinux.ko ${parameters}`);
  }

  /** The module must go and leave nothing; the kernel must have no complaint. */
  async rmmod(): Promise<void> {
    await this.must("rmmod colinux");
    await this.healthy();
  }

  async healthy(): Promise<void> {
    const bad = (await Deno.readTextFile(this.log)).split("\n").filter((l) => BAD_LOG.test(l));
    if (bad.length > 0) {
      throw new Error(`the host's kernel complained: ${bad.slice(0, 5).join("\n")}`);
    }
  }

  async memFree(): Promise<number> {
    await this.must("echo 3 >/proc/sys/vm/drop_caches");
    return Number(/MemFree: +(\d+)/.exec(await this.must("cat /proc/meminfo"))?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.child.status;
    await this.#reader.cancel();
    await Deno.remove(this.scratch, { recursive: true });
  }
}

/** The host's RAM disk: busybox, init, and the files of this test. */
async function hostInitrd(kernel: Kernel, scratch: string, options: HostOptions): Promise<string> {
  const version = await release(kernel);
  const root = `${scratch}/root`;
  for (const dir of ["bin", "proc", "sys", "dev", "tmp"]) {
    await Deno.mkdir(`${root}/${dir}`, { recursive: true });
  }
  await Deno.copyFile(`${BUILD}/images/busybox`, `${root}/bin/busybox`);
  await Deno.symlink("busybox", `${root}/bin/sh`);
  await Deno.copyFile("tests/machine/host-init.sh", `${root}/init`);
  await Deno.chmod(`${root}/init`, 0o755);
  if (!options.bare) {
    await command("strip", "--strip-debug", "-o", `${root}/colinux.ko`, moduleFile(version));
    await Deno.copyFile(`${BUILD}/tests/codom`, `${root}/codom`);
  }
  for (const [to, from] of Object.entries(options.files ?? {})) {
    await Deno.mkdir(`${root}/${to}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(from, `${root}/${to}`);
  }
  const file = `${scratch}/initrd`;
  await pack(root, file);
  await Deno.remove(root, { recursive: true });
  return file;
}
