// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * One QEMU process: started so that it cannot outlive the daemon, watched by
 * its exit, its serial console and the lines that /init says on the control
 * port. Called by daemon.ts. What comes out of the machine is only ever shown.
 */
import { CliError, EXIT } from "../../ui/errors.ts";
import { LineSplitter } from "../../rpc/lines.ts";
import type { Accelerator } from "./accel.ts";
import { type Layout, listen, removeSocket } from "./layout.ts";
import type { BoundedLog } from "./log.ts";
import type { VhostOptions } from "./options.ts";
import { type Image, qemuArguments } from "./qemu.ts";
import { Qmp } from "./qmp.ts";
import { sendBytes } from "./wire.ts";

const TAIL_LINES = 12;
const CTL_LINE = 4096;

/** The parent may be gone before prctl has run: then the shell's own parent is another. */
const GUARD = '[ "$PPID" = "$0" ] && exec "$@"';
const NOT_FOUND = 127;
const NO_QEMU = "qemu-system-x86_64 is not installed";

export interface MachineSetup {
  image: Image;
  accel: Accelerator;
  options: VhostOptions;
  memory: number;
  layout: Layout;
  console: BoundedLog;
  /** A library that QEMU is run with; see helperd/relay/qemu_net.c. */
  preload: string | undefined;
  /** A line from /init: its word and the rest. */
  onLine(word: string, rest: string): void;
}

export class Machine {
  readonly pid: number;
  readonly accel: Accelerator;
  /** Resolves when QEMU has ended, with the reason in words. */
  readonly ended: Promise<string>;
  qmp: Qmp | undefined;
  #ctl: Deno.Conn | undefined;
  readonly #child: Deno.ChildProcess;
  readonly #setup: MachineSetup;
  readonly #tail: string[] = [];
  #stderr = "";
  #over = false;

  private constructor(setup: MachineSetup, child: Deno.ChildProcess) {
    this.#setup = setup;
    this.#child = child;
    this.pid = child.pid;
    this.accel = setup.accel;
    this.ended = this.#watch();
  }

  /** Starts QEMU and waits until it takes commands. */
  static async launch(setup: MachineSetup): Promise<Machine> {
    const { layout } = setup;
    for (const path of [layout.qmp, layout.ctl]) await removeSocket(path);
    const qmpListener = listen(layout.qmp);
    const ctlListener = listen(layout.ctl);
    try {
      const args = qemuArguments(
        setup.image,
        setup.accel,
        setup.options,
        setup.memory,
        layout,
      );
      const preload = setup.preload === undefined ? [] : ["env", `LD_PRELOAD=${setup.preload}`];
      const machine = new Machine(setup, spawn([...preload, "qemu-system-x86_64", ...args]));
      const died = machine.ended.then((why) => {
        throw why === NO_QEMU ? noQemu() : machine.failure(`QEMU ended at once: ${why}`);
      });
      died.catch(() => {});
      const connected = machine.#connect(qmpListener, ctlListener);
      connected.catch(() => {});
      await Promise.race([connected, died]);
      return machine;
    } finally {
      qmpListener.close();
      ctlListener.close();
    }
  }

  async #connect(qmp: Deno.UnixListener, ctl: Deno.UnixListener): Promise<void> {
    const [qmpConn, ctlConn] = await Promise.all([qmp.accept(), ctl.accept()]);
    this.#ctl = ctlConn;
    void this.#readControl(ctlConn);
    this.qmp = new Qmp(qmpConn);
    try {
      await this.qmp.ready();
    } catch {
      // QEMU is ending: `ended` has the reason.
      await this.ended;
    }
  }

  get running(): boolean {
    return !this.#over;
  }

  /** A line to /init. */
  async say(line: string): Promise<void> {
    if (this.#ctl) await sendBytes(this.#ctl, new TextEncoder().encode(line + "\n"));
  }

  kill(): void {
    if (!this.#over) this.#child.kill("SIGKILL");
  }

  /** An error with the last lines of the console. */
  failure(message: string): CliError {
    const lines = [...this.#tail, this.#stderr.trim()].filter((line) => line !== "");
    return new CliError(message, {
      name: "VHOST",
      hint: `the whole console is in ${this.#setup.console.path}`,
      exit: EXIT.unavailable,
      ...(lines.length > 0 ? { detail: lines.join("\n") } : {}),
    });
  }

  async #watch(): Promise<string> {
    const [status] = await Promise.all([
      this.#child.status,
      this.#readConsole(),
      this.#readErrors(),
    ]);
    this.#over = true;
    this.qmp?.close();
    try {
      this.#ctl?.close();
    } catch {
      // The reader has closed it.
    }
    const last = this.#stderr.trim().split("\n").at(-1) ?? "";
    if (status.signal !== null) return `ended by ${status.signal}${last && `: ${last}`}`;
    if (status.code === NOT_FOUND) return NO_QEMU;
    if (status.code !== 0) return last === "" ? `exit code ${status.code}` : last;
    return "the machine has powered off";
  }

  async #readConsole(): Promise<void> {
    const lines = new LineSplitter(64 << 10);
    for await (const chunk of this.#child.stdout) {
      this.#setup.console.write(chunk);
      try {
        for (const line of lines.push(chunk)) {
          const text = line.replaceAll(/[^\x20-\x7e\t]/g, "").trimEnd();
          if (text === "") continue;
          this.#tail.push(text);
          if (this.#tail.length > TAIL_LINES) this.#tail.shift();
        }
      } catch {
        // A line without end: the log has it, the excerpt need not.
      }
    }
  }

  async #readErrors(): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stderr) {
      this.#stderr = (this.#stderr + decoder.decode(chunk, { stream: true })).slice(-4096);
    }
  }

  async #readControl(conn: Deno.Conn): Promise<void> {
    const lines = new LineSplitter(CTL_LINE);
    const buffer = new Uint8Array(CTL_LINE);
    try {
      for (;;) {
        const count = await conn.read(buffer);
        if (count === null) return;
        for (const line of lines.push(buffer.subarray(0, count))) {
          const [word = "", ...rest] = line.split(" ");
          this.#setup.onLine(word, rest.join(" "));
        }
      }
    } catch {
      // QEMU is gone; `ended` says so.
    }
  }
}

function noQemu(): CliError {
  return new CliError(`no virtual host: ${NO_QEMU}`, {
    name: "INSTALLATION",
    hint: "install qemu-system-x86, or coLinux's module (make install)",
    exit: EXIT.unavailable,
  });
}

function spawn(command: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "sh", "-c", GUARD, String(Deno.pid), ...command],
      cwd: "/",
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CliError("setpriv: not found on this machine", {
      name: "INSTALLATION",
      hint: "install util-linux and qemu-system-x86",
      exit: EXIT.unavailable,
    });
  }
}
