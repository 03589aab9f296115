// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux cp: files into a guest and out of it. */
import { verb } from "#args";
import { run } from "../ui/context.ts";
import { CliError, EXIT } from "../ui/errors.ts";

export function cpCommand() {
  return verb("cp", "Copy files into a guest or out of it", {
    description: `
One side is NAME:PATH, a path in that guest (:PATH in the only VM; a local path
with a colon is written ./a:b). Folders are copied with all that is in them;
modes and times are kept, files belong to root there and to you here. When the
target is a folder, the copy goes into it under its own name.

- is stdin or stdout, for one file. A file gets its name when it is whole and on
the disk: what fails or is interrupted leaves no half file. Sockets and devices
are left out.

It needs coLinux's agent in the guest, and no network.`,
    examples: [
      ["colinux cp notes.txt mailserver:/root/", "into a folder of the guest"],
      ["colinux cp mailserver:/var/log logs", "a tree out of it"],
      ["colinux cp mailserver:/etc/postfix/main.cf -", "a file to stdout"],
      ["pg_dump | colinux cp - :/srv/dump.sql", "stdin to a file"],
    ],
    exit: [[66, "a local file or folder does not exist"], [
      74,
      "a file could not be read or written",
    ]],
    see: ["exec"],
  })
    .argument("<source>", "path, NAME:PATH or -")
    .argument("<target>", "path, NAME:PATH or -")
    .action((source, target, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickLive } = await import("../vm/list.ts");
        const { fromGuest, place, toGuest } = await import("../vm/copy.ts");
        const from = place(source);
        const to = place(target);
        if ((from.vm === undefined) === (to.vm === undefined)) {
          throw new CliError(
            from.vm === undefined ? "neither side is a guest's" : "both sides are guests'",
            {
              name: "USAGE",
              hint: "write NAME:PATH for one of the two; from guest to guest goes by way of here",
              exit: EXIT.usage,
            },
          );
        }
        const name = (from.vm ?? to.vm) || undefined;
        await withClient(context, async (none) => {
          const { vm, client } = pickLive(await allVms(context, none), none, name);
          const copy = from.vm === undefined ? toGuest : fromGuest;
          const result = await copy(context, client, vm.name, from.path, to.path || ".");
          if (options.json && target !== "-") context.out.result(result, "");
        });
      })
    );
}
