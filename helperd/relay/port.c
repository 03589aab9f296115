/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * port.c: one virtio-serial port joined to one connection of colinuxd's at a
 * time.  Called from the relay's loop.
 *
 * A port without anybody at the host's end polls as hung up, always: it is not
 * polled then, the driver's SIGIO says when to look again.  After a hang-up
 * the device is closed and opened anew, so that nothing of the last session
 * can reach the next one.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "relay.h"

#define RELAY_RETRY_MS	100u

static void relay_ready_port(void *arg, short revents);
static void relay_ready_sock(void *arg, short revents);

static void relay_events(struct relay_port *p)
{
	short port = 0, sock = 0;

	if (p->state == RELAY_ACTIVE && p->up.len < RELAY_BUFFER)
		port |= POLLIN;
	if ((p->state == RELAY_ACTIVE || p->state == RELAY_CLOSING) && p->down.len)
		port |= POLLOUT;
	if (p->state == RELAY_ACTIVE && p->down.len < RELAY_BUFFER)
		sock |= POLLIN;
	if ((p->state == RELAY_ACTIVE || p->state == RELAY_LEAVING) && p->up.len)
		sock |= POLLOUT;
	if (p->port_fd)
		loop_events(p->port_fd, port);
	if (p->sock_fd)
		loop_events(p->sock_fd, sock);
}

static int relay_open_device(struct relay_port *p)
{
	p->port = open(p->path, O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (p->port < 0)
		return -1;
	if (fcntl(p->port, F_SETOWN, getpid()) ||
	    fcntl(p->port, F_SETFL, O_RDWR | O_NONBLOCK | O_ASYNC))
		goto failed;
	p->port_fd = loop_add(p->loop, p->port, 0, relay_ready_port, p);
	if (p->port_fd)
		return 0;
failed:
	close(p->port);
	p->port = -1;
	return -1;
}

static void relay_close_sock(struct relay_port *p)
{
	loop_timer_stop(p->loop, &p->retry);
	loop_del(p->sock_fd);
	p->sock_fd = NULL;
	if (p->sock >= 0)
		close(p->sock);
	p->sock = -1;
}

/* Ends the session; state tells what to wait for at the fresh device. */
static void relay_end(struct relay_port *p, enum relay_state state)
{
	struct pollfd now = { 0 };

	relay_close_sock(p);
	loop_del(p->port_fd);
	p->port_fd = NULL;
	close(p->port);
	p->up.len = p->up.at = p->down.len = p->down.at = 0;
	p->state = state;
	if (relay_open_device(p)) {
		log_line(LOG_ERROR, "%s: %s: the port is lost", p->path, strerror(errno));
		return;
	}
	now.fd = p->port;
	if (poll(&now, 1, 0) >= 0)
		relay_port_look(p, now.revents);
}

static int relay_connect(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	strncpy(at.sun_path, path, sizeof(at.sun_path) - 1);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) || loop_nonblock(fd)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void relay_call(void *arg)
{
	struct relay_port *p = arg;

	p->sock = relay_connect(p->socket);
	if (p->sock >= 0)
		p->sock_fd = loop_add(p->loop, p->sock, 0, relay_ready_sock, p);
	if (!p->sock_fd) {
		/* colinuxd starts, or starts again: the host's end waits for the banner. */
		relay_close_sock(p);
		loop_timer_start(p->loop, &p->retry, RELAY_RETRY_MS);
		return;
	}
	p->state = RELAY_ACTIVE;
	memcpy(p->down.data, RELAY_BANNER, sizeof(RELAY_BANNER) - 1);
	p->down.at = 0;
	p->down.len = sizeof(RELAY_BANNER) - 1;
	relay_events(p);
}

void relay_port_look(struct relay_port *p, short revents)
{
	bool gone = revents & (POLLHUP | POLLERR);

	if (!p->port_fd)
		return;
	switch (p->state) {
	case RELAY_IDLE:
		if (gone)
			break;
		p->state = RELAY_CALLING;
		relay_call(p);
		break;
	case RELAY_CALLING:
	case RELAY_CLOSING:
		if (gone)
			relay_end(p, RELAY_IDLE);
		break;
	case RELAY_SPENT:
		if (gone)
			p->state = RELAY_IDLE;
		break;
	case RELAY_ACTIVE:
		/* What it sent before it went is still read: see relay_ready_port. */
		if (gone)
			relay_ready_port(p, POLLHUP);
		break;
	case RELAY_LEAVING:
		break;
	}
}

/* 1: moved or would block, 0: the end, -1: broken. */
static int relay_fill(int fd, struct relay_pipe *b)
{
	ssize_t n;

	if (b->at) {
		memmove(b->data, b->data + b->at, b->len);
		b->at = 0;
	}
	if (b->len == RELAY_BUFFER)
		return 1;
	n = read(fd, b->data + b->len, RELAY_BUFFER - b->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -1;
	b->len += (size_t)n;
	return n > 0;
}

static int relay_drain(int fd, struct relay_pipe *b)
{
	ssize_t n;

	if (!b->len)
		return 1;
	n = write(fd, b->data + b->at, b->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 1 : -1;
	b->at += (size_t)n;
	b->len -= (size_t)n;
	if (!b->len)
		b->at = 0;
	return 1;
}

static void relay_ready_port(void *arg, short revents)
{
	struct relay_port *p = arg;
	int got = 1;

	if ((revents & POLLOUT) && relay_drain(p->port, &p->down) < 0)
		got = -1;
	if (got > 0 && p->state == RELAY_CLOSING) {
		if (!p->down.len || (revents & POLLHUP)) {
			relay_end(p, RELAY_SPENT);
			return;
		}
	} else if (got > 0 && (revents & (POLLIN | POLLHUP))) {
		size_t before = p->up.len;

		got = relay_fill(p->port, &p->up);
		/* Full, with the host's end gone: the rest is read as room comes. */
		if (got == 1 && (revents & POLLHUP) && p->up.len == before && before < RELAY_BUFFER)
			got = 0;
	}
	if (got <= 0) {
		p->state = RELAY_LEAVING;
		p->down.len = 0;
		if (!p->up.len || got < 0) {
			relay_end(p, RELAY_IDLE);
			return;
		}
	}
	relay_events(p);
}

static void relay_ready_sock(void *arg, short revents)
{
	struct relay_port *p = arg;
	int got = 1;

	if (p->up.len && relay_drain(p->sock, &p->up) < 0)
		got = -1;
	if (p->state == RELAY_LEAVING) {
		if (!p->up.len || got < 0)
			relay_end(p, RELAY_IDLE);
		else
			relay_events(p);
		return;
	}
	if (got > 0 && (revents & (POLLIN | POLLHUP | POLLERR)))
		got = relay_fill(p->sock, &p->down);
	if (got <= 0) {
		relay_close_sock(p);
		p->state = RELAY_CLOSING;
		if (!p->down.len) {
			relay_end(p, RELAY_SPENT);
			return;
		}
	}
	relay_events(p);
}

int relay_port_open(struct relay_port *p, struct loop *l, const char *path, const char *socket)
{
	*p = (struct relay_port){ .path = path, .socket = socket, .loop = l, .port = -1, .sock = -1 };
	loop_timer_init(&p->retry, relay_call, p);
	p->up.data = malloc(RELAY_BUFFER);
	p->down.data = malloc(RELAY_BUFFER);
	if (!p->up.data || !p->down.data || relay_open_device(p)) {
		free(p->up.data);
		free(p->down.data);
		return -1;
	}
	return 0;
}
