#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Called by busybox uevent for every kernel event: keeps /dev/colinux-disk/SERIAL
# for each virtio disk and /dev/colinux-nic/SERIAL for each NIC of a VM's, and
# tells the daemon (descriptor 3) when one is there.
disks=/dev/colinux-disk
nics=/dev/colinux-nic
# A NIC that has gone has no address any more: a file by its name here has it.
known=/run/colinux-nic
owner=1000

add_disk() {
	serial=$(cat "/sys/block/$DEVNAME/serial")
	[ -n "$serial" ] || return
	# Whoever's disk it is has put its requests in order already.
	echo none > "/sys/block/$DEVNAME/queue/scheduler"
	chown $owner:$owner "/dev/$DEVNAME"
	if [ "$(cat "/sys/block/$DEVNAME/ro")" = 1 ]; then chmod 400 "/dev/$DEVNAME"; else chmod 600 "/dev/$DEVNAME"; fi
	ln -sf "../$DEVNAME" "$disks/$serial"
	echo "disk $serial" >&3
}

remove_disk() {
	for link in "$disks"/*; do
		[ "$(readlink "$link")" = "../$DEVNAME" ] || continue
		rm -f "$link"
		echo "gone ${link##*/}" >&3
	done
}

add_nic() {
	# What is made on a NIC has its address, but is no device of its own.
	[ -e "/sys/class/net/$INTERFACE/device" ] || return
	read -r address < "/sys/class/net/$INTERFACE/address" || return
	case $address in 52:54:00:c0:*) ;; *) return ;; esac
	serial=$(echo "$address" | tr -d :)
	# The same one may be told of twice.
	(set -C; echo "$serial" > "$known/$INTERFACE") 2>/dev/null || return
	# 3 is for this script alone.
	if tap=$(colinux-macvtap "$INTERFACE" $owner 2>"$known/$INTERFACE.why" 3>&-); then
		ln -sf "$tap" "$nics/$serial"
		echo "nic $serial" >&3
	else
		echo "failed $serial $(tail -n 1 "$known/$INTERFACE.why")" >&3
	fi
	rm -f "$known/$INTERFACE.why"
}

remove_nic() {
	[ -e "$known/$INTERFACE" ] || return
	read -r serial < "$known/$INTERFACE"
	rm -f "$known/$INTERFACE" "$nics/$serial"
	echo "gone $serial" >&3
}

case $SUBSYSTEM:$DEVTYPE:$DEVNAME in
block:disk:vd*)
	case $ACTION in
	add) add_disk ;;
	remove) remove_disk ;;
	esac
	;;
net:*)
	case $ACTION in
	add) add_nic ;;
	remove) remove_nic ;;
	esac
	;;
esac
