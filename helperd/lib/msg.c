/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * msg.c: line framing, see msg.h.  The peer is distrusted in everything: line
 * length, reading speed, descriptors.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "msg.h"

#define MSG_CHUNK	65536u
#define MSG_LOW_WATER	32768u

#ifndef MSG_CMSG_CLOEXEC
#define MSG_CMSG_CLOEXEC 0
#endif
#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

struct msg {
	struct loop_fd *lf;
	int fd;
	const struct msg_ops *ops;
	void *arg;
	char *in;
	size_t in_len, in_room, in_scan;
	char *out;
	size_t out_at, out_len, out_room, out_limit;
	int fds[MSG_FDS_MAX];
	unsigned int nfds;
	bool take_fds, paused, busy, dead;
	bool high;			/* was above the mark: drained() is owed */
	const char *broken;
};

static void msg_events(struct msg *m)
{
	/* POLLERR asks for nothing more than is always told: a hang-up is seen in a pause too. */
	short events = m->paused ? POLLERR : POLLIN;

	/* A broken peer is polled for output too, so that the loop comes by. */
	if (m->out_len || m->broken || m->high)
		events |= POLLOUT;
	loop_events(m->lf, events);
}

void msg_cut(struct msg *m, const char *why)
{
	if (m->broken || m->dead)
		return;
	m->broken = why;
	shutdown(m->fd, SHUT_RDWR);
	msg_events(m);
}

static void msg_destroy(struct msg *m)
{
	for (unsigned int i = 0; i < m->nfds; i++)
		close(m->fds[i]);
	free(m->in);
	free(m->out);
	free(m);
}

void msg_free(struct msg *m)
{
	if (!m || m->dead)
		return;
	m->dead = true;
	loop_del(m->lf);
	close(m->fd);
	m->fd = -1;
	if (!m->busy)
		msg_destroy(m);
}

