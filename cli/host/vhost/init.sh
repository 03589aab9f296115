#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the virtual host: loads the module, starts the helper and the relay,
# and tells the daemon (daemon.ts) outside how it goes, one line each, through
# the port colinux.ctl:
#   init | progress TEXT | ready | error TEXT
#   disk SERIAL | nic SERIAL | gone SERIAL | failed SERIAL TEXT (hotplug.sh)
# From there come: poweroff.  Kernel command line: colinux.X=Y are parameters
# of the module.  Nothing in here is reachable from outside but by the ports: this
# kernel has no network of its own.  Guests have NICs, which only macvtaps use.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t devtmpfs -o nosuid dev /dev
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
mount -t tmpfs -o nosuid,nodev tmp /tmp
mkdir -p /dev/virtio-ports /dev/colinux-disk /dev/colinux-nic /run/colinux /run/colinux-nic
hostname colinux-host
ip link set lo up
# This kernel is nobody's neighbour in guests' networks: on their NICs it has no address.
echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
# Guests' pings are sent by the workers of those VMs that have a NAT of their own.
echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range

while read -r module; do insmod "/modules/$module.ko"; done < /modules/order

# The owner's account: guests' workers run as it, and what belongs to them.
owner=1000

# A port's name comes some time after the port.
ports=
name_ports() {
	ports=
	streams=0
	for port in /sys/class/virtio-ports/*; do
		[ -s "$port/name" ] && read -r name < "$port/name" || continue
		device=/dev/${port##*/}
		ln -sf "$device" "/dev/virtio-ports/$name"
		case $name in
		colinux.[0-9]*)
			chown $owner:$owner "$device"
			ports="$ports $device"
			streams=$((streams + 1))
			;;
		esac
	done
}

wanted=0
for word in $(cat /proc/cmdline); do
	case $word in colinux_ports=*) wanted=${word#*=} ;; esac
done
until name_ports && [ $streams -ge "$wanted" ] && [ -e /dev/virtio-ports/colinux.ctl ]; do
	usleep 10000
done

# Everything that is started from here may speak to the daemon by descriptor 3.
exec 3<>/dev/virtio-ports/colinux.ctl || poweroff -f
say() { echo "$*" >&3; }
# Stops the machine; the daemon shows the text.
fail() {
	say "error $*"
	echo "colinux-host: $*"
	poweroff -f
}

say "init"

if [ -e /dev/virtio-ports/colinux.debug ]; then
	setsid sh /bin/colinux-debug <>/dev/virtio-ports/colinux.debug >&0 2>&1 3>&- &
fi

parameters=
for word in $(cat /proc/cmdline); do
	case $word in colinux.*=*) parameters="$parameters ${word#colinux.}" ;; esac
done
# shellcheck disable=SC2086
reason=$(insmod /colinux.ko $parameters 2>&1) || fail "the module does not load: $reason; $(dmesg | tail -n 1)"
[ -c /dev/colinux ] || fail "the module made no /dev/colinux: $(dmesg | tail -n 1)"

# Disks and NICs come and go: folders of links by serial number.
uevent /bin/colinux-hotplug &
for disk in /sys/block/vd*; do
	[ -e "$disk/serial" ] && ACTION=add SUBSYSTEM=block DEVTYPE=disk DEVNAME=${disk##*/} /bin/colinux-hotplug
done
for nic in /sys/class/net/*; do
	ACTION=add SUBSYSTEM=net INTERFACE=${nic##*/} /bin/colinux-hotplug
done

# The helper is started again when it ends, its guests are not.
while :; do
	colinuxd --stop-timeout 90000 3>&-
	code=$?
	[ -e /run/stopping ] && break
	say "progress colinuxd ended with code $code"
	usleep 200000
done &

tries=0
until [ -S /run/colinux/socket ]; do
	tries=$((tries + 1))
	[ $tries -lt 600 ] || fail "colinuxd does not listen"
	usleep 20000
done

while :; do
	# shellcheck disable=SC2086
	start-stop-daemon -S -c $owner:$owner -x /usr/bin/colinux-relay -- $ports 3>&-
	code=$?
	[ -e /run/stopping ] && break
	say "progress colinux-relay ended with code $code"
	usleep 200000
done &

say "ready"

until_poweroff() {
	while read -r line <&3; do
		[ "$line" = poweroff ] && return
	done
}
# Only who waits buries orphans: workers whose helper was killed, for one.
until_poweroff &
wait $!

: > /run/stopping
killall colinuxd
tries=0
while pidof colinuxd >/dev/null && [ $tries -lt 5000 ]; do
	tries=$((tries + 1))
	usleep 20000
done
rmmod colinux || echo "colinux-host: the module is still in use"
sync
poweroff -f
