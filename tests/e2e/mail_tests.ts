// SPDX-License-Identifier: GPL-2.0-or-later
/** The mail server with the mail programs of this machine. */
import { ADDRESS, exactlyOnce, MailBox, USER } from "./mail_box.ts";
import { stream } from "./mail_client.ts";
import { require, requireMatch } from "./sandbox.ts";
import type { E2eTest } from "./vm_tests.ts";

function swaks(mail: MailBox, service: "smtp" | "submission", ...more: string[]): string {
  return ["swaks", "--silent", "2", "--server", `127.0.0.1:${mail.ports[service]}`]
    .concat("--from", "sender@test.example", ...more).join(" ");
}

/** A file for swaks to send, which ends its last line itself. */
async function message(mail: MailBox, id: string, body: string): Promise<string> {
  const head =
    `From: <sender@test.example>\nTo: <${ADDRESS}>\nMessage-Id: <${id}>\nSubject: ${id}\n`;
  return await mail.box.write(`${id}.eml`, `${head}\n${body.replace(/\n$/, "")}`);
}

/** The message by IMAP, by its id, as curl gets it; without the headers that servers add. */
async function readBack(mail: MailBox, id: string): Promise<string> {
  await mail.delivered(new Set([id]));
  const index = (await mail.inbox()).indexOf(id) + 1;
  require(index > 0, `${id} is in INBOX`);
  const server = `imaps://localhost:${mail.ports.imaps}`;
  const curl = `curl --silent --show-error --cacert '${mail.box.home}/cert.pem' ` +
    `--resolve localhost:${mail.ports.imaps}:127.0.0.1 --user '${USER}:${await mail.password()}'`;
  const { code } = await mail.sh(
    `${curl} '${server}/INBOX;MAILINDEX=${index}' -o '${mail.box.home}/got'`,
  );
  require(code === 0, "curl reads the message, and trusts the certificate that was shown");
  return await Deno.readTextFile(`${mail.box.home}/got`);
}

function bodyOf(text: string): string {
  const unix = text.replaceAll("\r\n", "\n");
  return unix.slice(unix.indexOf("\n\n") + 2);
}

/** What `up` prints is true: its swaks line works as printed, the certificate is the one it names. */
async function printed(mail: MailBox): Promise<void> {
  const { out } = await mail.up();
  const password = await mail.password();
  requireMatch(out, new RegExp(`^ *password +${password}$`, "m"), "the password, once");
  const mode = (await Deno.stat(`${mail.folder}/credentials`)).mode ?? 0;
  require((mode & 0o777) === 0o600, "the credentials file is its owner's alone");
  const line = /^ *(swaks .*)$/m.exec(out)?.[1];
  require(line !== undefined, "up prints a swaks line");
  require((await mail.sh(line)).code === 0, "the printed swaks line works as printed");
  await mail.box.write("cert.pem", await mail.certificate());
  const { out: print } = await mail.sh(
    `openssl x509 -in '${mail.box.home}/cert.pem' -noout -fingerprint -sha256`,
  );
  require(out.includes(print.trim().replace(/^.*=/, "")), `the fingerprint is printed: ${print}`);
  const again = await mail.up();
  require(!again.out.includes(password), "the password is not shown again");
  const { out: shadow } = await mail.exec("cat", "/etc/shadow", "/srv/accounts/passwd");
  require(!shadow.includes(password), "the guest has hashes only");
}

async function submissionAndRelay(mail: MailBox): Promise<void> {
  const password = await mail.password();
  const login = ["--tls", "--auth", "PLAIN", "--auth-user", USER, "--auth-password"];
  const plain = "Grüße, and a line.\n.leading dot\n";
  const file = await message(mail, "plain", plain);
  const sent = await mail.sh(swaks(mail, "smtp", "--to", ADDRESS, "--data", `@${file}`));
  require(sent.code === 0, "mail for its own domain comes in by port 25");
  require(
    bodyOf(await readBack(mail, "plain")) === plain,
    "by IMAP it is what was sent, byte for byte",
  );
  const outside = await mail.sh(swaks(mail, "smtp", "--to", "someone@example.com"));
  requireMatch(outside.out + outside.err, /554 5\.7\.1 .*Relay access denied/, "no open relay");
  require(outside.code !== 0, "swaks was refused");
  const bare = await mail.sh(swaks(mail, "submission", "--to", ADDRESS));
  requireMatch(bare.out + bare.err, /530 5\.7\.0 Must issue a STARTTLS/, "no mail without TLS");
  const guest = await mail.sh(swaks(mail, "submission", "--tls", "--to", ADDRESS));
  requireMatch(guest.out + guest.err, /554 5\.7\.1|530/, "nor without a password");
  const wrong = await mail.sh(swaks(mail, "submission", "--to", ADDRESS, ...login, "wrong"));
  requireMatch(wrong.out + wrong.err, /535/, "nor with a wrong one");
  const attachment = lines(10 << 20);
  const large = await message(mail, "large", attachment);
  const big = await mail.sh(
    swaks(mail, "submission", "--to", ADDRESS, ...login, password, "--data", `@${large}`),
  );
  require(big.code === 0, "10 MB go in by 587");
  require(bodyOf(await readBack(mail, "large")) === attachment, "10 MB come back byte for byte");
  const banner = await mail.sh(`swaks --server 127.0.0.1:${mail.ports.smtp} --quit-after EHLO`);
  const limit = Number(/SIZE (\d+)/.exec(banner.out)?.[1]);
  require(limit >= 52_428_800, `messages of 50 MB are taken: SIZE ${limit}`);
}

