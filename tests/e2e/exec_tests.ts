// SPDX-License-Identifier: GPL-2.0-or-later
/** Commands in a guest through its agent: what a person, a script and cron see of them. */
import { BUILD, require, requireMatch, Sandbox } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const MUCH = 10_000_000;

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

/** Much, many, and ends that nobody asked for. */
async function hard(): Promise<void> {
  await using box = await Sandbox.create("hard");
  await box.must("up", "configs/minimal.jsonc");
  const colinux = `${BUILD}/bin/colinux`;
  const sh = (script: string) => box.run(["sh", "-c", script]);

  const whole = await sh(
    `cd ${box.home} && head -c ${MUCH} /dev/urandom >much && ` +
      `${colinux} exec -- cat <much >back && cmp much back`,
  );
  require(whole.code === 0, `${MUCH} bytes through stdin and back`);

  // Each line finds the agent about to wait: none may be left lying.
  const trickle = await sh(
    `(for i in $(seq 300); do echo $i; sleep 0.01; done) | timeout 120 ${colinux} exec -- cat | wc -l`,
  );
  require(trickle.out.trim() === "300", `300 lines, one by one: ${trickle.out}`);

  const numbers = Array.from({ length: 20 }, (_, i) => i);
  const many = await Promise.all(
    numbers.map((i) => box.colinux("exec", "--", "sh", "-c", `sleep 2; echo ${i}; exit ${i}`)),
  );
  for (const i of numbers) {
    require(many[i]?.code === i && many[i]?.out === `${i}\n`, `20 at once: number ${i}`);
  }

  // A client that is killed takes its command with it.
  const killed = new Deno.Command(colinux, {
    args: ["exec", "--", "sh", "-c", "echo $$; exec sleep 4712"],
    env: { COLINUX_HOME: `${box.home}/state`, COLINUX_HOST: "virtual" },
    stdin: "null",
    stdout: "piped",
  }).spawn();
  const reader = killed.stdout.getReader();
  const pid = new TextDecoder().decode((await reader.read()).value).trim();
  const there = () => box.colinux("exec", "--", "kill", "-0", pid);
  require((await there()).code === 0, "the command runs");
  killed.kill("SIGKILL");
  await killed.status;
  await reader.cancel();
  while ((await there()).code === 0);

  // ^C is the command's.
  const trap = await sh(
    `${colinux} exec -- sh -c 'trap "echo caught; exit 9" INT; echo on; sleep 100 & wait' ` +
      `>${box.home}/trap & p=$!; until grep -q on ${box.home}/trap; do sleep 0.1; done; ` +
      `kill -INT $p; wait $p; echo $?; cat ${box.home}/trap`,
  );
  require(trap.out === "9\non\ncaught\n", `^C: ${trap.out}`);

  // The agent dies: an error, and the next one takes over.
  const dying = await box.colinux("exec", "--", "sh", "-c", "kill -9 $(pidof agent); sleep 100");
  require(dying.code === 125, `the agent was killed: exit code ${dying.code}`);
  requireMatch(dying.err, /begun anew|does not answer/, "the agent was killed: says so");
  require((await box.must("exec", "--", "echo", "again")).out === "again\n", "the next agent");

  const shell = await box.run([
    ...["script", "--quiet", "--return", "--command"],
    `stty cols 91 rows 33; stty -g >${box.home}/before; ${colinux} shell; echo left-$?; ` +
    `stty -g >${box.home}/after`,
    "/dev/null",
  ], "stty size; tty; exit 3\r");
  requireMatch(shell.out, /33 91\r+\n\/dev\/pts\/\d/, "a login shell's terminal");
  requireMatch(shell.out, /left-3/, "a login shell's exit code");
  require(
    (await sh(`cmp ${box.home}/before ${box.home}/after`)).code === 0,
    "the terminal is restored",
  );
  await box.run([
    ...["script", "--quiet", "--return", "--command"],
    `stty cols 77 rows 22; ${colinux} console`,
    "/dev/null",
  ], "\r\x1dq");
  const size = await box.must("exec", "--", "stty", "-F", "/dev/hvc0", "size");
  require(size.out === "22 77\n", `the console's size: ${size.out}`);
}

