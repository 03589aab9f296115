/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kqueue's double, over poll(2): the rules that loop_kqueue.c must keep to are here.
 * A descriptor above 900 is a character device: without NOTE_LOWAT of 1 it is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/event.h>
#include <unistd.h>

#define MOST	64

static struct { struct kevent e[MOST]; int n; } queue;

int kqueue(void)
{
	queue.n = 0;
	return fcntl(0, F_DUPFD, 800);		/* no number that was just closed */
}

static int failed(struct kevent *out, const struct kevent *of, int error)
{
	*out = *of;
	out->flags = EV_ERROR;
	out->data = error;
	return 1;
}

int kevent(int fd, const struct kevent *changes, int nchanges, struct kevent *events, int nevents,
	   const struct timespec *timeout)
{
	struct pollfd p[MOST];
	int i, n = 0, errors = 0;

	(void)fd;
	if (queue.n + nchanges > MOST)
		abort();
	for (i = 0; i < nchanges; i++) {
		struct kevent c = changes[i];		/* events may be the same array */

		p[0] = (struct pollfd){ .fd = (int)c.ident };
		if (c.flags != EV_ADD)
			abort();
		if (poll(p, 1, 0) < 0 || (p[0].revents & POLLNVAL))
			errors += failed(&events[errors], &c, EBADF);
		else if (c.ident > 900 && (!(c.fflags & NOTE_LOWAT) || c.data != 1))
			errors += failed(&events[errors], &c, EINVAL);
		else
			queue.e[queue.n++] = c;
	}
	if (errors)
		return errors;
	for (i = 0; i < queue.n; i++)
		p[i] = (struct pollfd){ .fd = (int)queue.e[i].ident,
					.events = queue.e[i].filter == EVFILT_READ ? POLLIN : POLLOUT };
	if (poll(p, (nfds_t)queue.n, timeout ? (int)(timeout->tv_sec * 1000 + timeout->tv_nsec / 1000000) : -1) < 0)
		return -1;
	for (i = 0; i < queue.n && n < nevents; i++)
		if (p[i].revents) {
			events[n] = queue.e[i];
			events[n].flags = p[i].revents & POLLHUP ? EV_EOF : 0;
			events[n++].data = 1;
		}
	return n;
}
