/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vcpu.c: runs the guest, and hands on its events.
 *
 * With a thread of its own: that does nothing but run.  Text and the end are handed
 * to the main thread through a buffer and a pipe that wakes the loop.  Notified ports
 * come by the VM's handle, which the loop polls, while the guest runs on.
 *
 * Solo, where the process has one CPU: two threads would only wait for each other, at
 * four switches for each thing that the guest asks.  The main thread runs the guest
 * until it waits or the host's interrupts want something, and the loop in between.
 *
 * As a pair, where the host has one CPU for guests and one for all else: the guest's
 * thread has the former, and leaves it for nothing that is quick.  The main thread, on the
 * other, looks for notices and answers as long as there are some, and halts in between.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dev.h"
#include "log.h"
#include "wk.h"

#define WK_VCPU_TEXT	16384u
#define WK_VCPU_LAZY_MS	3u
#define WK_VCPU_NAP_US	1000u	/* a guest that waited longer last time will not wait in a nap */
#define WK_VCPU_AWAKE_US	2000u	/* pair: so long it looks on when there was nothing */
#define WK_VCPU_POLL_US	4000u	/* so long the loop waits for its turn, while there is work without it */

struct wk_vcpu {
	struct wk *w;
	pthread_t thread;
	bool running;			/* solo: it has been started */
	pthread_t main;
	co_u32 raised[CO_RUN_PORTS];	/* solo: with the next run */
	uint32_t nraised;
	uint64_t waits_from;		/* solo: us; 0: the guest does not wait */
	bool brief;			/* solo: its last wait was */
	uint64_t polled;		/* us: the loop's last turn */
	bool found;			/* pair: something, in the last look */
	uint64_t active;		/* pair: us: when it last found something */
	int pipe[2];
	int woken;			/* atomic: a byte is in the pipe */
	struct loop_timer later;
	pthread_mutex_t lock;		/* of the rest */
	pthread_cond_t room;
	char text[WK_VCPU_TEXT];
	uint32_t text_len;
	bool over;
	uint32_t exit, detail;
	int err;
};

static void wk_vcpu_wake(struct wk_vcpu *v)
{
	if (!__atomic_exchange_n(&v->woken, 1, __ATOMIC_SEQ_CST) && write(v->pipe[1], "", 1) < 0)
		log_line(LOG_ERROR, "the vCPU's pipe: %s", strerror(errno));
}

static void wk_vcpu_say(struct wk_vcpu *v, const char *text, uint32_t len)
{
	pthread_mutex_lock(&v->lock);
	while (v->text_len + len > WK_VCPU_TEXT)
		pthread_cond_wait(&v->room, &v->lock);
	memcpy(v->text + v->text_len, text, len);
	v->text_len += len;
	pthread_mutex_unlock(&v->lock);
	wk_vcpu_wake(v);
}

static void wk_vcpu_over(struct wk_vcpu *v, uint32_t exit, uint32_t detail, int err)
{
	pthread_mutex_lock(&v->lock);
	v->over = true;
	v->exit = exit;
	v->detail = detail;
	v->err = err;
	pthread_mutex_unlock(&v->lock);
	wk_vcpu_wake(v);
}

static void *wk_vcpu_thread(void *arg)
{
	struct wk_vcpu *v = arg;

	for (;;) {
		struct co_vcpu_run run = { .detail = CO_RUN_ON };
		int err = dev_vcpu_run(v->w->vm, &run);

		if (err == -CO_EINTR)
			continue;
		if (err) {
			/* -CO_EKILLED: the reason is in the status, as for the exit. */
			wk_vcpu_over(v, err == -CO_EKILLED ? CO_EXIT_KILLED : CO_EXIT_NONE, 0, err);
			return NULL;
		}
		switch (run.exit) {
		case CO_EXIT_CONSOLE:
			wk_vcpu_say(v, run.text, run.nports < sizeof(run.text) ? run.nports : sizeof(run.text));
			break;
		case CO_EXIT_SHUTDOWN:
		case CO_EXIT_KILLED:
			wk_vcpu_over(v, run.exit, run.detail, 0);
			return NULL;
		default:
			break;
		}
	}
}

