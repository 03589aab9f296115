// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SGDT, SIDT, SLDT, STR, SMSW: on a CPU with UMIP they must tell nothing of the
 * monitor's and store nowhere that the guest could not store itself.  On a CPU
 * without it they run natively; then only the stores' targets are attacked.
 */
#include "hostile.h"

struct table {
	u16 limit;
	u64 base;
} __attribute__((packed));

static int has_umip(void)
{
	u32 a = 7, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return c >> 2 & 1;
}

static long look(const struct table *t)
{
	if (!has_umip())
		return 0;
	if (t->limit || (t->base >= MON_HOLE_START && t->base < MON_HOLE_END))
		breach("a table of the monitor's shows");
	return 0;
}

static long sgdt(u64 kind)
{
	struct table t = { 1, MON_TEXT };
	u64 at = (u64)&t - 0x1234;

	switch (kind) {
	case 0: asm volatile("sgdt (%0)" : : "r"(&t) : "memory"); break;
	case 1: asm volatile("sidt (%0)" : : "r"(&t) : "memory"); break;
	case 2: asm volatile("sgdt 0x1234(%0)" : : "r"(at) : "memory"); break;
	case 3: asm volatile("mov %0, %%r13\n\tsidt 0x1234(%%r13)" : : "r"(at) : "memory", "r13"); break;
	case 4: asm volatile("mov %0, %%r12\n\tsgdt 0x1234(%%r12)" : : "r"(at) : "memory", "r12"); break;
	case 5: asm volatile("sgdt 0x1234(%0, %1, 8)" : : "r"(at - 80), "r"(10ul) : "memory"); break;
	case 6: asm volatile("sgdt spare+64(%%rip)" : : : "memory"); t = *(struct table *)(spare[0] + 64); break;
	case 7: asm volatile("sgdt spare+128"  : : : "memory"); t = *(struct table *)(spare[0] + 128); break;
	}
	return look(&t);
}

/* After the guest has asked for another CR4 in every way it can. */
static long sgdt_after(u64 cr4)
{
	asm volatile("mov %0, %%cr4" : : "r"(cr4));
	return sgdt(0);
}

static long selectors(u64 arg)
{
	u64 tr = 0, ldt = 0, msw = 0;

	(void)arg;
	asm volatile("str %0\n\tsldt %1\n\tsmsw %2" : "=&r"(tr), "=&r"(ldt), "=&r"(msw));
	if (has_umip() && (tr == MON_TSS_SEL || ldt == MON_LDT_SEL))
		breach("a selector of the monitor's shows");
	if (!(msw & 1 << 16))
		breach("CR0.WP is 0, or said to be");
	return 0;
}

/* The store's target is the attack. */
static long store_at(u64 va)
{
	long r = 0;

	asm volatile("sgdt (%0)" : : "r"(va) : "memory");
	asm volatile("sidt (%0)" : : "r"(va) : "memory");
	asm volatile("smsw (%0)\n\tstr (%0)\n\tsldt (%0)" : : "r"(va) : "memory");
	return r;
}

static long store_by_gs(u64 base)
{
	hyper(__HYPERVISOR_set_segment_base, SEGBASE_FS, base, 0, 0, 0);
	asm volatile("sgdt %fs:(0)");
	return 0;
}

/* A page that the guest itself has read-only. */
static long store_read_only(u64 arg)
{
	u64 va = (u64)spare[8];
	long r;

	(void)arg;
	if (map(va, gfn_of((void *)va) << 12 | PTE_P) || mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0))
		return -1;
	r = attempt(store_at, va);
	if (r < TRAPPED)
		breach("sgdt wrote to a read-only page");
	map(va, gfn_of((void *)va) << 12 | PTE_P | PTE_W);
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	return r;
}

