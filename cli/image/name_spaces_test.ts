// SPDX-License-Identifier: GPL-2.0-or-later
import assert from "node:assert/strict";
import { whyNot } from "./name_spaces.ts";

const OPEN = ["user/max_user_namespaces:96365"];

for (
  const [said, switches, why, hint] of [
    ["unshare: failed to execute newuidmap: Permission denied", OPEN, /newuidmap/, /uidmap$/],
    ['unshare: no line matching user "u" in /etc/subuid: Success', OPEN, /subordinate/, /usermod/],
    ["newuidmap: uid range [0-9) -> [0-9) not allowed", OPEN, /subordinate/, /usermod/],
    [
      "unshare: unshare failed: No space left on device",
      ["user/max_user_namespaces:0"],
      /user\.max_user_namespaces is 0/,
      /sysctl user\.max_user_namespaces=10000$/,
    ],
    [
      "unshare: unshare failed: Operation not permitted",
      [...OPEN, "kernel/unprivileged_userns_clone:0"],
      /kernel\.unprivileged_userns_clone is 0/,
      /sysctl kernel\.unprivileged_userns_clone=1$/,
    ],
    [
      "newuidmap: write to uid_map failed: Operation not permitted",
      [...OPEN, "kernel/apparmor_restrict_unprivileged_userns:1"],
      /apparmor_restrict_unprivileged_userns is 1/,
      /sysctl kernel\.apparmor_restrict_unprivileged_userns=0$/,
    ],
    [
      "newuidmap: write to uid_map failed: Operation not permitted",
      OPEN,
      /no user name space: newuidmap: write to uid_map failed/,
      /container|nosuid/,
    ],
  ] as const
) {
  Deno.test(`no name space: ${said}, ${switches.at(-1)}`, () => {
    const found = whyNot([said, ""], switches);
    assert.match(found.why, why);
    assert.match(found.hint, hint);
  });
}
