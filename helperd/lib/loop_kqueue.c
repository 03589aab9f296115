/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * loop_kqueue.c: loop.c's wait on macOS, with the meaning of poll(2).
 *
 * poll itself would not do: there it refuses character devices, and a VM's handle is
 * one.  kevent takes them when it is told that one byte is enough (NOTE_LOWAT).  The
 * queue lives for one call, as inside XNU's own poll: nothing to keep in step.
 */
#ifdef __APPLE__
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "loop.h"

static void loop_kqueue_seen(struct pollfd *p, const struct kevent *e)
{
	if (e->flags & EV_ERROR) {
		p->revents |= e->data == EBADF ? POLLNVAL : POLLERR;
		return;
	}
	p->revents |= e->filter == EVFILT_READ ? POLLIN : POLLOUT;
	if (e->flags & EV_EOF)
		p->revents |= POLLHUP;
}

int loop_kqueue(struct pollfd *polls, size_t n, int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };
	struct kevent *e = calloc(n * 2 + 1, sizeof(*e));
	int queue = e ? kqueue() : -1, got, seen = 0, error;
	size_t k = 0;

	for (size_t i = 0; queue >= 0 && i < n; i++) {
		polls[i].revents = 0;
		if (polls[i].events & POLLIN)
			EV_SET(&e[k++], polls[i].fd, EVFILT_READ, EV_ADD, NOTE_LOWAT, 1, (void *)(uintptr_t)i);
		if (polls[i].events & POLLOUT)
			EV_SET(&e[k++], polls[i].fd, EVFILT_WRITE, EV_ADD, 0, 0, (void *)(uintptr_t)i);
	}
	got = queue < 0 ? -1 : kevent(queue, e, (int)k, e, (int)k, ms < 0 ? NULL : &t);
	error = errno;
	for (int i = 0; i < got; i++) {
		struct pollfd *p = &polls[(uintptr_t)e[i].udata];

		seen += !p->revents;
		loop_kqueue_seen(p, &e[i]);
	}
	if (queue >= 0)
		close(queue);
	free(e);
	errno = error;
	return got < 0 ? -1 : seen;
}
#endif
