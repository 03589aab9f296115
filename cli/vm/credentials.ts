// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Generated passwords: the file `credentials` in the VM's folder, mode 0600,
 * lines `user:password`. The guest has hashes only.
 */
import type { Paths } from "../ui/paths.ts";
import { vmFolder } from "./records.ts";

/** Without what looks alike; 32 of them, so that each is 5 bits. */
const LETTERS = "abcdefghijkmnpqrstuvwxyz23456789";

export function credentialsFile(paths: Paths, vm: string): string {
  return `${vmFolder(paths, vm)}/credentials`;
}

/** 100 bits in four groups. */
export function generatePassword(): string {
  const letters = [...crypto.getRandomValues(new Uint8Array(20))].map((byte) => LETTERS[byte % 32]);
  return [0, 5, 10, 15].map((at) => letters.slice(at, at + 5).join("")).join("-");
}

export async function readCredentials(paths: Paths, vm: string): Promise<Map<string, string>> {
  let text = "";
  try {
    text = await Deno.readTextFile(credentialsFile(paths, vm));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const credentials = new Map<string, string>();
  for (const line of text.split("\n")) {
    const colon = line.indexOf(":");
    if (colon > 0) credentials.set(line.slice(0, colon), line.slice(colon + 1));
  }
  return credentials;
}

/** Whole or not at all; nobody else can read it at any moment. */
export async function writeCredentials(
  paths: Paths,
  vm: string,
  credentials: ReadonlyMap<string, string>,
): Promise<void> {
  const file = credentialsFile(paths, vm);
  await Deno.mkdir(vmFolder(paths, vm), { recursive: true, mode: 0o700 });
  const text = [...credentials].map(([user, password]) => `${user}:${password}\n`).join("");
  await Deno.remove(`${file}.new`).catch(() => {});
  const open = await Deno.open(`${file}.new`, { createNew: true, write: true, mode: 0o600 });
  try {
    await open.write(new TextEncoder().encode(text));
    await open.sync();
  } finally {
    open.close();
  }
  await Deno.rename(`${file}.new`, file);
}

/** Makes passwords for those users who have none yet; these come back. */
export async function ensureCredentials(
  paths: Paths,
  vm: string,
  users: readonly string[],
): Promise<{ all: Map<string, string>; fresh: Map<string, string> }> {
  const all = await readCredentials(paths, vm);
  const fresh = new Map<string, string>();
  for (const user of users) {
    if (all.has(user)) continue;
    const password = generatePassword();
    all.set(user, password);
    fresh.set(user, password);
  }
  if (fresh.size > 0) await writeCredentials(paths, vm, all);
  return { all, fresh };
}
