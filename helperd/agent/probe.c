/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * probe.c: connects to a port of the guest's loopback and waits for the
 * expected beginning of what the service says.  The worker asks (readiness and
 * health); it decides what an answer means.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent.h"

#define PROBE_EXPECT	256u

struct probe {
	uint32_t id;
	int fd, poll;
	bool used, six, connected;
	uint16_t port;
	uint64_t due;
	uint32_t expect_len, have;
	uint8_t expect[PROBE_EXPECT], got[PROBE_EXPECT];
	char why[128];
};

static struct probe probes[FRAME_PROBES];

static void probe_done(struct probe *p, bool ok)
{
	uint8_t answer[1 + sizeof(p->why)];
	size_t len = ok ? 0 : strlen(p->why);

	answer[0] = ok;
	memcpy(answer + 1, p->why, len);
	agent_send(FRAME_PROBED, 0, p->id, answer, 1 + len);
	if (p->fd >= 0)
		close(p->fd);
	p->used = false;
}

/* 127.0.0.1 first, then [::1]: some services listen on one of them only. */
static void probe_connect(struct probe *p)
{
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(p->port),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(p->port),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int err;

	if (p->fd >= 0)
		close(p->fd);
	p->fd = socket(p->six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	err = p->fd < 0 ? -1 : p->six ? connect(p->fd, (struct sockaddr *)&six, sizeof(six))
				      : connect(p->fd, (struct sockaddr *)&four, sizeof(four));
	if (!err || errno == EINPROGRESS)
		return;
	if (!p->six) {
		p->six = true;
		snprintf(p->why, sizeof(p->why), "%s", strerror(errno));
		probe_connect(p);
		return;
	}
	if (!p->why[0])
		snprintf(p->why, sizeof(p->why), "%s", strerror(errno));
	probe_done(p, false);
}

void probe_frame(const struct frame *f)
{
	struct probe *p = NULL;

	for (unsigned int i = 0; i < FRAME_PROBES && !p; i++)
		if (!probes[i].used)
			p = &probes[i];
	if (!p || f->len < 6 || f->len - 6u > PROBE_EXPECT) {
		static const char no[] = "\0the agent takes no more checks";

		agent_send(FRAME_PROBED, 0, f->id, no, sizeof(no) - 1);
		return;
	}
	*p = (struct probe){ .id = f->id, .fd = -1, .poll = -1, .used = true,
			     .port = (uint16_t)frame_get16(f->data),
			     .due = agent_now() + frame_get32(f->data + 2), .expect_len = f->len - 6u };
	memcpy(p->expect, f->data + 6, p->expect_len);
	probe_connect(p);
}

static void probe_read(struct probe *p)
{
	ssize_t n = read(p->fd, p->got + p->have, p->expect_len - p->have);
	char shown[64];
	size_t len;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	p->have += n > 0 ? (uint32_t)n : 0;
	if (n > 0 && !memcmp(p->got, p->expect, p->have)) {
		if (p->have == p->expect_len)
			probe_done(p, true);
		return;
	}
	len = p->have < sizeof(shown) - 1 ? p->have : sizeof(shown) - 1;
	for (size_t i = 0; i < len; i++)
		shown[i] = p->got[i] < 0x20 || p->got[i] > 0x7e ? '?' : (char)p->got[i];
	shown[len] = 0;
	if (n > 0 || p->have)
		snprintf(p->why, sizeof(p->why), "it answers \"%s\"", shown);
	else
		snprintf(p->why, sizeof(p->why), "%s",
			 n < 0 ? strerror(errno) : "the service closed the connection");
	probe_done(p, false);
}

static void probe_ready(struct probe *p)
{
	int err = 0;
	socklen_t len = sizeof(err);

	if (p->connected) {
		probe_read(p);
		return;
	}
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (!err) {
		p->connected = true;
		if (!p->expect_len)
			probe_done(p, true);
		return;
	}
	if (!p->why[0])
		snprintf(p->why, sizeof(p->why), "%s", strerror(err));
	if (p->six) {
		probe_done(p, false);
		return;
	}
	p->six = true;
	probe_connect(p);
}

void probe_wait(struct agent_polls *polls)
{
	for (unsigned int i = 0; i < FRAME_PROBES; i++) {
		struct probe *p = &probes[i];

		p->poll = -1;
		if (!p->used)
			continue;
		p->poll = agent_poll_add(polls, p->fd, p->connected ? POLLIN : POLLOUT);
		agent_poll_by(polls, p->due);
	}
}

void probe_run(const struct agent_polls *polls)
{
	for (unsigned int i = 0; i < FRAME_PROBES; i++) {
		struct probe *p = &probes[i];

		if (p->used && p->poll >= 0 && polls->fds[p->poll].revents)
			probe_ready(p);
		if (p->used && agent_now() >= p->due) {
			snprintf(p->why, sizeof(p->why), "%s in time",
				 p->connected ? "nothing was said" : "no connection");
			probe_done(p, false);
		}
	}
}

void probe_end_all(void)
{
	for (unsigned int i = 0; i < FRAME_PROBES; i++) {
		if (probes[i].used && probes[i].fd >= 0)
			close(probes[i].fd);
		probes[i].used = false;
	}
}
