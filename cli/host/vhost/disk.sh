#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Called by busybox uevent for every kernel event: keeps /dev/colinux-disk/SERIAL
# for each virtio disk, and tells the daemon (descriptor 3) when one is there.
[ "$SUBSYSTEM" = block ] && [ "$DEVTYPE" = disk ] || exit 0
case $DEVNAME in vd*) ;; *) exit 0 ;; esac
links=/dev/colinux-disk
case $ACTION in
add)
	serial=$(cat "/sys/block/$DEVNAME/serial")
	[ -n "$serial" ] || exit 0
	# Whoever's disk it is has put its requests in order already.
	echo none > "/sys/block/$DEVNAME/queue/scheduler"
	chown 1000:1000 "/dev/$DEVNAME"
	if [ "$(cat "/sys/block/$DEVNAME/ro")" = 1 ]; then chmod 400 "/dev/$DEVNAME"; else chmod 600 "/dev/$DEVNAME"; fi
	ln -sf "../$DEVNAME" "$links/$serial"
	echo "disk $serial" >&3
	;;
remove)
	for link in "$links"/*; do
		[ "$(readlink "$link")" = "../$DEVNAME" ] || continue
		rm -f "$link"
		echo "gone ${link##*/}" >&3
	done
	;;
esac
