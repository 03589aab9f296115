// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Builds the initrd behind "builtin:shell": busybox, one init script and the agent. Run by
 * make through images_main.ts; `up` takes the finished file.
 */
import { Cpio } from "./cpio.ts";
import { download, exists, extract } from "./deb.ts";
import { SHELL_READY } from "./provider.ts";

const PROFILE = `PS1='\\u@\\h:\\w\\$ '
export PS1 HOME=/root TERM=\${TERM:-vt100}
cd
`;

/** Path of a statically linked busybox; taken from its package, not installed. */
export async function busybox(cache: string): Promise<string> {
  const deb = await download("busybox-static", `${cache}/deb`);
  const dir = `${cache}/busybox-${deb.version.replaceAll(":", "_")}`;
  if (!await exists(`${dir}/bin/busybox`)) {
    const fresh = await Deno.makeTempDir({ dir: cache, prefix: ".new-" });
    await extract(deb, fresh);
    if (await exists(dir)) await Deno.remove(dir, { recursive: true });
    await Deno.rename(fresh, dir);
  }
  return `${dir}/bin/busybox`;
}

export async function shellInitrd(
  cache: string,
  init: string,
  agent: string,
): Promise<Uint8Array<ArrayBuffer>> {
  return new Cpio()
    .file("bin/busybox", await Deno.readFile(await busybox(cache)), 0o755)
    .symlink("bin/sh", "busybox")
    .file("usr/local/lib/colinux/agent", await Deno.readFile(agent), 0o755)
    .file("init", await Deno.readFile(init), 0o755)
    .file("etc/ready", `#!/bin/sh\necho "${SHELL_READY}"\n`, 0o755)
    .file("etc/profile", PROFILE)
    .file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
    .file("etc/group", "root:x:0:\n")
    .directory("proc").directory("sys").directory("dev").directory("sbin")
    .bytes();
}
