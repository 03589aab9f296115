// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The life of one virtual host: QEMU as a child, clients joined with colinuxd
 * inside, files published, an end when nothing needs it. Called by ../daemon.ts,
 * which holds the lock.
 */
import type { HostStatus } from "../host.ts";
import { protoError } from "../../rpc/errors.ts";
import { CliError, EXIT } from "../../ui/errors.ts";
import type { Paths } from "../../ui/paths.ts";
import { boot, type Booted } from "./boot.ts";
import { type Layout, PORTS, removeSocket, watchOver } from "./layout.ts";
import { BoundedLog } from "./log.ts";
import type { Machine } from "./machine.ts";
import { optionsFromEnvironment, roomIn, toMib } from "./options.ts";
import { join, PortPool } from "./ports.ts";
import { type Handlers, Server, type Tell } from "./server.ts";
import { Things } from "./things.ts";
import { VmWatch } from "./watch.ts";
import { type Calls, sendLine, stoppingError } from "./wire.ts";

/** After the last VM and the last client; longer before the first. */
const IDLE_MS = 10_000;
const UNUSED_MS = 60_000;
/** init.sh gives guests 90 s to power off, then 10 s to itself. */
const STOP_MS = 120_000;
const LOG_BYTES = 512 << 10;

export class Daemon {
  readonly #paths: Paths;
  readonly #at: Layout;
  readonly #options = optionsFromEnvironment();
  readonly #log: BoundedLog;
  readonly #console: BoundedLog;
  readonly #pool: PortPool;
  readonly #watch: VmWatch;
  readonly #over = Promise.withResolvers<number>();
  readonly #waiters = new Set<Tell>();
  readonly #server: Server;
  #machine: Machine | undefined;
  #booted: Promise<Booted>;
  #things: Things | undefined;
  #busy = 0;
  #stay = false;
  #newest: string | undefined;
  #used = false;
  #stopping: Promise<void> | undefined;
  #idle: ReturnType<typeof setTimeout> | undefined;

