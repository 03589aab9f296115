/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU's own state around a passage, and what kind of CPU it is.
 *
 * co_cpu_pass runs with interrupts off, pinned, FPU free; it
 * re-reads what differs from CPU to CPU every time (descriptor tables, XCR0,
 * CR4), because nothing says that the last run was on this one.
 */
#include "core.h"

#define MSR_SYSENTER_CS	0x174
#define MSR_DEBUGCTL	0x1d9
#define MSR_PEBS_ENABLE	0x3f1
#define MSR_RTIT_CTL	0x570
#define MSR_STAR	0xc0000081
#define MSR_LSTAR	0xc0000082
#define MSR_CSTAR	0xc0000083
#define MSR_FMASK	0xc0000084
#define MSR_FS_BASE	0xc0000100
#define MSR_GS_BASE	0xc0000101
#define MSR_KERNEL_GS	0xc0000102

#define CR4_OSXSAVE	(1ull << 18)
#define CR4_UMIP	(1ull << 11)
#define CR4_LA57	(1ull << 12)
#define CR4_VMXE	(1ull << 13)
#define CR4_CET		(1ull << 23)
#define CR4_FRED	(1ull << 32)
#define CR4_WORLD	(1ull << 5 | 1ull << 9 | 1ull << 10)	/* PAE OSFXSR OSXMMEXCPT */
#define CR4_MCE		(1ull << 6)	/* the host's choice: it gets the exception */
#define CR4_PSE		(1ull << 4)	/* nothing in long mode, but emulators flush when it changes */
#define CR0_WORLD	0x80050033ull
#define CR0_WP		0x10000ull
#define MSR_S_CET	0x6a2

static u64 rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (u64)hi << 32 | lo;
}

static void wrmsr(u32 msr, u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

static void cpuid(u32 leaf, u32 sub, u32 r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(leaf), "c"(sub));
}

static u64 xgetbv(void)
{
	u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (u64)hi << 32 | lo;
}

static void xsetbv(u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((u32)v), "d"((u32)(v >> 32)));
}

static u64 read_cr4(void)
{
	u64 v;

	__asm__ volatile("mov %%cr4, %0" : "=r"(v));
	return v;
}

#define SEGMENT(name) ({ u16 s_; __asm__ volatile("movw %%" #name ", %0" : "=r"(s_)); (u64)s_; })

/*
 * Does this CPU let user code read through the U bit (Meltdown)?  Intel without
 * RDCL_NO; nobody else's.
 */
static int leaks_across_u(const u32 vendor[4])
{
	u32 r[4];

	if (vendor[1] != 0x756e6547)		/* "Genu" */
		return 0;
	if (vendor[0] >= 7) {
		cpuid(7, 0, r);
		if (r[3] & 1u << 29)		/* ARCH_CAPABILITIES */
			return !(rdmsr(0x10a) & 1);
	}
	return 1;
}

/*
 * What must happen between the worlds.  The guest kernel runs in ring 1, which CPUs
 * predict branches for as they do for ring 0: no IBRS separates the two.  A CPU that
 * knows none of these words is old, or an emulator's, where nothing is predicted.
 */
static u64 needed_barriers(const u32 vendor[4], u32 leaf1_ecx)
{
	int intel = vendor[1] == 0x756e6547, amd = vendor[1] == 0x68747541 || vendor[1] == 0x6f677948;
	u32 r[4] = { 0 }, e[4];
	u64 cap = 0, need = 0;

	if (vendor[0] >= 7)
		cpuid(7, 0, r);
	if (intel && (r[3] & 1u << 29))
		cap = rdmsr(0x10a);
	if (intel && (r[3] & 1u << 26))
		need |= CO_FEATURE_IBPB;
	cpuid(0x80000000, 0, e);
	if (amd && e[0] >= 0x80000008) {
		cpuid(0x80000008, 0, e);
		need |= e[1] & 1u << 12 ? CO_FEATURE_IBPB : 0;
	}
	/* MDS, TAA, MMIO stale data, RFDS: VERW has meaning, and the CPU does not say that
	 * it is above them. */
	if ((r[3] & 1u << 10) && (!(cap & 1u << 5) || ((r[1] & 1u << 11) && !(cap & 1u << 8)) ||
				  (cap & (1u << 17 | 1u << 28))))
		need |= CO_FEATURE_VERW;
	if ((intel || amd) && (need || cap || !(leaf1_ecx & 1u << 31)))
		need |= CO_FEATURE_RSB;
	return need;
}

