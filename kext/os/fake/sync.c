/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fake host's mutexes, waits, timers and clock.  Time stands still until
 * fake_clock moves it; timers run in the thread that moves it.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>

#include "inside.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* lists, clock */
static pthread_mutex_t running = PTHREAD_MUTEX_INITIALIZER;	/* a timer's function runs */
static pthread_t runner;
static int runs;
static co_u64 now = 1000000000, kicks, nmis, interrupts, naps;
static void (*in_nap)(void);
static int alone;
static co_u32 moved;
static int stable = 1;
static volatile int signalled;
static __thread int in_world;

struct co_os_mutex {
	pthread_mutex_t m;
	pthread_t owner;
	int taken;
};

struct co_os_wait {
	pthread_mutex_t m;
	pthread_cond_t c;
	struct co_os_wait *next;
};

struct co_os_timer {
	void (*fn)(void *);
	void *arg;
	co_u64 due;
	int armed;
	struct co_os_timer *next;
};

static struct co_os_wait *waits;
static struct co_os_timer *timers;

int fake_in_world(void) { return in_world; }

static void may_sleep(void)
{
	if (in_world)
		fake_die("a sleep between enter and leave");
}

/* ---- mutex ------------------------------------------------------------------- */

struct co_os_mutex *co_os_mutex_new(void)
{
	struct co_os_mutex *m;

	if (fake_refuse())
		return NULL;
	m = calloc(1, sizeof(*m));
	pthread_mutex_init(&m->m, NULL);
	fake_count(1);
	return m;
}

void co_os_mutex_free(struct co_os_mutex *m)
{
	if (m->taken)
		fake_die("a mutex freed while it is taken");
	pthread_mutex_destroy(&m->m);
	free(m);
	fake_count(-1);
}

void co_os_mutex_lock(struct co_os_mutex *m)
{
	may_sleep();
	if (__atomic_load_n(&m->taken, __ATOMIC_ACQUIRE) && pthread_equal(m->owner, pthread_self()))
		fake_die("a mutex taken twice");
	pthread_mutex_lock(&m->m);
	m->owner = pthread_self();
	__atomic_store_n(&m->taken, 1, __ATOMIC_RELEASE);
}

int co_os_mutex_trylock(struct co_os_mutex *m)
{
	if (pthread_mutex_trylock(&m->m))
		return 0;
	m->owner = pthread_self();
	__atomic_store_n(&m->taken, 1, __ATOMIC_RELEASE);
	return 1;
}

void co_os_mutex_unlock(struct co_os_mutex *m)
{
	if (!m->taken || !pthread_equal(m->owner, pthread_self()))
		fake_die("a mutex let go by who had it not");
	__atomic_store_n(&m->taken, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&m->m);
}

/* ---- wait ----------------------------------------------------------------------- */

struct co_os_wait *co_os_wait_new(void)
{
	struct co_os_wait *w;

	if (fake_refuse())
		return NULL;
	w = calloc(1, sizeof(*w));
	pthread_mutex_init(&w->m, NULL);
	pthread_cond_init(&w->c, NULL);
	pthread_mutex_lock(&lock);
	w->next = waits;
	waits = w;
	pthread_mutex_unlock(&lock);
	fake_count(1);
	return w;
}

void co_os_wait_free(struct co_os_wait *w)
{
	struct co_os_wait **p;

	pthread_mutex_lock(&lock);
	for (p = &waits; *p && *p != w; p = &(*p)->next)
		;
	if (!*p)
		fake_die("a wait freed that is none");
	*p = w->next;
	pthread_mutex_unlock(&lock);
	pthread_cond_destroy(&w->c);
	pthread_mutex_destroy(&w->m);
	free(w);
	fake_count(-1);
}

int co_os_wait_until(struct co_os_wait *w, int (*done)(void *), void *arg)
{
	int ret = 0;

	may_sleep();
	pthread_mutex_lock(&w->m);
	while (!done(arg)) {
		if (signalled) {
			ret = -CO_EINTR;
			break;
		}
		pthread_cond_wait(&w->c, &w->m);
	}
	pthread_mutex_unlock(&w->m);
	return ret;
}

void co_os_wait_wake(struct co_os_wait *w)
{
	pthread_mutex_lock(&w->m);
	pthread_cond_broadcast(&w->c);
	pthread_mutex_unlock(&w->m);
}

void fake_signal(int pending)
{
	signalled = pending;
	pthread_mutex_lock(&lock);
	for (struct co_os_wait *w = waits; w; w = w->next)
		co_os_wait_wake(w);
	pthread_mutex_unlock(&lock);
}

int co_os_interrupted(void) { return signalled; }

/* ---- timer and time ---------------------------------------------------------------- */

struct co_os_timer *co_os_timer_new(void (*fn)(void *), void *arg)
{
	struct co_os_timer *t;