static void wk_vcpu_last(struct wk_vcpu *v)
{
	static const struct { const char *kind, *why; } shutdowns[] = {
		{ "poweroff", "the guest powered off" },
		{ "reboot", "the guest asked to reboot" },
		{ "failed", "the guest asked to be suspended, which this build cannot do" },
		{ "failed", "the guest's kernel crashed" },
		{ "failed", "the guest's watchdog expired" },
		{ "failed", "the guest asked for a soft reset (kexec), which this build cannot do" },
	};
	const char *panic = wk_console_panic(v->w->console);
	struct co_vm_status s;

	if (v->exit == CO_EXIT_SHUTDOWN) {
		if (v->detail >= sizeof(shutdowns) / sizeof(shutdowns[0]))
			wk_end(v->w, "failed", (int)v->detail, "the guest shut down for the unknown reason %u", v->detail);
		else if (panic[0] && v->detail)
			wk_end(v->w, shutdowns[v->detail].kind, (int)v->detail, "%s: %s",
			       shutdowns[v->detail].why, panic);
		else
			wk_end(v->w, shutdowns[v->detail].kind, (int)v->detail, "%s", shutdowns[v->detail].why);
		return;
	}
	if (v->exit != CO_EXIT_KILLED) {
		wk_end(v->w, "failed", -1, "the kernel module does not run the vCPU: %s", err_text(-v->err));
		return;
	}
	if (dev_vm_status(v->w->vm, &s) || !s.why[0])
		snprintf(s.why, sizeof(s.why), "it was ended by the kernel module");
	s.why[sizeof(s.why) - 1] = 0;
	wk_end(v->w, "killed", -1, "%s", s.why);
}

/* A guest that dies does not wait for us to read its last words. */
static void wk_vcpu_died(struct wk_vcpu *v)
{
	wk_console_serve(v->w->console);
	if (!v->w->over)
		wk_vcpu_last(v);
}

static void wk_vcpu_ports(struct wk_vcpu *v, const co_u32 *ports, uint32_t n)
{
	for (uint32_t i = 0; i < n && i < CO_RUN_PORTS && !v->w->over; i++)
		if (ports[i] < WK_PORTS && v->w->ports[ports[i]].fn)
			v->w->ports[ports[i]].fn(v->w->ports[ports[i]].arg);
}

/*
 * TOUR 16: Ports that the guest notified, for the devices; were there any?  Linux writes
 * its console in pieces of 16 bytes, each with a notice: after one, the next ones find us
 * by the timer, many at a time.
 */
static bool wk_vcpu_events(struct wk_vcpu *v, uint32_t mode)
{
	struct co_events e = { .lazy = CO_PORT_CONSOLE, .mode = mode };

	if (v->w->over || dev_events(v->w->vm, &e))
		return false;
	for (uint32_t i = 0; i < e.nports && i < CO_RUN_PORTS; i++)
		if (e.ports[i] == CO_PORT_CONSOLE && !v->later.armed)
			loop_timer_start(v->w->loop, &v->later, WK_VCPU_LAZY_MS);
	wk_vcpu_ports(v, e.ports, e.nports);
	return e.nports;
}

static void wk_vcpu_later(void *arg)
{
	wk_vcpu_events(arg, CO_EVENTS_ALL);
}

static void wk_vcpu_notified(void *arg, short revents)
{
	struct wk_vcpu *v = arg;

	(void)revents;
	if (!v->w->solo && !v->w->pair)	/* or else the next turn finds them */
		wk_vcpu_events(v, CO_EVENTS_ALL);
}

/* What the thread brought out: text, or its end (true). */
static bool wk_vcpu_take(struct wk_vcpu *v)
{
	char text[WK_VCPU_TEXT];
	uint32_t len;
	bool over;

	pthread_mutex_lock(&v->lock);
	len = v->text_len;
	memcpy(text, v->text, len);
	v->text_len = 0;
	over = v->over;
	pthread_cond_signal(&v->room);
	pthread_mutex_unlock(&v->lock);
	if (len)
		wk_console_put(v->w->console, text, len);
	return over;
}

