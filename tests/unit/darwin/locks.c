/* SPDX-License-Identifier: GPL-2.0-or-later */
/* XNU's locks, waits and threads, on pthreads.  See xnu.h. */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kpi/bsd.h"
#include "kpi/libkern.h"
#include "kpi/unsupported.h"
#include "xnu.h"

#define LOCKS	1024
#define HELD	8

static pthread_mutex_t queue = PTHREAD_MUTEX_INITIALIZER;	/* waits, signals */
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int signalled, exiting;
static co_u64 signals;			/* that ever came */
static co_u64 sleepers;

static __thread int interrupts_off, preemption, cpu, task_over;
static __thread co_u64 signals_seen;
static __thread unsigned int seed;

/* ---- the rules --------------------------------------------------------------- */

void xnu_die(const char *why)
{
	fprintf(stderr, "xnu: %s\n", why);
	abort();
}

void xnu_dawdle(void)
{
	if (!seed)
		seed = (unsigned int)(unsigned long)&seed | 1;
	seed = seed * 1103515245 + 12345;
	switch (seed >> 16 & 15) {
	case 0: {
		struct timespec t = { 0, (long)(seed >> 8 & 0xffff) };

		nanosleep(&t, NULL);
		break;
	}
	case 1: case 2: case 3:
		sched_yield();
		break;
	}
}

void xnu_may_sleep(const char *what)
{
	if (interrupts_off || preemption) {
		fprintf(stderr, "xnu: %s with %s\n", what, interrupts_off ? "interrupts off" : "a spin lock held");
		abort();
	}
}

int xnu_interrupts(void) { return !interrupts_off; }
int xnu_preemption_level(void) { return preemption; }
void xnu_on_cpu(int n) { cpu = n; }

boolean_t ml_set_interrupts_enabled(boolean_t enable)
{
	boolean_t was = !interrupts_off;

	interrupts_off = !enable;
	return was;
}

int cpu_number(void)
{
	if (!interrupts_off && !preemption)
		xnu_die("a CPU number that may change at once");
	return cpu;
}

/* ---- mutexes, and their order --------------------------------------------------- */

struct _lck_mtx_ {
	pthread_mutex_t m;
	pthread_t owner;
	int taken, id;
};

struct _lck_grp_ { int locks; };
struct _lck_spin_ { int taken; };

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;
static unsigned char used[LOCKS], before[LOCKS][LOCKS];
static __thread lck_mtx_t *held[HELD];

lck_grp_t *lck_grp_alloc_init(const char *name, lck_grp_attr_t *attr)
{
	lck_grp_t *g;

	(void)name, (void)attr;
	xnu_may_sleep("an allocation");
	if (xnu_refuse())
		return NULL;
	g = calloc(1, sizeof(*g));
	xnu_count(1);
	return g;
}

void lck_grp_free(lck_grp_t *g)
{
	if (g->locks)
		xnu_die("a lock group freed before its locks");
	free(g);
	xnu_count(-1);
}

lck_mtx_t *lck_mtx_alloc_init(lck_grp_t *g, lck_attr_t *attr)
{
	lck_mtx_t *m;

	(void)attr;
	xnu_may_sleep("an allocation");
	if (xnu_refuse())
		return NULL;
	m = calloc(1, sizeof(*m));
	pthread_mutex_init(&m->m, NULL);
	pthread_mutex_lock(&order);
	for (m->id = 0; m->id < LOCKS && used[m->id]; m->id++)
		;
	if (m->id == LOCKS)
		xnu_die("too many locks");
	used[m->id] = 1;
	memset(before[m->id], 0, LOCKS);
	for (int i = 0; i < LOCKS; i++)
		before[i][m->id] = 0;
	g->locks++;
	pthread_mutex_unlock(&order);
	xnu_count(1);
	return m;
}

void lck_mtx_free(lck_mtx_t *m, lck_grp_t *g)
{
	if (m->taken)
		xnu_die("a mutex freed while it is taken");
	pthread_mutex_lock(&order);
	used[m->id] = 0;
	g->locks--;
	pthread_mutex_unlock(&order);
	pthread_mutex_destroy(&m->m);
	free(m);
	xnu_count(-1);
}

static void note_order(lck_mtx_t *m)
{
	pthread_mutex_lock(&order);
	for (int i = 0; i < HELD; i++) {
		if (!held[i])
			continue;
		before[held[i]->id][m->id] = 1;
		if (before[m->id][held[i]->id])
			xnu_die("two mutexes are taken in both orders");
	}
	pthread_mutex_unlock(&order);
}

static void took(lck_mtx_t *m)
{
	int i;

	for (i = 0; i < HELD && held[i]; i++)
		;
	if (i == HELD)
		xnu_die("too many mutexes held at once");
	held[i] = m;
	m->owner = pthread_self();
	m->taken = 1;
}

void lck_mtx_lock(lck_mtx_t *m)
{
	xnu_may_sleep("a mutex");
	for (int i = 0; i < HELD; i++)
		if (held[i] == m)
			xnu_die("a mutex taken twice");
	note_order(m);
	pthread_mutex_lock(&m->m);
	took(m);
}

boolean_t lck_mtx_try_lock(lck_mtx_t *m)
{
	if (pthread_mutex_trylock(&m->m))
		return FALSE;
	took(m);
	return TRUE;
}

