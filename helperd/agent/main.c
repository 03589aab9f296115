/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c: the agent's line to the host, and its loop.  `agent [DEVICE]` is
 * started by systemd (cli/image/guest/agent.service) or by a plain init;
 * `agent get|put` are the two commands that `colinux cp` runs through it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define AGENT_CONSOLE	"/dev/hvc0"
#define AGENT_HELLO_MS	1000u
#define AGENT_LOOK_MS	500u		/* until the line's device is there */

static const char *agent_device = "/dev/hvc1";
static int agent_line = -1;
static bool agent_welcome;
static uint8_t agent_number[8];
static uint64_t agent_hello_due;
static struct frame_in agent_in;

uint64_t agent_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

int agent_poll_add(struct agent_polls *p, int fd, short events)
{
	p->fds[p->count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)p->count++;
}

void agent_poll_by(struct agent_polls *p, uint64_t due)
{
	uint64_t now = agent_now();
	int left = due > now ? (int)(due - now) : 0;

	if (p->timeout < 0 || left < p->timeout)
		p->timeout = left;
}

/* The host always takes what is said: only then does the guest's kernel go on. */
static void agent_write(const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(agent_line, data, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd p = { .fd = agent_line, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			/* The line is gone: the service's manager starts us anew. */
			fprintf(stderr, "colinux-agent: %s: %s\n", agent_device, strerror(errno));
			exit(1);
		} else if (n > 0) {
			data += n;
			len -= (size_t)n;
		}
	}
}

void agent_send(uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t len)
{
	static uint8_t out[FRAME_HEAD + FRAME_DATA_MAX];

	if (agent_welcome || type == FRAME_HELLO)
		agent_write(out, frame_put(out, type, stream, id, data, (uint16_t)len));
}

void agent_send_text(uint8_t type, uint32_t id, const char *text)
{
	agent_send(type, 0, id, text, strlen(text));
}

/* Whatever was before is over; says HELLO until the host answers this very one. */
void agent_begin(void)
{
	static const uint8_t zeros[FRAME_HEAD + FRAME_DATA_MAX];

	agent_welcome = false;
	agent_in.have = 0;
	agent_write(zeros, sizeof(zeros));
	session_end_all();
	probe_end_all();
	lane_begin();
	if (getrandom(agent_number, sizeof(agent_number), GRND_NONBLOCK) < 0) {
		/* Too early for randomness: the number only has to differ from the last one. */
		uint64_t now = agent_now() << 20 ^ (uint64_t)getpid();

		memcpy(agent_number, &now, sizeof(now));
	}
	agent_hello_due = 0;
}

static void agent_hello(void)
{
	uint8_t hello[12];

	frame_put32(hello, FRAME_VERSION);
	memcpy(hello + 4, agent_number, 8);
	agent_send(FRAME_HELLO, 0, 0, hello, sizeof(hello));
	agent_hello_due = agent_now() + AGENT_HELLO_MS;
}

static void agent_console_size(const struct frame *f)
{
	struct winsize size = { 0 };
	int fd = open(AGENT_CONSOLE, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	size.ws_col = (unsigned short)frame_get16(f->data);
	size.ws_row = (unsigned short)frame_get16(f->data + 2);
	ioctl(fd, TIOCSWINSZ, &size);
	close(fd);
}

void agent_frame(void *arg, const struct frame *f)
{
	(void)arg;
	if (f->type == FRAME_WELCOME) {
		if (f->len == 12 && !memcmp(f->data + 4, agent_number, 8) &&
		    frame_get32(f->data) == FRAME_VERSION) {
			agent_welcome = true;
			/* Before any command is started, so that its input comes by one way. */
			if (lane_usable())
				agent_send(FRAME_LANE, 0, 0, NULL, 0);
		}
		return;
	}
	if (!agent_welcome)
		return;
	switch (f->type) {
	case FRAME_RESET:
		agent_begin();
		break;
	case FRAME_PING:
		agent_send(FRAME_PONG, 0, 0, NULL, 0);
		break;
	case FRAME_FETCH:
		lane_fetch();
		break;
	case FRAME_PROBE:
		probe_frame(f);
		break;
	case FRAME_WINDOW_SIZE:
		if (f->len == 4 && !f->id)
			agent_console_size(f);
		else
			session_frame(f);
		break;
	default:
		session_frame(f);
	}
}

static int agent_open(void)
{
	struct termios t;
	int fd;

	while ((fd = open(agent_device, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC)) < 0) {
		struct timespec pause = { 0, AGENT_LOOK_MS * 1000000l };

		nanosleep(&pause, NULL);
	}
	/* Nobody else in the guest has a word on this line; udev would let the group tty. */
	if (fchmod(fd, 0600) || ioctl(fd, TIOCEXCL) || tcgetattr(fd, &t))
		return -1;
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL;
	return tcsetattr(fd, TCSAFLUSH, &t) ? -1 : fd;
}

static void agent_read(void)
{
	uint8_t data[4096];
	uint64_t lost = agent_in.lost;
	ssize_t n = read(agent_line, data, sizeof(data));

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		fprintf(stderr, "colinux-agent: %s: the line was closed\n", agent_device);
		exit(1);
	}
	if (n > 0)
		frame_eat(&agent_in, data, (size_t)n, agent_frame, NULL);
	if (agent_in.lost != lost && agent_welcome)
		agent_begin();
}

static int agent_loop(int children)
{
	struct agent_polls p;

	for (;;) {
		if (!agent_welcome && agent_now() >= agent_hello_due)
			agent_hello();
		p.count = 0;
		p.timeout = -1;
		agent_poll_add(&p, agent_line, POLLIN);
		agent_poll_add(&p, children, POLLIN);
		session_wait(&p);
		probe_wait(&p);
		lane_wait(&p);
		if (!agent_welcome)
			agent_poll_by(&p, agent_hello_due);
		if (poll(p.fds, p.count, p.timeout) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		if (p.fds[1].revents) {
			struct signalfd_siginfo info;

			if (read(children, &info, sizeof(info)) > 0)
				session_reap();
		}
		session_run(&p);
		probe_run(&p);
		lane_run(&p);
		/* Last: it changes what the entries above stand for. */
		if (p.fds[0].revents)
			agent_read();
	}
}

int main(int argc, char **argv)
{
	sigset_t set;
	int children;

	if (argc == 2 && argv[1][0] == '/')
		agent_device = argv[1];
	else if (argc > 1)
		return copy_main(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	children = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	agent_line = agent_open();
	if (children < 0 || agent_line < 0) {
		fprintf(stderr, "colinux-agent: %s: %s\n", agent_device, strerror(errno));
		return 1;
	}
	agent_begin();
	return agent_loop(children);
}
