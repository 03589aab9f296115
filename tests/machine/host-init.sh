#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /init of the machine tests' virtual host: runs the lines that come by ttyS1
# and ends each with "<rc N>".  The kernel's own log is on ttyS0.
/bin/busybox --install -s /bin
export PATH=/bin:/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
exec </dev/ttyS1 >/dev/ttyS1 2>&1
stty raw -echo
cd /tmp
echo "<ready>"
# Not by read: a child that ends in the middle of a line makes busybox's begin it
# again, without what it has read.
while line=$(head -n 1) && [ -n "$line" ]; do
	eval "$line"
	echo "<rc $?>"
done
poweroff -f
