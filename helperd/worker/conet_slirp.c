/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_slirp.c: nat: the guest's frames to libslirp and back.
 *
 * Called by conet.c before the sandbox closes, then by conet_thread.c only.
 * libslirp does DHCP, DNS at an address of its own (to the resolver of this
 * host), router advertisements and the connections; it runs with the owner's
 * rights and nothing more.  The guest reaches what the owner would reach, but
 * not this host's loopback.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <glib.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "conet.h"
#include "conet_slirp.h"
#include "log.h"

#define CONET_SLIRP_FULL_MS	200u

static int64_t conet_slirp_now(void *opaque)
{
	struct timespec t;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static int64_t conet_slirp_ms(void)
{
	return conet_slirp_now(NULL) / 1000000;
}

/* ---- what libslirp calls ------------------------------------------------------ */

static ssize_t conet_slirp_send(const void *frame, size_t len, void *opaque)
{
	struct conet_net *n = opaque;
	struct conet_packet p = { .data = frame, .len = (uint32_t)len };

	if (len <= CONET_FRAME_MAX)
		conet_nat_gives(n, &((struct conet_slirp *)n->priv)->filter, &p);
	return (ssize_t)len;
}

static void conet_slirp_error(const char *text, void *opaque)
{
	(void)text;	/* the guest's nonsense is not worth a line of the log */
	(void)opaque;
}

/* Router advertisements are the only timer that slirp has. */
static void *conet_slirp_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct conet_slirp *s = ((struct conet_net *)opaque)->priv;

	for (unsigned int i = 0; i < CONET_SLIRP_TIMERS; i++)
		if (!s->timers[i].fn) {
			s->timers[i] = (struct conet_slirp_timer){ fn, arg, -1 };
			return &s->timers[i];
		}
	return NULL;
}

static void conet_slirp_timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		memset(timer, 0, sizeof(struct conet_slirp_timer));
}

static void conet_slirp_timer_mod(void *timer, int64_t due, void *opaque)
{
	struct conet_slirp_timer *t = timer;

	(void)opaque;
	if (t)
		t->due = due;
}

static void conet_slirp_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void conet_slirp_notify(void *opaque)
{
	(void)opaque;	/* we are in its own thread: the next round looks */
}

static const SlirpCb conet_slirp_calls = {
	.send_packet = conet_slirp_send,
	.guest_error = conet_slirp_error,
	.clock_get_ns = conet_slirp_now,
	.timer_new = conet_slirp_timer_new,
	.timer_free = conet_slirp_timer_free,
	.timer_mod = conet_slirp_timer_mod,
	.register_poll_fd = conet_slirp_fd,
	.unregister_poll_fd = conet_slirp_fd,
	.notify = conet_slirp_notify,
};

/* GLib's own handler would look for terminals and journals, in the closed sandbox. */
static void conet_slirp_log(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer arg)
{
	(void)domain;
	(void)arg;
	log_line(level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL) ? LOG_WARNING : LOG_DEBUG,
		 "libslirp: %s", text);
}

/* ---- what the thread calls ------------------------------------------------------ */

static void conet_slirp_input(struct conet_net *n, uint8_t *buffer, struct conet_packet *p)
{
	struct conet_slirp *s = n->priv;

	if (conet_nat_takes(n, &s->filter, buffer, p))
		slirp_input(s->slirp, buffer, (int)p->len);
}

struct conet_slirp_round {
	struct conet_slirp *s;
	struct conet_polls *p;
	int64_t now;
};

static bool conet_slirp_listens(const struct conet_slirp *s, int fd)
{
	for (unsigned int i = 0; i < s->nforwards; i++)
		if (s->forwards[i].fd == fd)
			return true;
	return false;
}

/* Is there a descriptor for one more client?  In the closed sandbox only a socket can tell. */
static bool conet_slirp_full(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd >= 0)
		close(fd);
	return fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM);
}

static int conet_slirp_add(int fd, int events, void *opaque)
{
	const struct conet_slirp_round *r = opaque;
	short e = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) | (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
			  (events & SLIRP_POLL_PRI ? POLLPRI : 0));

	/* A client that cannot be accepted would end each poll at once. */
	if (r->s->full > r->now && conet_slirp_listens(r->s, fd))
		e = 0;
	return conet_poll_add(r->p, fd, e);
}

