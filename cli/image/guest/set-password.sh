#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# set-password USER: reads the hash of the new password from standard input. What
# keeps passwords elsewhere is told through /etc/colinux/password.d/*, each called
# as PROGRAM USER HASH. `colinux passwd` runs this.
set -eu
read -r hash
printf '%s:%s\n' "$1" "$hash" | chpasswd -e
for hook in /etc/colinux/password.d/*; do
	[ ! -x "$hook" ] || "$hook" "$1" "$hash"
done
