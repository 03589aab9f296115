/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domain builder: kernel ELF + initrd + parameters -> guest memory.
 *
 * Called once by the worker (and by tests/machine/codom.c) before the first
 * vCPU runs.  A freestanding library: no libc beyond memcpy, memset, memcmp,
 * no allocation, no host call.  It distrusts the kernel image and the sizes it
 * is given, and writes nowhere but into [memory, memory + memory_bytes).
 * The buffers must not change under it: the kernel is a private copy.
 */
#ifndef WK_BUILDER_H
#define WK_BUILDER_H

#include "../../../kext/include/co_abi.h"

#define WK_BUILDER_REGIONS	16
#define WK_BUILDER_WHY_LEN	240

struct wk_builder_in {
	void *memory;			/* guest frame 0; zeroed by its giver */
	co_u64 memory_bytes;		/* RAM only; multiple of 4096 */
	const void *kernel;		/* uncompressed ELF */
	co_u64 kernel_bytes;
	const void *initrd;		/* may be 0 */
	co_u64 initrd_bytes;
	const char *cmdline;		/* NUL-terminated; 0 is "" */
	co_u64 shared_info_gfn;		/* CO_SHARED_INFO_GFN(ram pages); the kext fills it */
	co_u32 console_port;		/* CO_PORT_CONSOLE */
	co_u32 xenstore_port;		/* CO_PORT_XENSTORE; 0: there is no xenstore */
};

struct wk_builder_region {		/* bytes of guest-physical memory */
	const char *name;
	co_u64 start, end;		/* end is exclusive */
};

struct wk_builder_out {
	co_u64 rip, rsp, rsi;		/* for CO_VM_SET */
	co_u64 cr3_gfn;
	co_u64 console_gfn;
	co_u64 xenstore_gfn;		/* 0: there is none */
	co_u32 nregions;		/* ascending, not overlapping */
	struct wk_builder_region regions[WK_BUILDER_REGIONS];
	char why[WK_BUILDER_WHY_LEN];	/* on failure: one sentence for a person */
};

/*
 * 0, or -CO_EKERNEL (the image is not usable), -CO_EINITRD (it does not fit),
 * -CO_EMEMORY (the kernel does not fit), -CO_ETOOBIG (command line) or
 * -CO_EINVAL; then out->why says what is wrong and memory may be half written.
 */
int wk_builder_build(const struct wk_builder_in *in, struct wk_builder_out *out);

/* Only the checks of the kernel: for `validate`, before any VM exists. */
int wk_builder_check(const void *kernel, co_u64 kernel_bytes,
		     char why[WK_BUILDER_WHY_LEN]);

#endif
