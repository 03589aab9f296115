// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A guest that attacks its worker: tests/guest/hostile_ring*.c, as the kernel of a
 * VM with two disks and a network, beside two VMs that mind their own disks. An
 * attack that ends its VM, as some must, is followed by a VM for the next one.  Those
 * of the network are against the worker's own NAT, whose answers they count on;
 * a flood and noise come once more against QEMU's NIC.
 */
import { guestInitrd } from "../machine/paths.ts";
import { startByRpc } from "./by_rpc.ts";
import { DEBUG, inside } from "./inside.ts";
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const SIZE = 8 << 20;

/** Words that tell where they belong, as hostile_ring_disk.c expects them. */
function placed(disk: number): Uint32Array {
  return new Uint32Array(SIZE / 4).map((_, i) => Math.imul(i + disk * 77777777, 2654435761));
}

async function wordsOf(path: string): Promise<Uint32Array> {
  const bytes = await Deno.readFile(path);
  require(bytes.length === SIZE, `${path} has ${bytes.length} bytes, not ${SIZE}`);
  return new Uint32Array(bytes.buffer);
}

async function stillPlaced(path: string, disk: number, count: number): Promise<void> {
  const words = await wordsOf(path), as = placed(disk);
  const wrong = words.findIndex((word, i) => i < count && word !== as[i]);
  require(wrong < 0, `word ${wrong} of ${path} is ${words[wrong]}, not ${as[wrong]}`);
}

interface Vm {
  name: string;
  state: string;
  reason?: string;
  pid?: number;
}

async function vmCalled(box: Sandbox, name: string): Promise<Vm> {
  const { vms } = JSON.parse((await box.must("ls", "--json")).out) as { vms: Vm[] };
  const vm = vms.find((vm) => vm.name === name);
  require(vm !== undefined, `there is no VM ${name}`);
  return vm;
}

/** A VM that writes its whole disk and compares, again and again (tests/guest/blk). */
class Neighbour {
  constructor(readonly box: Sandbox, readonly name: string, readonly number: number) {}

  get disk(): string {
    return `${this.box.home}/${this.name}.img`;
  }

  async up(): Promise<void> {
    await Deno.writeFile(this.disk, new Uint8Array(SIZE));
    const file = await this.box.write(
      `${this.name}.jsonc`,
      `{ "name": "${this.name}", "memory": "192 MiB", "initrd": "${this.box.home}/initrd",
  "kernel": { "package": "linux-image-cloud-amd64" },
  "disks": [ { "name": "data", "path": "${this.disk}" } ],
  "cmdline": "console=hvc0 panic=-1 quiet co.run=/blk,stamp,/dev/xvda,${this.number}",
  "ready": { "console": "stamp: round 1 is good" } }\n`,
    );
    await this.box.must("up", file);
  }

  async rounds(): Promise<number> {
    const { out } = await this.box.must("logs", this.name);
    return [...out.matchAll(/stamp: round \d+ is good/g)].length;
  }

  /** It hears its console, says that all was well, and its disk holds its own words only. */
  async end(): Promise<void> {
    const { box, name } = this;
    const typed = await box.input(
      "enough\n",
      ...["console", name, "--wait-for", "rounds were good", "--timeout", "3m"],
    );
    require(typed.code === 0, `${name} does not hear its console: ${typed.err}`);
    await box.must("wait", name, "--for", "stopped", "--timeout", "2m");
    const words = await wordsOf(this.disk);
    const stamp = words[1] ?? 0;
    require(stamp >>> 16 === this.number, `the disk of ${name} has another's stamp: ${stamp}`);
    const wrong = words.findIndex((word, i) => word !== (i % 2 === 0 ? i / 2 : stamp));
    require(wrong < 0, `word ${wrong} of the disk of ${name} is ${words[wrong]}`);
  }
}

class Attacker {
  /** How each attack ended. */
  readonly seen = new Map<string, string>();
  readonly problems: string[] = [];
  total = -1;

  readonly #numbers = new Map<string, number>();

  constructor(readonly box: Sandbox) {}

  get #disks() {
    const { home } = this.box;
    return [
      { name: "data", path: `${home}/data.img`, readOnly: false, persistentGrants: true },
      { name: "cdrom", path: `${home}/cdrom.img`, readOnly: true },
    ];
  }

  /** An attack's number, once it has been seen. */
  number(name: string): number {
    const found = this.#numbers.get(name);
    require(found !== undefined, `no attack ${name}`);
    return found;
  }

  /** Returns when it is ready, or has ended. */
  async #start(words: string, readyConsole: string): Promise<void> {
    const kernel = `${BUILD}/tests/guest/hostile`, cmdline = `rings ${words}`;
    const vm = { name: "hostile", memory: 32 << 20, kernel, cmdline, readyConsole };
    await startByRpc(this.box, { ...vm, disks: this.#disks });
    for (const end = Date.now() + 600_000; Date.now() < end;) {
      if ((await vmCalled(this.box, "hostile")).state !== "running") return;
      await new Promise((resolve) => setTimeout(resolve, 300));
    }
    throw new Error("the hostile guest neither ends nor comes to its end");
  }

  async up(words: string, ready: string): Promise<number> {
    const file = await this.box.write(
      "hostile.jsonc",
      `{ "name": "hostile", "memory": "32 MiB", "kernel": "${BUILD}/tests/guest/hostile",
  "disks": ${JSON.stringify(this.#disks)}, "network": { "mode": "nat" },
  "cmdline": "rings ${words}", "ready": { "console": "${ready}" } }\n`,
    );
    return (await this.box.colinux("up", file, "--timeout", "10m")).code;
  }

  async log(): Promise<string> {
    return (await this.box.must("logs", "hostile")).out.replaceAll("\r", "");
  }

  /** The attacks from `from` on, as far as one VM goes; the next one's number, -1 at the end. */
  async attack(from: number): Promise<number> {
    await this.#start(`from=${from}`, "HOSTILE end");
    const log = await this.log();
    let last = { number: -1, name: "(start)", mayEnd: false };
    for (const line of log.split("\n")) {
      const [, number, name = "", may] = /^HOSTILE (\d+) (\S+) try (\S+)$/.exec(line) ?? [];
      const [, done, how = ""] = /^HOSTILE \d+ (\S+) contained (\S+)/.exec(line) ?? [];
      if (number !== undefined) {
        last = { number: +number, name, mayEnd: may === "kill-allowed" };
        this.#numbers.set(name, last.number);
      } else if (line.includes("BREACH")) this.problems.push(`${last.name}: ${line}`);
      else if (done !== undefined) this.seen.set(done, how);
      else if (line.startsWith("HOSTILE end ")) {
        this.total = Number(line.split(" ")[2]);
        return -1;
      }
    }
    const { state, reason = "" } = await vmCalled(this.box, "hostile");
    require(last.number >= from, `the hostile guest has not begun (${state}: ${reason}):\n${log}`);
    // By the worker, with a reason: not by a worker that died, nor by the guest's own hand.
    if (!last.mayEnd || !/^the guest broke .*(ring|console)/.test(reason)) {
      this.problems.push(`${last.name}: its VM has ended (${reason})`);
    }
    this.seen.set(last.name, "ended");
    return last.number + 1;
  }
}

