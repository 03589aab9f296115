/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traps: what the CPU hands to entry.S, sorted into the host's, ours and the
 * guest's, and the bounce frame by which the guest gets its own.
 *
 * Every word of a frame came from the CPU, but its values are the guest's.
 */
#include "mon.h"

extern const u8 mon_iretq[], mon_view_iretq[], mon_fast_iretq[];
extern const u8 mon_fast_push[], mon_fast_push_end[], mon_fast_iret[], mon_fast_iret_end[];
extern const u8 mon_fast_iret2[], mon_fast_iret2_end[];
extern const u8 mon_load_ds[], mon_load_end[];

static int within(u64 rip, const u8 *from, const u8 *to)
{
	return rip >= (u64)from && rip < (u64)to;
}

static u64 read_cr2(void)
{
	u64 v;

	__asm__ volatile("mov %%cr2, %0" : "=r"(v));
	return v;
}

void mon_trace(u32 what, u64 a, u64 b, u64 c, u64 d)
{
	struct mon_trace *t = (struct mon_trace *)MON_TRACE;
	struct co_trace_entry *e = &t->ring[t->next % MON_TRACE_ENTRIES];

	e->tsc = mon_rdtsc();
	e->what = what;
	e->vcpu = V->id;
	e->a = a;
	e->b = b;
	e->c = c;
	e->d = d;
	t->next++;
}

/* The trace tells of each record, and what it was: a vector, a hypercall, an exit. */
void mon_measure(u64 what)
{
	u64 ticks = mon_rdtsc() - V->off_since;

	if (ticks <= V->counters.longest_off)
		return;
	V->counters.longest_off = ticks;
	mon_trace('L', ticks, what, (u64)(MON_WORK_MAX - V->work_left), 0);
}

/* Append s, and numbers as hexadecimal where it says %. */
static void format(char *to, u64 room, const char *s, u64 a, u64 b)
{
	u64 n = 0, value = a;
	int shift;

	for (; *s && n + 1 < room; s++) {
		if (*s != '%') {
			to[n++] = *s;
			continue;
		}
		for (shift = 60; shift > 0 && !(value >> shift); shift -= 4)
			;
		for (; shift >= 0 && n + 1 < room; shift -= 4)
			to[n++] = "0123456789abcdef"[(value >> shift) & 15];
		value = b;
	}
	to[n] = 0;
}

/*
 * End this VM: the first reason wins and reaches the user.  Returns to its
 * caller, whose work no longer matters: mon_leave never lets the guest run again.
 * A % in why is a number, first a, then b.
 */
void mon_kill(const char *why, u64 a, u64 b)
{
	if (V->dead)
		return;
	V->dead = 1;
	format(V->why, sizeof(V->why), why, a, b);
	mon_trace('K', a, b, 0, 0);
}

static inline u64 bounce_flags(const struct mon_frame *f)
{
	return (f->rflags & ~(FLAG_IF | FLAG_IOPL | FLAG_NT | FLAG_VM)) | 2 | (u64)V->iopl << 12;
}

/* What the guest kernel finds on its stack: 7 words, or 8 with an error code. */
static inline void frame_words(u64 *to, const struct mon_frame *f, int has_error, u32 error,
			       u64 cs, u64 flags, u64 ss)
{
	*to++ = f->rcx;
	*to++ = f->r11;
	if (has_error)
		*to++ = error;
	*to++ = f->rip;
	*to++ = cs;
	*to++ = flags;
	*to++ = f->rsp;
	*to = ss;
}

/* The guest kernel runs next, at rip. */
static inline void to_kernel(struct mon_frame *f, u64 rip, u64 sp, int from_user, int mask)
{
	if (from_user)
		__asm__ volatile("swapgs" : : : "memory");
	f->rip = rip;
	f->rsp = sp;
	f->cs = MON_KERNEL_CS;
	f->ss = MON_KERNEL_DS;
	f->rflags &= ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_DF);
	if (mask)
		VINFO->evtchn_upcall_mask = 1;
	COUNT(injected);
}

/*
 * Deliver to the guest kernel at rip, as Xen does: rcx, r11, [error], rip,
 * cs | mask << 32, rflags with IF = !mask, rsp, ss on its kernel stack.
 */
