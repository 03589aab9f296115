// SPDX-License-Identifier: GPL-2.0-or-later
/** hotplug.sh with a folder in place of the root folder. */
import assert from "node:assert/strict";

const script = await Deno.readTextFile(new URL("hotplug.sh", import.meta.url));
const ADDRESS = "52:54:00:c0:00:1f";
const MACVTAP = '#!/bin/sh\necho "/dev/tap-$1-$2"\n';

interface Root {
  /** What the script says to the daemon. */
  event(env: Record<string, string>): Promise<string>;
  nic(name: string, address: string, device: boolean): Promise<void>;
  macvtap(text: string): Promise<void>;
  link(path: string): Promise<string | undefined>;
}

async function inRoot(body: (root: Root) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  const path = `${dir}/hotplug.sh`;
  try {
    for (const folder of ["dev/colinux-nic", "dev/colinux-disk", "run/colinux-nic", "bin"]) {
      await Deno.mkdir(`${dir}/${folder}`, { recursive: true });
    }
    await Deno.writeTextFile(path, script.replace(/(?<=["= ])\/(dev|sys|run)\//g, `${dir}/$1/`));
    await body({
      event: async (env) => {
        const { code, stdout, stderr } = await new Deno.Command("sh", {
          args: ["-c", `sh ${path} 3>&1`],
          clearEnv: true,
          env: { PATH: `${dir}/bin:/usr/bin:/bin`, ...env },
        }).output();
        assert.equal(new TextDecoder().decode(stderr), "");
        return code === 0 || stdout.length === 0
          ? new TextDecoder().decode(stdout)
          : `code ${code}`;
      },
      nic: async (name, address, device) => {
        const folder = `${dir}/sys/class/net/${name}`;
        await Deno.mkdir(device ? `${folder}/device` : folder, { recursive: true });
        await Deno.writeTextFile(`${folder}/address`, `${address}\n`);
      },
      macvtap: async (text) => {
        await Deno.writeTextFile(`${dir}/bin/colinux-macvtap`, text, { mode: 0o755 });
      },
      link: (name) => Deno.readLink(`${dir}/${name}`).catch(() => undefined),
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("hotplug: a NIC of a VM's gets a macvtap and a link, once, and the link goes with it", async () => {
  await inRoot(async ({ event, nic, macvtap, link }) => {
    const add = { ACTION: "add", SUBSYSTEM: "net", INTERFACE: "eth0" };
    await macvtap(MACVTAP);
    await nic("eth0", ADDRESS, true);
    assert.equal(await event(add), "nic 525400c0001f\n");
    assert.equal(await link("dev/colinux-nic/525400c0001f"), "/dev/tap-eth0-1000");
    assert.equal(await event(add), "");
    // The macvtap on it, another NIC, other events.
    await nic("macvtap0", ADDRESS, false);
    assert.equal(await event({ ...add, INTERFACE: "macvtap0" }), "");
    await nic("eth1", "52:54:00:12:34:56", true);
    assert.equal(await event({ ...add, INTERFACE: "eth1" }), "");
    assert.equal(await event({ ...add, SUBSYSTEM: "queues" }), "");
    assert.equal(await event({ ...add, ACTION: "remove", INTERFACE: "macvtap0" }), "");
    assert.equal(await event({ ...add, ACTION: "remove" }), "gone 525400c0001f\n");
    assert.equal(await link("dev/colinux-nic/525400c0001f"), undefined);
    assert.equal(await event(add), "nic 525400c0001f\n");
  });
});

Deno.test("hotplug: a NIC that cannot be used says why", async () => {
  await inRoot(async ({ event, nic, macvtap, link }) => {
    await macvtap("#!/bin/sh\necho no macvtap >&2\nexit 1\n");
    await nic("eth0", ADDRESS, true);
    const add = { ACTION: "add", SUBSYSTEM: "net", INTERFACE: "eth0" };
    assert.equal(await event(add), "failed 525400c0001f no macvtap\n");
    assert.equal(await link("dev/colinux-nic/525400c0001f"), undefined);
    assert.equal(await event({ ...add, ACTION: "remove" }), "gone 525400c0001f\n");
  });
});
