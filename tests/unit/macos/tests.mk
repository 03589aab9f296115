# SPDX-License-Identifier: GPL-2.0-or-later
# The helper and the worker as on macOS: every file but Linux's own is compiled without
# __linux__, in strict POSIX mode and with what macOS has beyond it (include/), and
# linked; the loop runs on a double of kqueue.
TESTS += macos macos_loop

MAC := $(OUT)/macos.objects
MAC_ROOT := $(filter-out %_linux.c,$(wildcard $(TOP)/helperd/root/*.c))
MAC_LIB := $(wildcard $(TOP)/helperd/lib/*.c)
MAC_WORKER := $(filter-out %_linux.c,$(wildcard $(WORKER)/*.c $(WORKER)/builder/*.c)) $(TOP)/helperd/agent/frame.c
MAC_CC := $(CC) -std=c11 -D_XOPEN_SOURCE=700 -U__linux__ -Ulinux -D__APPLE__ -O1 -Wall -Wextra -Werror -Wshadow \
	-Wstrict-prototypes -Wmissing-prototypes -Wno-format-truncation -pthread -DHD_BUILD='"test"' \
	-Imacos/include -include macos.h -I$(TOP)/helperd/lib -I$(TOP)/helperd/proto -I$(KEXT)/include
MAC_H := $(HDRS) $(wildcard $(TOP)/helperd/*/*.h macos/include/*.h macos/include/*/*.h)
mac_o = $(patsubst $(TOP)/helperd/%.c,$(MAC)/%.o,$(1))

$(MAC)/%.o: $(TOP)/helperd/%.c $(MAC_H)
	@mkdir -p $(@D)
	@$(MAC_CC) $$(pkg-config --cflags slirp) -c -o $@ $<
$(OUT)/macos.absent.o: macos/absent.c $(MAC_H) | $(OUT)
	@$(MAC_CC) -c -o $@ $<
$(OUT)/macos.kqueue.o: macos/kqueue.c $(MAC_H) | $(OUT)
	@$(MAC_CC) -c -o $@ $<
MAC_OURS := $(OUT)/macos.absent.o $(OUT)/macos.kqueue.o
$(OUT)/macos: $(call mac_o,$(MAC_ROOT) $(MAC_LIB) $(MAC_WORKER)) $(MAC_OURS)
	@$(CC) -pthread -o $(MAC)/colinuxd $(call mac_o,$(MAC_ROOT) $(MAC_LIB)) $(MAC_OURS) -ljansson
	@$(CC) -pthread -o $(MAC)/colinux-worker $(call mac_o,$(MAC_WORKER) $(MAC_LIB)) $(MAC_OURS) \
		-ljansson $(LOADER_LIBS) $$(pkg-config --libs slirp)
	@printf '#!/bin/sh\n%s\n%s\n' \
		"$(MAC)/colinuxd --help | grep -q /var/run/colinux.socket && echo ok macos_helper || echo not ok macos_helper" \
		"$(MAC)/colinux-worker 3<&- 2>&1 | grep -q 'only colinuxd' && echo ok macos_worker || echo not ok macos_worker" >$@
	@chmod 755 $@
$(OUT)/macos_loop: macos/loop.c $(call mac_o,$(TOP)/helperd/lib/loop.c $(TOP)/helperd/lib/loop_kqueue.c) \
		$(OUT)/macos.kqueue.o $(MAC_H)
	@$(MAC_CC) -o $@ $(filter %.c %.o,$^)