void mon_bounce(struct mon_frame *f, u64 rip, int has_error, u32 error, int mask)
{
	u64 bytes = has_error ? 64 : 56, flags = bounce_flags(f), sp, cs, ss, *to;
	int from_user = mon_user(f);

	if (from_user) {
		sp = GATE->kernel_sp;
		cs = f->cs;
		ss = f->ss;
		flags |= FLAG_IF;
	} else {
		u64 was = VINFO->evtchn_upcall_mask;

		sp = f->rsp & ~15ull;
		cs = (f->cs == MON_KERNEL_CS ? FLAT_KERNEL_CS & ~3ull : f->cs & ~3ull) | was << 32;
		ss = FLAT_KERNEL_SS;
		flags |= was ? 0 : FLAG_IF;
	}
	sp -= bytes;
	to = mon_at_whole(sp, bytes, PF_W);
	if (mon_likely(to)) {
		frame_words(to, f, has_error, error, cs, flags, ss);
	} else {
		u64 words[8], fault_va;

		frame_words(words, f, has_error, error, cs, flags, ss);
		if (mon_copy_to(sp, words, bytes, 0, &fault_va)) {
			mon_kill("the guest kernel's stack at % is not writable (delivering to %)",
				 fault_va, rip);
			return;
		}
	}
	to_kernel(f, rip, sp, from_user, mask);
}

static void no_handler(const struct mon_frame *f, u32 vector)
{
	mon_kill("the guest took trap % at % before it could handle it", vector, f->rip);
}

void mon_inject(struct mon_frame *f, u32 vector, int has_error, u32 error)
{
	struct mon_trap *t = &V->traps[vector & 255];

	if (!t->address)
		no_handler(f, vector);
	else
		mon_bounce(f, t->address, has_error, error, t->mask);
}

static __attribute__((noinline)) void page_fault(struct mon_frame *f, u64 va, u32 access)
{
	int error = mon_shadow_fault(va, access);

	if (error >= 0) {
		VINFO->arch.cr2 = va;
		mon_inject(f, 14, 1, (u32)error | access);
	}
	mon_leave(f);
}

/*
 * A page fault: the commonest trap has a way of its own.  entry.S fills in a frame
 * without the registers that C keeps (rbx, rbp, r12 to r15): nothing below may look at
 * those.  A program's access to a page that it has not got yet, with everything known
 * that is needed to tell the guest so, calls nothing here.
 */
void mon_page_fault(struct mon_frame *f)
{
	const struct mon_trap *t = &V->traps[14];
	u32 access = (u32)f->error & (PF_W | PF_I);
	u64 va = read_cr2(), sp, *to;

	mon_off();
	COUNT(page_faults);
	if (mon_unlikely(!mon_user(f))) {
		page_fault(f, va, access);
		return;
	}
	access |= PF_U;
	sp = GATE->kernel_sp - 8 * 8;
	to = (sp & 4095) <= 4096 - 8 * 8 ? mon_at_known(sp, PF_W) : 0;
	if (mon_unlikely(!to || !t->address || !mon_shadow_absent(va))) {
		page_fault(f, va, access);
		return;
	}
	VINFO->arch.cr2 = va;
	frame_words(to, f, 1, access, f->cs, bounce_flags(f) | FLAG_IF, f->ss);
	to_kernel(f, t->address, sp, 1, t->mask);
	mon_leave(f);
}

/*
 * int n of the guest's: the gates let nobody through.  The vector comes from the
 * instruction; the CPU's error code says only that it was one (and QEMU's says it
 * in another unit).
 */
static int software_interrupt(struct mon_frame *f)
{
	struct mon_trap *t;
	u8 insn[2];

	if (mon_copy_from(insn, f->rip, sizeof(insn), mon_user(f) ? PF_U | PF_I : PF_I, 0) ||
	    insn[0] != 0xcd)
		return 0;
	t = &V->traps[insn[1]];
	if (!t->address || (mon_user(f) && t->dpl != 3)) {
		mon_inject(f, 13, 1, insn[1] * 8u + 2);
		return 1;
	}
	f->rip += 2;
	mon_bounce(f, t->address, 0, 0, t->mask);
	return 1;
}

static void general_protection(struct mon_frame *f)
{
	u32 error = (u32)f->error & 0xffff;

	if ((error & 2) ? software_interrupt(f) : mon_emulate(f))
		return;
	mon_inject(f, 13, 1, error);
}

static void debug(struct mon_frame *f)
{
	u64 dr6;

	__asm__ volatile("mov %%db6, %0" : "=r"(dr6));
	V->dr[6] = dr6;
	__asm__ volatile("mov %0, %%db6" : : "r"(0xffff0ff0ull));
	mon_inject(f, 1, 0, 0);
}

/* A system call that is not a hypercall, off the fast path. */
static void slow_syscall(struct mon_frame *f, u64 rip, u32 mask)
{
	if (!rip) {
		mon_inject(f, 6, 0, 0);
		return;
	}
	mon_bounce(f, rip, 0, 0, mask);
}

