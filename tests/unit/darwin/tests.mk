# SPDX-License-Identifier: GPL-2.0-or-later
# The Darwin files of the kext, and core with them, in user space on doubles of XNU's
# KPIs (xnu.h).
TESTS += darwin_seam darwin_device

DS := $(KEXT)/os/darwin
XNU_CORE := $(wildcard $(KEXT)/core/*.c)
XNU_H := $(HDRS) $(wildcard $(KEXT)/core/*.h $(KEXT)/os/*.h $(KEXT)/passage/*.h \
	$(DS)/*.h $(DS)/kpi/*.h darwin/*.h)
XNU_CC := -O1 -g -Wall -Wextra -Werror -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fno-strict-aliasing -pthread -DCO_FREESTANDING -DCO_VERSION='"test"' \
	-I$(TOP)/helperd/proto -I$(KEXT)/include -I$(KEXT)/os -I$(KEXT)/passage -I$(DS) -Idarwin
# Strict C: glibc's own idea of dev_t and its like stays out.
XNU_C := $(CC) -std=c11 -D_POSIX_C_SOURCE=200809L $(XNU_CC)
XNU_CXX := g++ -std=gnu++17 -fno-exceptions -fno-rtti $(XNU_CC)

XNU_O := $(patsubst $(DS)/%.c,$(OUT)/xnu.os.%.o,$(wildcard $(DS)/*.c)) $(OUT)/xnu.os.pages.o \
	$(patsubst $(KEXT)/core/%.c,$(OUT)/xnu.core.%.o,$(XNU_CORE)) \
	$(addprefix $(OUT)/xnu.,locks.o calls.o memory.o devices.o machine.o iokit.o guest.o)

$(OUT)/xnu.os.%.o: $(DS)/%.c $(XNU_H) | $(OUT)
	$(XNU_C) -c -o $@ $<
	objcopy --redefine-sym printf=xnu_printf $@
$(OUT)/xnu.os.pages.o: $(DS)/pages.cpp $(XNU_H) | $(OUT)
	$(XNU_CXX) -c -o $@ $<
$(OUT)/xnu.core.%.o: $(KEXT)/core/%.c $(XNU_H) | $(OUT)
	$(CC) -std=gnu11 $(XNU_CC) $(if $(filter cpu,$*),-Dco_cpu_pass=co_cpu_pass_real) -c -o $@ $<
$(OUT)/xnu.machine.o: darwin/machine.c $(XNU_H) | $(OUT)
	$(CC) -std=gnu11 $(XNU_CC) -c -o $@ $<
$(OUT)/xnu.%.o: darwin/%.c $(XNU_H) | $(OUT)
	$(XNU_C) -c -o $@ $<
$(OUT)/xnu.iokit.o: darwin/iokit.cpp $(XNU_H) | $(OUT)
	$(XNU_CXX) -c -o $@ $<
$(OUT)/darwin_seam $(OUT)/darwin_device: $(OUT)/darwin_%: $(OUT)/xnu.%.o $(XNU_O) | $(OUT)
	g++ -fsanitize=address,undefined -pthread -o $@ $^

.PHONY: check-darwin
check-darwin: $(OUT)/darwin_seam $(OUT)/darwin_device
	@sh run.sh $^
