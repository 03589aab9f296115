# SPDX-License-Identifier: GPL-2.0-or-later
#
# The kext for macOS on Intel: objects by clang, on Linux and on macOS alike.
#   make -C kext darwin [KERNEL_HEADERS=.../Kernel.framework/Headers] [DARWIN_LD=ld]
# Without KERNEL_HEADERS our own declarations (os/darwin/kpi/) are used.  The objects
# may ask for what kpi.txt lists and nothing else.  Where Apple's linker is, by
# DARWIN_LD or because this is macOS, it makes colinux.kext of them: lld cannot.

D := $(K)/darwin
DARWIN_CC ?= clang
DARWIN_NM ?= $(shell command -v llvm-nm || echo nm)
DARWIN_OBJDUMP ?= $(shell command -v llvm-objdump || echo objdump)
DARWIN_LD ?= $(if $(filter Darwin,$(shell uname -s)),$(shell xcrun -f ld))
DARWIN_LDFLAGS ?= -arch x86_64 -kext -platform_version macos 11.0 11.0
KERNEL_HEADERS ?=
VERSION ?= 0.1.0

OS_DARWIN := alloc apic debug manager misc mutex start time timer user wait world
DARWIN_O := $(CORE:%=$(D)/core.%.o) $(OS_DARWIN:%=$(D)/os.%.o) $(D)/os.pages.o \
	$(D)/passage.o $(D)/image.o

# No SSE: what the compiler puts there between a guest's FPU and its save is the guest's.
# Looked up when used: a host that builds only the module may have no clang.
DARWIN_COMMON = -target x86_64-apple-macos11 -nostdinc -isystem $(shell $(DARWIN_CC) -print-resource-dir)/include \
	$(if $(KERNEL_HEADERS),-isystem $(KERNEL_HEADERS) -DCO_KERNEL_HEADERS) \
	-O2 -fno-builtin -fno-common -fno-strict-aliasing -fno-stack-protector -mgeneral-regs-only \
	-fno-asynchronous-unwind-tables -DKERNEL -DCO_FREESTANDING -Wall -Wextra -Werror \
	-Wno-unused-command-line-argument -Iinclude -Ios -Ipassage -I../helperd/proto
DARWIN_C = $(DARWIN_COMMON) -mkernel -std=gnu11 -DCO_VERSION='"$(VERSION)"' \
	-DCO_BUILD_ID='"$(or $(BUILD_ID),unknown)"'
# -mkernel would make C++ call by tables: see os/darwin/kpi/iokit.h.
DARWIN_CXX = $(DARWIN_COMMON) -static -mno-red-zone -std=gnu++17 -nostdinc++ -fno-exceptions -fno-rtti
DARWIN_H := $(HEADERS) $(wildcard os/*.h os/darwin/*.h os/darwin/kpi/*.h core/*.h)

.PHONY: darwin darwin-list
darwin-list:
	@echo $(DARWIN_O)
darwin: $(D)/checked $(if $(DARWIN_LD),$(D)/colinux.kext/Contents/MacOS/colinux)

$(D)/core.%.o: core/%.c $(DARWIN_H)
	@mkdir -p $(D)
	$(DARWIN_CC) $(DARWIN_C) -c -o $@ $<
$(D)/os.%.o: os/darwin/%.c $(DARWIN_H)
	@mkdir -p $(D)
	$(DARWIN_CC) $(DARWIN_C) -c -o $@ $<
$(D)/os.%.o: os/darwin/%.cpp $(DARWIN_H)
	@mkdir -p $(D)
	$(DARWIN_CC) $(DARWIN_CXX) -c -o $@ $<
$(D)/%.o: passage/%.S $(M)/monitor.bin $(M)/offsets.h $(HEADERS)
	@mkdir -p $(D)
	$(DARWIN_CC) -target x86_64-apple-macos11 -Iinclude -Ipassage -I../helperd/proto -I$(M) -Wa,-I$(M) \
		-c -o $@ $<

$(D)/checked: $(DARWIN_O) os/darwin/kpi.txt os/darwin/Info.plist os/darwin/check.sh
	NM=$(DARWIN_NM) OBJDUMP=$(DARWIN_OBJDUMP) sh os/darwin/check.sh os/darwin/kpi.txt os/darwin/Info.plist $(DARWIN_O)
	@touch $@

$(D)/colinux.kext/Contents/MacOS/colinux: $(D)/checked
	@mkdir -p $(@D)
	sed 's/@VERSION@/$(VERSION)/' os/darwin/Info.plist >$(D)/colinux.kext/Contents/Info.plist
	$(DARWIN_LD) $(DARWIN_LDFLAGS) -o $@ $(DARWIN_O)
