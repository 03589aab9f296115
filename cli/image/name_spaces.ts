// SPDX-License-Identifier: GPL-2.0-or-later
/**
 * Root of a user name space: how users who are not root make files of other
 * users. Called by build.ts and store.ts.
 */
import { CliError, EXIT } from "../ui/errors.ts";
import { run } from "./process.ts";

/** For `unshare`: root of a name space of this user's. */
export const AS_ROOT = ["--map-root-user", "--map-auto", "--"];

/** Kernels differ in the switches that they have; each line is a switch and its value. */
const SWITCHES = "cd /proc/sys && exec grep -H . user/max_user_namespaces " +
  "kernel/unprivileged_userns_clone kernel/apparmor_restrict_unprivileged_userns";

export async function checkNameSpaces(): Promise<void> {
  if (Deno.uid() === 0) return;
  const { code, lines } = await run("unshare", [...AS_ROOT, "true"]);
  if (code === 0) return;
  const switches = (await run("sh", ["-c", `${SWITCHES} 2>/dev/null`])).lines;
  const { why, hint } = whyNot(lines, switches);
  throw new CliError(`this user cannot build images: ${why}`, {
    name: "USERNS",
    hint: `${hint}; or build as root: sudo colinux image build`,
    exit: EXIT.noPerm,
    detail: lines.join("\n"),
  });
}

/** From what unshare said, and the kernel's switches. */
export function whyNot(
  said: readonly string[],
  switches: readonly string[],
): { why: string; hint: string } {
  const text = said.join("\n");
  if (/failed to execute new[ug]idmap/.test(text)) {
    return {
      why: "newuidmap and newgidmap are not on this machine",
      hint: "install the Debian package uidmap",
    };
  }
  if (/\/etc\/sub[ug]id|not allowed/.test(text)) {
    return {
      why: "it has no subordinate ids in /etc/subuid and /etc/subgid",
      hint: "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
    };
  }
  const wrong = switches.map((line) => line.split(":")).find(([name = "", value]) =>
    name.endsWith("restrict_unprivileged_userns") ? value === "1" : value === "0"
  );
  if (wrong !== undefined) {
    const [name = "", value] = wrong;
    const right = name.startsWith("user/") ? "10000" : value === "1" ? "0" : "1";
    return {
      why: `this machine forbids it user name spaces (${name.replace("/", ".")} is ${value})`,
      hint: `as root: sysctl ${name.replace("/", ".")}=${right}`,
    };
  }
  return {
    why: `it gets no user name space: ${said.findLast((line) => line !== "") ?? "unshare failed"}`,
    hint: "a container may forbid them, as may no_new_privs and nosuid for newuidmap",
  };
}