void wk_vcpu_flush(struct wk_vcpu *v)
{
	wk_vcpu_take(v);
}

static void wk_vcpu_handle(struct wk_vcpu *v)
{
	if (wk_vcpu_take(v) && !v->w->over)
		wk_vcpu_died(v);
}

static void wk_vcpu_ready(void *arg, short revents)
{
	struct wk_vcpu *v = arg;
	char junk[64];

	(void)revents;
	if (read(v->pipe[0], junk, sizeof(junk)) < 0 && errno != EAGAIN)
		log_line(LOG_ERROR, "the vCPU's pipe: %s", strerror(errno));
	/* Before we look: whoever comes after the look finds it 0 and wakes us. */
	__atomic_store_n(&v->woken, 0, __ATOMIC_SEQ_CST);
	wk_vcpu_handle(v);
}

/* ---- solo ---------------------------------------------------------------------- */

static uint64_t wk_vcpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

/*
 * The guest waits.  What ends that may be so near (the answer of a disk, of a server next
 * door) that going to sleep takes longer: then nap.  As the last wait was, so will this
 * one be.
 */
static bool wk_vcpu_nap(struct wk_vcpu *v, uint64_t us)
{
	struct co_vcpu_run run = { .detail = CO_RUN_NAP };

	if (!v->waits_from || !v->brief || us - v->waits_from > WK_VCPU_NAP_US)
		return false;
	return !dev_vcpu_run(v->w->vm, &run);
}

/* From when does it wait; and how long did it, until it was let run at `us`? */
static void wk_vcpu_waits(struct wk_vcpu *v, uint32_t detail, uint64_t us)
{
	if (detail == CO_RUN_STILL)
		return;
	if (v->waits_from)
		v->brief = us - v->waits_from < WK_VCPU_NAP_US;
	v->waits_from = detail == CO_RUN_IDLE ? wk_vcpu_us() : 0;
}

/* One run of the guest.  true: until something happens there is nothing more to run. */
static bool wk_vcpu_turn(struct wk_vcpu *v)
{
	struct co_vcpu_run run = { .detail = CO_RUN_SOLO, .nports = v->nraised };
	uint64_t us = v->waits_from ? wk_vcpu_us() : 0;
	int err;

	memcpy(run.ports, v->raised, v->nraised * sizeof(run.ports[0]));
	v->nraised = 0;
	err = dev_vcpu_run(v->w->vm, &run);
	if (err == -CO_EINTR)
		return false;
	if (err) {
		v->exit = err == -CO_EKILLED ? CO_EXIT_KILLED : CO_EXIT_NONE;
		v->err = err;
		wk_vcpu_died(v);
		return true;
	}
	switch (run.exit) {
	case CO_EXIT_CONSOLE:
		wk_console_put(v->w->console, run.text, run.nports < sizeof(run.text) ? run.nports : sizeof(run.text));
		return false;
	case CO_EXIT_SHUTDOWN:
	case CO_EXIT_KILLED:
		v->exit = run.exit;
		v->detail = run.detail;
		wk_vcpu_died(v);
		return true;
	case CO_EXIT_EVENT:
		wk_vcpu_waits(v, run.detail, us);
		wk_vcpu_ports(v, run.ports, run.nports);
		/* What these have answered at once is for the guest. */
		return run.detail && !v->nraised;
	default:
		return false;
	}
}

bool wk_vcpu_raise(struct wk_vcpu *v, uint32_t port)
{
	if (v->w->pair)
		v->found = true;
	if (!v->running || !v->w->solo || v->nraised == CO_RUN_PORTS || !pthread_equal(v->main, pthread_self()))
		return false;
	v->raised[v->nraised++] = port;
	return true;
}

/*
 * Disks and NICs are asked directly: a round of the loop, with a poll of all there is, costs
 * the host more than most answers do.  true: the guest has got one, and the loop has had its
 * turn not long ago.
 */
