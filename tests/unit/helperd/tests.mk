# SPDX-License-Identifier: GPL-2.0-or-later
# The helper's unit tests; included by tests/unit/Makefile.

HELPERD := $(TOP)/helperd
HD_INCLUDES := -I$(HELPERD)/lib -I$(HELPERD)/root -I$(HELPERD)/worker -I$(TOP)/kext/include
HD_HDRS := $(HDRS) $(wildcard $(HELPERD)/lib/*.h $(HELPERD)/root/*.h $(HELPERD)/worker/*.h \
	$(HELPERD)/proto/table.inc helperd/*.h)
HD_LIB := $(filter-out $(HELPERD)/lib/dev.c,$(wildcard $(HELPERD)/lib/*.c))
SLIRP_CFLAGS = $(shell pkg-config --cflags slirp)
SLIRP_LIBS = $(shell pkg-config --libs slirp)
HD_FAKE := helperd/fake_dev.c helperd/fake_guest.c helperd/fake_disk.c helperd/fake_net.c

TESTS += stack ends console nomem xenbus agent agent_rude exec block block_tsan disks netif filter conet nic nets
.DEFAULT_GOAL := all

# colinuxd with the sanitizers; the worker without, for its sandbox is real.
$(OUT)/fake-colinuxd: $(wildcard $(HELPERD)/root/*.c) $(HD_LIB) $(HD_FAKE) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DHD_BUILD='"unit"' -pthread -o $@ \
		$(filter %.c,$^) -ljansson
# The same on a host with a CPU for guests.
$(OUT)/pair-worker: PAIR := -DPAIR
$(OUT)/fake-worker $(OUT)/pair-worker: $(wildcard $(HELPERD)/worker/*.c) $(HELPERD)/agent/frame.c $(BUILDER_SRCS) $(HD_LIB) $(HD_FAKE) $(HD_HDRS) | $(OUT)
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -Wno-format-truncation -I$(HELPERD)/proto $(HD_INCLUDES) $(PAIR) \
		$(SLIRP_CFLAGS) -pthread -o $@ $(filter %.c,$^) -ljansson -lseccomp $(LOADER_LIBS) $(SLIRP_LIBS)

$(OUT)/evil-worker: helperd/evil_worker.c $(HELPERD)/lib/conlog.c $(HD_HDRS) | $(OUT)
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror $(HD_INCLUDES) -o $@ $(filter %.c,$^) -ljansson

$(OUT)/stack $(OUT)/nets $(OUT)/ends $(OUT)/again $(OUT)/auto: $(OUT)/%: helperd/%.c helperd/client.c $(HELPERD)/lib/proto.c $(HELPERD)/lib/err.c \
		$(OUT)/fake-colinuxd $(OUT)/fake-worker $(OUT)/evil-worker $(HD_HDRS) ../fuzz/corpus/elf/debian | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DCOLINUXD='"$(OUT)/fake-colinuxd"' -DWORKER='"$(OUT)/fake-worker"' \
		-DEVIL='"$(OUT)/evil-worker"' \
		-DKERNEL='"$(TOP)/tests/fuzz/corpus/elf/debian"' -o $@ $(filter %.c,$^) -ljansson

TESTS += stack_solo nets_solo ends_solo
$(OUT)/stack_solo $(OUT)/nets_solo $(OUT)/ends_solo: $(OUT)/%_solo: helperd/%.c helperd/client.c $(HELPERD)/lib/proto.c \
		$(HELPERD)/lib/err.c $(OUT)/%
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DSOLO -DCOLINUXD='"$(OUT)/fake-colinuxd"' -DWORKER='"$(OUT)/fake-worker"' \
		-DEVIL='"$(OUT)/evil-worker"' \
		-DKERNEL='"$(TOP)/tests/fuzz/corpus/elf/debian"' -o $@ $(filter %.c,$^) -ljansson

TESTS += stack_pair nets_pair ends_pair
$(OUT)/stack_pair $(OUT)/nets_pair $(OUT)/ends_pair: $(OUT)/%_pair: helperd/%.c helperd/client.c $(HELPERD)/lib/proto.c \
		$(HELPERD)/lib/err.c $(OUT)/% $(OUT)/pair-worker
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DCOLINUXD='"$(OUT)/fake-colinuxd"' -DWORKER='"$(OUT)/pair-worker"' \
		-DEVIL='"$(OUT)/evil-worker"' \
		-DKERNEL='"$(TOP)/tests/fuzz/corpus/elf/debian"' -o $@ $(filter %.c,$^) -ljansson

TESTS += again auto policy ready
$(OUT)/ready: helperd/ready.c $(HELPERD)/worker/ready.c $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation $(HD_INCLUDES) -Wl,--wrap=calloc -o $@ $(filter %.c,$^) -ljansson
$(OUT)/policy: helperd/policy.c $(HELPERD)/root/restart.c $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation $(HD_INCLUDES) -o $@ $(filter %.c,$^) -ljansson

$(OUT)/console: helperd/console.c $(addprefix $(HELPERD)/worker/,console.c ring.c) \
		$(addprefix $(HELPERD)/lib/,conlog.c loop.c proto.c err.c) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation $(HD_INCLUDES) -o $@ $(filter %.c,$^) -ljansson

$(OUT)/netif $(OUT)/filter: $(OUT)/%: helperd/%.c helperd/wire.c $(addprefix $(HELPERD)/worker/,conet_ring.c conet_packet.c \
		conet_filter.c conet_pieces.c) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -o $@ $(filter %.c,$^)

# Backends on half a worker.
HD_HALF := helperd/half.c $(addprefix $(HELPERD)/worker/,grant.c xenbus.c xenstore.c xs_tree.c) \
	$(addprefix $(HELPERD)/lib/,loop.c log.c err.c)
$(OUT)/xenbus: helperd/xenbus.c $(HD_HALF) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation $(HD_INCLUDES) -o $@ $(filter %.c,$^) -ljansson

HD_BLOCK := helperd/front.c $(HD_HALF) $(addprefix $(HELPERD)/worker/,block.c block_io.c block_aio.c block_file.c)
HD_BLOCK_CC := -Wno-format-truncation $(HD_INCLUDES) -pthread -Wl,--wrap=preadv,--wrap=preadv2,--wrap=pwritev,--wrap=fdatasync,--wrap=open
$(OUT)/block: helperd/block.c $(HD_BLOCK) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_BLOCK_CC) -o $@ $(filter %.c,$^) -ljansson
$(OUT)/disks: helperd/disks.c $(HD_BLOCK) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_BLOCK_CC) -fno-builtin -Wl,--wrap=malloc,--wrap=calloc,--wrap=strdup,--wrap=strndup -o $@ \
		$(filter %.c,$^) -ljansson
# The same for races between its threads.
$(OUT)/block_tsan: helperd/block.c $(HD_BLOCK) $(HD_HDRS) | $(OUT)
	$(CC) $(filter-out -fsanitize=%,$(CFLAGS)) -fsanitize=thread -Wno-tsan $(HD_BLOCK_CC) -o $@ $(filter %.c,$^) -ljansson
HD_CONET := helperd/netfront.c $(HD_HALF) $(filter-out %_darwin.c,$(wildcard $(HELPERD)/worker/conet*.c))
HD_CONET_CC := -Wno-format-truncation $(HD_INCLUDES) -pthread
$(OUT)/conet: helperd/conet.c $(HD_CONET) $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_CONET_CC) $(SLIRP_CFLAGS) -Wl,--wrap=slirp_remove_hostxfwd -o $@ $(filter %.c,$^) \
		-ljansson $(SLIRP_LIBS)
$(OUT)/test-macvtap: $(HELPERD)/relay/macvtap.c | $(OUT)
	$(CC) $(CFLAGS) -o $@ $<
$(OUT)/nic: helperd/nic.c helperd/wire.c $(HD_CONET) $(OUT)/test-macvtap $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_CONET_CC) $(SLIRP_CFLAGS) -DMACVTAP='"$(OUT)/test-macvtap"' \
		-Wl,--wrap=open,--wrap=fstat,--wrap=ioctl -o $@ $(filter %.c,$^) -ljansson $(SLIRP_LIBS)

# What QEMU preloads, between its caller and libslirp.
TESTS += qemu_net
$(OUT)/libfakeslirp.so: helperd/fake_slirp.c | $(OUT)
	$(CC) -std=gnu11 -O1 -Wall -Wextra -Werror $(SLIRP_CFLAGS) -fPIC -shared -o $@ $<
$(OUT)/qemu_net: helperd/qemu_net.c $(HELPERD)/relay/qemu_net.c $(OUT)/libfakeslirp.so unit.h | $(OUT)
	$(CC) $(CFLAGS) $(SLIRP_CFLAGS) -o $@ $(filter %.c,$^) -Wl,--no-as-needed $(OUT)/libfakeslirp.so -ldl

$(OUT)/failing-colinuxd: $(wildcard $(HELPERD)/root/*.c) $(HD_LIB) $(HD_FAKE) helperd/fail_alloc.c $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DHD_BUILD='"unit"' -pthread -fno-builtin \
		-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup -o $@ $(filter %.c,$^) -ljansson
$(OUT)/nomem: helperd/nomem.c helperd/client.c $(HELPERD)/lib/proto.c $(HELPERD)/lib/err.c \
		$(OUT)/failing-colinuxd $(OUT)/evil-worker $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DCOLINUXD='""' -DWORKER='""' -DFAILING='"$(OUT)/failing-colinuxd"' \
		-DPOLITE='"$(OUT)/evil-worker"' -DKERNEL='"/x"' -o $@ $(filter %.c,$^) -ljansson

# The agent as it runs in guests, and the worker's end of its line.
AGENT_HDRS := $(wildcard $(HELPERD)/agent/*.h)
$(OUT)/test-agent: $(wildcard $(HELPERD)/agent/*.c) $(AGENT_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation -o $@ $(filter %.c,$^) -lz
$(OUT)/agent $(OUT)/agent_rude: $(OUT)/%: helperd/%.c helperd/line.c $(addprefix $(HELPERD)/worker/,agent.c agent_exec.c agent_lane.c ring.c) $(HELPERD)/agent/frame.c \
		$(HELPERD)/lib/proto.c $(HD_HALF) $(OUT)/test-agent $(HD_HDRS) $(AGENT_HDRS) | $(OUT)
	$(CC) $(CFLAGS) -Wno-format-truncation $(HD_INCLUDES) -DAGENT='"$(OUT)/test-agent"' -DWK_EXEC_START_MS=3000u \
		-DWK_AGENT_PING_MS=300u -DWK_AGENT_SILENT_MS=4000u -o $@ $(filter %.c,$^) -ljansson -lz

# colinuxd's part in commands, with a worker that runs any.
$(OUT)/exec-worker: helperd/exec_worker.c $(HELPERD)/lib/proto.c $(HELPERD)/lib/err.c $(HD_HDRS) | $(OUT)
	$(CC) -std=gnu11 -O1 -g -Wall -Wextra -Werror -I$(HELPERD)/proto $(HD_INCLUDES) -o $@ $(filter %.c,$^) -ljansson
$(OUT)/exec: helperd/exec.c helperd/client.c $(HELPERD)/lib/proto.c $(HELPERD)/lib/err.c \
		$(OUT)/fake-colinuxd $(OUT)/exec-worker $(HD_HDRS) | $(OUT)
	$(CC) $(CFLAGS) $(HD_INCLUDES) -DCOLINUXD='"$(OUT)/fake-colinuxd"' -DWORKER='""' -DKERNEL='"/x"' \
		-DEVIL='"$(OUT)/exec-worker"' -o $@ $(filter %.c,$^) -ljansson