  constructor(paths: Paths, at: Layout) {
    this.#paths = paths;
    this.#at = at;
    this.#log = new BoundedLog(at.log, LOG_BYTES);
    this.#console = new BoundedLog(at.console, LOG_BYTES);
    this.#pool = new PortPool(PORTS, at.port);
    this.#watch = new VmWatch(
      this.#pool,
      paths,
      () => this.#consider(),
      (vms) => this.#things?.look(vms),
      (line) => this.#note(line),
    );
    this.#server = new Server(at.daemon, this.#handlers(), (count) => {
      this.#busy = count;
      this.#consider();
    }, (line) => this.#note(line));
    this.#booted = Promise.reject(new Error("not started"));
    this.#booted.catch(() => {});
  }

  /** Until the virtual host has stopped; the exit code. */
  async run(listening: () => void): Promise<number> {
    (this.#booted = this.#boot()).catch(() => {});
    await this.#server.listen();
    listening();
    const look = watchOver(this.#at.daemon, () => void this.stop("its folder is gone"));
    const code = await this.#over.promise;
    clearInterval(look);
    this.#server.close();
    for (const path of this.#sockets()) await removeSocket(path);
    this.#note(`over, code ${code}`);
    this.#log.close();
    this.#console.close();
    return code;
  }

  /** Ends the guests, the machine and the daemon. Idempotent. */
  stop(why: string): Promise<void> {
    this.#stopping ??= this.#stop(why);
    return this.#stopping;
  }

  #sockets(): string[] {
    const ports = Array.from({ length: PORTS }, (_, index) => this.#at.port(index));
    return [this.#at.daemon, this.#at.qmp, this.#at.ctl, this.#at.debug, ...ports];
  }

  #note(line: string): void {
    this.#log.line(line);
  }

  async #boot(): Promise<Booted> {
    for (const path of this.#sockets()) if (path !== this.#at.daemon) await removeSocket(path);
    const wanted = Number(Deno.env.get("COLINUX_VHOST_WANTED") ?? 0);
    try {
      const booted = await boot({
        paths: this.#paths,
        options: this.#options,
        layout: this.#at,
        console: this.#console,
        wanted: Number.isFinite(wanted) ? wanted : 0,
        progress: (line) => {
          this.#note(line);
          this.#newest = line;
          for (const tell of this.#waiters) tell(line);
        },
        onLine: (word, rest) => this.#line(word, rest),
        onMachine: (machine) => this.#attach(machine),
      });
      const { machine } = booted;
      this.#note(`up: ${machine.accel.name}, pid ${machine.pid}`);
      this.#newest = undefined;
      void machine.ended.then((why) => this.#ended(why));
      void this.#watch.run();
      this.#consider();
      return booted;
    } catch (error) {
      this.#note(`does not start: ${error instanceof Error ? error.message : String(error)}`);
      // Those who wait are told first. With none, whoever started us is still on its way.
      const told = this.#waiters.size > 0;
      if (told) this.#server.close();
      setTimeout(() => this.#over.resolve(EXIT.unavailable), told ? 200 : 2000);
      throw error;
    }
  }

  #attach(machine: Machine): void {
    this.#machine = machine;
    this.#pool.reset();
    if (machine.qmp === undefined) return;
    this.#things = new Things(machine.qmp, (line) => this.#note(line));
    machine.qmp.on((event, data) => {
      const port = /^p\.(\d+)$/.exec(String(data.id))?.[1];
      if (event === "VSERPORT_CHANGE" && port !== undefined) {
        this.#pool.changed(Number(port), data.open === true);
      }
    });
  }

  #line(word: string, rest: string): void {
    if (word === "disk" || word === "nic") this.#things?.arrived(rest);
    else if (word !== "gone") this.#note(`${word} ${rest}`);
    if (word === "failed") this.#things?.failed(rest);
  }

  #ended(why: string): void {
    this.#note(`QEMU: ${why}`);
    this.#watch.stop();
    this.#over.resolve(this.#stopping === undefined ? EXIT.software : EXIT.ok);
  }

  async #stop(why: string): Promise<void> {
    this.#note(`stopping: ${why}`);
    clearTimeout(this.#idle);
    const machine = this.#machine;
    if (machine === undefined) return this.#over.resolve(EXIT.ok);
    const force = setTimeout(() => {
      this.#note("the virtual host does not power off: ended by force");
      machine.kill();
    }, STOP_MS);
    try {
      await this.#booted;
      await machine.say("poweroff");
    } catch {
      machine.kill();
    }
    await machine.ended;
    clearTimeout(force);
    this.#over.resolve(EXIT.ok);
  }

  /** Starts or ends the wait for nobody. */
  #consider(): void {
    if (this.#watch.active.length > 0) this.#used = true;
    const needed = this.#stay || this.#busy > 0 || this.#watch.active.length > 0;
    if (needed || this.#stopping !== undefined) {
      clearTimeout(this.#idle);
      this.#idle = undefined;
      return;
    }
    this.#idle ??= setTimeout(() => {
      void this.stop("nothing runs and nobody asks");
    }, this.#used ? IDLE_MS : UNUSED_MS);
  }

  #handlers(): Handlers {
    return {
      start: (params, tell) => this.#start(params, tell),
      status: () => this.#status(),
      publish: async (params, tell) => (await this.#ready()).handlers.publish(params, tell),
      disk: async (params, tell) => (await this.#ready()).handlers.disk(params, tell),
      nat: async (params, tell) => (await this.#ready()).handlers.nat(params, tell),
      forward: async (params, tell) => (await this.#ready()).handlers.forward(params, tell),
      unforward: async (params, tell) => (await this.#ready()).handlers.unforward(params, tell),
      forwards: async (params, tell) => (await this.#ready()).handlers.forwards(params, tell),
      release: async ({ vm }) => {
        const things = await this.#ready();
        await this.#watch.refresh();
        if (this.#watch.active.some(({ name }) => name === vm)) {
          throw protoError(
            "STATE",
            `${vm} runs: its disks and networks stay`,
            `colinux stop ${vm} first`,
          );
        }
        await things.release(vm);
        return {};
      },
      stop: async () => {
        await this.stop("asked by the CLI");
        return {};
      },
      connect: (conn) => this.#connect(conn),
    };
  }

  /** What there is once the host is up. */
  async #ready(): Promise<Things> {
    await this.#booted;
    if (this.#things === undefined || this.#stopping !== undefined) throw stoppingError();
    return this.#things;
  }

  async #start(params: Calls["start"]["params"], tell: Tell): Promise<HostStatus> {
    if (this.#stopping !== undefined) throw stoppingError();
    this.#waiters.add(tell);
    if (this.#newest !== undefined) tell(this.#newest);
    try {
      const { memory } = await this.#booted;
      const wanted = params.memory ?? 0;
      const room = roomIn(memory) - this.#watch.memory;
      if (wanted > room && wanted > 0) {
        throw new CliError(
          `the virtual host has ${toMib(memory)} MiB, ${toMib(Math.max(0, room))} MiB of it ` +
            `free for guests: ${toMib(wanted)} MiB do not fit`,
          {
            name: this.#watch.active.length === 0 && !this.#stay ? "VHOSTSIZE" : "NOMEM",
            hint: "stop other guests, or stop the virtual host (colinux host stop) and start again",
            exit: EXIT.unavailable,
          },
        );
      }
      if (params.stay === true) this.#stay = true;
      return await this.#status();
    } finally {
      this.#waiters.delete(tell);
    }
  }

  async #status(): Promise<HostStatus> {
    const { machine, image, memory, why } = await this.#booted;
    return {
      kind: "virtual",
      running: machine.running,
      why: "",
      pid: machine.pid,
      accelerator: machine.accel.name,
      guestWords: machine.accel.words,
      ...(why === undefined ? {} : { acceleratorWhy: why }),
      kernel: image.release,
      memory,
      stay: this.#stay,
      log: this.#console.path,
    };
  }

  async #connect(conn: Deno.UnixConn): Promise<void> {
    await this.#booted;
    const port = await this.#pool.take();
    try {
      await sendLine(conn, { ok: {} });
      await join(conn, port.conn);
    } finally {
      this.#pool.release(port);
    }
  }
}
