// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * A plain user of this machine, without root, sudo, /dev/kvm and a writable
 * checkout. The machine knows the user in a mount name space of the test's only.
 */
import { BUILD, require, requireMatch, type Result, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const USER = "colinux-plain";
const UID = 64711;

class PlainUser implements AsyncDisposable {
  private constructor(readonly box: Sandbox) {}

  /** subordinate: its lines in /etc/subuid and /etc/subgid. */
  static async create(subordinate: string): Promise<PlainUser> {
    const box = await Sandbox.create("user");
    await Deno.mkdir(`${box.home}/co`);
    await Deno.mkdir(`${box.home}/home`);
    const passwd = await Deno.readTextFile("/etc/passwd");
    await box.write("passwd", `${passwd}${USER}:x:${UID}:${UID}::${box.home}/home:/bin/sh\n`);
    await box.write("subordinate", subordinate);
    for (const path of [box.home, `${box.home}/home`]) await Deno.chown(path, UID, UID);
    return new PlainUser(box);
  }

  /** The checkout as this user sees it: it may lie where only root comes. */
  get build(): string {
    return `${this.box.home}/co/${BUILD.replace(/^.*\//, "")}`;
  }

  async colinux(...args: string[]): Promise<Result> {
    const { home } = this.box;
    const mounts = [
      [`${home}/passwd`, "/etc/passwd"],
      [`${home}/subordinate`, "/etc/subuid"],
      [`${home}/subordinate`, "/etc/subgid"],
      [BUILD.replace(/\/[^/]*$/, ""), `${home}/co`],
    ].map(([from, to]) => `mount --bind '${from}' '${to}'`).join(" && ");
    const become = `setpriv --reuid=${UID} --regid=${UID} --clear-groups`;
    const settings = `PATH=/usr/local/bin:/usr/bin:/bin HOME='${home}/home' ` +
      `COLINUX_HOME='${home}/state' COLINUX_HOST=virtual`;
    return await this.box.run([
      ...["unshare", "--mount", "sh", "-c"],
      `${mounts} && cd '${home}' && exec ${become} env -i ${settings} '${this.build}/bin/colinux' "$@"`,
      ...["sh", ...args],
    ]);
  }

  async must(...args: string[]): Promise<Result> {
    const result = await this.colinux(...args);
    require(result.code === 0, `colinux ${args.join(" ")}: exit code ${result.code}`);
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.colinux("host", "stop", "--force", "--quiet");
    await this.box[Symbol.asyncDispose]();
  }
}

async function plain(): Promise<void> {
  await using user = await PlainUser.create("");
  const { box } = user;
  const release = (await Deno.readTextFile(`${BUILD}/vhost/default`)).trim();
  const file = await box.write(
    "plain.jsonc",
    `{ "name": "plain", "memory": "192 MiB", "initrd": "builtin:shell",
  "kernel": "${user.build}/vhost/${release}/vmlinuz",
  "ready": { "console": "colinux: the guest is at its shell" } }\n`,
  );
  await user.must("up", file);
  requireMatch((await user.must("ls")).out, /^plain +ready /m, "its VM is ready");
  requireMatch((await user.must("exec", "--", "id", "-u")).out, /^0\n$/, "root of the guest");
  const running = await box.processes("qemu-system");
  require(running.length > 0, "there is a QEMU");
  for (const line of running) {
    const status = await Deno.readTextFile(`/proc/${line.split(" ")[0]}/status`);
    requireMatch(status, new RegExp(`^Uid:(\\t${UID}){4}$`, "m"), `whose process it is: ${line}`);
  }
  await user.must("rm", "-f", "plain");
  await user.must("host", "stop");

  // What an image needs, and this user has not: one error, nothing left.
  const image = await box.write("image.jsonc", `{ "name": "image", "image": {} }`);
  const refused = await user.colinux("image", "build", image);
  require(refused.code === 77, `an image without subordinate ids: exit code ${refused.code}`);
  requireMatch(
    refused.err,
    /^colinux: this user cannot build images: it has no subordinate ids/m,
    "says so",
  );
  requireMatch(refused.err, /usermod --add-subuids/, "and what to do");
  requireMatch((await user.must("image", "ls", "--json")).out, /"images": *\[\]/, "none is kept");
}

/** An image built without root has files of other users all the same, and boots. */
async function image(): Promise<void> {
  await using user = await PlainUser.create(`${USER}:6500000:65536\n`);
  const file = await user.box.write(
    "small.jsonc",
    `{ "name": "small", "memory": "256 MiB", "image": { "packages": ["nano"], "size": "1 GiB" } }`,
  );
  await user.must("up", file, "--timeout", "20m");
  const { out } = await user.must(
    ...["exec", "small", "--", "stat", "-c", "%n %U:%G %a"],
    ...["/", "/usr/bin/nano", "/usr/bin/chage", "/var/mail"],
  );
  require(
    out === "/ root:root 755\n/usr/bin/nano root:root 755\n" +
        "/usr/bin/chage root:shadow 2755\n/var/mail root:mail 2775\n",
    `owners and modes in the guest: ${out}`,
  );
  await user.must("stop", "small");
  const { images } = JSON.parse((await user.must("image", "ls", "--json")).out) as {
    images: { id: string }[];
  };
  require(images.length === 1, "one image is kept");
  await user.must("image", "rm", images[0]?.id ?? "");
}

export const userTests: E2eTest[] = [
  { name: "user", limit: 400, run: plain },
  { name: "user-image", limit: 1800, soak: true, run: image },
];
