#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# make kext-darwin, then: are the monitor's bytes the same in the kext's Mach-O object,
# in every Linux module that was built, and in the blob itself?
set -eu
make -s --no-print-directory -C kext darwin BUILD="$BUILD"
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