async function copy(): Promise<void> {
  await using box = await Sandbox.create("cp");
  await box.must("up", "configs/minimal.jsonc");
  const sh = (script: string) => box.run(["sh", "-c", `cd ${box.home} && ${script}`]);
  await sh(
    "mkdir -p 'tree/a b/empty' && head -c 300000 /dev/urandom >'tree/a b/data' && : >tree/nothing && " +
      "seq 100000 >tree/lines && " +
      "ln -s ../nothing 'tree/a b/link' && ln -s /nowhere tree/dangling && chmod 640 tree/nothing && " +
      "chmod 710 'tree/a b' && touch -d '2001-02-03 04:05:06' tree/nothing 'tree/a b'",
  );
  await box.must("cp", `${box.home}/tree`, "minimal:/root");
  const inside = await box.must(
    ...["exec", "-w", "/root/tree", "--", "stat", "-c", "%n %a %Y %s"],
    ...["nothing", "a b", "a b/data"],
  );
  requireMatch(
    inside.out,
    /^nothing 640 981173106 0\na b 710 981173106 \d+\na b\/data \d+ \d+ 300000\n/,
    "in the guest",
  );
  await box.must("cp", ":/root/tree", `${box.home}/back`);
  const same = await sh(
    "diff -r --no-dereference tree back && list() { (cd $1; find . -type f -printf '%P %m %Ts\\n' | sort); } && " +
      'test "$(list tree)" = "$(list back)"',
  );
  require(same.code === 0, "a tree there and back");

  // A file takes a file's place only when it is whole.
  await box.must("exec", "--", "sh", "-c", "echo old >/root/file");
  const cut = await box.colinux("cp", "--timeout", "4s", "/dev/urandom", ":/root/file");
  require(cut.code === 75, `an endless file: exit code ${cut.code}`);
  await sh(
    'until [ "$(' + `${BUILD}/bin/colinux exec -- ls -A /root)` +
      '" = "$(printf \'file\\ntree\')" ]; do sleep 1; done',
  );
  require((await box.must("cp", ":/root/file", "-")).out === "old\n", "the old file stands");
  await box.input("from stdin\n", "cp", "-", ":/root/file");
  require((await box.must("cp", ":/root/file", "-")).out === "from stdin\n", "stdin to a file");
  await box.write("mine", "mine\n");
  await box.must("exec", "--", "sh", "-c", "head -c 30000000 /dev/urandom >/tmp/noise");
  await box.colinux("cp", "--timeout", "2s", ":/tmp/noise", `${box.home}/mine`);
  require(await Deno.readTextFile(`${box.home}/mine`) === "mine\n", "the old file here stands");
  require(!(await sh("ls -A")).out.includes(".colinux-"), "nothing half is left here");

  for (
    const [args, code, says] of [
      [["/nowhere", ":/root"], 66, /^colinux: \/nowhere: no such file/],
      [[":/nowhere", "."], 74, /^colinux: minimal:\/nowhere: No such file/],
      [[`${box.home}/mine`, ":/no/where"], 74, /minimal:\/no\/where: /],
      [[":/root/tree", "-"], 74, /a folder cannot be written to stdout/],
      [[":/etc/passwd", `${box.home}/no/where`], 66, /no\/where: no such file/],
      [["a", "b"], 64, /neither side/],
      [["minimal:a", "minimal:b"], 64, /both sides/],
    ] as const
  ) {
    const bad = await box.colinux("cp", ...args);
    require(bad.code === code, `cp ${args.join(" ")}: exit code ${bad.code}, not ${code}`);
    requireMatch(bad.err, says, `cp ${args.join(" ")}`);
  }
}

export const execTests: E2eTest[] = [
  { name: "exec", limit: 400, run: exec },
  { name: "exec-hard", limit: 900, run: hard },
  { name: "cp", limit: 500, run: copy },
];
