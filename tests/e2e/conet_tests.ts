// SPDX-License-Identifier: GPL-2.0-or-later
/** A guest's network: stock netfront, the worker's backend, libslirp, the host behind it. */
import { inside } from "./inside.ts";
import { type Nat, NetGuest } from "./net_guest.ts";
import { OWN } from "./net_space.ts";
import { freePort, require, requireMatch, SOLO, THREADS } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const MB = 1_000_000;
/** What on the outside's loopback must stay the outside's: as the guest may try to name it. */
const LOOPBACKS = ["10.0.2.2", "fd63:6f4c:694e::2", "fd63:6f4c:694e::9"];

/** From the guest out: every byte right, many at once, slow readers, what must stay shut. */
async function out(nat: Nat, env: Record<string, string> = {}): Promise<void> {
  await using net = await NetGuest.start("out", [], nat, env);
  const { ipv4, ipv6 } = OWN;
  await net.net("send", ipv4, 20 * MB, 1, "check");
  await net.net("recv", ipv4, 20 * MB, 1, "check");
  await net.net("send", ipv6, 5 * MB, 1, "check");
  await net.net("recv", ipv6, 5 * MB, 1, "check");
  requireMatch(
    await net.net("recv", ipv4, MB / 4, 64, "check"),
    /64 times .* 0 failed/,
    "64 at once",
  );
  requireMatch(
    await net.net("send", ipv4, MB / 4, 64, "check"),
    /64 times .* 0 failed/,
    "64 at once",
  );

  // A reader that stalls holds nobody up, and its worker's memory does not grow with it.
  const pid = (await inside(net.box, "pidof colinux-worker")).trim();
  const size = async () =>
    Number(/VmRSS:\s+(\d+)/.exec(await inside(net.box, `cat /proc/${pid}/status`))?.[1]);
  const before = await size();
  const [stalled] = await Promise.all([
    net.net("stall", ipv4, 30 * MB, 5),
    net.net("recv", ipv4, 5 * MB, 1, "check"),
  ]);
  requireMatch(stalled, /received 30000000 bytes after a pause/, "a reader that stalls");
  const grown = await size() - before;
  require(grown < 8192, `the worker has grown by ${grown} KiB`);

  requireMatch(await net.net("udp", ipv4, 50), /datagrams came back/, "udp");
  await net.guest("ping", "-c", "2", "10.0.2.2");
  await net.guest("ping", "-6", "-c", "2", "fd63:6f4c:694e::2");
  // A flood into a closed port, and the outside's loopback, where a server listens.
  const closed = (await net.guest("/net", "refused", ipv4, "9", "300")).out;
  requireMatch(closed, /300 of 300 connections refused/, "a closed port");
  for (const address of LOOPBACKS) await net.net("refused", address, 3);
}

/** The outside's resolver answers the guest, by UDP and TCP, and is looked up again when it changes. */
async function names(nat: Nat): Promise<void> {
  await using net = await NetGuest.start("names", [], nat);
  const ask = async (how: string) =>
    (await net.guest("/net", "mx", "10.0.2.3", "example.test", how)).out;
  for (const [address, exchanger] of [["127.0.0.1", "mx--one"], [OWN.ipv4, "mx--two"]] as const) {
    const end = await net.named("example.test", exchanger, address);
    // libslirp looks again after a second.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    for (const how of ["udp", "tcp"]) {
      requireMatch(await ask(how), new RegExp(`exchanger ${exchanger}`), `MX by ${how}`);
    }
    await end();
  }
}

/** A port of this machine's loopback, opened as a client finds it. */
async function carries(net: NetGuest, port: number, udp: number): Promise<void> {
  await net.outside("send", port, 5 * MB, 1, "check");
  await net.outside("recv", port, 5 * MB, 4, "check");
  requireMatch(await net.outside("recv", port, MB / 10, 64, "check"), /64 times .* 0 failed/, "64");
  requireMatch(await net.outside("udp", udp, 30), /datagrams came back/, "udp");
}

/** Forwards of the definition and at run time, as clients on this machine use them. */
async function forwards(): Promise<void> {
  const port = freePort(), udp = freePort(), later = freePort();
  await using net = await NetGuest.start("fwd", [{ port }, { port: udp, udp: true }]);
  const { box } = net;
  await carries(net, port, udp);
  require(
    (await box.must("port", "ls")).out ===
      `127.0.0.1:${port}:7777\n127.0.0.1:${udp}:7777/udp\n`,
    "port ls",
  );

  await box.must("port", "add", "net", `${later}:7777`);
  await net.outside("recv", later, MB, 1, "check");
  requireMatch((await box.must("port", "ls")).out, new RegExp(`127.0.0.1:${later}:7777`), "ls");
  const twice = await box.colinux("port", "add", "net", `${later}:7777`);
  require(twice.code === 75, `a port twice: exit code ${twice.code}`);
  const six = await box.colinux("port", "add", "net", `[::1]:${freePort()}:7777`);
  require(six.code === 65, `an IPv6 one: exit code ${six.code}`);
  requireMatch(six.err, /^colinux: .*forwards from IPv4 addresses only$/m, "an IPv6 one: says so");
  await box.must("port", "rm", "net", `${later}:7777`);
  const gone = await box.run(["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${later}`]);
  require(gone.code !== 0, "the port is shut again");
  require((await box.colinux("port", "rm", "net", `${later}:7777`)).code === 66, "rm twice");
}

/** The same by port.* of the worker, whose clients are the virtual host's. */
async function workerForwards(): Promise<void> {
  const port = 2525, udp = 5353, later = 8080;
  await using net = await NetGuest.start("fwdw", [{ port }, { port: udp, udp: true }], "worker");
  const { box } = net;
  await carries(net, port, udp);
  const forward = { protocol: "tcp", hostAddress: "::1", hostPort: later, guestPort: 7777 };
  const params = JSON.stringify({ name: "net", forward });
  const listed = async () => (await box.must("rpc", "port.list", `{"name":"net"}`)).out;
  await box.must("rpc", "port.add", params);
  requireMatch(await listed(), new RegExp(`"hostPort":${later}`), "port.list");
  require((await box.colinux("rpc", "port.add", params)).code === 75, "a port twice");
  requireMatch(await inside(box, `netstat -tln`), new RegExp(`::1:${later} `), "an IPv6 one");
  await box.must("rpc", "port.remove", params);
  require(!(await listed()).includes(`"hostPort":${later}`), "the port is shut again");
  require((await box.colinux("rpc", "port.remove", params)).code === 66, "twice");
}

export const conetTests: E2eTest[] = [
  { name: "net-out", limit: 500, run: () => out("qemu") },
  { name: "net-out-solo", limit: 500, run: () => out("qemu", SOLO) },
  { name: "net-out-threads", limit: 500, run: () => out("qemu", THREADS) },
  { name: "net-out-worker", limit: 500, run: () => out("worker") },
  { name: "net-names", limit: 300, run: () => names("qemu") },
  { name: "net-names-worker", limit: 300, run: () => names("worker") },
  { name: "net-forwards", limit: 400, run: forwards },
  { name: "net-forwards-worker", limit: 400, run: workerForwards },
];
