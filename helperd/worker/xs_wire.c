/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_wire.c: xenstore's messages in the page shared with the guest.
 *
 * A message comes in pieces as the ring has room; each piece is taken at once,
 * for the guest notifies only when it believes that we saw all before.  While
 * the guest does not read its answers nothing more is taken from it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/include/xen/io/xs_wire.h"
#include "log.h"
#include "ring.h"
#include "wk.h"
#include "xenstore.h"

#define XS_OUT_BUSY	16384u		/* above it requests wait */
#define XS_OUT_MAX	(256u << 10)	/* above it events are lost */
#define XS_ROUNDS	64u		/* then others get their turn */

struct xs_wire {
	struct wk *w;
	struct wk_xs *xs;
	struct wk_ring req, rsp;
	struct xsd_sockmsg head;
	char payload[XENSTORE_PAYLOAD_MAX + 1];
	uint32_t got;			/* bytes of head and payload so far */
	char *out;
	size_t out_at, out_len, out_room;
	bool complained;
	struct loop_timer again;
};

static const struct { int error; const char *name; } xs_errors[] = {
	{ EINVAL, "EINVAL" }, { EACCES, "EACCES" }, { EEXIST, "EEXIST" }, { ENOENT, "ENOENT" },
	{ ENOMEM, "ENOMEM" }, { ENOSPC, "ENOSPC" }, { ENOSYS, "ENOSYS" }, { EBUSY, "EBUSY" },
	{ EAGAIN, "EAGAIN" }, { E2BIG, "E2BIG" },
};

static const char *xs_error_name(int error)
{
	for (size_t i = 0; i < sizeof(xs_errors) / sizeof(xs_errors[0]); i++)
		if (xs_errors[i].error == error)
			return xs_errors[i].name;
	return "EIO";
}

/* -1: no memory for it. */
static int xs_queue(struct xs_wire *x, const void *data, size_t len)
{
	if (x->out_at + x->out_len + len > x->out_room) {
		size_t room = x->out_room ? x->out_room : 8192;
		char *out;

		if (x->out_at) {
			memmove(x->out, x->out + x->out_at, x->out_len);
			x->out_at = 0;
		}
		while (room < x->out_len + len)
			room *= 2;
		out = room == x->out_room ? x->out : realloc(x->out, room);
		if (!out)
			return -1;
		x->out = out;
		x->out_room = room;
	}
	if (len)
		memcpy(x->out + x->out_at + x->out_len, data, len);
	x->out_len += len;
	return 0;
}

static void xs_answer(struct xs_wire *x, uint32_t type, uint32_t id, uint32_t tx, const char *data,
		      uint32_t len)
{
	struct xsd_sockmsg head = { .type = type, .req_id = id, .tx_id = tx, .len = len };

	if (xs_queue(x, &head, sizeof(head)) || xs_queue(x, data, len))
		wk_end(x->w, "failed", -1, "out of memory");
}

/* 1: bytes went to the guest, 0: none, -1: its ring is impossible. */
static int xs_flush(struct xs_wire *x)
{
	int moved = 0;

	while (x->out_len) {
		uint32_t n;

		if (!wk_ring_put(&x->rsp, x->out + x->out_at, (uint32_t)x->out_len, &n))
			return -1;
		if (!n)
			break;
		wk_ring_publish(&x->rsp);
		x->out_at += n;
		x->out_len -= n;
		moved = 1;
	}
	if (!x->out_len)
		x->out_at = 0;
	return moved;
}