/* TOUR 9: Every other trap of the guest's that assembly does not settle. */
void mon_trap(struct mon_frame *f)
{
	mon_off();
	COUNT(slow_paths);
	if (f->vector == VEC_SYSCALL) {
		slow_syscall(f, V->syscall_rip, V->syscall_mask);
	} else if (f->vector == VEC_SYSCALL32) {
		slow_syscall(f, V->syscall32_rip, V->syscall32_mask);
	} else if (f->vector >= 32) {
		V->host_irq = (u32)f->vector;
		mon_exit(MON_EXIT_IRQ);
	} else {
		switch (f->vector) {
		case 13:
			general_protection(f);
			break;
		case 6:
			if (!mon_emulate_ud(f))
				mon_inject(f, 6, 0, 0);
			break;
		case 7:
			mon_inject(f, 7, 0, 0);
			mon_set_ts(0);
			break;
		case 1:
			debug(f);
			break;
		case 2:
			V->exit_arg = 0;
			mon_exit(MON_EXIT_NMI);
			break;
		case 18:
			mon_exit(MON_EXIT_MC);
			break;
		case 8:
			mon_kill("double fault at %", f->rip, 0);
			break;
		case 10: case 11: case 12: case 17: case 21:
			mon_inject(f, (u32)f->vector, 1, (u32)f->error);
			break;
		default:
			mon_inject(f, (u32)f->vector, 0, 0);
		}
	}
	mon_leave(f);
}

/* An iretq of ours to the guest did not work: the registers are the guest's already. */
static void bad_iret(struct mon_frame *f)
{
	u64 *iret = (u64 *)f->rsp;

	if ((f->rsp < MON_STACK || f->rsp > MON_STACK_TOP - 40) &&
	    (f->rsp < MON_ENTRY || f->rsp > MON_ENTRY + 4096 - 40)) {
		mon_kill("the monitor lost an iret frame", f->rsp, 0);
		return;
	}
	f->rip = iret[0];
	f->cs = (u16)iret[1];
	f->rflags = iret[2];
	f->rsp = iret[3];
	f->ss = (u16)iret[4];
	if (!mon_user(f)) {
		mon_kill("the guest kernel returned to a bad address or selector (rip %, cs %)",
			 f->rip, f->cs);
		return;
	}
	mon_inject(f, 13, 1, (u32)f->error);
}

/*
 * A fault in ring 0.  Expected in four places; anywhere else it is a bug of ours,
 * which costs this VM and nobody else.
 */
void mon_trap_ring0(struct mon_frame *f)
{
	u64 rip = f->rip, va = read_cr2();

	mon_off();
	COUNT(slow_paths);
	if (rip == (u64)mon_iretq || rip == (u64)mon_view_iretq || rip == (u64)mon_fast_iretq) {
		bad_iret(f);
		mon_leave(f);
		return;
	}
	if (within(rip, mon_load_ds, mon_load_end)) {
		f->rdi = 0;
		return;
	}
	if (rip == (u64)mon_load_gs_insn) {
		f->rip = (u64)mon_load_gs_fixup;
		return;
	}
	if (within(rip, mon_fast_push, mon_fast_push_end) ||
	    within(rip, mon_fast_iret, mon_fast_iret_end) ||
	    within(rip, mon_fast_iret2, mon_fast_iret2_end)) {
		if (f->vector == 14 &&
		    mon_shadow_fault(va, (u32)f->error & (PF_W | PF_I)) < 0 && !V->dead) {
			mon_shadow_load();
			return;
		}
		mon_kill("the guest kernel's stack at % is not accessible (monitor at %)", va, rip);
	}
	mon_kill("a fault inside the monitor at %, vector %", rip, f->vector);
	mon_leave(f);
}

/* What cannot wait until the guest's next trap; rare, so out of the way. */
void mon_attend(struct mon_frame *f)
{
	for (;;) {
		if (V->dead)
			mon_exit(MON_EXIT_KILL);	/* the host half does not come back */
		else if (mon_exit_pending())
			continue;
		else if (V->event_rip && VINFO->evtchn_upcall_pending &&
			 (mon_user(f) || !VINFO->evtchn_upcall_mask))
			mon_bounce(f, V->event_rip, 0, 0, 1);
		else if (V->new_root || V->reload)
			mon_shadow_load();
		else
			break;
	}
	mon_set_state(f);
	if (V->measuring)
		mon_measure(f->rip);
}
