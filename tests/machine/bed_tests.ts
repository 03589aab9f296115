// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The test bed's init: a virtual host whose process 1 is the freestanding program with
 * the guest inside.  No shell, no libc and no file but the module: as on a kernel that
 * has no user space at all.
 */
import { require } from "./guest.ts";
import { Host } from "./host.ts";
import { BUILD, command, moduleFile, pack, release } from "./paths.ts";
import type { MachineTest } from "./table.ts";

async function bed(): Promise<void> {
  const kernel = "6.1-cloud";
  const scratch = await Deno.makeTempDir({ prefix: "co-bed-" });
  try {
    const root = `${scratch}/root`;
    await Deno.mkdir(`${root}/dev`, { recursive: true });
    await Deno.copyFile(`${BUILD}/tests/bed`, `${root}/init`);
    await Deno.chmod(`${root}/init`, 0o755);
    const module = moduleFile(await release(kernel));
    await command("strip", "--strip-debug", "-o", `${root}/colinux.ko`, module);
    await pack(root, `${scratch}/initrd`);
    await using host = await Host.start({
      name: "bed",
      kernel,
      memory: 1024,
      initrd: `${scratch}/initrd`,
      // What follows -- is the init's own: parameters of the module.
      append: "-- protect=wp",
      ready: "bed: end ",
    });
    console.log(host.greeting);
    require(/WORKLOAD 2 passed, 0 failed/.test(host.greeting), "the guest did not do its work");
    require(/bed: build .* protect=wp/.test(host.greeting), "the module's parameter was lost");
    require(/bed: end 0\r?\n$/.test(host.greeting), "the guest did not power off cleanly");
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

export const bedTests: MachineTest[] = [{ name: "bed", limit: 300, run: bed }];
