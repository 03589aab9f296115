#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The root shell behind the port colinux.debug, only in a virtual host started
# for tests.  One command a line; its output ends with the line "<rc N>".
tries=0
while :; do
	while IFS= read -r line; do
		(eval "$line") </dev/null 2>&1
		echo "<rc $?>"
		tries=0
	done
	# Nobody is there.  To look often would cost those who measure something else.
	tries=$((tries + 1))
	[ $tries -lt 20 ] && usleep 50000 || sleep 1
done
