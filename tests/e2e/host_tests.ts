// SPDX-License-Identifier: GPL-2.0-or-later
/** The virtual host itself: one for all, nothing left behind, whatever is killed. */
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

interface Status {
  running: boolean;
  pid?: number;
  memory?: number;
  accelerator?: string;
}

async function status(box: Sandbox): Promise<Status> {
  return JSON.parse((await box.colinux("host", "status", "--json")).out) as Status;
}

/** Ends when the process is gone; the runner's limit ends the wait otherwise. */
async function gone(pid: number | undefined): Promise<void> {
  for (;;) {
    try {
      const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
      // A zombie waits for this machine's init: it is gone for us.
      if (/\) Z /.test(stat)) return;
    } catch {
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function daemonOf(processes: string[]): number {
  const line = processes.find((process) => process.includes("main.js vhost-daemon"));
  require(line !== undefined, `no daemon among ${processes.join("\n")}`);
  return Number(line?.split(" ")[0]);
}

/** Several at once get one host; it stays as asked, stops clean, twice if need be. */
async function oneForAll(): Promise<void> {
  await using box = await Sandbox.create("one");
  const starts = await Promise.all([1, 2, 3].map(() => box.colinux("host", "start")));
  require(starts.every(({ code }) => code === 0), "three starts at once");
  require(await box.qemus() === 1, "three starts make one QEMU");
  require((await status(box)).running, "it runs");
  await box.must("host", "stop");
  require(await box.qemus() === 0, "no QEMU after the stop");
  // A daemon ends a moment after it has hung up.
  for (const line of await box.processes("vhost-daemon")) await gone(parseInt(line));
  require((await box.processes("vhost-daemon")).length === 0, "no daemon after the stop");
  require((await box.colinux("host", "status")).code === 3, "status says that it does not run");
  await box.must("host", "stop");
}

/** kill -9 of the daemon takes QEMU along, kill -9 of QEMU ends the daemon; both can start again. */
async function killed(): Promise<void> {
  await using box = await Sandbox.create("killed");
  await box.must("host", "start");
  const first = await status(box);
  Deno.kill(daemonOf(await box.processes("vhost-daemon")), "SIGKILL");
  await gone(first.pid);
  require(!(await status(box)).running, "after the daemon was killed");
  await box.must("host", "start");
  const second = await status(box);
  const daemon = daemonOf(await box.processes("vhost-daemon"));
  Deno.kill(second.pid ?? 0, "SIGKILL");
  await gone(daemon);
  require(!(await status(box)).running, "after QEMU was killed");
  await box.must("host", "start");
  Deno.kill(daemonOf(await box.processes("vhost-daemon")), "SIGTERM");
  await gone((await status(box)).pid);
  await gone((await box.processes("vhost-daemon")).map((line) => Number(line.split(" ")[0]))[0]);
}

/** It ends by itself when nothing runs and nobody asks, and no port of it is open. */
async function idle(): Promise<void> {
  await using box = await Sandbox.create("idle");
  const file = await box.guest("vm", "co.stay", "co-init: ready");
  await box.must("up", file);
  const { pid } = await status(box);
  // Sockets of the process that are TCP or UDP: none.
  const own = new Set<string>();
  for await (const entry of Deno.readDir(`/proc/${pid}/fd`)) {
    own.add(await Deno.readLink(`/proc/${pid}/fd/${entry.name}`));
  }
  for (const table of ["tcp", "tcp6", "udp", "udp6"]) {
    for (const line of (await Deno.readTextFile(`/proc/${pid}/net/${table}`)).split("\n")) {
      const inode = line.trim().split(/\s+/)[9];
      require(!own.has(`socket:[${inode}]`), `QEMU has an open ${table} port`);
    }
  }
  await box.must("stop", "vm", "--force");
  await gone(pid);
  require((await box.processes("vhost-daemon")).length <= 1, "the daemon ends with it");
  requireMatch((await box.must("logs", "vm")).out, /co-init: ready/, "the log outlives the host");
}

/** What cannot fit is refused in words, before anything is started. */
async function tooLarge(): Promise<void> {
  await using box = await Sandbox.create("large");
  // Less than the machine has in all, more than it can have free.
  const most = (Math.floor(Deno.systemMemoryInfo().total / 2 ** 20) - 64) * 2 ** 20;
  const file = await box.write(
    "large.jsonc",
    `{ "name": "large", "memory": ${most}, "kernel": "${BUILD}/vhost/default" }`,
  );
  const up = await box.colinux("up", file);
  require(up.code !== 0, "more memory than the machine has");
  requireMatch(up.err, /memory/i, "the reason");
  require(await box.qemus() === 0, "nothing was started");
}

/** A crontab's line: no variable at all, the root folder; nothing printed, the exit code says it. */
async function cron(): Promise<void> {
  await using box = await Sandbox.create("cron");
  const file = await box.guest("vm", "co.stay", "co-init: ready");
  const line = (words: string) =>
    box.run([
      "sh",
      "-c",
      `cd / && exec env -i COLINUX_HOST=virtual COLINUX_HOME=${box.home}/state ` +
      `${BUILD}/bin/colinux ${words}`,
    ]);
  const rows: [string, number][] = [
    [`up -q ${file}`, 0],
    ["status -q vm", 0],
    ["stop -q --force vm", 0],
    ["status -q vm", 3],
  ];
  for (const [words, expected] of rows) {
    const { code, out, err } = await line(words);
    require(code === expected, `${words}: exit code ${code}`);
    require(out + err === "", `${words} -q says something: ${out}${err}`);
  }
}

export const hostTests: E2eTest[] = [
  { name: "host-one", limit: 300, run: oneForAll },
  { name: "host-killed", limit: 400, run: killed },
  { name: "host-idle", limit: 400, run: idle },
  { name: "cron", limit: 400, run: cron },
  { name: "host-too-large", limit: 120, run: tooLarge },
];
