/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Leaving to the host half and coming back: the C side of the passage.
 *
 * mon_exit looks like a call that takes a while.  Guest registers that are in no
 * frame are saved here before, and rebuilt from constants and checked values
 * after; nothing of the host's is inherited by the guest world.
 */
#include "mon.h"

extern void mon_start_guest(struct mon_frame *f) __attribute__((noreturn));
extern void mon_load_ds(u16 sel), mon_load_es(u16 sel), mon_load_fs(u16 sel), mon_load_gs_raw(u16 sel);

#define STAR_VALUE ((u64)MON_CS << 32 | (u64)MON_USER_CS32 << 48)
#define FMASK_VALUE 0x257fd5ull		/* everything but the fixed and reserved bits */

static u16 seg(int which)
{
	u16 sel = 0;

	switch (which) {
	case 0: __asm__ volatile("movw %%ds, %0" : "=r"(sel)); break;
	case 1: __asm__ volatile("movw %%es, %0" : "=r"(sel)); break;
	case 2: __asm__ volatile("movw %%fs, %0" : "=r"(sel)); break;
	case 3: __asm__ volatile("movw %%gs, %0" : "=r"(sel)); break;
	}
	return sel;
}

static void write_dr7(u64 value)
{
	__asm__ volatile("mov %0, %%db7" : : "r"(value));
}

/* Guest breakpoints into the CPU; addresses were checked when they were set. */
static void load_debug(void)
{
	__asm__ volatile("mov %0, %%db0" : : "r"(V->dr[0]));
	__asm__ volatile("mov %0, %%db1" : : "r"(V->dr[1]));
	__asm__ volatile("mov %0, %%db2" : : "r"(V->dr[2]));
	__asm__ volatile("mov %0, %%db3" : : "r"(V->dr[3]));
	write_dr7(V->dr[7] | 0x400);
	V->dr_live = 1;
}

void mon_debug_load(void);
void mon_debug_load(void)
{
	if (V->dr[7] & 0xff) {
		load_debug();
	} else if (V->dr_live) {
		write_dr7(0x400);
		V->dr_live = 0;
	}
}

static void write_cr0(u64 value)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(value) : "memory");
}

static void leave_world(void)
{
	V->ds = seg(0);
	V->es = seg(1);
	V->fs = seg(2);
	V->gs = seg(3);
	V->fs_base = mon_rdmsr(MSR_FS_BASE);
	V->gs_base = mon_rdmsr(MSR_GS_BASE);
	V->kernel_gs_base = mon_rdmsr(MSR_KERNEL_GS_BASE);
	if (V->dr_live) {
		write_dr7(0x400);
		V->dr_live = 0;
	}
}

static void enter_world(void)
{
	struct mon_header *h = (struct mon_header *)MON_TEXT;

	mon_wrmsr(MSR_STAR, STAR_VALUE);
	mon_wrmsr(MSR_LSTAR, h->syscall64);
	mon_wrmsr(MSR_CSTAR, h->syscall32);
	mon_wrmsr(MSR_FMASK, FMASK_VALUE);
	mon_wrmsr(MSR_SYSENTER_CS, 0);
	if (V->ds)
		mon_load_ds(V->ds);
	if (V->es)
		mon_load_es(V->es);
	if (V->fs)
		mon_load_fs(V->fs);
	if (V->gs)
		mon_load_gs_raw(V->gs);
	mon_wrmsr(MSR_FS_BASE, V->fs_base);
	mon_wrmsr(MSR_GS_BASE, V->gs_base);
	mon_wrmsr(MSR_KERNEL_GS_BASE, V->kernel_gs_base);
	if (V->dr[7] & 0xff)
		load_debug();
	if (V->ts && !VM->protect)
		write_cr0(CR0_GUEST | CR0_TS);
}

/*
 * With protection CR0 is written on every way back to the guest, from what is noted
 * here; without it, now.
 */
void mon_set_ts(int ts)
{
	u64 cr0 = CR0_GUEST | (ts ? CR0_TS : 0);

	V->ts = (u32)ts;
	GATE->cr0_guest = VM->protect ? cr0 : 0;
	GATE->cr0_open = VM->protect ? cr0 & ~CR0_WP : 0;
	if (!VM->protect)
		write_cr0(cr0);
}

/* TOUR 10: Out to the host half, and back some time later. */
void mon_exit(u32 why)
{
	V->exit = why;
	COUNT(passages);
	leave_world();
	if (V->measuring)
		mon_measure(why);
	mon_passage_exit();
	mon_off();
	enter_world();
	mon_time_refresh();
	mon_event_inbox();
	mon_timer_check();
}

int mon_exit_pending(void)
{
	if (V->mc_pending) {
		V->mc_pending = 0;
		mon_exit(MON_EXIT_MC);
	} else if (V->nmi_pending) {
		V->nmi_pending = 0;
		V->counters.nmis_in_monitor++;
		V->exit_arg = 1;
		mon_exit(MON_EXIT_NMI);
	} else {
		return 0;
	}
	return 1;
}

/* In the middle of long work: the host's interrupts, and an NMI that was noted, are taken. */
void mon_breathe(void)
{
	if (!mon_exit_pending())
		mon_exit(MON_EXIT_YIELD);
}

/* A new vCPU: the Xen ABI's start state, then the guest's first instruction. */
void mon_main(void)
{
	struct mon_frame *f = (struct mon_frame *)(MON_STACK_TOP - sizeof(*f));
	u64 *p = (u64 *)f;
	u32 i;

	mon_off();
	enter_world();
	mon_set_ts(0);
	mon_tlb_init();
	mon_event_init();
	mon_shadow_init();
	mon_time_refresh();
	for (i = 0; i < sizeof(*f) / 8; i++)
		p[i] = 0;
	f->rip = V->start_rip;
	f->rsp = V->start_rsp;
	f->rsi = V->start_rsi;
	f->cs = MON_KERNEL_CS;
	f->ss = MON_KERNEL_DS;
	f->rflags = FLAG_IF | 2;
	mon_shadow_new_base(V->start_gfn);
	mon_leave(f);
	mon_start_guest(f);
}