void lck_mtx_unlock(lck_mtx_t *m)
{
	int i;

	for (i = 0; i < HELD && held[i] != m; i++)
		;
	if (i == HELD || !m->taken)
		xnu_die("a mutex let go by who had it not");
	held[i] = NULL;
	m->taken = 0;
	pthread_mutex_unlock(&m->m);
	xnu_dawdle();
}

/* ---- spin locks: each is one CPU's own, so a second taker is a bug ---------------- */

lck_spin_t *lck_spin_alloc_init(lck_grp_t *g, lck_attr_t *attr)
{
	lck_spin_t *s;

	(void)attr;
	xnu_may_sleep("an allocation");
	if (xnu_refuse())
		return NULL;
	s = calloc(1, sizeof(*s));
	g->locks++;
	xnu_count(1);
	return s;
}

void lck_spin_free(lck_spin_t *s, lck_grp_t *g)
{
	if (s->taken)
		xnu_die("a spin lock freed while it is taken");
	g->locks--;
	free(s);
	xnu_count(-1);
}

void lck_spin_lock(lck_spin_t *s)
{
	preemption++;
	while (__atomic_exchange_n(&s->taken, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

void lck_spin_unlock(lck_spin_t *s)
{
	if (!s->taken || !preemption)
		xnu_die("a spin lock let go by who had it not");
	__atomic_store_n(&s->taken, 0, __ATOMIC_RELEASE);
	preemption--;
}

/* ---- sleeping and waking ------------------------------------------------------------ */

struct sleeper {
	void *event;
	int woken;
	struct sleeper *next;
};
static struct sleeper *list;
static __thread struct sleeper self;

/* queue held */
static void leave(struct sleeper *s)
{
	struct sleeper **p = &list;

	while (*p != s)
		p = &(*p)->next;
	*p = s->next;
	s->event = NULL;
}

static void join(struct sleeper *s, void *event)
{
	s->event = event;
	s->woken = 0;
	s->next = list;
	list = s;
}

int msleep(void *chan, lck_mtx_t *mtx, int pri, const char *why, struct timespec *ts)
{
	struct sleeper s;
	int ret;

	(void)why;
	xnu_may_sleep("msleep");
	if (ts)
		xnu_die("a sleep with a time-out: not built here");
	pthread_mutex_lock(&queue);
	join(&s, chan);
	sleepers++;
	pthread_mutex_unlock(&queue);
	lck_mtx_unlock(mtx);
	pthread_mutex_lock(&queue);
	/* A signal ends it that came since the thread last looked, or was aborted for one. */
	while (!s.woken && !((pri & PCATCH) && signals != signals_seen))
		pthread_cond_wait(&changed, &queue);
	ret = s.woken ? 0 : 4;		/* EINTR */
	leave(&s);
	sleepers--;
	pthread_mutex_unlock(&queue);
	lck_mtx_lock(mtx);
	return ret;
}

void wakeup(void *chan)
{
	pthread_mutex_lock(&queue);
	for (struct sleeper *s = list; s; s = s->next)
		if (s->event == chan)
			s->woken = 1;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&queue);
}

co_u64 xnu_sleepers(void)
{
	co_u64 n;

	pthread_mutex_lock(&queue);
	n = sleepers;
	pthread_mutex_unlock(&queue);
	return n;
}

wait_result_t assert_wait(event_t event, wait_interrupt_t how)
{
	if (self.event)
		xnu_die("a second wait is asserted");
	if (how != THREAD_ABORTSAFE)
		xnu_die("a wait that cannot be ended");
	if (task_over)
		return THREAD_INTERRUPTED;
	pthread_mutex_lock(&queue);
	join(&self, event);
	pthread_mutex_unlock(&queue);
	return THREAD_WAITING;
}

kern_return_t thread_wakeup_prim(event_t event, boolean_t one, wait_result_t result)
{
	(void)one, (void)result;
	wakeup(event);
	return KERN_SUCCESS;
}

wait_result_t thread_block(thread_continue_t continuation)
{
	xnu_may_sleep("thread_block");
	if (continuation)
		xnu_die("a continuation: not built here");
	xnu_dawdle();
	if (!self.event)
		return THREAD_AWAKENED;
	pthread_mutex_lock(&queue);
	while (!self.woken)
		pthread_cond_wait(&changed, &queue);
	leave(&self);
	pthread_mutex_unlock(&queue);
	return THREAD_AWAKENED;
}

void IOSleep(unsigned int ms);
void IOSleep(unsigned int ms)
{
	struct timespec t = { 0, (long)ms * 10000 };	/* time runs faster here */

	xnu_may_sleep("IOSleep");
	nanosleep(&t, NULL);
}

/* ---- processes ------------------------------------------------------------------------ */

static char a_proc, a_thread, a_task;

proc_t current_proc(void) { return (proc_t)&a_proc; }
thread_t current_thread(void) { return (thread_t)&a_thread; }
task_t current_task(void) { return (task_t)&a_task; }

void xnu_signals_noted(void)
{
	pthread_mutex_lock(&queue);
	signals_seen = signals;
	pthread_mutex_unlock(&queue);
}

int thread_issignal(proc_t p, thread_t th, sigset_t mask)
{
	if (!p || !th || mask != ~0u)
		xnu_die("signals of nobody");
	xnu_signals_noted();
	return signalled;
}

int proc_exiting(proc_t p)
{
	(void)p;
	return exiting;
}

void xnu_signal(int pending)
{
	pthread_mutex_lock(&queue);
	signalled = pending;
	signals += !!pending;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&queue);
}

void xnu_exit(int yes) { exiting = yes; }
void xnu_end_task(int yes) { task_over = yes; }
