/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The machine under the monitor's fuzz target: memory at the monitor's
 * addresses, a page walk over the shadow tables, and the few privileged
 * instructions that its C files execute (they fault here and are answered).
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "fuzz.h"
#include "monitor.h"

struct machine machine;
static int ram_fd;
static struct sigaction before;

/* ---- privileged instructions ---------------------------------------------------- */

/* The alias of the guest's vcpu_info follows the leaf table that the monitor writes. */
static void map_vinfo(void)
{
	u64 e = *(u64 *)MON_VINFO_PT, gfn = ((e & PTE_ADDR) >> 12) - RAM_HFN;

	MUST((e & PTE_P) && gfn < FRAMES);
	MUST(mmap((void *)MON_VINFO, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		  ram_fd, (off_t)(gfn << 12)) == (void *)MON_VINFO);
}

static void privileged(int sig, siginfo_t *si, void *ctx)
{
	static const int gregs[] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	greg_t *r = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	const u8 *start = (const u8 *)r[REG_RIP], *p = start;
	int rex = 0, reg;

	(void)si;
	if (*p == 0x66)
		p++;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (p[0] != 0x0f)
		goto not_ours;
	reg = gregs[(p[2] & 7) | (rex & 1) << 3];
	switch (p[1]) {
	case 0x20:				/* mov reg, crN */
		r[reg] = (p[2] >> 3 & 7) == 2 ? (greg_t)machine.cr2 : 0;
		p += 3;
		break;
	case 0x22:				/* mov crN, reg */
		if ((p[2] >> 3 & 7) == 3) {
			machine.cr3 = (u64)r[reg];
			machine.cr3_writes++;
		}
		p += 3;
		break;
	case 0x21: r[reg] = 0xffff0ff0; p += 3; break;
	case 0x23: p += 3; break;
	case 0x30: p += 2; break;		/* wrmsr */
	case 0x32: r[REG_RAX] = r[REG_RDX] = 0; p += 2; break;
	case 0x06: p += 2; break;		/* clts */
	case 0x00: p += 3; break;		/* lldt reg */
	case 0x01:
		if (p[2] >> 6 == 3) {		/* swapgs, xsetbv */
			p += 3;
			break;
		}
		if ((p[2] >> 3 & 7) != 7)
			goto not_ours;
		if ((u64)r[reg] == MON_VINFO)	/* invlpg (reg) */
			map_vinfo();
		p += p[2] >> 6 == 1 ? 4 : 3;
		p += (start[p - start - 1] & 0xc7) == 0x04;
		break;
	default:
		goto not_ours;
	}
	r[REG_RIP] = (greg_t)p;
	return;
not_ours:
	sigaction(sig, &before, NULL);
}

/* ---- memory ------------------------------------------------------------------------ */

static void area(u64 at, u64 pages)
{
	static u64 known[64];
	int i;

	for (i = 0; known[i] && known[i] != at; i++)
		MUST(i < 62);
	if (!known[i]) {
		known[i] = at;
		MUST(mmap((void *)at, pages << 12, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)at);
	}
	memset((void *)at, 0, pages << 12);
}

static void ram(void)
{
	if (!ram_fd) {
		struct sigaction sa = { .sa_sigaction = privileged, .sa_flags = SA_SIGINFO | SA_NODEFER };

		ram_fd = memfd_create("ram", MFD_CLOEXEC);
		MUST(ram_fd > 0 && !ftruncate(ram_fd, (off_t)(FRAMES << 12)));
		MUST(mmap((void *)MON_PHYS, FRAMES << 12, PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_FIXED_NOREPLACE, ram_fd, 0) == (void *)MON_PHYS);
		/* After libFuzzer and ASan, whose handlers take what is not ours. */
		sigaction(SIGSEGV, &sa, &before);
	}
	memset((void *)MON_PHYS, 0, FRAMES << 12);
}

static u64 *frame(u64 gfn)
{
	return (u64 *)(MON_PHYS + (gfn << 12));
}

/* The guest at its start: its RAM at KERNEL_VA with tables read-only, users at USER_VA. */
static void guest_tables(void)
{
	u64 i;

	frame(GFN_L4)[511] = GFN_L3K << 12 | 0x63;
	frame(GFN_L3K)[510] = GFN_L2K << 12 | 0x63;
	frame(GFN_L2K)[0] = GFN_L1K << 12 | 0x63;
	for (i = 0; i < FRAMES; i++)
		frame(GFN_L1K)[i] = i << 12 | (i >= GFN_L4 && i <= GFN_L1U ? 0x61 : 0x63);
	frame(GFN_L4)[0] = GFN_L3U << 12 | 0x67;
	frame(GFN_L3U)[0] = GFN_L2U << 12 | 0x67;
	frame(GFN_L2U)[USER_VA >> 21] = GFN_L1U << 12 | 0x67;
	for (i = 0; i < 64; i++)
		frame(GFN_L1U)[i] = (64 + i) << 12 | (i & 1 ? 0x25 : 0x67);
}

