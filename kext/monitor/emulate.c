/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Privileged instructions that a stock kernel still executes in ring 1.
 *
 * Bytes are fetched through the guest's own tables, once, with its own rights.
 * Whatever is not listed is the guest's fault (#GP), as on a machine without it.
 */
#include "mon.h"

static void fetch(struct mon_frame *f, struct mon_insn *in)
{
	u64 left;

	left = mon_copy_from(in->bytes, f->rip, sizeof(in->bytes),
			     mon_user(f) ? PF_U | PF_I : PF_I, 0);
	in->len = (u32)(sizeof(in->bytes) - left);
	in->at = 0;
	in->rex = in->opsize = in->addrsize = in->segment = 0;
}

int mon_insn_next(struct mon_insn *in)
{
	return in->at < in->len ? in->bytes[in->at++] : -1;
}

u64 *mon_insn_reg(struct mon_frame *f, u32 n)
{
	switch (n & 15) {
	case 0: return &f->rax;
	case 1: return &f->rcx;
	case 2: return &f->rdx;
	case 3: return &f->rbx;
	case 4: return &f->rsp;
	case 5: return &f->rbp;
	case 6: return &f->rsi;
	case 7: return &f->rdi;
	case 8: return &f->r8;
	case 9: return &f->r9;
	case 10: return &f->r10;
	case 11: return &f->r11;
	case 12: return &f->r12;
	case 13: return &f->r13;
	case 14: return &f->r14;
	default: return &f->r15;
	}
}

/* There is no hardware behind a port: ones, but zero from the PIT (FACTS §1). */
static void port_in(struct mon_frame *f, u32 port, u32 size)
{
	u64 v = port == 0x42 ? 0 : ~0ull;

	if (size == 1)
		f->rax = (f->rax & ~0xffull) | (v & 0xff);
	else if (size == 2)
		f->rax = (f->rax & ~0xffffull) | (v & 0xffff);
	else
		f->rax = v & 0xffffffff;
}

static int emulate_io(struct mon_frame *f, struct mon_insn *in, int op)
{
	u32 size = op & 1 ? (in->opsize ? 2 : 4) : 1, port;
	int imm;

	if (op < 0xe8) {
		imm = mon_insn_next(in);
		if (imm < 0)
			return 0;
		port = (u32)imm;
	} else {
		port = f->rdx & 0xffff;
	}
	if (!(op & 2))
		port_in(f, port, size);
	return 1;
}

static u64 read_cr(u32 n)
{
	switch (n) {
	case 0: return CR0_GUEST | (V->ts ? CR0_TS : 0);
	case 2: return VINFO->arch.cr2;
	case 3: return V->cr3_gfn << 12;
	default: return V->cr4;
	}
}

/* What a guest may see set in CR4: PAE MCE OSFXSR OSXMMEXCPT OSXSAVE, DE and TSD are not for it. */
#define CR4_GUEST	(0x20ull | 0x40ull | 0x200ull | 0x400ull | 0x40000ull)
#define CR4_OSXSAVE	0x40000ull

static int write_cr(u32 n, u64 v)
{
	u64 cr4 = V->guest_cr4;

	switch (n) {
	case 0:
		mon_set_ts(!!(v & CR0_TS));
		return 1;
	case 4:
		V->cr4 = v & CR4_GUEST;
		if (VM->has_xsave) {
			cr4 = (cr4 & ~CR4_OSXSAVE) | (v & CR4_OSXSAVE);
			V->guest_cr4 = cr4;
			__asm__ volatile("mov %0, %%cr4" : : "r"(cr4) : "memory");
		}
		return 1;
	case 2:
		VINFO->arch.cr2 = v;
		return 1;
	default:
		return 0;
	}
}

static int set_xcr0(struct mon_frame *f)
{
	u64 v = (f->rax & 0xffffffff) | f->rdx << 32;

	if ((u32)f->rcx || !(V->guest_cr4 & CR4_OSXSAVE))
		return 0;
	if (!(v & 1) || (v & ~VM->xcr0_mask))
		return 0;
	if ((v & 4) && !(v & 2))
		return 0;			/* AVX needs SSE */
	if ((v & 0xe0) && ((v & 0xe0) != 0xe0 || !(v & 4)))
		return 0;			/* AVX-512 is all or nothing, on AVX */
	V->xcr0 = v;
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)v), "d"((u32)(v >> 32)));
	return 1;
}

