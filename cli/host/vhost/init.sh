#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the virtual host: loads the module, starts the helper and the relay,
# and tells the daemon (daemon.ts) outside how it goes, one line each, through
# the port colinux.ctl:
#   init | progress TEXT | ready | error TEXT | disk SERIAL | gone SERIAL
# From there come: poweroff.  Kernel command line: colinux.X=Y are parameters
# of the module.  Nothing in here is reachable from outside but by the ports and
# by forwards that the daemon makes.
/bin/busybox mkdir -p /proc /sys /dev /run /tmp
/bin/busybox --install -s /bin
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
mount -t proc -o nosuid,nodev,noexec proc /proc
mount -t sysfs -o nosuid,nodev,noexec sys /sys
mount -t devtmpfs -o nosuid dev /dev
mount -t tmpfs -o nosuid,nodev,mode=755 run /run
mount -t tmpfs -o nosuid,nodev tmp /tmp
mkdir -p /dev/virtio-ports /dev/colinux-disk /run/colinux
hostname colinux-host
ip link set lo up

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

# layout.ts names the two networks.  QEMU's user network takes what is sent to its
# gateway's address, and to any of its IPv6 network's, for this machine's loopback:
# only answers of a udp forward, from its own address, may go there.
network() (
	set -e
	out=$(by_mac 52:54:00:c0:11:02)
	in=$(by_mac 52:54:00:c0:11:03)
	# Guests' pings are sent by their workers.
	echo "0 2147483647" > /proc/sys/net/ipv4/ping_group_range
	cd /proc/sys/net/ipv6/conf
	echo 1 > "$in/disable_ipv6"
	echo 0 > "$out/accept_ra"
	# Nobody else is there to have the same address.
	echo 0 > "$out/accept_dad"
	# No address of the link's own: fe80:: would be one more way to that loopback.
	echo 1 > "$out/addr_gen_mode"
	ip link set "$out" up
	ip link set "$in" up
	ip addr add 198.18.2.15/24 dev "$out"
	ip addr add 198.18.2.16/32 dev "$out"
	ip route add default via 198.18.2.2
	ip route add prohibit 198.18.2.2/32
	ip -6 addr add fd98:c011::15/128 dev "$out"
	ip -6 route add fd98:c011::3/128 dev "$out"
	ip -6 route add default via fe80::2 dev "$out"
	ip -6 route add unreachable fd98:c011::/64
	ip -6 route add unreachable fe80::/64
	ip addr add 198.18.3.15/24 dev "$in"
	answers 2 198.18.2.16 "$out" 198.18.2.2
	answers 3 198.18.3.15 "$in" 198.18.3.2
	# One guest's forwards are not for another guest.
	ip rule add pref 10 table local
	ip rule del pref 0
	ip rule add to 198.18.2.16 iif lo type prohibit pref 5
	ip rule add to 198.18.3.15 iif lo type prohibit pref 5
)
# answers TABLE ADDRESS NIC GATEWAY: what comes from ADDRESS leaves by NIC.
answers() {
	ip route add "$4/32" dev "$3" table "$1"
	ip route add default via "$4" dev "$3" table "$1"
	ip rule add from "$2" table "$1" pref 30
}
by_mac() {
	for nic in /sys/class/net/*; do
		[ "$(cat "$nic/address")" = "$1" ] && echo "${nic##*/}" && return
	done
	echo "no NIC $1" >&2
	return 1
}
network
[ $? -eq 0 ] || say "progress there is no network"

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

# Disks come and go: a folder of links by serial number.
uevent /bin/colinux-disk &
for disk in /sys/block/vd*; do
	[ -e "$disk/serial" ] && ACTION=add SUBSYSTEM=block DEVTYPE=disk DEVNAME=${disk##*/} /bin/colinux-disk
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
