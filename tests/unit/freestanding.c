/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domain builder with no libc, no host and nothing but a memory buffer: clang
 * links it with this file by -nostdlib.  Builds the Debian kernel that the Makefile
 * unpacked and embeds, and checks the outcome.  Says `ok` or `not ok` by itself.
 */
#define ME "freestanding"
#include "../../helperd/worker/builder/builder.h"
#include "../machine/bare.h"

#define PAGES	32768u		/* 128 MiB */

__asm__(
#ifdef __APPLE__
	".const\n"
#else
	".section .rodata\n"
#endif
	".globl " BARE_SYM(kernel_start) ", " BARE_SYM(kernel_end) "\n"
	BARE_SYM(kernel_start) ": .incbin \"" KERNEL "\"\n"
	BARE_SYM(kernel_end) ": .byte 0\n"
	".text\n");
extern const co_u8 kernel_start[], kernel_end[];

static co_u8 memory[PAGES * 4096ull] __attribute__((aligned(4096)));

__attribute__((used, noreturn)) void test(long *stack)
{
	static const char initrd[] = "not a real one";
	struct wk_builder_in in = {
		.memory = memory, .memory_bytes = sizeof(memory),
		.kernel = kernel_start,
		.kernel_bytes = (co_u64)(kernel_end - kernel_start),
		.initrd = initrd, .initrd_bytes = sizeof(initrd), .cmdline = "quiet",
		.shared_info_gfn = PAGES, .console_port = CO_PORT_CONSOLE,
	};
	static struct wk_builder_out out;
	int rc = wk_builder_build(&in, &out);
	int good = !rc && out.rip && out.rsp && out.cr3_gfn < PAGES &&
		   memory[out.cr3_gfn * 4096 + 511 * 8] == 0x63;

	(void)stack;
	if (rc)
		say(out.why);
	/* And once refused: the same code without a kernel. */
	in.kernel_bytes = 100;
	good = good && wk_builder_build(&in, &out) == -CO_EKERNEL && out.why[0];
	put(1, good ? "ok builder_without_a_host\n" : "not ok builder_without_a_host\n", good ? 26 : 30);
	quit(!good);
}

BARE_START(test);