static int conet_slirp_events(int index, void *opaque)
{
	const struct conet_slirp_round *r = opaque;
	const struct pollfd *f = index < 0 ? NULL : &r->p->fds[index];
	short e = f ? f->revents : 0;

	if (e && conet_slirp_listens(r->s, f->fd) && conet_slirp_full()) {
		if (!r->s->full)
			log_line(LOG_WARNING, "all descriptors are in use: new clients of forwards wait");
		r->s->full = r->now + CONET_SLIRP_FULL_MS;
		e = 0;
	}
	return (e & POLLIN ? SLIRP_POLL_IN : 0) | (e & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (e & POLLPRI ? SLIRP_POLL_PRI : 0) | (e & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (e & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static void conet_slirp_fill(struct conet_net *n, struct conet_polls *p)
{
	struct conet_slirp *s = n->priv;
	uint32_t ms = UINT32_MAX;
	int64_t now = conet_slirp_ms();
	struct conet_slirp_round round = { s, p, now };

	slirp_pollfds_fill(s->slirp, &ms, conet_slirp_add, &round);
	if (s->full > now && s->full - now < ms)
		ms = (uint32_t)(s->full - now);
	for (unsigned int i = 0; i < CONET_SLIRP_TIMERS; i++)
		if (s->timers[i].fn && s->timers[i].due >= 0) {
			int64_t left = s->timers[i].due > now ? s->timers[i].due - now : 0;

			ms = left < ms ? (uint32_t)left : ms;
		}
	if (ms <= INT32_MAX && (p->timeout < 0 || (int)ms < p->timeout))
		p->timeout = (int)ms;
}

static void conet_slirp_polled(struct conet_net *n, const struct conet_polls *p)
{
	struct conet_slirp *s = n->priv;
	int64_t now = conet_slirp_ms();
	struct conet_slirp_round round = { s, (struct conet_polls *)(uintptr_t)p, now };

	slirp_pollfds_poll(s->slirp, 0, conet_slirp_events, &round);
	for (unsigned int i = 0; i < CONET_SLIRP_TIMERS; i++)
		if (s->timers[i].fn && s->timers[i].due >= 0 && s->timers[i].due <= now) {
			s->timers[i].due = -1;
			s->timers[i].fn(s->timers[i].arg);
		}
}

static void conet_slirp_free(struct conet_net *n)
{
	struct conet_slirp *s = n->priv;

	slirp_cleanup(s->slirp);
	free(s);
}

static const struct conet_link conet_slirp_link = {
	.input = conet_slirp_input,
	.fill = conet_slirp_fill,
	.polled = conet_slirp_polled,
	.free = conet_slirp_free,
};

bool conet_slirp_is(const struct conet_net *n)
{
	return n->link == &conet_slirp_link;
}

/* ---- birth -------------------------------------------------------------------------- */

static void conet_slirp_addresses(SlirpConfig *c, const struct conet_filter *f)
{
	uint32_t net = ntohl(f->gateway.s_addr) & 0xffffff00u;

	c->in_enabled = true;
	c->vnetwork.s_addr = htonl(net);
	c->vnetmask.s_addr = htonl(0xffffff00u);
	c->vhost = f->gateway;
	c->vnameserver = f->nameserver4;
	c->vdhcp_start.s_addr = htonl(net + 15);
	c->in6_enabled = true;
	c->vprefix_len = 64;
	c->vhost6 = c->vprefix_addr6 = f->prefix;
	c->vhost6.s6_addr[15] = 2;
	c->vnameserver6 = f->nameserver;
}

int conet_slirp_open(struct conet_net *n, const char *hostname, const json_t *spec, struct err *e)
{
	const json_t *forwards = json_object_get(spec, "forwards");
	struct conet_slirp *s = calloc(1, sizeof(*s));
	SlirpConfig config = { .version = 4, .vhostname = hostname,
			       .if_mtu = CONET_SLIRP_MTU, .if_mru = CONET_SLIRP_MTU };
	int err;

	if (!s)
		return err_set(e, CO_ENOMEM, "out of memory");
	g_log_set_default_handler(conet_slirp_log, NULL);
	n->priv = s;
	conet_filter_network(&s->filter, n->index);
	conet_slirp_addresses(&config, &s->filter);
	s->slirp = slirp_new(&config, &conet_slirp_calls, n);
	if (!s->slirp) {
		free(s);
		n->priv = NULL;
		return err_set(e, CO_EIO, "libslirp %s does not make a network", slirp_version_string());
	}
	n->link = &conet_slirp_link;
	for (size_t i = 0; i < json_array_size(forwards); i++) {
		err = conet_forward_add(n, json_array_get(forwards, i), e);
		if (err)
			return err;
	}
	return 0;
}