/** Lines of base64, as attachments are. */
function lines(size: number): string {
  const bytes = new Uint8Array(57);
  let text = "";
  while (text.length < size) {
    text += `${btoa(String.fromCharCode(...crypto.getRandomValues(bytes)))}\n`;
  }
  return text;
}

/** mutt in batch mode: sends by 587, and keeps a copy by IMAP. */
async function mutt(mail: MailBox): Promise<void> {
  const { home } = mail.box;
  const password = await mail.password();
  const rc = await mail.box.write(
    "muttrc",
    [
      `set from=${ADDRESS} realname=Test hostname=test.example use_envelope_from=yes`,
      `set smtp_url=smtp://${USER}@localhost:${mail.ports.submission}/ smtp_pass="${password}"`,
      `set imap_user=${USER} imap_pass="${password}" ssl_force_tls=yes ssl_starttls=yes`,
      `set folder=imaps://localhost:${mail.ports.imaps}/ record=+Sent copy=yes`,
      `set certificate_file=${home}/cert.pem ssl_usesystemcerts=no`,
      "",
    ].join("\n"),
  );
  const sent = await mail.sh(
    `echo "from mutt" | HOME='${home}' mutt -n -F '${rc}' -s "by mutt" ${ADDRESS}`,
  );
  require(sent.code === 0, "mutt sends");
  const find = "doveadm search -u colinux mailbox";
  for (let tries = 0;; tries++) {
    const { out } = await mail.exec("sh", "-c", `${find} INBOX subject "by mutt"`);
    if (out.trim() !== "") break;
    require(tries < 60, "mutt's mail arrives");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
  const { out } = await mail.exec("sh", "-c", `${find} Sent subject "by mutt"`);
  require(out.trim() !== "", "mutt's copy is in Sent, put there by IMAP");
}

async function clients(): Promise<void> {
  await using mail = await MailBox.create("mail");
  await printed(mail);
  await submissionAndRelay(mail);
  await mutt(mail);
  const ids = await stream(mail.ports.smtp, ADDRESS, "many", {
    connections: 20,
    count: 500,
  });
  require(ids.size === 500, `500 messages by 20 connections are taken: ${ids.size}`);
  exactlyOnce(await mail.delivered(ids), ids);
  requireMatch((await mail.exec("postqueue", "-p")).out, /queue is empty/, "all are delivered");
  await rebuilt(mail);
}

/** A new root while mail waits in the queue. */
async function rebuilt(mail: MailBox): Promise<void> {
  const before = new Set(await mail.inbox());
  const certificate = await mail.certificate();
  const password = await mail.password();
  await mail.exec("systemctl", "stop", "dovecot");
  const queued = await stream(mail.ports.smtp, ADDRESS, "queued", {
    connections: 2,
    count: 10,
  });
  require(queued.size === 10, "mail is taken while it cannot be delivered");
  await mail.box.must("stop", "mailserver");
  mail.box.env.COLINUX_RELAYHOST = "[127.0.0.1]:9";
  const { err } = await mail.up();
  requireMatch(err, /root disk is replaced, its other disks stay/, "another root");
  requireMatch(
    (await mail.exec("postconf", "relayhost")).out,
    /\[127\.0\.0\.1\]:9/,
    "its settings",
  );
  await mail.exec("postqueue", "-f");
  exactlyOnce(await mail.delivered(queued), queued);
  const after = new Set(await mail.inbox());
  require([...before].every((id) => after.has(id)), "the mail of before is there");
  require(await mail.certificate() === certificate, "the certificate is the same");
  require(await mail.password() === password, "so is the password");
  require((await mail.exec("postfix", "check")).err === "", "postfix check has nothing to say");
  await mail.box.must("stop", "mailserver");
  const { code } = await mail.sh(`e2fsck -fn '${mail.folder}/data.img'`);
  require(code === 0, "the data disk is clean");
}

export const mailTests: E2eTest[] = [{ name: "mail", limit: 1800, run: clients }];
