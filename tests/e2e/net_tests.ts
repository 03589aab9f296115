// SPDX-License-Identifier: GPL-2.0-or-later
/** The virtual host's network: forwards in, the way out, and what stays shut. */
import { askDaemon, DEBUG, inside } from "./inside.ts";
import { freePort, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

interface Forward {
  protocol: string;
  hostAddress: string;
  hostPort: number;
  guestPort: number;
}

/** What a client reads there until the end; "" when nobody answers. */
async function talk(hostname: string, port: number, text: string): Promise<string> {
  try {
    using conn = await Deno.connect({ hostname, port });
    await conn.write(new TextEncoder().encode(text));
    let said = "";
    const buffer = new Uint8Array(4096);
    while (!said.endsWith(text)) {
      const count = await conn.read(buffer);
      if (count === null) break;
      said += new TextDecoder().decode(buffer.subarray(0, count));
    }
    return said;
  } catch {
    return "";
  }
}

/** The virtual host itself in the place of a guest: on the NIC, with the guest's address. */
async function standIn(box: Sandbox): Promise<void> {
  const nic = (await inside(box, "grep -l 52:54:00:c0 /sys/class/net/eth*/address")).trim();
  const name = nic.split("/")[4] ?? "";
  await inside(box, "for link in /sys/class/net/mvt*; do ip link del ${link##*/}; done");
  await inside(box, `ip link set ${name} up; ip addr add 10.0.2.15/24 dev ${name}`);
  await inside(box, "ip route add default via 10.0.2.2");
}

/** QEMU's NAT alone lets a NIC reach this machine's loopback: a worker's filter is needed. */
async function unfiltered(box: Sandbox): Promise<void> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const serve = async () => {
    using conn = await listener.accept();
    await conn.write(new TextEncoder().encode("from the loopback\n"));
  };
  const line = `nc -w 10 10.0.2.2 ${listener.addr.port} </dev/null`;
  const [heard] = await Promise.all([inside(box, line), serve()]);
  requireMatch(heard, /from the loopback/, "the NAT without a filter");
}

/** Reachable on this machine where asked and nowhere else, as long as its VM is there. */
async function forwards(): Promise<void> {
  await using box = await Sandbox.create("forward", DEBUG);
  await box.must("host", "start");
  const hostPort = freePort();
  const forward: Forward = {
    ...{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 25 },
  };
  const { ok } = await askDaemon(box, { call: "nat", vm: "mail", forwards: [forward] });
  require(typeof ok?.device === "string", "a NIC for it");
  await standIn(box);
  await unfiltered(box);
  await inside(box, `(nc -ll -p 25 -e cat >/dev/null 2>&1 &)`);
  await inside(box, `until netstat -tln | grep -q ":25 "; do usleep 50000; done`);
  for (const text of ["one\n", "two\n"]) {
    require(await talk("127.0.0.1", hostPort, text) === text, "a client is answered");
  }
  const { out } = await box.run(["ss", "-Htln", `sport = :${hostPort}`]);
  require(Number(out.trim().split(/\s+/)[2]) >= 128, `clients who wait have no room: ${out}`);
  require(await talk("127.0.0.2", hostPort, "x") === "", "another address of this machine");

  const refused = async (more: Partial<Forward>) =>
    String(
      (await askDaemon(box, { call: "nat", vm: "web", forwards: [{ ...forward, ...more }] }))
        .error?.message,
    );
  requireMatch(await refused({}), /goes to the VM mail already/, "a port of another VM");
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  requireMatch(
    await refused({ hostPort: taken.addr.port }),
    new RegExp(`${taken.addr.port}/tcp of this machine is in use by pid ${Deno.pid} \\(`),
    "a port in use",
  );
  requireMatch(await refused({ hostAddress: "::1" }), /IPv4/, "an IPv6 address");
  await askDaemon(box, { call: "release", vm: "mail" });
  require(await talk("127.0.0.1", hostPort, "x") === "", "the port is shut with its VM");
}

export const netTests: E2eTest[] = [
  { name: "host-forwards", limit: 300, run: forwards },
];