/* -1: as the CPU needs, 0: none, 1: all.  At load only. */
void co_cpu_barriers(int which)
{
	u32 v[4], r[4];

	cpuid(0, 0, v);
	cpuid(1, 0, r);
	co_host.features &= ~(u64)CO_FEATURE_BARRIERS;
	co_host.features |= which < 0 ? needed_barriers(v, r[2]) : which ? CO_FEATURE_BARRIERS : 0;
}

void co_cpu_probe(void)
{
	u32 r[4], v[4];
	u64 cr4 = read_cr4();

	cpuid(0, 0, v);
	cpuid(1, 0, r);
	co_host.la57 = !!(cr4 & CR4_LA57);
	co_host.has_xsave = !!(cr4 & CR4_OSXSAVE);
	co_host.fpu_bytes = 512;
	if (co_host.has_xsave) {
		co_host.features |= CO_FEATURE_XSAVE;
		co_host.xcr0_mask = xgetbv() & 0xe7;	/* x87 SSE AVX AVX-512 */
		cpuid(0xd, 0, r);
		co_host.fpu_bytes = r[1];
	}
	cpuid(1, 0, r);
	co_host.has_debugctl = v[1] == 0x756e6547 || v[1] == 0x68747541;
	if (v[1] == 0x756e6547 && v[0] >= 0xa && (r[3] & 1u << 21)) {	/* DS: PEBS may exist */
		u32 p[4];

		cpuid(0xa, 0, p);
		co_host.has_pebs = (p[0] & 0xff) >= 2 && !(rdmsr(0x1a0) & 1u << 12);
	}
	if (v[0] >= 7) {
		u32 s[4];

		cpuid(7, 0, s);
		co_host.has_rtit = v[1] == 0x756e6547 && (s[1] & 1u << 25);
		if (s[2] & 1u << 2)
			co_host.features |= CO_FEATURE_UMIP;
	}
	if (r[2] & 1u << 31)
		co_host.features |= CO_FEATURE_HYPERVISOR;
	if (cr4 & CR4_VMXE)
		co_host.features |= CO_FEATURE_VMX_ON;
	if (rdmsr(0xc0000080) & 1u << 12)
		co_host.features |= CO_FEATURE_SVME;
	if (co_host.la57)
		co_host.features |= CO_FEATURE_LA57;
	if (cr4 & 1ull << 17)
		co_host.features |= CO_FEATURE_PCID;
	if (cr4 & CR4_CET)
		co_host.features |= CO_FEATURE_CET;
	if (cr4 & CR4_FRED)
		co_host.obstacles |= CO_OBSTACLE_FRED;
	if (!(r[3] & 1u << 4))
		co_host.obstacles |= CO_OBSTACLE_NO_TSC;
	if (leaks_across_u(v))
		co_host.features |= CO_FEATURE_USER_VIEW;
	co_cpu_barriers(-1);
}

/* ------------------------------------------------ descriptor tables */

static void gate(u64 *idt, u32 n, u64 address, u32 ist, u32 dpl)
{
	idt[2 * n] = (address & 0xffff) | (u64)MON_CS << 16 | (u64)ist << 32 |
		     0x8e00ull << 32 | (u64)dpl << 45 | (address >> 16 & 0xffff) << 48;
	idt[2 * n + 1] = address >> 32;
}