void machine_reset(int user_view, int la57)
{
	u64 i;

	ram();
	area(MON_VM, MON_VM_PAGES);
	area(MON_TRACE, MON_TRACE_PAGES);
	area(MON_GATE, MON_GATE_PAGES);
	area(MON_VCPU, MON_VCPU_PAGES);
	area(MON_ENTRY, MON_ENTRY_PAGES);
	area(MON_FRAMES, (FRAMES * sizeof(struct mon_finfo) + 4095) >> 12);
	area(MON_PHYSPT, (FRAMES + 511) / 512);
	area(MON_POOLPT, (POOL_PAGES + 511) / 512);
	area(MON_POOL, POOL_PAGES);
	for (i = 0; i < FRAMES; i++)
		((u64 *)MON_PHYSPT)[i] = (RAM_HFN + i) << 12 | 0x63 | PTE_NX;
	for (i = 0; i < POOL_PAGES; i++)
		((u64 *)MON_POOLPT)[i] = (POOL_HFN + i) << 12 | 0x63 | PTE_NX;
	guest_tables();
	VM->ram_pages = RAM_PAGES;
	VM->frames = FRAMES;
	VM->pool_pages = POOL_PAGES;
	VM->protect = CO_PROTECT_WP;
	VM->user_view = (u32)user_view;
	VM->la57 = (u32)la57;
	VM->vcpus = 1;
	VM->has_xsave = 1;
	VM->xcr0_mask = 7;
	VM->time.mul = 1u << 31;
	V->guest_l3 = GUEST_L3;
	V->user_l3 = USER_L3;
	*(u64 *)MON_VINFO_PT = (RAM_HFN + CO_SHARED_INFO_GFN(RAM_PAGES)) << 12 | 0x63;
	map_vinfo();
	memset(&machine, 0, sizeof(machine));
	check_reset();
}

/* ---- the CPU's page walk -------------------------------------------------------------- */

static const u64 *table(u64 hfn)
{
	MUST(hfn >= POOL_HFN && hfn < POOL_HFN + POOL_PAGES);
	return (const u64 *)(MON_POOL + ((hfn - POOL_HFN) << 12));
}

/* Where va leads through the shadow tables: an address in MON_PHYS, or 0 and the error code. */
static u64 walk(u64 va, u32 access, u32 *error)
{
	u64 cr3 = (access & PF_U) && GATE->user_cr3 ? GATE->user_cr3 : machine.cr3;
	u64 hfn = cr3 >> 12, e = 0, and = ~0ull, nx = 0;

	*error = access;
	if (VM->la57)
		hfn = (table(hfn)[va >> 63 ? 511 : 0] & PTE_ADDR) >> 12;
	for (int level = 4; level; level--) {
		e = table(hfn)[va >> (3 + 9 * level) & 511];
		if (!(e & PTE_P))
			return 0;
		and &= e;
		nx |= e & PTE_NX;
		hfn = (e & PTE_ADDR) >> 12;
		if (level == 4 && (hfn == GUEST_L3 || hfn == USER_L3))
			return 0;	/* the monitor's slot has no U bit and is read-only */
	}
	*error |= PF_P;
	if (((access & PF_W) && !(and & PTE_RW)) || ((access & PF_U) && !(and & PTE_US)) ||
	    ((access & PF_I) && nx))
		return 0;
	MUST(hfn >= RAM_HFN && hfn < RAM_HFN + FRAMES);
	return MON_PHYS + ((hfn - RAM_HFN) << 12) + (va & 4095);
}

void machine_access(u64 va, u32 access, u64 value)
{
	struct mon_frame *f = (struct mon_frame *)(MON_STACK_TOP - sizeof(*f));
	u32 error;

	if (!mon_canonical(va))
		return;
	for (int tries = 0; tries < 6; tries++) {
		u64 at = walk(va, access, &error);

		if (at) {
			if (access & PF_W)
				*(u64 *)at = value;
			return;
		}
		memset(f, 0, sizeof(*f));
		f->vector = 14;
		f->error = error;
		f->rip = KERNEL_VA + 0x1000;
		f->rsp = KERNEL_VA + (GFN_STACK << 12) + 0xf00;
		f->cs = access & PF_U ? MON_USER_CS : MON_KERNEL_CS;
		f->ss = access & PF_U ? MON_USER_DS : MON_KERNEL_DS;
		f->rflags = 0x202;
		machine.cr2 = va;
		mon_page_fault(f);
		check_frame(f);
		check_world();
		if (f->rip != KERNEL_VA + 0x1000 || f->rsp != KERNEL_VA + (GFN_STACK << 12) + 0xf00)
			return;		/* the guest got its own fault */
	}
	/* The monitor said each time that the fault was only its own. */
	MUST(V->dead || !"a fault that never ends");
}
