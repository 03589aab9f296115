// SPDX-License-Identifier: GPL-2.0-or-later
/** A guest's network: stock netfront, the worker's backend, libslirp, the host behind it. */
import { inside } from "./inside.ts";
import { INSIDE, NetGuest } from "./net_guest.ts";
import { freePort, require, requireMatch } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const MB = 1_000_000;

/** From the guest out: every byte right, many at once, slow readers, names, what must stay shut. */
async function out(): Promise<void> {
  await using net = await NetGuest.start("out", []);
  const { ipv4, ipv6 } = INSIDE;
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
  // A flood into a closed port, and the host's loopback, which is one to the guest.
  const closed = (await net.guest("/net", "refused", ipv4, "9", "300")).out;
  requireMatch(closed, /300 of 300 connections refused/, "a closed port");
  for (const address of ["10.0.2.2", "fd63:6f4c:694e::2"]) await net.net("refused", address, 3);
}

/** The host's resolver answers the guest, by UDP and TCP, and is looked up again when it changes. */
async function names(): Promise<void> {
  await using net = await NetGuest.start("names", []);
  const serve = async (address: string, exchanger: string) => {
    await inside(
      net.box,
      `(/tmp/net named 53 example.test ${exchanger} >/tmp/named 2>&1 & echo $! >/tmp/pid)`,
    );
    await inside(net.box, `until grep -q serving /tmp/named; do usleep 50000; done`);
    // As NetworkManager does it: another file in its place.
    await inside(net.box, `echo nameserver ${address} >/etc/new; mv /etc/new /etc/resolv.conf`);
    // libslirp looks again after a second.
    await new Promise((resolve) => setTimeout(resolve, 1500));
  };
  const ask = async (how: string) =>
    (await net.guest("/net", "mx", "10.0.2.3", "example.test", how)).out;
  await serve("127.0.0.1", "mx--one");
  for (const how of ["udp", "tcp"]) {
    requireMatch(await ask(how), /exchanger mx--one/, `MX by ${how}`);
  }
  await inside(net.box, "kill $(cat /tmp/pid); rm /tmp/named");
  await serve(INSIDE.ipv4, "mx--two");
  for (const how of ["udp", "tcp"]) {
    requireMatch(await ask(how), /exchanger mx--two/, `MX by ${how}`);
  }
}

/** Forwards of the definition and at run time, as clients on this machine use them. */
async function forwards(): Promise<void> {
  const port = freePort(), udp = freePort(), later = freePort();
  await using net = await NetGuest.start("fwd", [
    `127.0.0.1:${port}:7777`,
    `127.0.0.1:${udp}:7777/udp`,
  ]);
  const { box } = net;
  await net.here("send", port, 5 * MB, 1, "check");
  await net.here("recv", port, 5 * MB, 4, "check");
  requireMatch(await net.here("recv", port, MB / 10, 64, "check"), /64 times .* 0 failed/, "64");
  requireMatch(await net.here("udp", udp, 30), /datagrams came back/, "udp");
  require(
    (await box.must("port", "ls")).out ===
      `127.0.0.1:${port}:7777\n127.0.0.1:${udp}:7777/udp\n`,
    "port ls",
  );

  await box.must("port", "add", "net", `${later}:7777`);
  await net.here("recv", later, MB, 1, "check");
  requireMatch((await box.must("port", "ls")).out, new RegExp(`127.0.0.1:${later}:7777`), "ls");
  const twice = await box.colinux("port", "add", "net", `${later}:7777`);
  require(twice.code === 75, `a port twice: exit code ${twice.code}`);
  const six = await box.colinux("port", "add", "net", `[::1]:${freePort()}:7777`);
  require(six.code === 65, `an IPv6 one: exit code ${six.code}`);
  requireMatch(six.err, /^colinux: .*forwards from IPv4 addresses only$/m, "an IPv6 one: says so");
  await box.must("port", "rm", "net", `${later}:7777`);
  const gone = await box.run([`/bin/sh`, "-c", `exec 3<>/dev/tcp/127.0.0.1/${later}`]);
  require(gone.code !== 0, "the port is shut again");
  require((await box.colinux("port", "rm", "net", `${later}:7777`)).code === 66, "rm twice");
}

export const conetTests: E2eTest[] = [
  { name: "net-out", limit: 500, run: out },
  { name: "net-names", limit: 300, run: names },
  { name: "net-forwards", limit: 400, run: forwards },
];
