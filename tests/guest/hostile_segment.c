// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks by descriptors: every descriptor that would lead to ring 0 or to a
 * system segment, by GDT frames, LDT, update_descriptor, and by changing the
 * frame behind the monitor's back; then the selector is used.
 */
#include "hostile.h"

#define GDT_FRAME	((u64 *)spare[0])
#define LDT_PAGE	((u64 *)spare[1])

static long in_gate(u64 arg)
{
	(void)arg;
	return 0;
}

__attribute__((naked, used)) static void gate_target(void)
{
	asm("mov %cs, %ax\n\ttest $3, %al\n\tjz 1f\n\trex.w lret\n"
	    "1: ud2");	/* ring 0: still_sane() could not tell, so stop here */
}

/* A call gate of 16 bytes to gate_target in ring 0's code segment. */
static void call_gate(u64 *d, u16 cs)
{
	u64 at = (u64)gate_target;

	d[0] = (at & 0xffff) | (u64)cs << 16 | 0xec00ull << 32 | (at >> 16 & 0xffff) << 48;
	d[1] = at >> 32;
}

enum kind { GATE, CODE0, CONFORMING, DATA0, TSS_BUSY, LDT_DESC, INT_GATE };

static void make(u64 *d, enum kind kind)
{
	u64 at = (u64)gate_target;

	switch (kind) {
	case GATE: call_gate(d, MON_CS); break;
	case CODE0: d[0] = 0x00af9b000000ffffull; break;
	case CONFORMING: d[0] = 0x00af9f000000ffffull; break;
	case DATA0: d[0] = 0x00cf93000000ffffull; break;
	case TSS_BUSY: d[0] = 0x00008b0000000067ull | (at & 0xffffff) << 16; d[1] = at >> 32; break;
	case LDT_DESC: d[0] = 0x0000e20000000067ull | (at & 0xffffff) << 16; d[1] = at >> 32; break;
	case INT_GATE: call_gate(d, MON_CS); d[0] |= 0x0200ull << 32; break;
	}
}

static long far_call(u64 selector)
{
	struct { u64 offset; u16 cs; } __attribute__((packed)) to = { (u64)gate_target, selector };

	asm volatile("rex.w lcall *%0" : : "m"(to) : "rax", "memory");
	return 0;
}

static long load_ss(u64 selector)
{
	asm volatile("mov %%ss, %%ecx\n\tmov %0, %%ss\n\tmov %%ecx, %%ss" : : "r"((u32)selector)
		     : "rcx");
	return 0;
}

static long load_ds(u64 selector)
{
	asm volatile("mov %0, %%ds\n\tmov %1, %%ds" : : "r"((u32)selector), "r"(0));
	return 0;
}

static long load_tr(u64 selector)
{
	asm volatile("ltr %w0" : : "r"((u32)selector));
	return 0;
}

static void use(u64 selector)
{
	long r;

	for (u64 rpl = 0; rpl < 4; rpl++) {
		r = attempt(far_call, selector | rpl);
		if (r == TRAPPED + 6 && trapped.rip >= (u64)gate_target &&
		    trapped.rip < (u64)gate_target + 32)
			breach("a descriptor led to ring 0");
		attempt(load_ss, selector | rpl);
		attempt(load_ds, selector | rpl);
		if (attempt(load_tr, selector | rpl) < TRAPPED)
			breach("ltr worked");
	}
}

static long set_gdt(u64 gfn, u64 entries)
{
	u64 frames[16];

	for (int i = 0; i < 16; i++)
		frames[i] = gfn;
	return hyper(__HYPERVISOR_set_gdt, (u64)frames, entries, 0, 0, 0);
}

static long by_frame(u64 kind)
{
	long r;

	make(GDT_FRAME + 8, kind);
	r = set_gdt(gfn_of(GDT_FRAME), 512);
	use(8 << 3);
	return r;
}

/* Harmless when it is installed, changed by plain stores afterwards. */
static long behind_the_back(u64 kind)
{
	long r;

	make(GDT_FRAME + 8, DATA0);
	r = set_gdt(gfn_of(GDT_FRAME), 512);
	attempt(in_gate, 0);
	make(GDT_FRAME + 8, kind);
	use(8 << 3);
	return r;
}

