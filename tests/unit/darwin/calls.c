/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XNU's clocks and thread calls.  A call that is due leaves the queue first and runs
 * some time later, in a thread of its own, even beside itself: as in XNU.
 */
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "kpi/mach.h"
#include "xnu.h"

struct thread_call {
	thread_call_func_t fn;
	void *param;
	unsigned long long deadline;
	int pending, running, freed;
	struct thread_call *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct thread_call *calls;
static pthread_t clockwork;
static int works;
static volatile co_u64 slept;

unsigned long long mach_absolute_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (unsigned long long)t.tv_sec * 1000000000 + (unsigned long long)t.tv_nsec;
}

unsigned long long mach_continuous_time(void)
{
	return mach_absolute_time() + __atomic_load_n(&slept, __ATOMIC_RELAXED);
}

void xnu_asleep(co_u64 ns)
{
	__atomic_fetch_add(&slept, ns, __ATOMIC_RELAXED);
}

void absolutetime_to_nanoseconds(unsigned long long t, unsigned long long *ns) { *ns = t; }
void nanoseconds_to_absolutetime(unsigned long long ns, unsigned long long *t) { *t = ns; }

void clock_get_calendar_nanotime(clock_sec_t *secs, clock_nsec_t *nanosecs)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	*secs = (clock_sec_t)t.tv_sec;
	*nanosecs = (clock_nsec_t)t.tv_nsec;
}

/* lock held */
static void drop(struct thread_call *c)
{
	struct thread_call **p = &calls;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	free(c);
}

static void *invoke(void *arg)
{
	struct thread_call *c = arg;

	xnu_dawdle();
	xnu_dawdle();
	c->fn(c->param, NULL);
	if (!xnu_interrupts() || xnu_preemption_level())
		xnu_die("a thread call ends with interrupts off or a spin lock held");
	pthread_mutex_lock(&lock);
	if (!--c->running && c->freed)
		drop(c);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void *run_clockwork(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	for (;;) {
		unsigned long long now = mach_absolute_time(), next = now + 1000000;
		struct timespec t;

		for (struct thread_call *c = calls; c; c = c->next) {
			pthread_attr_t a;
			pthread_t thread;

			if (c->pending && c->deadline <= now) {
				c->pending = 0;
				c->running++;
				pthread_attr_init(&a);
				pthread_attr_setdetachstate(&a, PTHREAD_CREATE_DETACHED);
				if (pthread_create(&thread, &a, invoke, c))
					xnu_die("no thread");
				pthread_attr_destroy(&a);
			} else if (c->pending && c->deadline < next) {
				next = c->deadline;
			}
		}
		clock_gettime(CLOCK_REALTIME, &t);
		t.tv_nsec += (long)(next - now);
		t.tv_sec += t.tv_nsec / 1000000000;
		t.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&changed, &lock, &t);
	}
	return NULL;
}

thread_call_t thread_call_allocate(thread_call_func_t fn, thread_call_param_t param)
{
	struct thread_call *c;

	xnu_may_sleep("an allocation");
	if (xnu_refuse())
		return NULL;
	c = calloc(1, sizeof(*c));
	c->fn = fn;
	c->param = param;
	pthread_mutex_lock(&lock);
	if (!works) {
		works = 1;
		pthread_create(&clockwork, NULL, run_clockwork, NULL);
	}
	c->next = calls;
	calls = c;
	pthread_mutex_unlock(&lock);
	xnu_count(1);
	return c;
}

boolean_t thread_call_enter_delayed(thread_call_t c, unsigned long long deadline)
{
	boolean_t was;

	pthread_mutex_lock(&lock);
	was = c->pending;
	c->pending = 1;
	c->deadline = deadline;
	pthread_cond_signal(&changed);
	pthread_mutex_unlock(&lock);
	xnu_dawdle();
	return was;
}

boolean_t thread_call_cancel(thread_call_t c)
{
	boolean_t was;

	pthread_mutex_lock(&lock);
	was = c->pending;
	c->pending = 0;
	pthread_mutex_unlock(&lock);
	xnu_dawdle();
	return was;
}

boolean_t thread_call_free(thread_call_t c)
{
	pthread_mutex_lock(&lock);
	if (c->pending)
		xnu_die("a thread call freed while it is to come");
	if (c->freed)
		xnu_die("a thread call freed twice");
	c->freed = 1;
	if (!c->running)
		drop(c);
	pthread_mutex_unlock(&lock);
	xnu_count(-1);
	return TRUE;
}
