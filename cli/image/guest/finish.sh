#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# From root.tar in the current folder to root.img, vmlinuz and initrd. Runs as
# root of a user name space where the user is not root itself. build.ts calls it.
set -eu
mkdir root
tar -x -p --numeric-owner --exclude='./dev/*' -f root.tar -C root
rm root.tar
cp root/boot/vmlinuz-* vmlinuz
cp root/boot/initrd.img-* initrd
ls root/boot/vmlinuz-* | sed 's/.*vmlinuz-//' > release
# A quarter more than the files, so that a small size in the definition can hold it.
used=$(du -s -x -k root | cut -f1)
truncate -s $((used + used / 4 + 98304))K root.img
mke2fs -q -t ext4 -L root -m 1 -E root_owner=0:0 -d root root.img
rm -rf root