static void system_descriptor(u64 *d, u64 base, u64 limit, u64 type)
{
	d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | (0x80 | type) << 40 |
	       (limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
}

/* A TSS has its 64-bit members on 4-byte boundaries. */
static void put64(char *at, u64 v)
{
	((u32 *)at)[0] = (u32)v;
	((u32 *)at)[1] = (u32)(v >> 32);
}

/* The guest world's IDT, TSS and the reserved page of its GDT. */
void co_cpu_gates(struct co_vcpu *v)
{
	char *base = v->gate.va;
	u64 *idt = (u64 *)base;
	char *tss = base + 0x1000;
	u64 *gdt = (u64 *)(base + (MON_GATE_GDT - MON_GATE));
	u32 n;

	for (n = 0; n < 256; n++) {
		u32 ist = 0, dpl = n == 3 || n == 4 ? 3 : 0;

		switch (n) {
		case 8: case 10: case 11: case 12: case 13: case 14:
			ist = MON_IST_INDEX_FAULT;
			break;
		case 2:
			ist = MON_IST_INDEX_NMI;
			break;
		case 1:
			ist = MON_IST_INDEX_DB;
			break;
		case 18:
			ist = MON_IST_INDEX_MC;
			break;
		}
		gate(idt, n, co_host.header->stubs + n * co_host.header->stub_size, ist, dpl);
	}
	put64(tss + 4, MON_ENTRY_RSP0);
	put64(tss + 36, MON_IST_FAULT);
	put64(tss + 44, MON_IST_NMI);
	put64(tss + 52, MON_IST_DB);
	put64(tss + 60, MON_IST_MC);
	*(u16 *)(tss + 102) = 104;		/* no I/O bitmap */

	gdt[MON_CS >> 3] = 0x00af9b000000ffffull;
	gdt[MON_DS >> 3] = 0x00cf93000000ffffull;
	gdt[MON_KERNEL_CS >> 3] = 0x00afbb000000ffffull;
	gdt[MON_USER_CS32 >> 3] = 0x00cffb000000ffffull;
	gdt[MON_USER_DS >> 3] = 0x00cff3000000ffffull;
	gdt[MON_USER_CS >> 3] = 0x00affb000000ffffull;
	gdt[MON_KERNEL_DS >> 3] = 0x00cfb3000000ffffull;
	system_descriptor(&gdt[MON_TSS_SEL >> 3], MON_GATE_TSS, 103, 9);
	system_descriptor(&gdt[MON_LDT_SEL >> 3], MON_GATE_LDT, 0, 2);

	v->passage->trans_gdtr.limit = MON_GDT_PAGES * 4096 - 1;
	v->passage->trans_gdtr.base = MON_HOST_GDT;
	v->passage->mon_gdtr.limit = MON_GDT_PAGES * 4096 - 1;
	v->passage->mon_gdtr.base = MON_GATE_GDT;
	v->passage->mon_idtr.limit = 4095;
	v->passage->mon_idtr.base = MON_GATE_IDT;
	v->passage->enter = co_host.header->enter;
	v->passage->resume = (u64)co_passage_resume;
	v->passage->self = (u64)v->passage;
	v->passage->trans_cr3 = co_os_hfn(v->root.va) << 12;
	v->mon->trans_cr3 = v->passage->trans_cr3;
	v->mon->cr0 = CR0_WORLD & ~(co_host.protect ? CR0_WP : 0);
	v->mon->barriers = (co_host.features & CO_FEATURE_IBPB ? MON_BARRIER_IBPB : 0) |
			   (co_host.features & CO_FEATURE_RSB ? MON_BARRIER_RSB : 0) |
			   (co_host.features & CO_FEATURE_VERW ? MON_BARRIER_VERW : 0);
	v->mon->measuring = !!co_host.measure;
}

/* ------------------------------------------------ extended state */

static void fpu_load(struct co_vcpu *v)
{
	if (co_host.has_xsave) {
		u32 lo = (u32)co_host.xcr0_mask, hi = 0;

		__asm__ volatile("xrstor64 (%0)" : : "r"(v->fpu.va), "a"(lo), "d"(hi) : "memory");
		if (v->mon->xcr0 != xgetbv())
			xsetbv(v->mon->xcr0);
	} else {
		__asm__ volatile("fxrstor64 (%0)" : : "r"(v->fpu.va) : "memory");
	}
}

static void fpu_store(struct co_vcpu *v, u64 host_xcr0)
{
	if (co_host.has_xsave) {
		u32 lo = (u32)co_host.xcr0_mask, hi = 0;

		if (v->mon->xcr0 != host_xcr0)
			xsetbv(host_xcr0);
		__asm__ volatile("xsave64 (%0)" : : "r"(v->fpu.va), "a"(lo), "d"(hi) : "memory");
	} else {
		__asm__ volatile("fxsave64 (%0)" : : "r"(v->fpu.va) : "memory");
	}
}

/* ------------------------------------------------ the passage itself */

struct host_state {
	u64 star, lstar, cstar, fmask, fs_base, gs_base, kernel_gs, sysenter_cs;
	u64 debugctl, pebs, rtit, s_cet, xcr0, dr7, cr4;
};

static u64 quiet(u32 has, u32 msr)
{
	u64 v = 0;

	if (has) {
		v = rdmsr(msr);
		if (v)
			wrmsr(msr, 0);
	}
	return v;
}

static void save_tables(struct co_vcpu *v)
{
	struct co_passage *p = v->passage;
	u16 tr, ldt;

	__asm__ volatile("sgdt %0" : "=m"(p->host_gdtr));
	__asm__ volatile("sidt %0" : "=m"(p->host_idtr));
	__asm__ volatile("str %0" : "=r"(tr));
	__asm__ volatile("sldt %0" : "=r"(ldt));
	p->host_tr = tr;
	p->host_ldt = ldt;
	p->host_cs = SEGMENT(cs);
	p->host_ss = SEGMENT(ss);
	p->host_ds = SEGMENT(ds);
	p->host_es = SEGMENT(es);
	p->host_fs = SEGMENT(fs);
	p->host_gs = SEGMENT(gs);
	if (p->host_gdtr.base != v->last_gdt_base) {	/* another CPU: its GDT's first page */
		const u64 *from = (const u64 *)p->host_gdtr.base;
		u64 *to = (u64 *)((char *)v->host.va + CO_PAGE_SIZE);
		u32 i, n = (p->host_gdtr.limit + 1u) / 8;

		for (i = 0; i < 512; i++)
			to[i] = i < n ? from[i] : 0;
		v->last_gdt_base = p->host_gdtr.base;
	}
}

/* Data selectors of the host's; null, or in its GDT again by now. */
static void restore_segments(const struct co_passage *p)
{
	u16 ds = (u16)p->host_ds, es = (u16)p->host_es, fs = (u16)p->host_fs, gs = (u16)p->host_gs;

	__asm__ volatile("movw %0, %%ds" : : "r"(ds));
	__asm__ volatile("movw %0, %%es" : : "r"(es));
	if (fs)
		__asm__ volatile("movw %0, %%fs" : : "r"(fs));
	if (gs)		/* the base belongs to the kernel: load it the way an NMI survives */
		__asm__ volatile("swapgs; movw %0, %%gs; mfence; swapgs" : : "r"(gs) : "memory");
}

/* SAFETY: interrupts are off from before this until after the segments are back. */
void co_cpu_pass(struct co_vcpu *v)
{
	struct host_state h;

	h.star = rdmsr(MSR_STAR);
	h.lstar = rdmsr(MSR_LSTAR);
	h.cstar = rdmsr(MSR_CSTAR);
	h.fmask = rdmsr(MSR_FMASK);
	h.fs_base = rdmsr(MSR_FS_BASE);
	h.gs_base = rdmsr(MSR_GS_BASE);
	h.kernel_gs = rdmsr(MSR_KERNEL_GS);
	h.sysenter_cs = rdmsr(MSR_SYSENTER_CS);
	h.debugctl = quiet(co_host.has_debugctl, MSR_DEBUGCTL);
	h.pebs = quiet(co_host.has_pebs, MSR_PEBS_ENABLE);
	h.rtit = quiet(co_host.has_rtit, MSR_RTIT_CTL);
	h.cr4 = read_cr4();
	h.s_cet = quiet(!!(h.cr4 & CR4_CET), MSR_S_CET);
	__asm__ volatile("mov %%db7, %0" : "=r"(h.dr7));
	if (h.dr7 & 0xff) {
		__asm__ volatile("mov %%db0, %0" : "=r"(v->host_dr[0]));
		__asm__ volatile("mov %%db1, %0" : "=r"(v->host_dr[1]));
		__asm__ volatile("mov %%db2, %0" : "=r"(v->host_dr[2]));
		__asm__ volatile("mov %%db3, %0" : "=r"(v->host_dr[3]));
		__asm__ volatile("mov %0, %%db7" : : "r"(0x400ull));
	}
	save_tables(v);
	v->passage->host_gs_base = h.gs_base;
	v->mon->guest_cr4 = CR4_WORLD | (h.cr4 & (CR4_LA57 | CR4_VMXE | CR4_MCE | CR4_PSE)) |
			    (co_host.features & CO_FEATURE_UMIP ? CR4_UMIP : 0) |
			    (co_host.has_xsave ? v->mon->cr4 & CR4_OSXSAVE : 0);
	h.xcr0 = co_host.has_xsave ? xgetbv() : 0;
	fpu_load(v);

	co_passage_switch(v->passage);

	restore_segments(v->passage);
	wrmsr(MSR_STAR, h.star);
	wrmsr(MSR_LSTAR, h.lstar);
	wrmsr(MSR_CSTAR, h.cstar);
	wrmsr(MSR_FMASK, h.fmask);
	wrmsr(MSR_FS_BASE, h.fs_base);
	wrmsr(MSR_KERNEL_GS, h.kernel_gs);
	wrmsr(MSR_SYSENTER_CS, h.sysenter_cs);
	if (h.s_cet)
		wrmsr(MSR_S_CET, h.s_cet);
	fpu_store(v, h.xcr0);
	if (h.rtit)
		wrmsr(MSR_RTIT_CTL, h.rtit);
	if (h.pebs)
		wrmsr(MSR_PEBS_ENABLE, h.pebs);
	if (h.debugctl)
		wrmsr(MSR_DEBUGCTL, h.debugctl);
	if (h.dr7 & 0xff) {
		__asm__ volatile("mov %0, %%db0" : : "r"(v->host_dr[0]));
		__asm__ volatile("mov %0, %%db1" : : "r"(v->host_dr[1]));
		__asm__ volatile("mov %0, %%db2" : : "r"(v->host_dr[2]));
		__asm__ volatile("mov %0, %%db3" : : "r"(v->host_dr[3]));
		__asm__ volatile("mov %0, %%db7" : : "r"(h.dr7));
	}
}
