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

/** A program inside that stands for a worker: it has each client's connection. */
async function serve(box: Sandbox, port: number, program: string): Promise<void> {
  await inside(box, `(nc -ll -p ${port} -e ${program} >/dev/null 2>&1 &)`);
  await inside(box, `until netstat -tln | grep -q ":${port} "; do usleep 50000; done`);
}

/** Reachable on this machine where asked and nowhere else, as long as its VM is there. */
async function forwards(): Promise<void> {
  await using box = await Sandbox.create("forward", DEBUG);
  await box.must("host", "start");
  const hostPort = freePort();
  const forward: Forward = {
    ...{ protocol: "tcp", hostAddress: "127.0.0.1", hostPort, guestPort: 25 },
  };
  const { ok } = await askDaemon(box, { call: "forward", vm: "mail", forward });
  const inner = ok as unknown as Forward;
  require(inner.hostAddress === "198.18.3.15" && inner.guestPort === 25, "the inner forward");
  await serve(box, inner.hostPort, "cat");
  for (const text of ["one\n", "two\n"]) {
    require(await talk("127.0.0.1", hostPort, text) === text, "a client is answered");
  }
  const { out } = await box.run(["ss", "-Htln", `sport = :${hostPort}`]);
  require(Number(out.trim().split(/\s+/)[2]) >= 128, `clients who wait have no room: ${out}`);
  require(await talk("127.0.0.2", hostPort, "x") === "", "another address of this machine");

  const refused = async (more: Partial<Forward>) =>
    String(
      (await askDaemon(box, { call: "forward", vm: "web", forward: { ...forward, ...more } }))
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

/** No guest reaches this machine's loopback by the virtual host's gateway, nor another's forward. */
async function shut(): Promise<void> {
  await using box = await Sandbox.create("shut", DEBUG);
  await box.must("host", "start");
  const secret = "only for this machine";
  const port = freePort();
  const servers: Deno.Listener[] = [];
  for (const hostname of ["127.0.0.1", "::1"]) {
    const server = Deno.listen({ hostname, port });
    servers.push(server);
    void (async () => {
      for await (const conn of server) {
        await conn.write(new TextEncoder().encode(secret)).finally(() => conn.close());
      }
    })().catch(() => {});
  }
  const reads = async (address: string) =>
    (await inside(box, `timeout 5 nc ${address} ${port} 2>&1 || true`)).includes(secret);
  await serve(box, 20000, `echo '${secret}'`);
  const addresses = ["198.18.2.2", "198.18.3.2", "fd98:c011::2", "fd98:c011::9", "fe80::2"];
  for (const address of [...addresses, "127.0.0.1", "255.255.255.255"]) {
    require(!await reads(address), `${address} gives away what listens on loopback`);
  }
  for (const address of ["198.18.3.15", "198.18.2.16"]) {
    const said = await inside(box, `timeout 5 nc ${address} 20000 2>&1 || true`);
    require(!said.includes(secret), `a forward of one VM can be reached by another's worker`);
  }
  // The same without what shuts them: this test does see what is open.
  await inside(box, "ip route del prohibit 198.18.2.2");
  await inside(box, "ip -6 route del unreachable fd98:c011::/64");
  require(await reads("198.18.2.2") && await reads("fd98:c011::9"), "the test would see a hole");
  for (const server of servers) server.close();
}

export const netTests: E2eTest[] = [
  { name: "host-forwards", limit: 300, run: forwards },
  { name: "host-shut", limit: 300, run: shut },
];
