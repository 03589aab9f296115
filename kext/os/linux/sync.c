// SPDX-License-Identifier: GPL-2.0-or-later
/* The seam on Linux: mutex, wait, timer, time. */
#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <linux/wait.h>
#include <asm/tsc.h>
#include "seam.h"

struct co_os_mutex { struct mutex m; };

struct co_os_mutex *co_os_mutex_new(void)
{
	struct co_os_mutex *m = kzalloc(sizeof(*m), GFP_KERNEL);

	if (m)
		mutex_init(&m->m);
	return m;
}

void co_os_mutex_free(struct co_os_mutex *m)
{
	kfree(m);
}

void co_os_mutex_lock(struct co_os_mutex *m)
{
	mutex_lock(&m->m);
}

int co_os_mutex_trylock(struct co_os_mutex *m)
{
	return mutex_trylock(&m->m);
}

void co_os_mutex_unlock(struct co_os_mutex *m)
{
	mutex_unlock(&m->m);
}

struct co_os_wait { wait_queue_head_t q; };

struct co_os_wait *co_os_wait_new(void)
{
	struct co_os_wait *w = kzalloc(sizeof(*w), GFP_KERNEL);

	if (w)
		init_waitqueue_head(&w->q);
	return w;
}

void co_os_wait_free(struct co_os_wait *w)
{
	kfree(w);
}

int co_os_wait_until(struct co_os_wait *w, int (*done)(void *), void *arg)
{
	return wait_event_interruptible(w->q, done(arg)) ? -CO_EINTR : 0;
}

wait_queue_head_t *co_linux_wait_head(struct co_os_wait *w)
{
	return &w->q;
}

void co_os_wait_wake(struct co_os_wait *w)
{
	wake_up_all(&w->q);
}

struct co_os_timer {
	struct hrtimer t;
	void (*fn)(void *);
	void *arg;
};

static enum hrtimer_restart fired(struct hrtimer *t)
{
	struct co_os_timer *timer = container_of(t, struct co_os_timer, t);

	timer->fn(timer->arg);
	return HRTIMER_NORESTART;
}

struct co_os_timer *co_os_timer_new(void (*fn)(void *), void *arg)
{
	struct co_os_timer *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t)
		return NULL;
	hrtimer_init(&t->t, CLOCK_BOOTTIME, HRTIMER_MODE_REL);
	t->t.function = fired;
	t->fn = fn;
	t->arg = arg;
	return t;
}

void co_os_timer_free(struct co_os_timer *t)
{
	hrtimer_cancel(&t->t);
	kfree(t);
}

void co_os_timer_arm(struct co_os_timer *t, co_u64 ns)
{
	hrtimer_start(&t->t, ns_to_ktime(min_t(co_u64, ns, KTIME_MAX / 2)), HRTIMER_MODE_REL);
}

void co_os_timer_cancel(struct co_os_timer *t)
{
	hrtimer_cancel(&t->t);
}

co_u64 co_os_now_ns(void)
{
	return ktime_get_boottime_ns();
}

void co_os_wall(co_u64 *sec, co_u32 *nsec)
{
	struct timespec64 ts;

	ktime_get_real_ts64(&ts);
	*sec = ts.tv_sec;
	*nsec = ts.tv_nsec;
}

co_u64 co_os_tsc_khz(void)
{
	return tsc_khz;
}

int co_os_tsc_stable(void)
{
	return !check_tsc_unstable();
}
