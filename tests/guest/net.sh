#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# net.sh [COMMAND...]: the guest's network by DHCP, as udhcpc's own script too;
# then the command.  Answers by a line that the tests wait for.
case $1 in
deconfig | nak | leasefail) exit 0 ;;
bound | renew)
	# shellcheck disable=SC2154 # udhcpc's variables
	busybox ip addr add "$ip/$mask" dev "$interface"
	# shellcheck disable=SC2154
	busybox ip route add default via "$router"
	# shellcheck disable=SC2154
	echo "net.sh: $ip $router $dns $hostname"
	exit 0
	;;
esac
busybox ip link set lo up
busybox ip link set eth0 up
busybox udhcpc -i eth0 -n -q -f -s /net.sh -t 20 || exit 1
echo "net.sh: up"
[ $# = 0 ] || exec "$@"
