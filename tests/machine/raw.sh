#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Bring-up harness: a bare host kernel in QEMU with nothing but busybox, the
# module, codom and one guest.  For people who change the engine; `make raw`
# calls it.  Prints the host's serial console, exits with codom's exit code.
#
#   KVER=<host release>  GUEST=<guest release>  CPU=qemu64  SMP=1  MEM=1024
#   APPEND="colinux.protect=wp ..."   host command line; colinux.X=Y become insmod parameters
#   ARGS="..."                        codom's arguments (default: kernel, initrd)
#   QEMU_ARGS="-s -S -d int"          passed on
#   KO=, CODOM=, UNBZ=                other files than those in build/
#   LIMIT=300                         QEMU is ended after so many seconds
set -eu

build=$(cd "$(dirname "$0")/../.." && pwd)/build
kernels=$build/cache/kernels

KVER=${KVER:-$(cat "$kernels/by-package/linux-image-cloud-amd64")}
GUEST=${GUEST:-$KVER}
CPU=${CPU:-qemu64}
SMP=${SMP:-1}
MEM=${MEM:-1024}
LIMIT=${LIMIT:-300}
KO=${KO:-$build/kext/linux/$KVER/colinux.ko}
CODOM=${CODOM:-$build/tests/codom}
UNBZ=${UNBZ:-$build/tests/unbz}
busybox=$build/images/busybox
raw=$build/raw
mkdir -p "$raw"

# The payload of a bzImage (setup header: setup_sects, payload_offset and
# _length), decompressed by its magic number.
unpack() {
	if [ -x "$UNBZ" ]; then "$UNBZ" "$1" "$2"; return; fi
	word() { od -An -tu4 -j"$2" -N4 "$1" | tr -d ' '; }
	sects=$(od -An -tu1 -j497 -N1 "$1" | tr -d ' ')
	start=$(( (sects + 1) * 512 + $(word "$1" 584) ))
	length=$(( $(word "$1" 588) - 4 ))
	tail -c +$((start + 1)) "$1" | head -c "$length" > "$2.payload"
	case $(od -An -tx1 -N4 "$2.payload" | tr -d ' ') in
	fd377a58) xz -dc ;;
	02214c18) lz4 -dc ;;
	28b52ffd) zstd -dc ;;
	1f8b*) gzip -dc ;;
	*) echo "raw: $1: unknown payload" >&2; exit 1 ;;
	esac < "$2.payload" > "$2.new"
	rm -f "$2.payload"
	mv "$2.new" "$2"
}

# stale FILE MADE_FROM...
stale() {
	[ -e "$1" ] || return 0
	file=$1
	shift
	for from; do [ "$file" -nt "$from" ] || return 0; done
	return 1
}

pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0); }

elf=$raw/$GUEST.elf
[ -s "$elf" ] || unpack "$kernels/$GUEST/vmlinuz" "$elf"

# The guest's initrd: says that it is there, then powers off.
guest=$raw/guest.cpio
if stale "$guest" "$0"; then
	dir=$(mktemp -d)
	mkdir -p "$dir/bin" "$dir/proc" "$dir/sys" "$dir/dev"
	cp "$busybox" "$dir/bin/busybox"
	ln -s busybox "$dir/bin/sh"
	cat > "$dir/init" <<-'END'
		#!/bin/sh
		/bin/busybox mount -t proc proc /proc
		/bin/busybox mount -t sysfs sys /sys
		echo "GUEST-INIT-REACHED $(/bin/busybox uname -r)"
		/bin/busybox poweroff -f
	END
	chmod 755 "$dir/init"
	pack "$dir" > "$guest.new" && mv "$guest.new" "$guest"
	rm -rf "$dir"
fi

# The host's initramfs in two archives: the big one is kept, the small one has
# what changes with every build.
base=$raw/$GUEST.base.cpio
if stale "$base" "$0" "$elf" "$guest"; then
	dir=$(mktemp -d)
	mkdir -p "$dir/bin" "$dir/proc" "$dir/sys" "$dir/dev" "$dir/guest" "$dir/tmp"
	cp "$busybox" "$dir/bin/busybox"
	ln -s busybox "$dir/bin/sh"
	cp "$elf" "$dir/guest/vmlinux"
	cp "$guest" "$dir/guest/initrd"
	cat > "$dir/init" <<-'END'
		#!/bin/sh
		/bin/busybox --install -s /bin
		export PATH=/bin
		mount -t proc proc /proc
		mount -t sysfs sys /sys
		mount -t devtmpfs dev /dev
		params=
		for word in $(cat /proc/cmdline); do
			case $word in colinux.*=*) params="$params ${word#colinux.}" ;; esac
		done
		echo "RAW host $(uname -r) up $(cut -d' ' -f1 /proc/uptime) s"
		code=insmod
		if insmod /colinux.ko $params; then
			echo "RAW module loaded:$params"
			set -- $(cat /codom.args)
			/codom "$@"
			code=$?
		fi
		echo "RAW dmesg, last lines:"
		dmesg | tail -n 40
		rmmod colinux && echo "RAW module unloaded"
		echo "RAW codom exit $code"
		poweroff -f
	END
	chmod 755 "$dir/init"
	pack "$dir" > "$base.new" && mv "$base.new" "$base"
	rm -rf "$dir"
fi

delta=$(mktemp -d)
trap 'rm -rf "$delta"' EXIT
mkdir "$delta/root"
cp "$KO" "$delta/root/colinux.ko"
strip --strip-debug "$delta/root/colinux.ko"
cp "$CODOM" "$delta/root/codom"
echo "${ARGS:-/guest/vmlinux /guest/initrd}" > "$delta/root/codom.args"
{ cat "$base"; pack "$delta/root"; } > "$delta/initrd"

log=$raw/last.log
timeout --foreground "$LIMIT" qemu-system-x86_64 -accel tcg -cpu "$CPU" -smp "$SMP" \
	-m "$MEM" -display none -serial stdio -monitor none -no-reboot -nic none \
	-kernel "$kernels/$KVER/vmlinuz" -initrd "$delta/initrd" \
	-append "console=ttyS0 quiet panic=-1 tsc=nowatchdog no_timer_check ${APPEND:-}" \
	${QEMU_ARGS:-} < /dev/null | tee "$log"

code=$(tr -d '\r' < "$log" | sed -n 's/^RAW codom exit //p')
[ "$code" = 0 ] || { echo "raw: codom: ${code:-the host died}" >&2; exit 1; }
