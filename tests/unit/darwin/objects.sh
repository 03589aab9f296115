#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make kext-darwin; does its check refuse what it must?  Then: are the monitor's bytes
# the same in the kext's Mach-O object, in every Linux module that was built, and in
# the blob itself?
set -eu
make -s --no-print-directory -C kext darwin BUILD="$BUILD"

d=kext/os/darwin
objects=$(make -s --no-print-directory -C kext darwin-list BUILD="$BUILD")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
check() { NM=llvm-nm OBJDUMP=llvm-objdump sh $d/check.sh "$@" >"$work/said" 2>&1; }
# refused NAME WORDS KPI PLIST OBJECT...: fails, and says why.
refused() {
	name=$1 words=$2
	shift 2
	if check "$@" || ! grep -q "$words" "$work/said"; then
		echo "not ok $name"
		cat "$work/said"
		exit 1
	fi
	echo "ok $name"
}
check $d/kpi.txt $d/Info.plist $objects || { cat "$work/said"; exit 1; }
grep -v ' _copyin$' $d/kpi.txt >"$work/less"
{ cat $d/kpi.txt; echo "com.apple.kpi.bsd _vn_rdwr"; } >"$work/more"
{ cat $d/kpi.txt; echo "a line that means nothing"; } >"$work/odd"
grep -v unsupported $d/Info.plist >"$work/plist"
echo 'int puts(const char *); __attribute__((constructor)) static void f(void) { }' |
	clang -target x86_64-apple-macos11 -x c -c -o "$work/early.o" -
echo 'int puts(const char *); int f(void); int f(void) { return puts(""); }' |
	clang -target x86_64-apple-macos11 -x c -c -o "$work/libc.o" -
refused symbol_not_listed 'needs _copyin,' "$work/less" $d/Info.plist $objects
refused symbol_not_needed '_vn_rdwr, which no' "$work/more" $d/Info.plist $objects
refused line_unknown 'no entry' "$work/odd" $d/Info.plist $objects
refused bundle_not_declared 'Info.plist declares' $d/kpi.txt "$work/plist" $objects
refused constructor 'before start' $d/kpi.txt $d/Info.plist $objects "$work/early.o"
refused libc 'needs _puts,' $d/kpi.txt $d/Info.plist $objects "$work/libc.o"
rm -rf "$work"

exec python3 - "$BUILD" <<'END'
import glob, os, struct, sys

build = sys.argv[1]
blob = open(build + "/kext/monitor/monitor.bin", "rb").read()

def macho(path):
    """The bytes between the two symbols of a Mach-O object."""
    d = open(path, "rb").read()
    at, symbols, sections = 32, {}, []
    for _ in range(struct.unpack_from("<I", d, 16)[0]):
        command, size = struct.unpack_from("<II", d, at)
        if command == 0x19:                      # LC_SEGMENT_64
            for s in range(struct.unpack_from("<I", d, at + 64)[0]):
                sections.append(struct.unpack_from("<QQI", d, at + 72 + 80 * s + 32))
        elif command == 2:                       # LC_SYMTAB
            table, count, text = struct.unpack_from("<III", d, at + 8)
            for i in range(count):
                name, _, section, _, value = struct.unpack_from("<IBBHQ", d, table + 16 * i)
                end = d.index(b"\0", text + name)
                symbols[d[text + name:end]] = (section, value)
        at += size
    section, start = symbols[b"_co_monitor_image"]
    _, end = symbols[b"_co_monitor_image_end"]
    address, _, offset = sections[section - 1]
    return d[offset + start - address:offset + end - address]

def elf(path):
    """The same of a relocatable ELF file."""
    d = open(path, "rb").read()
    shoff, shnum = struct.unpack_from("<Q", d, 40)[0], struct.unpack_from("<H", d, 60)[0]
    headers = [struct.unpack_from("<IIQQQQIIQQ", d, shoff + 64 * i) for i in range(shnum)]
    for h in headers:
        if h[1] != 2:                            # SHT_SYMTAB
            continue
        names, found = headers[h[6]][4], {}
        for at in range(h[4], h[4] + h[5], 24):
            name, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", d, at)
            end = d.index(b"\0", names + name)
            found[d[names + name:end]] = (section, value)
        section, start = found[b"co_monitor_image"]
        base = headers[section][4]
        return d[base + start:base + found[b"co_monitor_image_end"][1]]

bad = 0
def same(name, bytes):
    global bad
    good = len(blob) > 16384 and bytes == blob
    bad += not good
    print("ok" if good else "not ok", name)

same("darwin_blob", macho(build + "/kext/darwin/image.o"))
# A module of an older build is no witness: it is made again before it is used.
modules = [m for m in glob.glob(build + "/kext/linux/*/colinux.ko")
           if os.path.getmtime(m) >= os.path.getmtime(build + "/kext/monitor/monitor.bin")]
for m in sorted(modules):
    same("linux_blob_" + os.path.basename(os.path.dirname(m)), elf(m))
if not modules:
    print("not ok linux_blob: no module is built: make module")
sys.exit(bad != 0 or not modules)
END
