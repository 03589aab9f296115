/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop.c: the event loop of colinuxd, the worker and the relay.
 *
 * poll(2), on macOS loop_kqueue.c in its place, and a self-pipe for signals.  A
 * deleted entry stays allocated until the round ends, so a callback may delete
 * any entry while the round runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"

#define LOOP_SIGNALS	32

struct loop_fd {
	struct loop *loop;
	int fd;
	short events;
	bool dead;
	loop_fd_fn fn;
	void *arg;
	struct loop_fd *next;
};

struct loop {
	struct loop_fd *fds;
	struct loop_timer *timers;
	struct pollfd *polls;
	struct loop_fd **who;
	size_t count, room, polls_room;
	bool quit, sweep;
	struct { loop_fill_fn fill; loop_fn polled; void *arg; } extra;
	int pipe[2];
	struct loop_fd *pipe_fd;
	struct { loop_fn fn; void *arg; } signals[LOOP_SIGNALS];
};

static volatile sig_atomic_t loop_pending[LOOP_SIGNALS];
static int loop_signal_fd = -1;

uint64_t loop_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int loop_nonblock(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -1;
	return 0;
}

struct loop *loop_new(void)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (l)
		l->pipe[0] = l->pipe[1] = -1;
	return l;
}

static void loop_sweep(struct loop *l)
{
	struct loop_fd **p = &l->fds;

	while (*p) {
		struct loop_fd *f = *p;

		if (!f->dead) {
			p = &f->next;
			continue;
		}
		*p = f->next;
		l->count--;
		free(f);
	}
	l->sweep = false;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	if (l->pipe[0] >= 0) {
		loop_signal_fd = -1;
		close(l->pipe[0]);
		close(l->pipe[1]);
	}
	for (struct loop_fd *f = l->fds; f; f = f->next)
		f->dead = true;
	loop_sweep(l);
	free(l->polls);
	free(l->who);
	free(l);
}

static int loop_polls(struct loop *l, size_t room)
{
	struct pollfd *polls;

	if (room <= l->polls_room)
		return 0;
	polls = realloc(l->polls, room * sizeof(*polls));
	if (!polls)
		return -1;
	l->polls = polls;
	l->polls_room = room;
	return 0;
}

struct loop_fd *loop_add(struct loop *l, int fd, short events, loop_fd_fn fn, void *arg)
{
	struct loop_fd *f;

	/* Room is made here, so that a round itself can never fail. */
	if (l->count == l->room) {
		size_t room = l->room ? l->room * 2 : 16;
		struct loop_fd **who;

		if (loop_polls(l, room))
			return NULL;
		who = realloc(l->who, room * sizeof(*who));
		if (!who)
			return NULL;
		l->who = who;
		l->room = room;
	}
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	f->loop = l;
	f->fd = fd;
	f->events = events;
	f->fn = fn;
	f->arg = arg;
	f->next = l->fds;
	l->fds = f;
	l->count++;
	return f;
}

void loop_events(struct loop_fd *f, short events)
{
	f->events = events;
}

void loop_del(struct loop_fd *f)
{
	if (!f)
		return;
	f->dead = true;
	f->loop->sweep = true;
}

void loop_timer_init(struct loop_timer *t, loop_fn fn, void *arg)
{
	*t = (struct loop_timer){ .fn = fn, .arg = arg };
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
	if (!t->armed)
		return;
	for (struct loop_timer **p = &l->timers; *p; p = &(*p)->next)
		if (*p == t) {
			*p = t->next;
			break;
		}
	t->armed = false;
}

void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	struct loop_timer **p = &l->timers;

	loop_timer_stop(l, t);
	t->due = loop_now() + ms;
	while (*p && (*p)->due <= t->due)
		p = &(*p)->next;
	t->next = *p;
	*p = t;
	t->armed = true;
}

static void loop_on_signal(int signo)
{
	int saved = errno;

	loop_pending[signo] = 1;
	/* A full pipe already wakes the loop. */
	if (write(loop_signal_fd, "", 1) < 0)
		errno = saved;
	errno = saved;
}

