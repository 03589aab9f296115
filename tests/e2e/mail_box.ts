// SPDX-License-Identifier: GPL-2.0-or-later
/** The shipped mail server in a sandbox of its own: ports, account, certificate. */
import { inbox } from "./mail_client.ts";
import { freePort, require, requireMatch, type Result, Sandbox } from "./sandbox.ts";

export const USER = "colinux";
export const ADDRESS = "colinux@mailserver.localhost";

export class MailBox implements AsyncDisposable {
  private constructor(
    readonly box: Sandbox,
    readonly ports: { smtp: number; submission: number; imaps: number },
  ) {}

  static async create(name: string, env: Record<string, string> = {}): Promise<MailBox> {
    const ports = { smtp: freePort(), submission: freePort(), imaps: freePort() };
    const box = await Sandbox.create(name, {
      COLINUX_SMTP_PORT: String(ports.smtp),
      COLINUX_SUBMISSION_PORT: String(ports.submission),
      COLINUX_IMAPS_PORT: String(ports.imaps),
      ...env,
    });
    return new MailBox(box, ports);
  }

  async up(...options: string[]): Promise<Result> {
    return await this.box.must("up", "configs/mailserver.jsonc", "--timeout", "14m", ...options);
  }

  get folder(): string {
    return `${this.box.home}/state/vms/mailserver`;
  }

  async password(): Promise<string> {
    const text = await Deno.readTextFile(`${this.folder}/credentials`);
    const password = new RegExp(`^${USER}:(.+)$`, "m").exec(text)?.[1];
    require(password !== undefined, "the credentials file has the account");
    return password;
  }

  /** The certificate that the IMAP server shows, in PEM. */
  async certificate(): Promise<string> {
    const { out } = await this.sh(
      `openssl s_client -connect 127.0.0.1:${this.ports.imaps} </dev/null 2>/dev/null`,
    );
    const pem = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----\n/.exec(out)?.[0];
    require(pem !== undefined, "the IMAP server shows a certificate");
    return pem;
  }

  async inbox(): Promise<string[]> {
    return await inbox(this.ports.imaps, USER, await this.password(), await this.certificate());
  }

  /** Waits until all of these are in INBOX; gives INBOX as it is then, or after too long. */
  async delivered(ids: ReadonlySet<string>, minutes = 5): Promise<string[]> {
    const end = Date.now() + minutes * 60_000;
    for (;;) {
      const there = await this.inbox();
      const known = new Set(there);
      if ([...ids].every((id) => known.has(id)) || Date.now() > end) return there;
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }

  async exec(...argv: string[]): Promise<Result> {
    const result = await this.box.colinux("exec", "mailserver", "--", ...argv);
    require(result.code === 0, `${argv.join(" ")}: exit code ${result.code}`);
    return result;
  }

  /** A line of a shell on this machine, as a person would type it. */
  async sh(line: string): Promise<Result> {
    return await this.box.run(["bash", "-o", "pipefail", "-c", line]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.box[Symbol.asyncDispose]();
  }
}

export function exactlyOnce(there: readonly string[], ids: ReadonlySet<string>): void {
  const counts = new Map<string, number>();
  for (const id of there) counts.set(id, (counts.get(id) ?? 0) + 1);
  const lost = [...ids].filter((id) => !counts.has(id));
  const twice = [...ids].filter((id) => (counts.get(id) ?? 0) > 1);
  require(lost.length === 0, `lost: ${lost.length} of ${ids.size}: ${lost.slice(0, 5)}`);
  require(twice.length === 0, `twice: ${twice.length} of ${ids.size}: ${twice.slice(0, 5)}`);
}

export { requireMatch };
