// SPDX-License-Identifier: GPL-2.0-or-later
/** colinux passwd: a new password for a user of a guest. */
import { verb } from "#args";
import { type Context, run } from "../ui/context.ts";
import { CliError } from "../ui/errors.ts";
import type { RpcClient } from "../rpc/client.ts";

const PROGRAM = "/usr/local/lib/colinux/set-password";

export function passwdCommand() {
  return verb("passwd", "Give a user of a guest a new password", {
    description: `
Makes a password, sets it in the guest, which must run, and writes it into the
file credentials of the VM's folder (mode 0600, lines user:password). It is shown
once. The guest gets its hash only. In the mail server it is the mail account's.`,
    examples: [["colinux passwd mailserver colinux", "a new password for the mail account"]],
    exit: [[1, "the guest has no such user"], [75, "the VM does not run"]],
    see: ["up", "exec"],
  })
    .argument("<name>", "the VM")
    .argument("<user>", "the user")
    .action((name, user, options) =>
      run(options, async (context) => {
        const { withClient } = await import("../rpc/session.ts");
        const { allVms, pickLive } = await import("../vm/list.ts");
        const credentials = await import("../vm/credentials.ts");
        const password = credentials.generatePassword();
        const vm = await withClient(context, async (none) => {
          const { vm, client } = pickLive(await allVms(context, none), none, name);
          const { hashPassword } = await import("../image/seed.ts");
          await setInGuest(context, client, vm.name, user, await hashPassword(password));
          return vm.name;
        });
        const all = await credentials.readCredentials(context.paths, vm);
        all.set(user, password);
        await credentials.writeCredentials(context.paths, vm, all);
        const file = credentials.credentialsFile(context.paths, vm);
        context.out.result({ vm, user, password, file }, `${user}:${password}\n`);
      })
    );
}

async function setInGuest(
  context: Context,
  client: RpcClient,
  name: string,
  user: string,
  hash: string,
): Promise<void> {
  const { GuestCommand } = await import("../vm/exec.ts");
  let said = "";
  const decoder = new TextDecoder();
  const command = { argv: [PROGRAM, user], stdin: true };
  using guest = await GuestCommand.start(client, name, command, (_stream, bytes) => {
    said += decoder.decode(bytes, { stream: true });
  }, context.signal);
  await guest.write(new TextEncoder().encode(`${hash}\n`));
  await guest.end();
  const { code } = await guest.ended;
  if (code === 0) return;
  throw new CliError(`${name} did not take a password for ${user} (exit code ${code})`, {
    name: "GUEST",
    hint: code === 127
      ? "its image was not built by coLinux"
      : `colinux exec ${name} -- getent passwd shows its users`,
    detail: said,
  });
}
