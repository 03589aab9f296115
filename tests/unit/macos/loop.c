/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The event loop on kqueue: descriptors, hang-ups, timers and signals as with poll. */
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../unit.h"
#include "../../../helperd/lib/loop.h"

static struct loop *loop;
static int calls;
static short last;

static void on_fd(void *arg, short revents)
{
	(void)arg;
	calls++;
	last = revents;
}

static void on(void *arg)
{
	++*(int *)arg;
}

static void descriptors(void)
{
	struct loop_fd *f;
	int s[2];

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	loop = loop_new();
	f = loop_add(loop, s[0], POLLIN, on_fd, NULL);
	calls = 0;
	loop_once(loop, 0);
	CHECK(calls == 0);
	CHECK(write(s[1], "x", 1) == 1);
	loop_once(loop, -1);
	loop_once(loop, -1);			/* unread: told again */
	CHECK(calls == 2 && last == POLLIN);
	loop_events(f, POLLIN | POLLOUT);
	loop_once(loop, -1);
	CHECK(calls == 3 && last == (POLLIN | POLLOUT));
	loop_events(f, 0);
	loop_once(loop, 0);
	CHECK(calls == 3);
	loop_events(f, POLLIN);
	close(s[1]);
	loop_once(loop, -1);
	CHECK(calls == 4 && last == (POLLIN | POLLHUP));
	close(s[0]);
	loop_once(loop, -1);
	CHECK(calls == 5 && last == POLLNVAL);
	loop_del(f);
	loop_once(loop, 0);
	CHECK(calls == 5);
	loop_free(loop);
}

/* The VM's handle: a device, which only kevent takes, and only when asked rightly. */
static void device(void)
{
	int p[2];

	CHECK(!pipe(p) && dup2(p[0], 901) == 901);
	loop = loop_new();
	loop_add(loop, 901, POLLIN, on_fd, NULL);
	calls = 0;
	CHECK(write(p[1], "x", 1) == 1);
	loop_once(loop, -1);
	CHECK(calls == 1 && last == POLLIN);
	loop_free(loop);
	close(901);
	close(p[0]);
	close(p[1]);
}

static void timers_and_signals(void)
{
	struct loop_timer t;
	int rang = 0, heard = 0;

	loop = loop_new();
	loop_timer_init(&t, on, &rang);
	loop_timer_start(loop, &t, 20);
	while (!rang)
		loop_once(loop, -1);
	loop_once(loop, 0);
	CHECK(rang == 1);
	CHECK(!loop_signal(loop, SIGUSR1, on, &heard));
	raise(SIGUSR1);
	loop_once(loop, -1);
	CHECK(heard == 1);
	loop_free(loop);
}

int main(void)
{
	RUN(descriptors);
	RUN(device);
	RUN(timers_and_signals);
	UNIT_END();
}
