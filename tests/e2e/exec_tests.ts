// SPDX-License-Identifier: GPL-2.0-or-later
/** Commands in a guest through its agent: what a person, a script and cron see of them. */
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

async function exec(): Promise<void> {
  await using box = await Sandbox.create("exec");
  await box.must("up", "configs/minimal.jsonc");
  const guest = (...command: string[]) => box.colinux("exec", "minimal", "--", ...command);

  // The line of a crontab: no HOME, no PATH, the root folder, and the guest's output alone.
  const cron = await box.run([
    "env",
    "-i",
    "-C",
    "/",
    `COLINUX_HOME=${box.home}/state`,
    `${BUILD}/bin/colinux`,
    ...["exec", "-q", "minimal", "--", "uname", "-r"],
  ]);
  require(cron.code === 0, `cron: exit code ${cron.code}`);
  requireMatch(cron.out, /^6\.\d\S*\n$/, "cron: the guest's output alone");
  require(cron.err === "", `cron: something on stderr: ${cron.err}`);

  const both = await guest("sh", "-c", "echo out; echo err >&2; exit 7");
  require(both.code === 7 && both.out === "out\n" && both.err === "err\n", "streams and exit code");
  require((await guest("sh", "-c", "kill -9 $$")).code === 137, "128 and the signal");
  const absent = await guest("no-such-program");
  require(absent.code === 127, `not found: exit code ${absent.code}`);
  requireMatch(absent.err, /no-such-program: not found in the guest/, "not found: says so");
  require((await guest("/etc/passwd")).code === 126, "not to be run");
  const nobody = await box.colinux("exec", "-u", "nosuch", "minimal", "--", "id");
  require(nobody.code === 125, `no such user: exit code ${nobody.code}`);
  requireMatch(nobody.err, /there is no user nosuch/, "no such user: says so");
  const nowhere = await box.colinux("exec", "-w", "/nowhere", "minimal", "--", "pwd");
  require(nowhere.code === 125 && /\/nowhere/.test(nowhere.err), "no such folder");
  require((await box.colinux("exec", "nosuch", "--", "id")).code === 125, "no such VM");
  require((await box.colinux("exec", "minimal")).code === 64, "no command");

  // Without NAME, with a variable, a folder, another user, and words that no shell touches.
  const set = await box.colinux(
    ...["exec", "-e", "A=b c", "-w", "/etc", "-u", "1234", "--"],
    ...["sh", "-c", 'echo "$A $PWD $(id -u) $1"', "sh", "$HOME  *"],
  );
  require(set.out === "b c /etc 1234 $HOME  *\n", `surroundings: ${set.out}`);
  const json = await box.must("exec", "--json", "--", "sh", "-c", "echo o; echo e >&2; exit 0");
  const told = JSON.parse(json.out);
  require(told.code === 0 && told.stdout === "o\n" && told.stderr === "e\n", "--json");
  const quiet = await box.must("exec", "--", "cat");
  require(quiet.out === "", "an empty stdin ends");
  const late = await box.colinux("exec", "--timeout", "1s", "--", "sleep", "4711");
  require(late.code === 124, `--timeout: exit code ${late.code}`);
  const tty = await box.must("exec", "-t", "--", "sh", "-c", "stty size; test -t 0 && echo tty");
  require(tty.out === "24 80\r\ntty\r\n", `a terminal: ${JSON.stringify(tty.out)}`);
}

export const execTests: E2eTest[] = [
  { name: "exec", limit: 400, run: exec },
];