static bool wk_vcpu_look(struct wk_vcpu *v, bool *wait)
{
	uint64_t us = wk_vcpu_us();
	bool busy;

	wk_disks_look(v->w);
	busy = wk_net_look(v->w, !*wait);
	if (*wait && !busy && !v->nraised && wk_vcpu_nap(v, us)) {
		*wait = false;
		wk_disks_look(v->w);
		wk_net_look(v->w, true);
	}
	if (v->nraised)
		*wait = false;
	return v->nraised && us - v->polled < WK_VCPU_POLL_US;
}

static void wk_vcpu_solo(struct wk_vcpu *v)
{
	bool wait = !v->running || wk_vcpu_turn(v);

	if (v->w->over || (v->running && wk_vcpu_look(v, &wait)) || v->w->over)
		return;
	loop_once(v->w->loop, wait ? -1 : 0);
	v->polled = wk_vcpu_us();
}

/* ---- pair ---------------------------------------------------------------------- */

/*
 * One look at everything, after a nap if the last one found nothing.  The loop has its
 * turn from time to time, and when there was nothing, if it is what looks for libslirp;
 * and to sleep in, once nothing has come for a while.
 */
static void wk_vcpu_pair(struct wk_vcpu *v)
{
	uint64_t us = wk_vcpu_us();
	bool awake = us - v->active < WK_VCPU_AWAKE_US, found = v->found;

	v->found = false;	/* until something is raised, or was notified */
	if (wk_vcpu_events(v, !awake ? CO_EVENTS_ALL : found ? CO_EVENTS_SOON : CO_EVENTS_NAP))
		v->found = true;
	if (v->w->over)
		return;
	wk_disks_look(v->w);
	wk_net_look(v->w, true);
	if (v->found)
		v->active = us;
	if (awake && (v->found || !wk_net_polled(v->w)) && us - v->polled < WK_VCPU_POLL_US)
		return;
	loop_once(v->w->loop, awake || v->found ? 0 : -1);
	v->polled = wk_vcpu_us();
	if (!awake)
		v->active = v->polled;
}

void wk_vcpu_serve(struct wk_vcpu *v)
{
	while (!loop_quits(v->w->loop) && !v->w->over) {
		if (v->w->solo)
			wk_vcpu_solo(v);
		else if (v->w->pair && v->running)
			wk_vcpu_pair(v);
		else
			loop_once(v->w->loop, -1);
	}
}

/* Does the host have a CPU for guests?  The host keeps this thread on the other. */
static bool wk_vcpu_paired(struct wk *w)
{
	struct co_vm_status s;

	return !dev_vm_status(w->vm, &s) && s.guest_cpu != ~0u;
}

static bool wk_vcpu_alone(void)
{
#ifdef __linux__
	cpu_set_t set;

	return !sched_getaffinity(0, sizeof(set), &set) && CPU_COUNT(&set) == 1;
#else
	return false;
#endif
}

/* ---- birth --------------------------------------------------------------------- */

static int wk_vcpu_watch(struct wk_vcpu *v)
{
	struct loop *l = v->w->loop;

	if (!v->w->solo && (pipe(v->pipe) || loop_nonblock(v->pipe[0]) || loop_nonblock(v->pipe[1]) ||
			    !loop_add(l, v->pipe[0], POLLIN, wk_vcpu_ready, v)))
		return -1;
	return loop_add(l, dev_events_fd(v->w->vm), POLLIN, wk_vcpu_notified, v) ? 0 : -1;
}

struct wk_vcpu *wk_vcpu_new(struct wk *w)
{
	struct wk_vcpu *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	v->w = w;
	v->main = pthread_self();
	w->pair = wk_vcpu_paired(w);
	w->solo = !w->pair && wk_vcpu_alone();
	loop_timer_init(&v->later, wk_vcpu_later, v);
	pthread_mutex_init(&v->lock, NULL);
	pthread_cond_init(&v->room, NULL);
	if (wk_vcpu_watch(v)) {
		free(v);
		return NULL;
	}
	return v;
}

int wk_vcpu_start(struct wk_vcpu *v, struct err *e)
{
	int err;

	v->running = true;
	if (v->w->solo)
		return 0;
	err = pthread_create(&v->thread, NULL, wk_vcpu_thread, v);
	return err ? err_set(e, CO_ELIMIT, "no thread for the vCPU: %s", strerror(err)) : 0;
}
