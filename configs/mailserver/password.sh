#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# password.sh USER HASH: `colinux passwd` has changed a user's password; Dovecot's
# file on the data disk follows.
set -eu
passwd=/srv/accounts/passwd
grep -q "^$1:" $passwd || exit 0
# A hash holds no character that means something to awk's -v but the backslash.
awk -F: -v user="$1" -v hash="$2" 'BEGIN { OFS = ":" } $1 == user { $2 = hash } { print }' \
	$passwd > $passwd.new
chmod 0640 $passwd.new
chown root:dovecot $passwd.new
sync $passwd.new
mv $passwd.new $passwd
sync ${passwd%/*}
doveadm auth cache flush >/dev/null