static int two_bytes(struct mon_frame *f, struct mon_insn *in)
{
	int op = mon_insn_next(in), m;
	u32 r, n;
	u64 v;

	switch (op) {
	case 0x06:				/* clts */
		mon_set_ts(0);
		return 1;
	case 0x08: case 0x09:			/* invd, wbinvd */
		return 1;
	case 0x20: case 0x22:			/* mov cr */
		m = mon_insn_next(in);
		if (m < 0xc0)
			return 0;
		n = ((u32)m >> 3 & 7) | (in->rex & 4 ? 8 : 0);
		r = ((u32)m & 7) | (in->rex & 1 ? 8 : 0);
		if (n != 0 && n != 2 && n != 3 && n != 4)
			return 0;
		if (op == 0x20) {
			*mon_insn_reg(f, r) = read_cr(n);
			return 1;
		}
		return write_cr(n, *mon_insn_reg(f, r));
	case 0x30:				/* wrmsr */
		return mon_msr_write((u32)f->rcx, (f->rax & 0xffffffff) | f->rdx << 32);
	case 0x32:				/* rdmsr */
		if (!mon_msr_read((u32)f->rcx, &v))
			return 0;
		f->rax = v & 0xffffffff;
		f->rdx = v >> 32;
		return 1;
	case 0xa2: {				/* cpuid, where a CPU faults it */
		u32 a = (u32)f->rax, b, c = (u32)f->rcx, d;

		mon_cpuid(&a, &b, &c, &d);
		f->rax = a; f->rbx = b; f->rcx = c; f->rdx = d;
		return 1;
	}
	case 0x01:
		m = mon_insn_next(in);
		return m == 0xd1 ? set_xcr0(f) : 0;	/* xsetbv */
	default:
		return 0;
	}
}

/* Prefixes, of which only the last REX counts and only in 64-bit code; then the opcode. */
static int opcode(struct mon_frame *f, struct mon_insn *in)
{
	int wide = !mon_user(f) || mon_long_mode(f), op;

	for (;;) {
		op = mon_insn_next(in);
		switch (op) {
		case 0x66: in->opsize = 1; break;
		case 0x67: in->addrsize = 1; break;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
			in->segment = op;
			break;
		default:
			if (!wide || op < 0 || (op & 0xf0) != 0x40)
				return op;
			in->rex = op;
		}
	}
}

int mon_emulate(struct mon_frame *f)
{
	struct mon_insn in;
	int op, group, done = 0, faulted = 0;

	fetch(f, &in);
	op = opcode(f, &in);
	if (op == 0x0f && in.at < in.len && in.bytes[in.at] <= 1) {
		struct mon_insn again = in;

		group = mon_insn_next(&in);
		done = mon_emulate_umip(f, &in, group, &faulted);
		if (faulted)
			return 1;
		if (!done)
			in = again;
	}
	if (!done && mon_user(f))
		return 0;
	if (!done)
		switch (op) {
		case 0xe4: case 0xe5: case 0xe6: case 0xe7:
		case 0xec: case 0xed: case 0xee: case 0xef:
			done = emulate_io(f, &in, op);
			break;
		case 0xfa:				/* cli, sti: the mask is the real flag */
		case 0xfb:
			VINFO->evtchn_upcall_mask = op == 0xfa;
			done = 1;
			break;
		case 0x0f:
			done = two_bytes(f, &in);
			break;
		}
	if (!done)
		return 0;
	f->rip += in.at;
	f->rflags &= ~FLAG_RF;
	COUNT(emulated);
	return 1;
}

/* ud2; "xen"; cpuid: the way a PV kernel asks for the hypervisor's CPUID. */
int mon_emulate_ud(struct mon_frame *f)
{
	static const u8 prefix[7] = { 0x0f, 0x0b, 'x', 'e', 'n', 0x0f, 0xa2 };
	u32 a = (u32)f->rax, b, c = (u32)f->rcx, d, i;
	struct mon_insn in;

	fetch(f, &in);
	if (in.len < sizeof(prefix))
		return 0;
	for (i = 0; i < sizeof(prefix); i++)
		if (in.bytes[i] != prefix[i])
			return 0;
	mon_cpuid(&a, &b, &c, &d);
	f->rax = a;
	f->rbx = b;
	f->rcx = c;
	f->rdx = d;
	f->rip += sizeof(prefix);
	COUNT(emulated);
	return 1;
}
