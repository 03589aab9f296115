#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# modules.sh TREE OUT NAME...: packs the modules NAME found under TREE, unpacked,
# with a file modules/order for init, into OUT.cpio.  Called by the Makefile.
set -eu
tree=$1 out=$2
shift 2
rm -rf "$out.dir"
mkdir -p "$out.dir/modules"
for name; do
	file=$(find -L "$tree" -name "$name.ko" -o -name "$name.ko.xz" | head -n 1)
	case $file in
	*.xz) xz -dc "$file" >"$out.dir/modules/$name.ko" ;;
	*.ko) cp "$file" "$out.dir/modules/$name.ko" ;;
	*) continue ;;
	esac
	case $name in
	brd) echo "$name.ko rd_nr=2 rd_size=32768" ;;
	xen-blkfront) echo "$name.ko max_indirect_segments=256" ;; # as images have it
	*) echo "$name.ko" ;;
	esac >>"$out.dir/modules/order"
done
(cd "$out.dir" && find . | LC_ALL=C sort | cpio --quiet -o -H newc --reproducible -R 0:0) >"$out.cpio.tmp"
mv "$out.cpio.tmp" "$out.cpio"
rm -rf "$out.dir"
