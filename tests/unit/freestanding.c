/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The domain builder with no libc, no host and nothing but a memory buffer:
 * clang links it with this file by -nostdlib.  Builds the image that the
 * Makefile embeds and checks the outcome.  Says `ok` or `not ok` by itself.
 */
#include "../../helperd/worker/builder/builder.h"

#define PAGES	6144u		/* 24 MiB */

extern const co_u8 kernel_start[], kernel_end[];

__asm__(".section .rodata\n"
	".globl kernel_start, kernel_end\n"
	"kernel_start: .incbin \"" KERNEL "\"\n"
	"kernel_end: .byte 0\n"
	".text\n.globl _start\n_start:\n"
	"	andq $-16, %rsp\n"
	"	call test\n"
	"	ud2\n");

static co_u8 memory[PAGES * 4096ull] __attribute__((aligned(4096)));

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
	void *p = to;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int byte, __SIZE_TYPE__ n)
{
	void *p = to;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, __SIZE_TYPE__ n)
{
	const volatile co_u8 *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

static long call(long n, long a, long b, long c)
{
	__asm__ volatile("syscall" : "+a"(n) : "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return n;
}

static void say(const char *text)
{
	long n = 0;

	while (text[n])
		n++;
	call(1, 1, (long)text, n);
}

__attribute__((used, noreturn)) void test(void)
{
	struct wk_builder_in in = {
		.memory = memory, .memory_bytes = sizeof(memory),
		.kernel = kernel_start,
		.kernel_bytes = (co_u64)(kernel_end - kernel_start),
		.initrd = "initrd", .initrd_bytes = 7, .cmdline = "quiet",
		.shared_info_gfn = PAGES, .console_port = CO_PORT_CONSOLE,
	};
	static struct wk_builder_out out;
	int rc = wk_builder_build(&in, &out);
	int good = !rc && out.rip && out.rsp && out.cr3_gfn < PAGES &&
		   memory[out.cr3_gfn * 4096 + 511 * 8] == 0x63;

	if (rc)
		say(out.why);
	/* And once refused: the same code without a kernel. */
	in.kernel_bytes = 100;
	good = good && wk_builder_build(&in, &out) == -CO_EKERNEL && out.why[0];
	say(good ? "ok builder_without_a_host\n" : "not ok builder_without_a_host\n");
	for (;;)
		call(231, !good, 0, 0);
}
