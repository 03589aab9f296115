#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs inside the new root as root, after the packages: what makes a Debian root
# a guest of coLinux, then the definition's users, files and scripts. build.ts
# puts it and its input below /colinux-setup and removes them afterwards; lines
# that begin with "colinux: " are for it.
set -eu
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
DEBIAN_FRONTEND=noninteractive
LC_ALL=C
HOME=/root
export PATH DEBIAN_FRONTEND LC_ALL HOME
cd /colinux-setup

# ---- the base ---------------------------------------------------------------

cat > /etc/systemd/network/80-colinux.network <<'END'
[Match]
Type=ether

[Network]
DHCP=yes
LinkLocalAddressing=ipv6

[DHCPv4]
ClientIdentifier=mac
UseHostname=no
END
# The host puts a disk's requests in order; to do so here too costs switches of threads.
cat > /etc/udev/rules.d/60-colinux.rules <<'END'
ACTION=="add|change", SUBSYSTEM=="block", KERNEL=="xvd*[!0-9]", ATTR{queue/scheduler}="none"
END
mkdir -p /etc/systemd/resolved.conf.d
printf '[Resolve]\nLLMNR=no\nMulticastDNS=no\n' > /etc/systemd/resolved.conf.d/colinux.conf
# No name cache between a guest and the host's: what the network says counts.
ln -sf ../run/systemd/resolve/resolv.conf /etc/resolv.conf
systemctl -q enable systemd-networkd.service

# The console is its owner's, like the whole VM.
mkdir -p /etc/systemd/system/serial-getty@.service.d
cat > /etc/systemd/system/serial-getty@.service.d/colinux.conf <<'END'
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 %I $TERM
END

# Clock and entropy are the host's, there is no hardware to look after, and what
# changes packages or disks by itself waits for somebody who asks. Each unit that
# does not start is time that nobody waits.
systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-pstore.service \
	systemd-rfkill.socket systemd-timesyncd.service getty@tty1.service \
	systemd-networkd-wait-online.service systemd-binfmt.service systemd-repart.service \
	proc-sys-fs-binfmt_misc.automount sys-fs-fuse-connections.mount dev-hugepages.mount \
	dev-mqueue.mount systemd-modules-load.service \
	sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount \
	modprobe@configfs.service modprobe@dm_mod.service modprobe@drm.service \
	modprobe@efi_pstore.service modprobe@fuse.service modprobe@loop.service \
	systemd-network-generator.service systemd-update-utmp.service \
	systemd-update-utmp-runlevel.service kmod-static-nodes.service \
	systemd-ask-password-console.path systemd-ask-password-wall.path 2>/dev/null
mkdir -p /etc/systemd/system-generators
for generator in bless-boot cryptsetup gpt-auto hibernate-resume integritysetup veritysetup; do
	ln -s /dev/null "/etc/systemd/system-generators/systemd-$generator-generator"
done
# Names are looked up when somebody asks: the rest of the boot does not wait for it.
systemctl -q disable systemd-resolved.service
sed 's/\<sysinit\.target\>/multi-user.target/' /lib/systemd/system/systemd-resolved.service \
	> /etc/systemd/system/systemd-resolved.service
sed -i '/^Before=/s/multi-user\.target//' /etc/systemd/system/systemd-resolved.service
systemctl -q enable systemd-resolved.service
# The first seed comes from the host's own generator (seed.ts).
mkdir -p /etc/systemd/system/systemd-random-seed.service.d
printf '[Service]\nEnvironment=SYSTEMD_RANDOM_SEED_CREDIT=force\n' \
	> /etc/systemd/system/systemd-random-seed.service.d/colinux.conf

printf 'LANG=C.UTF-8\n' > /etc/default/locale
echo UTC > /etc/timezone
ln -sf /usr/share/zoneinfo/UTC /etc/localtime
# Each VM gets its own names and file systems when its root disk is made.
: > /etc/machine-id
printf 'localhost\n' > /etc/hostname
echo 'LABEL=root / ext4 errors=remount-ro 0 0' > /etc/fstab

install -D -m 755 agent /usr/local/lib/colinux/agent
install -m 644 agent.service /etc/systemd/system/colinux-agent.service
systemctl -q enable colinux-agent.service
install -D -m 755 set-password.sh /usr/local/lib/colinux/set-password

# Keys that sign the machine's package sources are needed here as well.
if [ -d keyrings ]; then
	find keyrings -type f | while read -r key; do
		[ -e "/${key#keyrings/}" ] || install -D -m 644 "$key" "/${key#keyrings/}"
	done
fi
# What only the build needed of the machine's settings.
rm -f /etc/apt/apt.conf.d/99mmdebstrap

# ---- what the definition adds -------------------------------------------------

while IFS=: read -r name hash shell groups; do
	for group in $(echo "$groups" | tr , ' '); do
		getent group "$group" >/dev/null || groupadd --system "$group"
	done
	if [ "$name" != root ]; then
		getent passwd "$name" >/dev/null || useradd -m -s "$shell" "$name"
	fi
	usermod -s "$shell" -p "$hash" "$name"
	[ -z "$groups" ] || usermod -a -G "$groups" "$name"
done < users.list

while read -r number mode owner path; do
	parent=${path%/*}
	[ -z "$parent" ] || mkdir -p "$parent"
	install -m "$mode" "files/$number" "$path"
	chown "$owner" "$path"
done < files.list

while read -r number; do
	echo "colinux: script $number begins"
	code=0
	(cd / && exec "/colinux-setup/scripts/$number") < /dev/null || code=$?
	if [ $code != 0 ]; then
		echo "colinux: script $number fails $code"
		exit 1
	fi
	echo "colinux: script $number ends"
done < scripts.list

# ---- kernel and initrd --------------------------------------------------------

set -- /boot/vmlinuz-*
if [ $# != 1 ] || [ ! -f "$1" ]; then
	echo "colinux: kernels $*"
	exit 1
fi
release=${1#/boot/vmlinuz-}
[ -f "/boot/initrd.img-$release" ] || update-initramfs -c -k "$release"
for module in xen-blkfront xen-netfront; do
	if ! grep -q "/$module\.ko" "/lib/modules/$release/modules.builtin" &&
		! lsinitramfs "/boot/initrd.img-$release" | grep -q "/$module\.ko"; then
		echo "colinux: module $module $release"
		exit 1
	fi
done

# The first boot need not look for what an update of /usr might have changed.
touch /etc/.updated /var/.updated
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/debconf/*-old /var/log/apt \
	/var/log/dpkg.log /var/log/alternatives.log /var/log/bootstrap.log /colinux-setup