	if (fake_refuse())
		return NULL;
	t = calloc(1, sizeof(*t));
	t->fn = fn;
	t->arg = arg;
	pthread_mutex_lock(&lock);
	t->next = timers;
	timers = t;
	pthread_mutex_unlock(&lock);
	fake_count(1);
	return t;
}

void co_os_timer_arm(struct co_os_timer *t, co_u64 ns)
{
	pthread_mutex_lock(&lock);
	t->due = now + ns;
	t->armed = 1;
	pthread_mutex_unlock(&lock);
}

void co_os_timer_cancel(struct co_os_timer *t)
{
	may_sleep();
	pthread_mutex_lock(&lock);
	t->armed = 0;
	pthread_mutex_unlock(&lock);
	if (runs && pthread_equal(runner, pthread_self()))
		fake_die("a timer cancelled from a timer");
	pthread_mutex_lock(&running);	/* one that runs now ends first, and may have armed it again */
	pthread_mutex_lock(&lock);
	t->armed = 0;
	pthread_mutex_unlock(&lock);
	pthread_mutex_unlock(&running);
}

void co_os_timer_free(struct co_os_timer *t)
{
	struct co_os_timer **p;

	co_os_timer_cancel(t);
	pthread_mutex_lock(&lock);
	for (p = &timers; *p && *p != t; p = &(*p)->next)
		;
	if (!*p)
		fake_die("a timer freed that is none");
	*p = t->next;
	pthread_mutex_unlock(&lock);
	free(t);
	fake_count(-1);
}

static struct co_os_timer *due(void)
{
	struct co_os_timer *t, *first = NULL;

	for (t = timers; t; t = t->next)
		if (t->armed && t->due <= now && (!first || t->due < first->due))
			first = t;
	if (first)
		first->armed = 0;
	return first;
}

void fake_clock(co_u64 ns)
{
	struct co_os_timer *t;

	pthread_mutex_lock(&running);
	runner = pthread_self();
	runs = 1;
	pthread_mutex_lock(&lock);
	now += ns;
	while ((t = due())) {
		pthread_mutex_unlock(&lock);
		in_world++;		/* it may not sleep */
		t->fn(t->arg);
		in_world--;
		pthread_mutex_lock(&lock);
	}
	pthread_mutex_unlock(&lock);
	runs = 0;
	pthread_mutex_unlock(&running);
}

co_u64 co_os_now_ns(void)
{
	co_u64 t;

	pthread_mutex_lock(&lock);
	t = now;
	pthread_mutex_unlock(&lock);
	return t;
}

void co_os_wall(co_u64 *sec, co_u32 *nsec)
{
	co_u64 t = co_os_now_ns();

	*sec = 1700000000ull + t / 1000000000;
	*nsec = (co_u32)(t % 1000000000);
}

co_u64 co_os_tsc_khz(void) { return 2000000; }
int co_os_tsc_stable(void) { return stable; }
void fake_tsc_stable(int yes) { stable = yes; }

/* ---- world -------------------------------------------------------------------------- */

void co_os_world_enter(void)
{
	if (in_world++)
		fake_die("enter twice");
}

void co_os_world_leave(void)
{
	if (!in_world--)
		fake_die("leave without enter");
}

co_u32 co_os_cpu(void)
{
	if (!in_world)
		fake_die("a CPU number that may change at once");
	return 1;
}

void co_os_yield(void)
{
	may_sleep();
	sched_yield();
}

co_u64 co_os_news(void)
{
	return interrupts;
}

void co_os_nap(co_u64 since, int (*done)(void *), void *arg, volatile co_u32 *napping)
{
	may_sleep();
	*napping = 1;
	if (interrupts == since && !done(arg) && in_nap) {
		naps++;
		interrupts++;
		in_nap();
	}
	*napping = 0;
}

int co_os_alone(void)
{
	return alone;
}

void fake_alone(int yes)
{
	alone = yes;
}

void co_os_move(co_u32 cpu)
{
	may_sleep();
	moved = cpu;
}

co_u32 fake_moved(void)
{
	return moved;
}

void fake_nap(void (*fn)(void))
{
	in_nap = fn;
}

void fake_device(void)
{
	interrupts++;
}

co_u64 fake_naps(void)
{
	return naps;
}

void co_os_kick(co_u32 cpu)
{
	if (cpu >= co_os_cpus())
		fake_die("a kick for a CPU that does not exist");
	__atomic_fetch_add(&kicks, 1, __ATOMIC_RELAXED);
}

void co_os_nmi(void)
{
	if (!in_world)
		fake_die("an NMI for a CPU that may change at once");
	nmis++;
}

co_u64 fake_nmis(void) { return nmis; }
co_u64 fake_kicks(void) { return __atomic_load_n(&kicks, __ATOMIC_RELAXED); }

void fake_sync_reset(void)
{
	signalled = 0;
	stable = 1;
	kicks = nmis = 0;
	alone = 0;
}
