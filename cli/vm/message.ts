// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * "message" of a definition: what `up` says last. Its {placeholders} are what
 * only this machine knows: where a port of the guest is, a password that was
 * made just now, the certificate that a server shows.
 */
import type { Definition } from "../config/definition.ts";
import { PLACEHOLDER } from "../config/placeholder.ts";
import { run } from "../image/process.ts";
import type { Paths } from "../ui/paths.ts";
import { credentialsFile } from "./credentials.ts";

const SHAKE_MS = 20_000;

export async function messageOf(
  paths: Paths,
  definition: Definition,
  passwords: ReadonlyMap<string, string>,
  certificate = certificateAt,
): Promise<string> {
  const file = credentialsFile(paths, definition.name);
  const value = async (what: string, of: string): Promise<string> => {
    if (what === "password") return passwords.get(of) ?? `(in ${file})`;
    if (what === "password-of") return `$(sed -n 's/^${of}://p' ${quoted(file)})`;
    const forward = definition.network?.forwards.find((one) =>
      one.protocol === "tcp" && one.guestPort === Number(of)
    );
    if (forward === undefined) return `(no forward leads to port ${of})`;
    const any = { "0.0.0.0": "127.0.0.1", "::": "::1" } as Record<string, string>;
    const host = any[forward.hostAddress] ?? forward.hostAddress;
    const address = `${host.includes(":") ? `[${host}]` : host}:${forward.hostPort}`;
    if (what === "host") return host;
    if (what === "port") return String(forward.hostPort);
    if (what === "address") return address;
    return await certificate(address) ?? "(no certificate could be read)";
  };
  let text = "";
  for (const line of definition.message ?? []) {
    let shown = "";
    let from = 0;
    for (const match of line.matchAll(PLACEHOLDER)) {
      const [whole, what = "", of = ""] = match;
      shown += line.slice(from, match.index) + await value(what, of);
      from = match.index + whole.length;
    }
    text += `${shown}${line.slice(from)}\n`;
  }
  return text;
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}

/** SHA-256 of the certificate that a TLS server shows, as mail programs write it. */
async function certificateAt(address: string): Promise<string | undefined> {
  const abort = AbortSignal.timeout(SHAKE_MS);
  try {
    const { lines } = await run("openssl", ["s_client", "-connect", address], { signal: abort });
    return fingerprint(lines);
  } catch {
    return undefined;
  }
}

export async function fingerprint(lines: readonly string[]): Promise<string | undefined> {
  const begin = lines.indexOf("-----BEGIN CERTIFICATE-----");
  const end = lines.indexOf("-----END CERTIFICATE-----", begin);
  if (begin < 0 || end < 0) return undefined;
  const bytes = Uint8Array.from(
    atob(lines.slice(begin + 1, end).join("")),
    (letter) => letter.charCodeAt(0),
  );
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":");
}