static void loop_signals(void *arg, short revents)
{
	struct loop *l = arg;
	char junk[64];

	(void)revents;
	while (read(l->pipe[0], junk, sizeof(junk)) > 0)
		;
	for (int i = 0; i < LOOP_SIGNALS; i++)
		if (loop_pending[i] && l->signals[i].fn) {
			loop_pending[i] = 0;
			l->signals[i].fn(l->signals[i].arg);
		}
}

int loop_signal(struct loop *l, int signo, loop_fn fn, void *arg)
{
	struct sigaction action = { .sa_handler = loop_on_signal, .sa_flags = SA_RESTART };

	if (signo <= 0 || signo >= LOOP_SIGNALS)
		return -1;
	if (l->pipe[0] < 0) {
		if (pipe(l->pipe))
			return -1;
		for (int i = 0; i < 2; i++) {
			loop_nonblock(l->pipe[i]);
			fcntl(l->pipe[i], F_SETFD, FD_CLOEXEC);
		}
		loop_signal_fd = l->pipe[1];
		l->pipe_fd = loop_add(l, l->pipe[0], POLLIN, loop_signals, l);
		if (!l->pipe_fd)
			return -1;
	}
	l->signals[signo].fn = fn;
	l->signals[signo].arg = arg;
	sigemptyset(&action.sa_mask);
	return sigaction(signo, &action, NULL);
}

#ifdef __APPLE__
#define loop_poll	loop_kqueue
#else
static int loop_poll(struct pollfd *polls, size_t n, int ms)
{
	return poll(polls, (nfds_t)n, ms);
}
#endif

static int loop_wait_ms(struct loop *l, int timeout_ms)
{
	uint64_t now;
	int64_t left;

	if (!l->timers)
		return timeout_ms;
	now = loop_now();
	left = l->timers->due > now ? (int64_t)(l->timers->due - now) : 0;
	if (timeout_ms >= 0 && left > timeout_ms)
		return timeout_ms;
	return left > 3600000 ? 3600000 : (int)left;
}

void loop_extra(struct loop *l, loop_fill_fn fill, loop_fn polled, void *arg)
{
	l->extra.fill = fill;
	l->extra.polled = polled;
	l->extra.arg = arg;
}

/* Waits for the loop's own n and the extra ones. */
static int loop_wait(struct loop *l, size_t n, int timeout_ms)
{
	size_t more = 0;
	int ms = -1, got;
	struct pollfd *fds;

	if (!l->extra.fill)
		return loop_poll(l->polls, n, loop_wait_ms(l, timeout_ms));
	fds = l->extra.fill(l->extra.arg, &more, &ms);
	if (loop_polls(l, n + more)) {
		more = 0;	/* no memory: they have to be patient */
		ms = 100;
	}
	if (more)
		memcpy(l->polls + n, fds, more * sizeof(*fds));
	if (ms >= 0 && (timeout_ms < 0 || ms < timeout_ms))
		timeout_ms = ms;
	got = loop_poll(l->polls, n + more, loop_wait_ms(l, timeout_ms));
	for (size_t i = 0; i < more; i++)
		fds[i].revents = got > 0 ? l->polls[n + i].revents : 0;
	l->extra.polled(l->extra.arg);
	return got;
}

void loop_once(struct loop *l, int timeout_ms)
{
	size_t n = 0;
	int got;

	if (l->sweep)
		loop_sweep(l);
	for (struct loop_fd *f = l->fds; f; f = f->next) {
		/* An unwanted descriptor that hung up would spin the loop. */
		if (!f->events)
			continue;
		l->polls[n] = (struct pollfd){ .fd = f->fd, .events = f->events };
		l->who[n++] = f;
	}
	got = loop_wait(l, n, timeout_ms);
	if (got > 0) {
		/* Callbacks may add entries and so move the arrays: index them anew. */
		for (size_t i = 0; i < n; i++) {
			short revents = l->polls[i].revents;
			struct loop_fd *f = l->who[i];

			if (revents && !f->dead && f->events)
				f->fn(f->arg, revents);
		}
	}
	while (l->timers && l->timers->due <= loop_now()) {
		struct loop_timer *t = l->timers;

		loop_timer_stop(l, t);
		t->fn(t->arg);
	}
}

void loop_run(struct loop *l)
{
	while (!l->quit)
		loop_once(l, -1);
}

void loop_quit(struct loop *l)
{
	l->quit = true;
}

bool loop_quits(const struct loop *l)
{
	return l->quit;
}
