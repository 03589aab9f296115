// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A guest with a network, and tests/guest/net at both ends of it. For the tests of
 * conet and for bench. Its NAT is QEMU's, as `up` has it in a virtual host: then
 * the outside is this machine, in a name space of the test's; or its worker's, as
 * natively: then the outside is the virtual host.
 */
import { concatenate, guestInitrd, kernelDir, pack } from "../machine/paths.ts";
import { startByRpc } from "./by_rpc.ts";
import { askDaemon, DEBUG, inside } from "./inside.ts";
import { NetSpace, OWN } from "./net_space.ts";
import { BUILD, require, type Result, Sandbox } from "./sandbox.ts";

const NET = `${BUILD}/tests/guest/net`;
const PORT = 7777;
const AT_SHELL = "colinux: the guest is at its shell";

export type Nat = "qemu" | "worker";
/** A port of the outside's loopback that leads to the guest's server. */
export interface Door {
  port: number;
  udp?: boolean;
}

export class NetGuest implements AsyncDisposable {
  #server: Deno.ChildProcess | undefined;
  private constructor(
    readonly nat: Nat,
    readonly space: NetSpace,
    readonly box: Sandbox,
  ) {}

  /** The guest is up, has its address, and serves at PORT; so does the outside, at OWN. */
  static async start(
    name: string,
    doors: readonly Door[] = [],
    nat: Nat = "qemu",
    env: Record<string, string> = {},
    words: readonly string[] = [],
  ): Promise<NetGuest> {
    const space = await NetSpace.create(name);
    const box = await Sandbox.create(name, { ...DEBUG, ...env }, space.within);
    const net = new NetGuest(nat, space, box);
    try {
      await net.#boot(doors, words);
      await net.#serve();
      return net;
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #boot(doors: readonly Door[], words: readonly string[]): Promise<void> {
    const { box } = this;
    const initrd = await this.#initrd();
    if (this.nat === "qemu") {
      const forwards = doors.map(({ port, udp }) =>
        `127.0.0.1:${port}:${PORT}${udp ? "/udp" : ""}`
      );
      const file = await box.write(
        "net.jsonc",
        `{ "name": "net", "memory": "256 MiB", "initrd": "${initrd}",
  "kernel": { "package": "linux-image-cloud-amd64" },
  "cmdline": "console=hvc0 panic=-1 quiet ${words.join(" ")}",
  "network": { "mode": "nat", "forwards": ${JSON.stringify(forwards)} },
  "ready": { "console": "${AT_SHELL}" } }\n`,
      );
      await box.must("up", file);
    } else {
      await box.must("host", "start");
      await startByRpc(box, {
        name: "net",
        memory: 256 << 20,
        kernel: `${await kernelDir("6.1-cloud")}/vmlinuz`,
        initrd,
        readyConsole: AT_SHELL,
        forwards: doors.map(({ port, udp }) => ({
          protocol: udp ? "udp" : "tcp",
          hostAddress: "127.0.0.1",
          hostPort: port,
          guestPort: PORT,
        })),
      });
      await box.must("wait", "net", "--for", "ready", "--timeout", "2m");
    }
    // Frontend, address by DHCP, a server.
    const up = await this.guest("sh", "-c", `insmod /modules/xen-netfront.ko && sh /net.sh`);
    require(/net\.sh: 10\.0\.2\.15 10\.0\.2\.2 10\.0\.2\.3 net\n/.test(up.out), `DHCP: ${up.out}`);
    await this.guest("sh", "-c", `/net serve ${PORT} </dev/null >/dev/null 2>&1 &`);
  }

  async #serve(): Promise<void> {
    const { box } = this;
    const { ok } = await askDaemon(box, { call: "publish", path: NET });
    const published = ok as { path: string; size: number };
    await inside(box, `head -c ${published.size} ${published.path} >/tmp/net; chmod +x /tmp/net`);
    if (this.nat === "worker") {
      for (const address of [`${OWN.ipv4}/32`, `${OWN.ipv6}/128`]) {
        await inside(box, `ip addr add ${address} dev lo`);
      }
      await inside(box, `(/tmp/net serve ${PORT} >/tmp/serve 2>&1 &)`);
      await inside(box, `until grep -q serving /tmp/serve; do usleep 50000; done`);
      return;
    }
    const [first = "", ...rest] = this.space.within;
    this.#server = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "setsid", first, ...rest, NET, "serve", String(PORT)],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = this.#server.stdout.getReader();
    await reader.read();
    reader.releaseLock();
  }

  async #initrd(): Promise<string> {
    const root = `${this.box.home}/root`;
    await Deno.mkdir(root);
    await Deno.copyFile(NET, `${root}/net`);
    await Deno.copyFile("tests/guest/net.sh", `${root}/net.sh`);
    await pack(root, `${this.box.home}/net.cpio`);
    // The tests' own initrd for its modules; its /init gives way to the shell's.
    const parts = [await guestInitrd("6.1-cloud"), `${BUILD}/images/shell.initrd`];
    const initrd = `${this.box.home}/initrd`;
    await concatenate(initrd, [...parts, `${this.box.home}/net.cpio`]);
    return initrd;
  }

  /** A command in the guest, which must succeed. */
  async guest(...command: string[]): Promise<Result> {
    return await this.box.must("exec", "net", "--", ...command);
  }

  /** tests/guest/net in the guest; what it prints. */
  async net(what: string, host: string, ...rest: (string | number)[]): Promise<string> {
    return (await this.guest("/net", what, host, String(PORT), ...rest.map(String))).out;
  }

  /** The same program as root in the virtual host. */
  async inside(what: string, host: string, ...rest: (string | number)[]): Promise<string> {
    return await inside(this.box, ["/tmp/net", what, host, PORT, ...rest].join(" "));
  }

  /** The same outside, to a port of its loopback. */
  async outside(what: string, port: number, ...rest: (string | number)[]): Promise<string> {
    const words = [what, "127.0.0.1", String(port), ...rest.map(String)];
    if (this.nat === "worker") return await inside(this.box, `/tmp/net ${words.join(" ")}`);
    const result = await this.box.run([NET, ...words]);
    require(result.code === 0, `net ${what} outside: ${result.out}`);
    return result.out;
  }

  /** Outside, a server of names, at an address and at another resolver's place; ends it. */
  async named(domain: string, exchanger: string, resolver: string): Promise<() => Promise<void>> {
    const start = (net: string, dir: string) =>
      `(${net} named 53 ${domain} ${exchanger} >${dir}/named 2>&1 & echo $! >${dir}/pid); ` +
      `until grep -q serving ${dir}/named; do sleep 0.1; done`;
    const end = (dir: string) => `kill $(cat ${dir}/pid); rm ${dir}/named`;
    if (this.nat === "worker") {
      await inside(this.box, start("/tmp/net", "/tmp"));
      // As NetworkManager does it: another file in its place.
      await inside(this.box, `echo nameserver ${resolver} >/etc/new; mv /etc/new /etc/resolv.conf`);
      return async () => void await inside(this.box, end("/tmp"));
    }
    const { home } = this.box;
    await this.space.run(start(NET, home));
    await this.space.resolver(resolver);
    return async () => void await this.space.run(end(home));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server !== undefined) {
      // Its children serve UDP and connections: the whole session goes.
      Deno.kill(-this.#server.pid, "SIGKILL");
      await this.#server.stdout.cancel();
      await this.#server.status;
    }
    await this.box[Symbol.asyncDispose]();
    await this.space[Symbol.asyncDispose]();
  }
}
