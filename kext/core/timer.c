/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's time: the host's clock that counts through suspend, as a line
 * through (TSC, ns) that the monitor and the guest follow by themselves.
 */
#include "core.h"

#define SLACK_NS	200000000ull	/* a jump this large is a suspend or a TSC gone wrong */

static u64 rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return (u64)hi << 32 | lo;
}

static u64 scale(u64 delta, u32 mul, s32 shift)
{
	u64 lo, hi;

	delta = shift < 0 ? delta >> -shift : delta << shift;
	lo = (delta & 0xffffffff) * mul;
	hi = (delta >> 32) * mul;
	return hi + (lo >> 32);
}

/* mul, shift such that ns = (ticks << shift) * mul >> 32, mul in [2^31, 2^32). */
static void frequency(u64 khz, u32 *mul, s32 *shift)
{
	u64 hz = khz * 1000;
	s32 s = 0;

	while (hz > 2000000000ull) {
		hz >>= 1;
		s--;
	}
	while (hz <= 1000000000ull) {	/* <=: at exactly 1 GHz the multiplier would be 2^32 */
		hz <<= 1;
		s++;
	}
	*mul = (u32)((1000000000ull << 32) / hz);
	*shift = s;
}

static void set_line(struct co_vm *vm, u64 tsc, u64 ns)
{
	struct mon_time *t = &vm->mon->time;
	u64 sec;
	u32 nsec;

	co_os_wall(&sec, &nsec);
	t->tsc = tsc;
	t->system_ns = ns;
	t->stable = (u32)co_os_tsc_stable();
	if (!t->wall_sec) {		/* constant: wall = this + system time */
		u64 wall = sec * 1000000000ull + nsec - ns;

		t->wall_sec = wall / 1000000000ull;
		t->wall_nsec = wall % 1000000000ull;
	}
	t->seq += 2;
}

void co_time_start(struct co_vm *vm)
{
	struct mon_time *t = &vm->mon->time;

	frequency(co_os_tsc_khz(), &t->mul, &t->shift);
	t->wall_sec = 0;
	set_line(vm, rdtsc(), co_os_now_ns());
	vm->time_checked = t->tsc;
}

u64 co_time_now(struct co_vm *vm)
{
	struct mon_time *t = &vm->mon->time;

	return t->system_ns + scale(rdtsc() - t->tsc, t->mul, t->shift);
}

/* Is the line still true?  After a suspend the TSC may have stopped or started again. */
static int line_holds(struct co_vm *vm, u64 tsc, u64 now)
{
	struct mon_time *t = &vm->mon->time;
	u64 guest = tsc >= t->tsc ? co_time_now(vm) : 0;

	return tsc >= vm->time_checked && now <= guest + SLACK_NS && co_os_tsc_stable();
}

/*
 * Between two passages: a line that is not true any more is drawn anew; an unstable
 * TSC is followed step by step.  Time never goes back.
 */
void co_time_check(struct co_vm *vm)
{
	struct mon_time *t = &vm->mon->time;
	u64 tsc = rdtsc(), now;

	if (t->stable && tsc >= vm->time_checked && tsc - vm->time_checked < co_os_tsc_khz() * 20)
		return;
	now = co_os_now_ns();
	if (!line_holds(vm, tsc, now)) {
		u64 last = t->system_ns +
			   (vm->time_checked >= t->tsc ? scale(vm->time_checked - t->tsc, t->mul, t->shift) : 0);

		set_line(vm, tsc, now > last ? now : last);
	}
	vm->time_checked = tsc;
}

/*
 * The guest's one-shot deadline on a host timer, which is never moved to a later time:
 * a kernel that goes idle puts its timer off, and brings it back when it wakes.  What
 * comes too early starts itself again.  1: it is due, and no timer comes: whoever asks
 * lets the guest run, or does not let it wait.
 */
int co_timer_arm(struct co_vcpu *v)
{
	u64 now, deadline;

	/* Thread and timer may both be here: the last one has seen the last deadline. */
	while ((deadline = v->mon->deadline_ns) && (!v->mon->armed_ns || deadline < v->mon->armed_ns)) {
		now = co_time_now(v->vm);
		/* A timer that comes at once would find us here, and be started again. */
		if (deadline <= now)
			return 1;
		v->mon->armed_ns = deadline;
		co_os_timer_arm(v->timer, deadline - now);
		barrier_full();
	}
	return 0;
}

/* In the host's timer interrupt. */
void co_timer_fired(void *arg)
{
	struct co_vcpu *v = arg;

	v->mon->armed_ns = 0;
	barrier_full();
	if (!v->mon->deadline_ns || (line_holds(v->vm, rdtsc(), co_os_now_ns()) && !co_timer_arm(v)))
		return;
	v->timer_fired = 1;
	co_vcpu_kick(v);
}
