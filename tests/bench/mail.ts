// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * The mail server as a person waits for it: `up` from nothing running to ready,
 * with its image built and its disks made before, and `up` of one that is ready.
 */
import { MailBox } from "../e2e/mail_box.ts";
import { requireMatch } from "../e2e/sandbox.ts";
import { median, type Row } from "./table.ts";

const GOALS = { up: 60, again: 1 };
const ROUNDS = 3;

async function timed(mail: MailBox, says: RegExp): Promise<number> {
  const from = performance.now();
  const { out } = await mail.up();
  const ns = (performance.now() - from) * 1e6;
  requireMatch(out, says, "what up says");
  return ns;
}

export async function mailRows(): Promise<Row[]> {
  await using mail = await MailBox.create("bench");
  const stop = async () => {
    await mail.box.must("stop", "mailserver");
    await mail.box.must("host", "stop");
  };
  await mail.up();
  await stop();
  const ups: number[] = [], again: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    ups.push(await timed(mail, /^mailserver is ready\.$/m));
    again.push(await timed(mail, /^mailserver is ready \(already\)\.$/m));
    await stop();
  }
  return [
    { name: "mail-up", guest: median(ups), goal: GOALS.up * 1e9 },
    { name: "mail-up-again", guest: median(again), goal: GOALS.again * 1e9 },
  ];
}