void xs_wire_event(struct xs_wire *x, const char *path, const char *token)
{
	size_t plen = strlen(path) + 1, tlen = strlen(token) + 1;
	struct xsd_sockmsg head = { .type = XS_WATCH_EVENT, .len = (uint32_t)(plen + tlen) };

	if (x->out_len + sizeof(head) + plen + tlen > XS_OUT_MAX || plen + tlen > XENSTORE_PAYLOAD_MAX) {
		if (!x->complained)
			log_line(LOG_WARNING, "the guest does not read its xenstore events: some are lost");
		x->complained = true;
		return;
	}
	if (xs_queue(x, &head, sizeof(head)) || xs_queue(x, path, plen) || xs_queue(x, token, tlen)) {
		wk_end(x->w, "failed", -1, "out of memory");
		return;
	}
	/* Outside of a request nobody else would send it. */
	if (!x->again.armed)
		loop_timer_start(x->w->loop, &x->again, 0);
}

static void xs_handle(struct xs_wire *x)
{
	struct xs_request r = { .type = x->head.type, .tx = x->head.tx_id, .payload = x->payload,
				.len = x->head.len };
	char out[XENSTORE_PAYLOAD_MAX];
	const char *name;
	int n;

	x->payload[x->head.len] = 0;
	n = wk_xs_request(x->xs, &r, out);
	if (n >= 0) {
		xs_answer(x, r.type, x->head.req_id, r.tx, out, (uint32_t)n);
		if (r.type == XS_WATCH)
			xs_watch_first(x->xs, &r);
		return;
	}
	name = xs_error_name(-n);
	xs_answer(x, XS_ERROR, x->head.req_id, r.tx, name, (uint32_t)strlen(name) + 1);
}

/* Takes the next piece: 1 something came, 0 nothing, -1 the guest broke the protocol. */
static int xs_take(struct xs_wire *x)
{
	uint32_t n, want;

	if (x->got < sizeof(x->head)) {
		want = (uint32_t)sizeof(x->head) - x->got;
		if (!wk_ring_get(&x->req, (char *)&x->head + x->got, want, &n))
			return -1;
	} else {
		want = (uint32_t)sizeof(x->head) + x->head.len - x->got;
		if (!wk_ring_get(&x->req, x->payload + (x->got - sizeof(x->head)), want, &n))
			return -1;
	}
	if (!n)
		return 0;
	wk_ring_publish(&x->req);
	x->got += n;
	if (x->got < sizeof(x->head))
		return 1;
	if (x->head.len > XENSTORE_PAYLOAD_MAX)
		return -1;
	if (x->got == sizeof(x->head) + x->head.len) {
		xs_handle(x);
		x->got = 0;
	}
	return 1;
}

void xs_wire_serve(void *wire)
{
	struct xs_wire *x = wire;
	unsigned int rounds = 0;
	bool moved = false;
	int err = 0;

	do {
		err = xs_flush(x);
		moved |= err > 0;
		if (err >= 0 && x->out_len < XS_OUT_BUSY)
			err = xs_take(x);
		moved |= err > 0;
	} while (err > 0 && !x->w->over && ++rounds < XS_ROUNDS);
	if (err < 0) {
		wk_kill(x->w, "the guest broke the xenstore ring");
		return;
	}
	if (moved)
		wk_port_raise(x->w, CO_PORT_XENSTORE);
	if (err > 0 && !x->again.armed)
		loop_timer_start(x->w->loop, &x->again, 0);
}

struct xs_wire *xs_wire_new(struct wk *w, struct wk_xs *xs, void *page)
{
	struct xenstore_domain_interface *i = page;
	struct xs_wire *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->w = w;
	x->xs = xs;
	x->req = (struct wk_ring){ i->req, XENSTORE_RING_SIZE, &i->req_prod, &i->req_cons, 0 };
	x->rsp = (struct wk_ring){ i->rsp, XENSTORE_RING_SIZE, &i->rsp_cons, &i->rsp_prod, 0 };
	loop_timer_init(&x->again, xs_wire_serve, x);
	wk_xs_connect(xs, x);
	return x;
}

void xs_wire_free(struct xs_wire *x)
{
	if (!x)
		return;
	loop_timer_stop(x->w->loop, &x->again);
	free(x->out);
	free(x);
}
