/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SGDT, SIDT, SLDT, STR and SMSW where CR4.UMIP is on: they fault outside of ring 0
 * and are answered here with what a bare Linux tells its programs, for the guest's
 * kernel and its programs alike.  The real values are the monitor's addresses.
 *
 * Called by emulate.c with the instruction decoded up to its prefixes.  Operand
 * addresses are the guest's: the store goes by its own tables, with its own rights.
 */
#include "mon.h"

#define DUMMY_GDT	0xfffffffffffe0000ull	/* Linux's own inventions */
#define DUMMY_IDT	0xffffffffffff0000ull
#define DUMMY_TR	0x40u
#define DUMMY_LDT	0x50u

#define DESC_LONG	(1ull << 53)
#define DESC_32		(1ull << 54)

static u64 descriptor(u64 sel)
{
	u32 i = (u32)(sel & 0xffff) >> 3;

	if (sel & 4)
		return i < V->ldt_entries ? ((const u64 *)MON_GATE_LDT)[i] : 0;
	return i < MON_GDT_PAGES * 512 ? ((const u64 *)MON_GATE_GDT)[i] : 0;
}

int mon_long_mode(const struct mon_frame *f)
{
	return f->cs == MON_KERNEL_CS || f->cs == MON_USER_CS || (descriptor(f->cs) & DESC_LONG);
}

static u64 desc_base(u64 d)
{
	return (d >> 16 & 0xffffff) | (d >> 32 & 0xff000000);
}

/* What the segment adds to an address; prefix 0: the default one. */
static u64 segment_base(struct mon_frame *f, int prefix, int stack, int wide)
{
	u16 sel;

	switch (prefix) {
	case 0x64: return mon_rdmsr(MSR_FS_BASE);
	case 0x65: return mon_rdmsr(MSR_GS_BASE);
	}
	if (wide)
		return 0;
	switch (prefix) {
	case 0x2e: return desc_base(descriptor(f->cs));
	case 0x26: __asm__ volatile("movw %%es, %0" : "=r"(sel)); break;
	case 0x36: sel = (u16)f->ss; break;
	case 0x3e: stack = 0; /* fall through */
	default:
		if (stack)
			sel = (u16)f->ss;
		else
			__asm__ volatile("movw %%ds, %0" : "=r"(sel));
	}
	return desc_base(descriptor(sel));
}

static int displacement(struct mon_insn *in, u32 bytes, u64 *value)
{
	u32 v = 0, i;

	for (i = 0; i < bytes; i++) {
		int b = mon_insn_next(in);

		if (b < 0)
			return 0;
		v |= (u32)b << 8 * i;
	}
	*value += bytes == 1 ? (u64)(s64)(signed char)v : (u64)(s64)(s32)v;
	return 1;
}

/* The linear address of a memory operand; 0: not decoded (16-bit addresses are not). */
static int operand(struct mon_frame *f, struct mon_insn *in, int modrm, int wide, u64 *va)
{
	u32 mod = (u32)modrm >> 6, rm = modrm & 7, disp = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	int narrow = !wide || in->addrsize, stack = 0, relative = 0;
	u64 at = 0;

	if (!wide && (in->addrsize || !(descriptor(f->cs) & DESC_32)))
		return 0;
	if (rm == 4) {
		int sib = mon_insn_next(in);
		u32 index = ((u32)sib >> 3 & 7) | (in->rex & 2 ? 8 : 0);

		if (sib < 0)
			return 0;
		if (index != 4)
			at = *mon_insn_reg(f, index) << (sib >> 6);
		if ((sib & 7) == 5 && !mod) {
			disp = 4;
		} else {
			at += *mon_insn_reg(f, (sib & 7) | (in->rex & 1 ? 8 : 0));
			stack = !(in->rex & 1) && ((sib & 7) == 4 || (sib & 7) == 5);
		}
	} else if (rm == 5 && !mod) {
		disp = 4;
		relative = wide;
	} else {
		at = *mon_insn_reg(f, rm | (in->rex & 1 ? 8 : 0));
		stack = rm == 5 && !(in->rex & 1);
	}
	if (disp && !displacement(in, disp, &at))
		return 0;
	if (relative)
		at += f->rip + in->at;		/* nothing follows the displacement */
	if (narrow)
		at &= 0xffffffff;
	at += segment_base(f, in->segment, stack, wide);
	*va = wide ? at : at & 0xffffffff;
	return 1;
}

/* 1: done, or the guest has its page fault (*faulted); 0: its #GP. */
static int store(struct mon_frame *f, u64 va, const void *what, u64 bytes, int *faulted)
{
	u32 access = mon_user(f) ? PF_U : 0;
	struct mon_walk w;
	u64 at = va;

	if (!mon_guest_va(va) || !mon_guest_va(va + bytes - 1))
		return 0;
	if (!mon_copy_to(va, what, bytes, access, &at))
		return 1;
	mon_walk(&w, at, access | PF_W);
	VINFO->arch.cr2 = at;
	mon_inject(f, 14, 1, w.error | access | PF_W);
	*faulted = 1;
	return 1;
}

/* 0f 00 /0 /1 and 0f 01 /0 /1 /4; `group` is the second byte. */
int mon_emulate_umip(struct mon_frame *f, struct mon_insn *in, int group, int *faulted)
{
	int modrm = mon_insn_next(in), wide = mon_long_mode(f), op = modrm >> 3 & 7, table = 0;
	struct { u16 limit; u64 base; } __attribute__((packed)) dtr = { 0, 0 };
	u64 value = 0, *r, va;

	if (modrm < 0)
		return 0;
	if (group == 0 && op <= 1) {
		value = op ? DUMMY_TR : V->ldt_entries ? DUMMY_LDT : 0;
	} else if (group == 1 && op <= 1 && modrm < 0xc0) {
		table = 1;
		dtr.base = op ? DUMMY_IDT : DUMMY_GDT;
	} else if (group == 1 && op == 4) {
		value = CR0_GUEST | (V->ts ? CR0_TS : 0);
	} else {
		return 0;
	}
	if (modrm >= 0xc0) {
		r = mon_insn_reg(f, (modrm & 7) | (in->rex & 1 ? 8 : 0));
		if (in->opsize && !(in->rex & 8))
			*r = (*r & ~0xffffull) | (value & 0xffff);
		else
			*r = value;
		return 1;
	}
	if (!operand(f, in, modrm, wide, &va))
		return 0;
	if (table)
		return store(f, va, &dtr, wide ? 10 : 6, faulted);
	return store(f, va, &value, 2, faulted);
}