/** The virtual host's console has its kernel's complaints, colinuxd's and its workers' logs. */
async function nothingCrashed(box: Sandbox): Promise<void> {
  const log = await Deno.readTextFile(`${box.home}/state/vhost/console.log`);
  const bad = log.split("\n").filter((line) =>
    /segfault|general protection|BUG|Oops|WARNING:|type=1326|by signal|ended with|may not make|libslirp/
      .test(line)
  );
  require(bad.length === 0, `something crashed:\n${bad.join("\n")}`);
  const lines = log.split("\n").filter((line) => line.includes("hostile (uid")).length;
  require(lines < 1000, `${lines} lines of log are the hostile guest's`);
}

async function rings(): Promise<void> {
  // What the guest changes, it changes while the worker, on another CPU, looks.
  await using box = await Sandbox.create("rings", { ...DEBUG, COLINUX_VHOST_SMP: "2" });
  await Deno.copyFile(await guestInitrd("6.1-cloud"), `${box.home}/initrd`);
  await Deno.writeFile(`${box.home}/data.img`, new Uint8Array(placed(0).buffer));
  await Deno.writeFile(`${box.home}/cdrom.img`, new Uint8Array(placed(1).buffer));
  const neighbours = [new Neighbour(box, "one", 1), new Neighbour(box, "two", 2)];
  for (const neighbour of neighbours) await neighbour.up();
  const helper = await inside(box, "pidof colinuxd");
  const attacker = new Attacker(box);
  for (let from = 0; from >= 0 && attacker.problems.length < 10;) {
    from = await attacker.attack(from);
  }
  const ended = [...attacker.seen.values()].filter((how) => how === "ended").length;
  console.log(`${attacker.seen.size} attacks of ${attacker.total}, ${ended} ended their VM`);
  require(attacker.problems.length === 0, attacker.problems.join("\n"));
  require(attacker.seen.size === attacker.total, "attacks are missing");

  // It storms on with notices; what it has cost its worker is bounded.
  const storm = await vmCalled(box, "hostile");
  require(storm.state === "ready", `after all attacks: ${storm.state}`);
  const status = await inside(box, `cat /proc/${storm.pid}/status`);
  const grown = Number(/RssAnon:\s+(\d+)/.exec(status)?.[1]);
  require(grown < 32 << 10, `the worker has ${grown} KiB of its own`);
  for (const neighbour of neighbours) {
    const rounds = await neighbour.rounds();
    require(rounds > 2, `${neighbour.name} had ${rounds} rounds`);
    await neighbour.end();
  }
  await box.must("stop", "hostile", "--force");
  await nothingCrashed(box);

  // Its own disks: the half that it never asked to be written, and the read-only one.
  await stillPlaced(`${box.home}/data.img`, 0, SIZE / 8);
  await stillPlaced(`${box.home}/cdrom.img`, 1, SIZE / 4);

  // Frames against QEMU's NIC, as `up` gives it one: a flood, changing ones, then noise.
  const flood = `from=${attacker.number("net_flood")}`;
  require(await attacker.up(flood, "net_noise contained") === 0, "a flood into QEMU's NIC");
  await box.must("stop", "hostile", "--force");
  await nothingCrashed(box);

  // It comes up again, is served properly, and powers off, perhaps before `up` has seen it ready.
  await attacker.up("polite", "HOSTILE rings are proper");
  await box.must("wait", "hostile", "--for", "stopped", "--timeout", "1m");
  const polite = await vmCalled(box, "hostile");
  requireMatch(polite.reason ?? "", /powered off/, "up again");
  requireMatch((await box.must("logs", "hostile")).out, /HOSTILE rings are proper/, "up again");
  require(await attacker.up("deaf", "HOSTILE listens") === 0, "up once more");
  await box.input("typed\n", "console", "hostile", "--idle", "1s");
  while ((await box.states()).hostile === "ready") await new Promise((r) => setTimeout(r, 200));
  const { reason = "" } = await vmCalled(box, "hostile");
  requireMatch(reason, /^the guest broke the console ring$/, "what was typed");
  require(await inside(box, "pidof colinuxd") === helper, "colinuxd is another one");
}

export const hostileTests: E2eTest[] = [
  { name: "hostile-rings", limit: 1200, run: rings },
];
