#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# A guest on a host inside Bochs, a second and stricter emulator than QEMU: the
# host runs with PCID and PTI, and with VMX on, because KVM has a VM open and
# running beside the guest.  Run by `make soak`; needs what `make test-build`
# built.  Some minutes: Bochs only interprets.
#
#   MEM=768  LIMIT=1500   the host's MiB; Bochs is ended after so many seconds
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$top/build}
work=$build/tests/bochs
MEM=${MEM:-768}
LIMIT=${LIMIT:-1500}
kver=$(cat "$build/cache/kernels/by-package/linux-image-cloud-amd64")
kernel=$build/cache/kernels/$kver

# kext/include/co_abi.h
CO_FEATURE_VMX_ON=0x1
CO_FEATURE_HOST_PTI=0x8
CO_FEATURE_PCID=0x40

missing=
for package in bochs bochs-term bochsbios vgabios grub-pc-bin grub-common xorriso mtools; do
	dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed ||
		missing="$missing $package"
done
if [ -n "$missing" ]; then
	sudo=
	[ "$(id -u)" = 0 ] || sudo="sudo DEBIAN_FRONTEND=noninteractive"
	export DEBIAN_FRONTEND=noninteractive
	echo "installing:$missing"
	install="$sudo apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends $missing"
	$install >/dev/null 2>&1 || { $sudo apt-get -qq update && $install >/dev/null; }
fi

rm -rf "$work"
mkdir -p "$work/iso/boot/grub"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

pack() { (cd "$1" && find . -mindepth 1 | LC_ALL=C sort | cpio -o -H newc --quiet -R 0:0); }

# tree DIR: busybox and the mount points; the caller writes its init.
tree() {
	mkdir -p "$1/bin" "$1/proc" "$1/sys" "$1/dev" "$1/tmp"
	cp "$build/images/busybox" "$1/bin/busybox"
	ln -s busybox "$1/bin/sh"
}

tree "$root/guest"
cat > "$root/guest/init" <<'END'
#!/bin/sh
/bin/busybox mount -t proc proc /proc
echo "GUEST-INIT-REACHED $(/bin/busybox uname -r)"
/bin/busybox poweroff -f
END
chmod 755 "$root/guest/init"

tree "$root/host"
pack "$root/guest" > "$root/host/guest.cpio"
"$build/tests/unbz" "$kernel/vmlinuz" "$root/host/vmlinux"
cp "$build/tests/codom" "$build/tests/cotool" "$root/host/"
cp "$build/kext/linux/$kver/colinux.ko" "$root/host/"
for name in virt/lib/irqbypass arch/x86/kvm/kvm arch/x86/kvm/kvm-intel; do
	file=$kernel/modules/kernel/$name.ko
	to=$root/host/${name##*/}.ko
	if [ -e "$file.xz" ]; then xz -dc "$file.xz" > "$to"; else cp "$file" "$to"; fi
done
strip --strip-debug "$root"/host/*.ko
# KVM's guest has the lowest priority: it is to be there, not to take the time.
cat > "$root/host/init" <<'END'
#!/bin/sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
end() {
	[ "$1" = 0 ] || dmesg | tail -n 30
	echo "BOCHS exit $1"
	# Returns when the serial line has sent all; a power-off does not wait.
	stty -F /dev/ttyS0 -echo
	poweroff -f
}
echo "BOCHS host $(uname -r) up $(cut -d' ' -f1 /proc/uptime) s"
for name in irqbypass kvm kvm-intel; do
	insmod /$name.ko || end "insmod $name.ko"
done
/cotool kvm > /tmp/kvm 2>&1 &
kvm=$!
until grep -q "KVM exits" /tmp/kvm; do
	kill -0 $kvm || end "KVM: $(cat /tmp/kvm)"
	usleep 10000
done
renice -n 19 -p $kvm
echo "BOCHS KVM's guest runs"
insmod /colinux.ko protect=wp || end "insmod colinux.ko"
echo "BOCHS module loaded up $(cut -d' ' -f1 /proc/uptime) s"
before=$(tail -n 1 /tmp/kvm)
/codom /vmlinux /guest.cpio 128 console=hvc0 earlyprintk=xen
code=$?
kill -0 $kvm || end "KVM's guest ended: $(tail -n 1 /tmp/kvm)"
after=$(tail -n 1 /tmp/kvm)
echo "BOCHS $before before codom, $after after"
[ "$before" != "$after" ] || end "KVM's guest stood still"
kill -9 $kvm
rmmod colinux || end "rmmod colinux"
end $code
END
chmod 755 "$root/host/init"
# Read through the BIOS, unpacked by an interpreted kernel: lz4 costs least.
pack "$root/host" | lz4 -l -q - "$work/iso/boot/initrd"
cp "$kernel/vmlinuz" "$work/iso/boot/vmlinuz"

# reboot=t ends a host that panicked: Bochs stops at a triple fault.
cat > "$work/iso/boot/grub/grub.cfg" <<'END'
set timeout=0
terminal_output console
linux /boot/vmlinuz console=ttyS0,115200 nokaslr quiet panic=-1 reboot=t
initrd /boot/initrd
boot
END
grub-mkrescue -o "$work/host.iso" "$work/iso" > "$work/iso.log" 2>&1 || { cat "$work/iso.log"; exit 1; }
rm -rf "$work/iso"

cat > "$work/bochsrc" <<END
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/vgabios/vgabios.bin
cpu: model=broadwell_ult, count=1, ips=50000000, reset_on_triple_fault=0
clock: sync=none
memory: guest=$MEM, host=$MEM
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path=$work/host.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial.log
log: $work/bochs.log
panic: action=fatal
error: action=report
info: action=ignore
debug: action=ignore
END
# Debian's Bochs has the debugger, which waits to be told to continue.
echo c > "$work/continue"
# Bochs calls a power-off a panic and exits with 1: the console tells.
timeout --foreground "$LIMIT" setpriv --pdeathsig KILL \
	bochs-bin -q -f "$work/bochsrc" -rc "$work/continue" < /dev/null > "$work/stdout.log" 2>&1 || true
rm -f "$work/host.iso"

log=$work/console.log
tr -d '\r' < "$work/serial.log" > "$log"
cat "$log"
fail() {
	echo "Bochs' log, last lines:"
	tail -n 8 "$work/bochs.log"
	echo "FAILED: $*"
	exit 1
}
grep -q "^BOCHS exit " "$log" || fail "the host did not come to its end"
code=$(sed -n 's/^BOCHS exit //p' "$log")
[ "$code" = 0 ] || fail "codom or what comes before it: $code"
grep -q "GUEST-INIT-REACHED" "$log" || fail "the guest did not reach its init"
features=$(sed -n 's/^codom: build .* features=\(0x[0-9a-f]*\) .*/\1/p' "$log")
[ -n "$features" ] || fail "codom did not say what the host has"
for name in VMX_ON PCID HOST_PTI; do
	eval "bit=\$CO_FEATURE_$name"
	[ $((features & bit)) != 0 ] || fail "features $features without CO_FEATURE_$name"
done
