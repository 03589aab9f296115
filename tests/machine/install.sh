#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make install and make uninstall on a Debian of its own in QEMU: DKMS builds the
# module, systemd starts the helper, an ordinary user boots a guest natively,
# and after the removal nothing is left.  Run by `make soak`; needs what
# `make test-build` built.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${BUILD:-$top/build}
cache=$build/cache/install-test
work=$build/tests/install
log=$work/console.log
mkdir -p "$cache" "$work"

packages=systemd-sysv,dkms,make,gcc,linux-image-cloud-amd64,linux-headers-cloud-amd64
packages=$packages,libjansson4,libseccomp2,liblzma5,liblz4-1,libzstd1,zlib1g,libslirp0

# The system without coLinux: kept, it costs a minute.
tar=$cache/root-1.tar
if [ ! -s "$tar" ]; then
	mmdebstrap --quiet --variant=minbase --include="$packages" bookworm "$cache/new.tar"
	mv "$cache/new.tar" "$tar"
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir "$root/system" "$root/tree"
tar -C "$root/system" -xf "$tar"

# The checkout as a person has it after `make`, without caches.
(cd "$top" && git ls-files -z | xargs -0 cp -a --parents -t "$root/tree")
mkdir "$root/tree/build"
for part in bin cli images vhost helperd kext; do cp -a "$build/$part" "$root/tree/build/"; done
rm -rf "$root/tree/build/kext/linux"

cat > "$root/system/test.sh" <<'END'
#!/bin/sh
say() { echo "INSTALL-TEST $*"; }
fail() {
	say "FAILED $*"
	journalctl -b -u colinuxd --no-pager | tail -n 20
	dmesg | tail -n 20
	poweroff -f
}
files() { find / -xdev \( -path /proc -o -path /tree -o -path /var/log -o -path /run -o -path /tmp \) -prune -o -print | sort; }

cd /tree || fail "no tree"
files > /run/before
make install > /run/install.log 2>&1 || { cat /run/install.log; fail "make install"; }
say "installed"
[ -c /dev/colinux ] || fail "no /dev/colinux"
[ "$(stat -c %a:%U /dev/colinux)" = 600:root ] || fail "/dev/colinux: $(stat -c %a:%U /dev/colinux)"
case $(dkms status) in *colinux*installed*) ;; *) fail "dkms: $(dkms status)" ;; esac
systemctl is-active colinuxd.service || fail "colinuxd.service"
find / -xdev -name 'colinux*' -newer /run/before -not -path '/tree/*' -perm -002 -type f | grep . && fail "files that anybody may write"

useradd --create-home somebody
cat > ~somebody/native.jsonc <<DEFINITION
{
  "name": "native", "memory": "128 MiB",
  "kernel": "/boot/vmlinuz-$(uname -r)", "initrd": "builtin:shell",
  "ready": { "console": "colinux: the guest is at its shell" }, "autostart": true
}
DEFINITION
as() { su - somebody -c "$*"; }
as colinux ls --json | grep -q '"vms":\[\]' || fail "colinux ls as a user"
as colinux up --quiet --timeout 5m native.jsonc || fail "colinux up as a user: $(as colinux logs native | tail -n 20)"
as colinux host status | grep -q "local" || fail "not the native host: $(as colinux host status)"
as colinux logs native | grep -q "Booting .*kernel on Xen" || fail "colinux logs"
kept=/var/lib/colinux/autostart/$(id -u somebody)/native.json
[ "$(stat -c %a:%U "$kept")" = 600:root ] || fail "autostart: $(ls -lR /var/lib/colinux)"
# The guest powers off with the helper, and comes back with it, its owner's.
systemctl restart colinuxd.service || fail "colinuxd.service restarts"
journalctl -b -u colinuxd --no-pager | grep -q "native.*: the guest powered off" || fail "no power-off with colinuxd"
as colinux wait native --for ready --timeout 5m || fail "autostart: $(as colinux status native)"
grep -q "^Uid:.$(id -u somebody)" "/proc/$(pidof colinux-worker)/status" || fail "a worker that is not somebody's"
say "a guest started with the helper"
as colinux stop native || fail "colinux stop"
as colinux rm native || fail "colinux rm"
[ -e "$kept" ] && fail "autostart after rm"
say "a guest ran natively"

make uninstall > /run/uninstall.log 2>&1 || { cat /run/uninstall.log; fail "make uninstall"; }
[ -e /dev/colinux ] && fail "/dev/colinux is still there"
[ -d /sys/module/colinux ] && fail "the module is still loaded"
userdel --remove somebody
files > /run/after
diff /run/before /run/after | grep '^>' | grep -v -e ' /var/lib/systemd' -e ' /var/cache' -e ' /var/tmp' \
	-e ' /var/mail' -e ' /etc/.*-$' -e ' /etc/.pwd.lock' -e ' /home' > /run/left
[ -s /run/left ] && fail "left behind: $(cat /run/left)"
say "PASSED"
poweroff -f
END
chmod 755 "$root/system/test.sh"
cat > "$root/system/etc/systemd/system/test.service" <<'END'
[Service]
Type=oneshot
ExecStart=/test.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
END
mkdir -p "$root/system/etc/systemd/system/multi-user.target.wants" "$root/system/tree"
ln -s ../test.service "$root/system/etc/systemd/system/multi-user.target.wants/"
ln -sf /dev/null "$root/system/etc/systemd/system/serial-getty@ttyS0.service"
echo "/dev/vdb /tree ext4 defaults 0 0" > "$root/system/etc/fstab"
cp "$root"/system/boot/vmlinuz-* "$work/vmlinuz"
cp "$root"/system/boot/initrd.img-* "$work/initrd"
rm -f "$work"/*.ext4
mke2fs -q -t ext4 -d "$root/system" "$work/system.ext4" 4G
mke2fs -q -t ext4 -d "$root/tree" "$work/tree.ext4" 2G
rm -rf "$root"

timeout --foreground 1500 setpriv --pdeathsig KILL qemu-system-x86_64 -accel tcg -cpu qemu64 \
	-smp 1 -m 2048 -display none -serial stdio -monitor none -no-reboot -nic none \
	-kernel "$work/vmlinuz" -initrd "$work/initrd" \
	-drive "file=$work/system.ext4,format=raw,if=virtio" \
	-drive "file=$work/tree.ext4,format=raw,if=virtio" \
	-append "root=/dev/vda rw console=ttyS0 quiet panic=-1 tsc=nowatchdog no_timer_check" \
	< /dev/null | tee "$log"
rm -f "$work"/*.ext4
grep -q "INSTALL-TEST PASSED" "$log"
