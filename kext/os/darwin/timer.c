/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: timer.  One thread call each, whose thread may sleep.
 *
 * thread_call_cancel_wait is not ours to link, so "after cancel it neither runs nor
 * will run" is built here: every invocation that XNU owes us is counted when it is
 * entered, and uncounted by itself or by a successful cancel.  It looks at `armed`
 * under the lock before it calls fn, cancel clears that and waits for the ones that
 * are inside fn, free waits for all that are owed.  The lock is one for all timers,
 * so that no late invocation can touch a lock that is gone.
 *
 * A thread call counts time awake, a guest's clock goes on while the host sleeps:
 * no call is entered for more than a second, and fn is called when the clock that
 * counts sleep says so.
 */
#include "seam.h"

#define MOST_NS	1000000000ull

struct co_os_timer {
	void (*fn)(void *);
	void *arg;
	thread_call_t call;
	co_u64 due;			/* by mach_continuous_time */
	co_u32 armed;
	co_u32 owed;			/* invocations that are still to come or to end */
	co_u32 inside;			/* of those: in fn */
};

static lck_mtx_t *lock;

static co_u64 ticks(co_u64 ns)
{
	unsigned long long t;

	nanoseconds_to_absolutetime(ns, &t);
	return t;
}

/* lock held */
static void enter(struct co_os_timer *t)
{
	co_u64 now = mach_continuous_time(), left = t->due > now ? t->due - now : 0;
	co_u64 most = ticks(MOST_NS);

	if (!thread_call_enter_delayed(t->call, mach_absolute_time() + (left < most ? left : most)))
		t->owed++;
}

static void fired(thread_call_param_t param0, thread_call_param_t param1)
{
	struct co_os_timer *t = param0;

	(void)param1;
	lck_mtx_lock(lock);
	if (t->armed && mach_continuous_time() < t->due) {
		enter(t);
	} else if (t->armed) {
		t->armed = 0;
		t->inside++;
		lck_mtx_unlock(lock);
		t->fn(t->arg);
		lck_mtx_lock(lock);
		if (!--t->inside)
			wakeup(&t->inside);
	}
	if (!--t->owed)
		wakeup(&t->owed);
	lck_mtx_unlock(lock);
}

struct co_os_timer *co_os_timer_new(void (*fn)(void *), void *arg)
{
	struct co_os_timer *t = co_darwin_new(sizeof(*t));

	if (!t)
		return NULL;
	t->fn = fn;
	t->arg = arg;
	t->call = thread_call_allocate(fired, t);
	if (!t->call) {
		co_darwin_delete(t, sizeof(*t));
		return NULL;
	}
	return t;
}

void co_os_timer_arm(struct co_os_timer *t, co_u64 ns)
{
	lck_mtx_lock(lock);
	t->due = mach_continuous_time() + ticks(ns < 1ull << 62 ? ns : 1ull << 62);
	t->armed = 1;
	enter(t);
	lck_mtx_unlock(lock);
}

/* lock held */
static void cancel(struct co_os_timer *t)
{
	do {				/* fn may have armed it once more */
		t->armed = 0;
		if (thread_call_cancel(t->call) && !--t->owed)
			wakeup(&t->owed);
		while (t->inside)
			msleep(&t->inside, lock, PWAIT, "colinux timer", NULL);
	} while (t->armed);
}

void co_os_timer_cancel(struct co_os_timer *t)
{
	lck_mtx_lock(lock);
	cancel(t);
	lck_mtx_unlock(lock);
}

void co_os_timer_free(struct co_os_timer *t)
{
	lck_mtx_lock(lock);
	cancel(t);
	while (t->owed)
		msleep(&t->owed, lock, PWAIT, "colinux timer", NULL);
	lck_mtx_unlock(lock);
	thread_call_free(t->call);
	co_darwin_delete(t, sizeof(*t));
}

int co_darwin_timer_start(void)
{
	lock = lck_mtx_alloc_init(co_darwin_group, LCK_ATTR_NULL);
	return lock ? 0 : -CO_ENOMEM;
}

void co_darwin_timer_stop(void)
{
	lck_mtx_free(lock, co_darwin_group);
}
