#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The root shell behind the port colinux.debug, only in a virtual host started
# for tests.  One command a line; its output ends with the line "<rc N>".
while :; do
	while IFS= read -r line; do
		(eval "$line") </dev/null 2>&1
		echo "<rc $?>"
	done
	# Nobody is there.
	usleep 50000
done
