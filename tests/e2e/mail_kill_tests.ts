// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Mail that was acknowledged is there after kill -9 of the worker, of colinuxd
 * and of QEMU (the power cut of the virtual host), each amid a stream of mail.
 */
import { DEBUG, inside } from "./inside.ts";
import { ADDRESS, MailBox } from "./mail_box.ts";
import { stream } from "./mail_client.ts";
import { require } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

const VICTIMS: Record<string, (mail: MailBox) => Promise<void>> = {
  worker: async ({ box }) => void await inside(box, "killall -9 colinux-worker"),
  colinuxd: async ({ box }) => void await inside(box, "killall -9 colinuxd"),
  qemu: async ({ box }) => {
    const [line] = (await box.processes("qemu-system")).filter((p) => / ?\S*qemu-system/.test(p));
    require(line !== undefined, "there is a QEMU");
    Deno.kill(Number(line.split(" ")[0]), "SIGKILL");
  },
};

/** So many are acknowledged before the blow. */
const BEFORE = 40;
const CONNECTIONS = 4;
/** A client must hear that its server is gone; one that waits for longer would wait for ever. */
const PATIENCE_MS = 60_000;

async function round(mail: MailBox, victim: string, prefix: string): Promise<number> {
  let struck: Promise<void> | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;
  const over = new AbortController();
  const acknowledged = await stream(
    mail.ports.smtp,
    ADDRESS,
    prefix,
    { connections: CONNECTIONS, count: 100_000, signal: over.signal },
    (ids) => {
      if (ids.size < BEFORE || struck !== undefined) return;
      struck = VICTIMS[victim]?.(mail);
      patience = setTimeout(() => over.abort(), PATIENCE_MS);
    },
  );
  await struck;
  clearTimeout(patience);
  require(struck !== undefined, `${BEFORE} messages were taken before ${victim} was to be killed`);
  require(!over.signal.aborted, `${victim}: a client still waits for an answer`);
  console.log(`${victim}: ${acknowledged.size} acknowledged`);
  await mail.up();
  // By the check before it is mounted, else by the kernel.
  const { out: said } = await mail.exec("sh", "-c", "dmesg; journalctl -b -o cat -t systemd-fsck");
  const replayed = /^data: recovering journal|EXT4-fs \(xvdb\): recovery complete/m;
  require(replayed.test(said), "the data disk's journal was replayed");
  require(!/EXT4-fs error|UNEXPECTED INCONSISTENCY/.test(said), "ext4 has nothing to complain of");
  await mail.exec("postqueue", "-f");
  const there = new Set(await mail.delivered(acknowledged));
  const lost = [...acknowledged].filter((id) => !there.has(id));
  require(lost.length === 0, `${victim}: ${lost.length} of ${acknowledged.size} lost: ${lost}`);
  return acknowledged.size;
}

async function killed(rounds: number): Promise<void> {
  await using mail = await MailBox.create("mailkill", DEBUG);
  await mail.up();
  let total = 0;
  for (let count = 0; count < rounds; count++) {
    for (const victim of Object.keys(VICTIMS)) {
      total += await round(mail, victim, `${victim}-${count}`);
    }
  }
  console.log(`${total} acknowledged messages, none lost`);
  await mail.box.must("stop", "mailserver");
  const { code } = await mail.sh(`e2fsck -fn '${mail.folder}/data.img'`);
  require(code === 0, "the data disk is clean");
}

export const mailKillTests: E2eTest[] = [
  { name: "mail-kill", limit: 1800, run: () => killed(1) },
  { name: "mail-kill-soak", limit: 7200, soak: true, run: () => killed(5) },
];