static int msg_write(struct msg *m)
{
	while (m->out_len) {
		ssize_t n = send(m->fd, m->out + m->out_at, m->out_len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
		m->out_at += (size_t)n;
		m->out_len -= (size_t)n;
	}
	m->out_at = 0;
	if (m->out_room > MSG_CHUNK) {
		free(m->out);
		m->out = NULL;
		m->out_room = 0;
	}
	return 0;
}

static int msg_room(struct msg *m, size_t more)
{
	size_t room = m->out_room ? m->out_room : 4096;
	char *out;

	if (m->out_at + m->out_len + more <= m->out_room)
		return 0;
	if (m->out_at) {
		memmove(m->out, m->out + m->out_at, m->out_len);
		m->out_at = 0;
	}
	while (room < m->out_len + more)
		room *= 2;
	if (room == m->out_room)
		return 0;
	out = realloc(m->out, room);
	if (!out)
		return -1;
	m->out = out;
	m->out_room = room;
	return 0;
}

int msg_send(struct msg *m, const char *text, size_t len)
{
	if (m->dead || m->broken)
		return -1;
	if (len >= MSG_LINE_MAX || m->out_len + len + 1 > m->out_limit) {
		msg_cut(m, "it did not read what was sent to it");
		return -1;
	}
	if (msg_room(m, len + 1)) {
		msg_cut(m, "out of memory");
		return -1;
	}
	memcpy(m->out + m->out_at + m->out_len, text, len);
	m->out[m->out_at + m->out_len + len] = '\n';
	m->out_len += len + 1;
	if (msg_write(m)) {
		msg_cut(m, "the connection is closed");
		return -1;
	}
	m->high |= m->out_len > MSG_LOW_WATER;
	msg_events(m);
	return 0;
}

/*
 * Not json_dumps(): when it runs out of memory inside an object's key it goes
 * on without the closing quote.  Into a buffer that is there nothing can fail.
 * Most texts fit at the first try: jansson is what much output costs.
 */
char *msg_text(const json_t *value, size_t *len)
{
	char *text = malloc(MSG_CHUNK), *fit;
	size_t n = text ? json_dumpb(value, text, MSG_CHUNK, JSON_COMPACT) : 0;

	if (n > MSG_CHUNK) {
		free(text);
		text = malloc(n);
		if (text && json_dumpb(value, text, n, JSON_COMPACT) != n)
			n = 0;
	}
	if (!n) {
		free(text);
		return NULL;
	}
	*len = n;
	fit = text ? realloc(text, n) : NULL;
	return fit ? fit : text;
}

json_t *msg_string(const char *text)
{
	json_t *s = json_string(text);
	char *plain = s ? NULL : strdup(text);

	for (char *p = plain; p && *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	if (plain)
		s = json_string(plain);
	free(plain);
	return s;
}

int msg_send_json(struct msg *m, const json_t *value)
{
	size_t len;
	char *text = msg_text(value, &len);
	int err;

	if (!text) {
		msg_cut(m, "out of memory");
		return -1;
	}
	err = msg_send(m, text, len);
	free(text);
	return err;
}

size_t msg_queued(const struct msg *m)
{
	return m->out_len;
}

void msg_flush(struct msg *m)
{
	while (!m->dead && !m->broken && m->out_len) {
		struct pollfd p = { .fd = m->fd, .events = POLLOUT };

		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return;
		if (msg_write(m))
			return;
	}
}

void msg_pause(struct msg *m, bool pause)
{
	if (m->dead)
		return;
	m->paused = pause;
	msg_events(m);
}

void msg_take_fds(struct msg *m, bool take)
{
	m->take_fds = take;
}

int msg_next_fd(struct msg *m)
{
	int fd;

	if (!m->nfds)
		return -1;
	fd = m->fds[0];
	m->nfds--;
	memmove(m->fds, m->fds + 1, m->nfds * sizeof(m->fds[0]));
	return fd;
}

static void msg_keep_fds(struct msg *m, struct msghdr *h)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (m->take_fds && m->nfds < MSG_FDS_MAX)
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static ssize_t msg_receive(struct msg *m)
{
	union { char room[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))]; struct cmsghdr align; } c;
	struct iovec v = { m->in + m->in_len, m->in_room - m->in_len - 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1 };
	ssize_t n;

	/* Without room for them the kernel itself drops descriptors. */
	if (m->take_fds) {
		h.msg_control = &c;
		h.msg_controllen = sizeof(c);
	}
	do {
		n = recvmsg(m->fd, &h, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n >= 0 && m->take_fds)
		msg_keep_fds(m, &h);
	return n;
}

/* Hands out whole lines; returns why the peer must go, or NULL. */
static const char *msg_lines(struct msg *m)
{
	size_t start = 0;
	char *end;

	while (!m->dead && (end = memchr(m->in + m->in_scan, '\n', m->in_len - m->in_scan))) {
		size_t at = (size_t)(end - m->in);

		*end = 0;
		m->in_scan = at + 1;
		m->ops->line(m->arg, m->in + start, at - start);
		start = at + 1;
	}
	if (m->dead)
		return NULL;
	m->in_len -= start;
	memmove(m->in, m->in + start, m->in_len);
	m->in_scan = m->in_len;
	if (m->in_len >= MSG_LINE_MAX)
		return "it sent a line of more than 1 MiB";
	if (!m->in_len && m->in_room > MSG_CHUNK) {
		free(m->in);
		m->in = NULL;
		m->in_room = 0;
	}
	return NULL;
}

static const char *msg_readable(struct msg *m)
{
	ssize_t n;

	if (m->in_room - m->in_len < 4096) {
		size_t room = m->in_room ? m->in_room * 2 : 8192;
		char *in = realloc(m->in, room);

		if (!in)
			return "out of memory";
		m->in = in;
		m->in_room = room;
	}
	n = msg_receive(m);
	if (n == 0)
		return "the connection is closed";
	if (n < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK ? NULL : strerror(errno);
	m->in_len += (size_t)n;
	return msg_lines(m);
}

static void msg_ready(void *arg, short revents)
{
	struct msg *m = arg;
	const char *why = m->broken;

	m->busy = true;
	if (!why && (revents & POLLOUT)) {
		if (msg_write(m))
			why = "the connection is closed";
		if (!why && m->high && m->out_len <= MSG_LOW_WATER) {
			m->high = false;
			if (m->ops->drained)
				m->ops->drained(m->arg);
		}
	}
	if (!m->dead && !why && !m->paused && (revents & (POLLIN | POLLHUP | POLLERR)))
		why = msg_readable(m);
	if (!m->dead && !why && m->paused && (revents & (POLLHUP | POLLERR)))
		why = "the connection is closed";
	if (!m->dead && why) {
		m->ops->closed(m->arg, why);
		/* The owner may keep it a while, but nothing more happens on it. */
		if (!m->dead) {
			m->broken = why;
			loop_events(m->lf, 0);
		}
	} else if (!m->dead) {
		msg_events(m);
	}
	m->busy = false;
	if (m->dead)
		msg_destroy(m);
}

struct msg *msg_new(struct loop *l, int fd, size_t out_limit, const struct msg_ops *ops, void *arg)
{
	struct msg *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->fd = fd;
	m->ops = ops;
	m->arg = arg;
	m->out_limit = out_limit;
	m->lf = loop_add(l, fd, POLLIN, msg_ready, m);
	if (!m->lf || loop_nonblock(fd)) {
		loop_del(m->lf);
		free(m);
		return NULL;
	}
	return m;
}

int msg_send_fds(int sock, const char *text, size_t len, const int *fds, unsigned int count)
{
	union { char room[CMSG_SPACE(MSG_FDS_MAX * sizeof(int))]; struct cmsghdr align; } c;
	char newline = '\n';
	struct iovec v[2] = { { (void *)(uintptr_t)text, len }, { &newline, 1 } };
	struct msghdr h = { .msg_iov = v, .msg_iovlen = 2 };
	struct cmsghdr *head;
	ssize_t n;

	if (count > MSG_FDS_MAX)
		return -1;
	if (count) {
		memset(&c, 0, sizeof(c));
		h.msg_control = &c;
		h.msg_controllen = CMSG_SPACE(count * sizeof(int));
		head = CMSG_FIRSTHDR(&h);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	}
	do {
		n = sendmsg(sock, &h, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)(len + 1) ? 0 : -1;
}
