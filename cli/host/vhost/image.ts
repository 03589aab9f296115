// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Builds the virtual host's initrd: busybox, the module, the helper's programs
 * with their shared libraries, the kernel modules that QEMU's devices need.
 * Called by make through cli/image/images_main.ts. The result is the same for
 * the same input.
 */
import { Cpio } from "../../image/cpio.ts";
import { packageError } from "../../image/deb.ts";
import { closure } from "../../image/modules.ts";

export interface VhostParts {
  /** The kernel's modules folder (with kernel/ and modules.builtin). */
  modules: string;
  /** colinux.ko for that kernel. */
  ko: string;
  busybox: string;
  /** Folder with PROGRAMS. */
  bin: string;
  /** This folder: init.sh, hotplug.sh, debug.sh. */
  scripts: string;
}

const MODULES = ["virtio_pci", "virtio_console", "virtio_blk", "virtio_net", "macvtap"];
export const PROGRAMS = ["colinuxd", "colinux-worker", "colinux-relay", "colinux-macvtap"];

const PASSWD = "root:x:0:0:root:/:/bin/sh\nowner:x:1000:1000:owner:/:/bin/sh\n";
const GROUP = "root:x:0:\nowner:x:1000:\n";

async function output(program: string, args: string[]): Promise<string> {
  const out = await new Deno.Command(program, { args, stdin: "null", env: { LC_ALL: "C" } })
    .output();
  if (!out.success) {
    const why = new TextDecoder().decode(out.stderr).trim();
    throw packageError(`${program} ${args.join(" ")}: ${why}`, "run make again");
  }
  return new TextDecoder().decode(out.stdout);
}

/** The loader and the libraries of a dynamically linked program, as ldd finds them. */
async function libraries(program: string): Promise<string[]> {
  const found: string[] = [];
  for (const line of (await output("ldd", [program])).split("\n")) {
    const path = /(?:=> )?(\/\S+) \(0x/.exec(line)?.[1];
    if (path !== undefined) found.push(path);
    else if (line.includes("not found")) {
      throw packageError(`${program} needs ${line.trim()}`, "run make packages");
    }
  }
  return found;
}

/** The module without its debug sections, which are many times its code. */
async function stripped(ko: string): Promise<Uint8Array> {
  const copy = await Deno.makeTempFile();
  try {
    await output("strip", ["--strip-debug", "-o", copy, ko]);
    return await Deno.readFile(copy);
  } finally {
    await Deno.remove(copy);
  }
}

export async function vhostInitrd(parts: VhostParts): Promise<Uint8Array<ArrayBuffer>> {
  const image = new Cpio()
    .file("bin/busybox", await Deno.readFile(parts.busybox), 0o755)
    .symlink("bin/sh", "busybox")
    .file("init", await Deno.readFile(`${parts.scripts}/init.sh`), 0o755)
    .file("bin/colinux-hotplug", await Deno.readFile(`${parts.scripts}/hotplug.sh`), 0o755)
    .file("bin/colinux-debug", await Deno.readFile(`${parts.scripts}/debug.sh`), 0o755)
    .file("colinux.ko", await stripped(parts.ko))
    .file("etc/passwd", PASSWD)
    .file("etc/group", GROUP)
    // Workers with a NAT of their own read it.
    .file("etc/resolv.conf", "# There is no way out but by guests' NICs.\n")
    .file("etc/nsswitch.conf", "passwd: files\ngroup: files\n");
  const order: string[] = [];
  for (const module of await closure(parts.modules, MODULES)) {
    image.file(`modules/${module.name}.ko`, module.data);
    order.push(module.name);
  }
  image.file("modules/order", order.map((name) => `${name}\n`).join(""));
  for (const name of PROGRAMS) {
    const program = `${parts.bin}/${name}`;
    image.file(`usr/bin/${name}`, await Deno.readFile(program), 0o755);
    for (const library of await libraries(program)) {
      if (!image.has(library)) image.file(library, await Deno.readFile(library), 0o755);
    }
  }
  for (const dir of ["proc", "sys", "dev", "run", "tmp"]) image.directory(dir);
  return image.bytes();
}
