// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A guest with a network, and tests/guest/net at both ends of it: in the guest,
 * in the virtual host, on this machine. For the tests of conet and for bench.
 */
import { concatenate, guestInitrd, pack } from "../machine/paths.ts";
import { askDaemon, DEBUG, inside } from "./inside.ts";
import { BUILD, require, type Result, Sandbox } from "./sandbox.ts";

const NET = `${BUILD}/tests/guest/net`;
const PORT = 7777;
/** Addresses of the virtual host's own that are not its loopback. */
export const INSIDE = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" } as const;

export class NetGuest implements AsyncDisposable {
  #here: Deno.ChildProcess | undefined;
  private constructor(readonly box: Sandbox) {}

  /** The guest is up, has its address, and serves at PORT; so does the virtual host. */
  static async start(name: string, forwards: readonly string[]): Promise<NetGuest> {
    const net = new NetGuest(await Sandbox.create(name, DEBUG));
    try {
      await net.#boot(forwards);
      return net;
    } catch (error) {
      await net[Symbol.asyncDispose]();
      throw error;
    }
  }

  async #boot(forwards: readonly string[]): Promise<void> {
    const { box } = this;
    const file = await box.write(
      "net.jsonc",
      `{ "name": "net", "memory": "256 MiB", "initrd": "${await this.#initrd()}",
  "kernel": { "package": "linux-image-cloud-amd64" },
  "network": { "mode": "nat", "forwards": ${JSON.stringify(forwards)} },
  "ready": { "console": "colinux: the guest is at its shell" } }\n`,
    );
    await box.must("up", file);
    // Frontend, address by DHCP, a server.
    const up = await this.guest("sh", "-c", `insmod /modules/xen-netfront.ko && sh /net.sh`);
    require(/net\.sh: 10\.0\.2\.15 10\.0\.2\.2 10\.0\.2\.3 net\n/.test(up.out), `DHCP: ${up.out}`);
    await this.guest("sh", "-c", `/net serve ${PORT} </dev/null >/dev/null 2>&1 &`);
    const { ok } = await askDaemon(box, { call: "publish", path: NET });
    const published = ok as { path: string; size: number };
    await inside(box, `head -c ${published.size} ${published.path} >/tmp/net; chmod +x /tmp/net`);
    await inside(
      box,
      `ip addr add ${INSIDE.ipv4}/32 dev lo; ip addr add ${INSIDE.ipv6}/128 dev lo`,
    );
    await inside(box, `(/tmp/net serve ${PORT} >/tmp/serve 2>&1 &)`);
    await inside(box, `until grep -q serving /tmp/serve; do usleep 50000; done`);
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

  /** The same on this machine, to a port of its own. */
  async here(what: string, port: number, ...rest: (string | number)[]): Promise<string> {
    const result = await this.box.run([NET, what, "127.0.0.1", String(port), ...rest.map(String)]);
    require(result.code === 0, `net ${what} on this machine: ${result.out}`);
    return result.out;
  }

  /** A server on this machine, for whoever comes through QEMU's network. */
  async serveHere(): Promise<void> {
    this.#here = new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "setsid", NET, "serve", String(PORT)],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = this.#here.stdout.getReader();
    await reader.read();
    reader.releaseLock();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#here !== undefined) {
      // Its children serve UDP and connections: the whole session goes.
      Deno.kill(-this.#here.pid, "SIGKILL");
      await this.#here.stdout.cancel();
      await this.#here.status;
    }
    await this.box[Symbol.asyncDispose]();
  }
}
