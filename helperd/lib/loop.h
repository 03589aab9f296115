/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop: one thread waits here, by poll(2), for descriptors, timers and
 * signals.  Callbacks may add and delete anything, themselves included.
 */
#ifndef LIB_LOOP_H
#define LIB_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;
struct loop_fd;

typedef void (*loop_fd_fn)(void *arg, short revents);
typedef void (*loop_fn)(void *arg);

struct loop_timer {
	uint64_t due;			/* ms of the monotonic clock */
	bool armed;
	loop_fn fn;
	void *arg;
	struct loop_timer *next;
};

struct loop *loop_new(void);
void loop_free(struct loop *l);

/* NULL: out of memory.  The descriptor stays the caller's. */
struct loop_fd *loop_add(struct loop *l, int fd, short events, loop_fd_fn fn, void *arg);
void loop_events(struct loop_fd *f, short events);	/* 0: not waited for at all */
void loop_del(struct loop_fd *f);			/* NULL is allowed */

void loop_timer_init(struct loop_timer *t, loop_fn fn, void *arg);
void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);

/* fn runs in the loop, not in the handler.  One loop a process may do this. */
int loop_signal(struct loop *l, int signo, loop_fn fn, void *arg);

/*
 * Descriptors that are others from round to round, such as libslirp's; one such set a
 * loop.  Before each wait fill gives them, and may lower *ms (-1: for ever); after it
 * polled finds their revents in place, all 0 if the wait failed.
 */
struct pollfd;
typedef struct pollfd *(*loop_fill_fn)(void *arg, size_t *count, int *ms);
void loop_extra(struct loop *l, loop_fill_fn fill, loop_fn polled, void *arg);

void loop_once(struct loop *l, int timeout_ms);		/* -1: until something happens */
void loop_run(struct loop *l);				/* until loop_quit */
void loop_quit(struct loop *l);
bool loop_quits(const struct loop *l);

/* loop_kqueue.c */
int loop_kqueue(struct pollfd *polls, size_t n, int ms);

uint64_t loop_now(void);
int loop_nonblock(int fd);

#endif