/* From ring 3, at rdi: the kernel's page and the monitor's are neither readable nor writable. */
static long user_store(u64 va)
{
	memcpy(user_page, "\x0f\x01\x07\xb8\x07\x00\x00\x00\x0f\x05", 10);	/* sgdt (%rdi); syscall 7 */
	return in_user(USER_CODE, USER_CODE + 2048, va, 0x202);
}

static long user_sgdt(u64 offset)
{
	long r = user_store(USER_CODE + offset);

	if (r != 7)
		return r < 0 ? r : -1;
	return look((struct table *)((u8 *)user_page + offset));
}

static long user_selectors(u64 arg)
{
	/* str %rcx; smsw %rdx; sldt %rsi; mov %rcx, (%rdi) ...; mov $7, %eax; syscall */
	static const u8 code[] = {
		0x48, 0x0f, 0x00, 0xc9, 0x48, 0x0f, 0x01, 0xe2, 0x48, 0x0f, 0x00, 0xc6,
		0x48, 0x89, 0x0f, 0x48, 0x89, 0x57, 0x08, 0x48, 0x89, 0x77, 0x10,
		0xb8, 0x07, 0, 0, 0, 0x0f, 0x05,
	};
	volatile u64 *got = user_page + 64;
	long r;

	(void)arg;
	memcpy(user_page, code, sizeof(code));
	r = in_user(USER_CODE, USER_CODE + 2048, USER_CODE + 512, 0x202);
	if (r != 7)
		return r < 0 ? r : -1;
	if (has_umip() && (got[0] == MON_TSS_SEL || got[2] == MON_LDT_SEL))
		breach("a selector of the monitor's shows");
	return got[1] & 1 ? 0 : -2;
}

#define PLACES(f, name, allow) \
	{ name "_text", f, MON_TEXT + 64, allow }, { name "_gdt", f, MON_GATE_GDT, allow }, \
	{ name "_state", f, MON_STATE + 64, allow }, { name "_stack", f, MON_STACK_TOP - 64, allow }, \
	{ name "_host", f, MON_HOST, allow }, { name "_phys", f, MON_PHYS, allow }, \
	{ name "_hole_edge", f, MON_HOLE_START - 4, allow }, { name "_hole_last", f, MON_HOLE_END - 4, allow }, \
	{ name "_bad", f, BAD_ADDRESS, allow }, { name "_bad_edge", f, BAD_ADDRESS - 4, allow }, \
	{ name "_unmapped", f, UNMAPPED, allow }, { name "_max", f, ~0ull - 4, allow }

const struct attack hidden_attacks[] = {
	{ "sgdt", sgdt, 0, OK }, { "sidt_plain", sgdt, 1, OK }, { "sgdt_disp", sgdt, 2, OK },
	{ "sidt_r13", sgdt, 3, OK }, { "sgdt_r12", sgdt, 4, OK }, { "sgdt_index", sgdt, 5, OK },
	{ "sgdt_rip", sgdt, 6, OK }, { "sgdt_absolute", sgdt, 7, OK },
	{ "sgdt_after_zero", sgdt_after, 0x20, FAULT | OK }, { "sgdt_after_ones", sgdt_after, ~0ull, FAULT | OK },
	{ "sgdt_after_umip", sgdt_after, 0x820, FAULT | OK }, { "selectors", selectors, 0, OK },
	PLACES(store_at, "sgdt_to", FAULT), PLACES(store_by_gs, "sgdt_fs", FAULT | ERROR),
	{ "sgdt_read_only", store_read_only, 0, FAULT },
	{ "user_sgdt", user_sgdt, 512, OK }, { "user_sgdt_edge", user_sgdt, 4086, OK },
	{ "user_sgdt_over", user_store, USER_CODE + 4090, FAULT },
	{ "user_selectors", user_selectors, 0, OK }, { "user_sgdt_kernel", user_store, (u64)spare, FAULT },
	{ "user_sgdt_entry", user_store, MON_ENTRY, FAULT }, PLACES(user_store, "user_sgdt", FAULT),
	{ 0, 0, 0, 0 },
};
