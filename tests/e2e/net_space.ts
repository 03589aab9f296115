// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A network name space of a test's own, so that "this machine" has addresses, a
 * resolver and a loopback that the test may do with as it likes. Commands run in
 * it by `within`.
 */
import { command } from "../machine/paths.ts";

/** Addresses of this machine's own that are not its loopback. */
export const OWN = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" } as const;

export class NetSpace implements AsyncDisposable {
  private constructor(readonly name: string) {}

  static async create(name: string): Promise<NetSpace> {
    const space = new NetSpace(`co-${name}-${crypto.randomUUID().slice(0, 8)}`);
    // What `ip netns exec` shows as /etc/resolv.conf.
    await Deno.mkdir(space.#etc, { recursive: true });
    await space.resolver("127.0.0.1");
    await command("ip", "netns", "add", space.name);
    try {
      for (
        const words of [
          "ip link set lo up",
          `ip addr add ${OWN.ipv4}/32 dev lo`,
          `ip addr add ${OWN.ipv6}/128 dev lo`,
          "sysctl -qw net.ipv4.ping_group_range=0\\ 2147483647",
        ]
      ) await space.run(words);
      return space;
    } catch (error) {
      await space[Symbol.asyncDispose]();
      throw error;
    }
  }

  get #etc(): string {
    return `/etc/netns/${this.name}`;
  }

  /** Words before a command, to run it in here. */
  get within(): string[] {
    return ["ip", "netns", "exec", this.name];
  }

  async run(line: string): Promise<string> {
    const [first = "", ...rest] = this.within;
    return await command(first, ...rest, "sh", "-c", line);
  }

  /** Another resolver; the same file, since those inside have it mounted. */
  async resolver(address: string): Promise<void> {
    await Deno.writeTextFile(`${this.#etc}/resolv.conf`, `nameserver ${address}\n`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await command("ip", "netns", "del", this.name);
    await Deno.remove(this.#etc, { recursive: true });
  }
}