static long by_update(u64 kind)
{
	u64 d[2] = { 0, 0 };
	long r;

	r = set_gdt(gfn_of(GDT_FRAME), 512);
	make(d, kind);
	for (int i = 0; i < 2; i++) {
		u64 at = ((u64)(GDT_FRAME + 8 + i) - VIRT_BASE);

		r |= hyper(__HYPERVISOR_update_descriptor, at, d[i], 0, 0, 0);
	}
	use(8 << 3);
	return r;
}

static long set_ldt(u64 va, u32 entries)
{
	struct mmuext_op op = { .cmd = MMUEXT_SET_LDT };
	u32 done;

	op.arg1.linear_addr = va;
	op.arg2.nr_ents = entries;
	return hyper(__HYPERVISOR_mmuext_op, (u64)&op, 1, (u64)&done, DOMID_SELF, 0);
}

static long by_ldt(u64 kind)
{
	long r;

	make(LDT_PAGE + 8, kind);
	r = set_ldt((u64)LDT_PAGE, 512);
	use(8 << 3 | 4);
	make(LDT_PAGE + 10, kind);	/* after the fact */
	use(10 << 3 | 4);
	set_ldt(0, 0);
	return r;
}

/* set_ldt and set_gdt themselves, with what they must not take. */
static long ldt_at(u64 va)
{
	long r = set_ldt(va, 512);

	if (!r)
		use(8 << 3 | 4);
	set_ldt(0, 0);
	return r;
}

static long ldt_many(u64 entries)
{
	long r = set_ldt((u64)LDT_PAGE, entries);

	if (!r)
		attempt(load_ds, 0xfffc);
	set_ldt(0, 0);
	return r;
}

static long gdt_frame(u64 gfn)
{
	long r = set_gdt(gfn, 512);

	attempt(load_ds, 8 << 3);
	set_gdt(gfn_of(GDT_FRAME), 512);
	return r;
}

static long gdt_many(u64 entries)
{
	long r = set_gdt(gfn_of(GDT_FRAME), entries);

	attempt(load_ds, MON_DS);
	return r;
}

static long update_at(u64 address)
{
	return hyper(__HYPERVISOR_update_descriptor, address, 0x00af9b000000ffffull, 0, 0, 0);
}

#define EVERY(f, name) \
	{ name "_gate", f, GATE, ANY & ~KILL }, { name "_code0", f, CODE0, ANY & ~KILL }, \
	{ name "_conforming", f, CONFORMING, ANY & ~KILL }, { name "_data0", f, DATA0, ANY & ~KILL }, \
	{ name "_tss", f, TSS_BUSY, ANY & ~KILL }, { name "_ldt", f, LDT_DESC, ANY & ~KILL }, \
	{ name "_int_gate", f, INT_GATE, ANY & ~KILL }

const struct attack segment_attacks[] = {
	EVERY(by_frame, "gdt"), EVERY(behind_the_back, "gdt_later"), EVERY(by_update, "gdt_update"),
	EVERY(by_ldt, "ldt"),
	{ "ldt_at_hole", ldt_at, MON_GATE_GDT, ANY & ~OK }, { "ldt_at_stack", ldt_at, MON_STACK, ANY & ~OK },
	{ "ldt_at_host", ldt_at, MON_HOST, ANY & ~OK }, { "ldt_at_bad", ldt_at, BAD_ADDRESS, ANY & ~OK },
	{ "ldt_at_unmapped", ldt_at, UNMAPPED, ANY }, { "ldt_unaligned", ldt_at, VIRT_BASE + 12, ANY },
	{ "ldt_8192", ldt_many, 8192, ANY }, { "ldt_8193", ldt_many, 8193, ERROR | KILL },
	{ "ldt_minus_1", ldt_many, ~0u, ERROR | KILL },
	{ "gdt_beyond", gdt_frame, 1ull << 40, ERROR | KILL }, { "gdt_max", gdt_frame, ~0ull, ERROR | KILL },
	{ "gdt_7169", gdt_many, 7169, ERROR | KILL }, { "gdt_8192", gdt_many, 8192, ERROR | KILL },
	{ "gdt_minus_1", gdt_many, ~0ull, ERROR | KILL }, { "gdt_0", gdt_many, 0, ANY },
	{ "update_hole", update_at, MON_GATE_GDT, ERROR | KILL },
	{ "update_beyond", update_at, 1ull << 50, ERROR | KILL },
	{ "update_unaligned", update_at, 4093, ERROR | KILL },
	{ 0, 0, 0, 0 },
};
