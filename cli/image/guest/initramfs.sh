#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# /etc/initramfs-tools/hooks/colinux: a guest has few devices, and a small initrd
# is a quick one. The virtio drivers let the same image boot in plain QEMU.
[ "${1:-}" = prereqs ] && exit 0
. /usr/share/initramfs-tools/hook-functions
manual_add_modules xen-blkfront xen-netfront ext4 virtio_pci virtio_blk
# Requests of 1 MiB, as the backend takes them: each one less is a trip to the host less.
mkdir -p "$DESTDIR/etc/modprobe.d"
echo 'options xen_blkfront max_indirect_segments=256' > "$DESTDIR/etc/modprobe.d/colinux.conf"
