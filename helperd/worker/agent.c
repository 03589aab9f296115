/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.c: the line to the agent in the guest: the second PV console's
 * backend, the frames on it, and checks of services.
 *
 * Called by the port's event, by xenbus.c and by colinuxd's calls.  The ring,
 * its indices and every frame are the guest's: the ring is copied out, frames
 * are taken apart by frame.c, and a peer that breaks the rules loses its
 * commands and begins anew.  The ring is always emptied: Linux waits for that
 * with its interrupts off.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/include/xen/io/console.h"
#include "agent.h"
#include "device.h"
#include "log.h"
#include "ring.h"

#define WK_AGENT_OUT		(256u << 10)	/* bytes that wait for the guest */
#define WK_AGENT_DATA		(64u << 10)	/* above it nothing more is said that can wait */
#define WK_AGENT_ROUNDS		16u		/* ring-fuls at once; others want to be served */
#ifndef WK_AGENT_PING_MS
#define WK_AGENT_PING_MS	5000u
#endif
#ifndef WK_AGENT_SILENT_MS
#define WK_AGENT_SILENT_MS	30000u
#endif
#define WK_AGENT_GRACE_MS	5000u		/* for a check's answer, beyond its own time */
#define WK_AGENT_WORDS		8u		/* breaches that are logged */

struct wk_probe {
	struct wk_agent *a;
	uint32_t id;			/* 0: was never asked */
	wk_agent_probed fn;
	void *arg;
	struct loop_timer timer;
	struct wk_probe *next;
};

struct wk_agent {
	struct wk *w;
	struct wk_xenbus *bus;
	struct wk_execs *execs;
	struct wk_lane *lane;
	struct wk_ring in, out;
	uint32_t port;			/* 0: no line */
	struct frame_in frames;
	uint64_t lost;			/* what frames had lost when the agent said HELLO */

	uint8_t *queue;			/* whole frames for the guest, but for the first one's beginning */
	uint32_t at, len;
	uint32_t left;			/* of the frame that is being said */

	bool connected;
	uint32_t version;		/* of the agent that said HELLO last; 0: none yet */
	uint8_t number[8];		/* its own */
	uint64_t heard;
	struct loop_timer ping, more;
	struct wk_probe *probes;
	uint32_t next_probe;
	unsigned int words;
};

/* ---- to the guest --------------------------------------------------------------- */

static uint8_t wk_agent_byte(const struct wk_agent *a, uint32_t i)
{
	return a->queue[(a->at + i) % WK_AGENT_OUT];
}

static void wk_agent_broken(struct wk_agent *a)
{
	wk_kill(a->w, "the guest broke the second console's ring");
}

/* Moves the queue into the ring; raises the port while the guest has something to read. */
static void wk_agent_feed(struct wk_agent *a)
{
	bool raise = false;
	uint32_t n;

	while (a->port && a->len) {
		uint32_t run = WK_AGENT_OUT - a->at;

		if (!a->left)
			a->left = FRAME_HEAD + (wk_agent_byte(a, 6) | (uint32_t)wk_agent_byte(a, 7) << 8);
		if (run > a->left)
			run = a->left;
		if (!wk_ring_put(&a->in, (char *)a->queue + a->at, run, &n)) {
			wk_agent_broken(a);
			return;
		}
		if (!n)
			break;
		a->at = (a->at + n) % WK_AGENT_OUT;
		a->len -= n;
		a->left -= n;
		raise = true;
	}
	if (raise)
		wk_ring_publish(&a->in);
	/* Linux takes 16 bytes a notice: it needs another while some are left. */
	if (a->port && (raise || a->in.own != wk_ring_load(a->in.theirs)))
		wk_port_raise(a->w, a->port);
}

bool wk_agent_room(const struct wk_agent *a, size_t len)
{
	return a->len + FRAME_HEAD + len <= WK_AGENT_DATA;
}

int wk_agent_send(struct wk_agent *a, uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t len)
{
	uint8_t frame[FRAME_HEAD + FRAME_DATA_MAX];
	uint32_t n, to = (a->at + a->len) % WK_AGENT_OUT, first;

	if (!a->port || len > FRAME_DATA_MAX || a->len + FRAME_HEAD + len > WK_AGENT_OUT)
		return -1;
	n = (uint32_t)frame_put(frame, type, stream, id, data, (uint16_t)len);
	first = WK_AGENT_OUT - to < n ? WK_AGENT_OUT - to : n;
	memcpy(a->queue + to, frame, first);
	memcpy(a->queue, frame + first, n - first);
	a->len += n;
	return 0;
}

bool wk_agent_data_room(const struct wk_agent *a, size_t len)
{
	return wk_lane_used(a->lane) ? wk_lane_room(a->lane, len) : wk_agent_room(a, len);
}

int wk_agent_data(struct wk_agent *a, uint8_t type, uint32_t id, const void *data, size_t len)
{
	uint8_t frame[FRAME_HEAD + FRAME_DATA_MAX];

	if (!wk_lane_used(a->lane))
		return wk_agent_send(a, type, 0, id, data, len);
	/* Room for the notice too: one that got lost would be waited for in vain. */
	if (!wk_lane_room(a->lane, len) || a->len + FRAME_HEAD > WK_AGENT_OUT)
		return -1;
	if (wk_lane_put(a->lane, frame, (uint32_t)frame_put(frame, type, 0, id, data, (uint16_t)len)))
		wk_agent_send(a, FRAME_FETCH, 0, 0, NULL, 0);
	return 0;
}

void wk_agent_soon(struct wk_agent *a)
{
	if (a->port && !a->more.armed)
		loop_timer_start(a->w->loop, &a->more, 0);
}

/* All but the frame that was begun. */
static void wk_agent_forget(struct wk_agent *a)
{
	a->len = a->left;
}

/* ---- the agent comes and goes ------------------------------------------------------ */

static void wk_agent_probes_lost(struct wk_agent *a, const char *why)
{
	while (a->probes) {
		struct wk_probe *p = a->probes;

		a->probes = p->next;
		loop_timer_stop(a->w->loop, &p->timer);
		p->fn(p->arg, false, why);
		free(p);
	}
}

static void wk_agent_lost(struct wk_agent *a, const char *why)
{
	a->connected = false;
	loop_timer_stop(a->w->loop, &a->ping);
	wk_agent_forget(a);
	wk_lane_begin(a->lane, false);
	wk_execs_lost(a->execs, why);
	wk_agent_probes_lost(a, why);
}

void wk_agent_breach(struct wk_agent *a, const char *why)
{
	if (a->words++ < WK_AGENT_WORDS)
		log_line(LOG_WARNING, "the agent in the guest: %s", why);
	wk_agent_lost(a, why);
	wk_agent_send(a, FRAME_RESET, 0, 0, NULL, 0);
}

int wk_agent_silent(const struct wk_agent *a, struct err *e)
{
	if (a->version && a->version != FRAME_VERSION)
		return err_set(e, CO_EGUEST, "the agent of %s speaks version %u, this worker %u: build the"
			       " guest's image again", a->w->name, a->version, FRAME_VERSION);
	return err_set(e, CO_EGUEST, "the agent of %s does not answer: is colinux-agent running in the guest?",
		       a->w->name);
}

static void wk_agent_hello(struct wk_agent *a, const struct frame *f)
{
	uint8_t welcome[12];

	if (f->len != sizeof(welcome))
		return;
	memcpy(welcome, f->data, sizeof(welcome));
	frame_put32(welcome, FRAME_VERSION);
	/* Said again because it has not read our WELCOME within its second. */
	if (a->connected && frame_get32(f->data) == a->version &&
	    !memcmp(a->number, f->data + 4, sizeof(a->number))) {
		if (wk_agent_room(a, sizeof(welcome)))
			wk_agent_send(a, FRAME_WELCOME, 0, 0, welcome, sizeof(welcome));
		return;
	}
	if (a->connected)
		wk_agent_lost(a, "the agent in the guest has begun anew");
	a->lost = a->frames.lost;
	wk_lane_begin(a->lane, false);
	a->version = frame_get32(f->data);
	memcpy(a->number, f->data + 4, sizeof(a->number));
	/* Said once more in a second if there is no room. */
	if (wk_agent_send(a, FRAME_WELCOME, 0, 0, welcome, sizeof(welcome)))
		return;
	a->connected = a->version == FRAME_VERSION;
	a->heard = loop_now();
	if (a->connected)
		loop_timer_start(a->w->loop, &a->ping, WK_AGENT_PING_MS);
}

static void wk_agent_ping(void *arg)
{
	struct wk_agent *a = arg;
	struct err e;

	loop_timer_start(a->w->loop, &a->ping, WK_AGENT_PING_MS);
	if (!wk_execs_any(a->execs) && !a->probes) {
		a->heard = loop_now();
		return;
	}
	if (loop_now() - a->heard > WK_AGENT_SILENT_MS) {
		wk_agent_silent(a, &e);
		wk_agent_breach(a, e.text);
		return;
	}
	wk_agent_send(a, FRAME_PING, 0, 0, NULL, 0);
	wk_agent_feed(a);
}

/* ---- checks of services -------------------------------------------------------------- */

static struct wk_probe *wk_agent_take_probe(struct wk_agent *a, const struct wk_probe *which, uint32_t id)
{
	for (struct wk_probe **p = &a->probes; *p; p = &(*p)->next)
		if (*p == which || (!which && (*p)->id == id)) {
			struct wk_probe *found = *p;

			*p = found->next;
			loop_timer_stop(a->w->loop, &found->timer);
			return found;
		}
	return NULL;
}

static void wk_agent_probed_frame(struct wk_agent *a, const struct frame *f)
{
	struct wk_probe *p = f->id && f->len ? wk_agent_take_probe(a, NULL, f->id) : NULL;
	char why[160];
	size_t len = f->len - 1u < sizeof(why) - 1 ? f->len - 1u : sizeof(why) - 1;

	if (!p)
		return;
	memcpy(why, f->data + 1, len);
	why[len] = 0;
	log_clean(why);
	p->fn(p->arg, f->data[0] == 1, why);
	free(p);
}

static void wk_agent_probe_late(void *arg)
{
	struct wk_probe *p = arg;
	struct wk_agent *a = p->a;
	struct err e;

	wk_agent_take_probe(a, p, 0);
	wk_agent_silent(a, &e);
	p->fn(p->arg, false, e.text);
	free(p);
}

void wk_agent_probe(struct wk *w, uint16_t port, const char *expect, uint32_t timeout_ms,
		    wk_agent_probed fn, void *arg)
{
	struct wk_agent *a = w->agent;
	struct wk_probe *p = calloc(1, sizeof(*p));
	size_t len = expect ? strlen(expect) : 0;
	uint8_t ask[6 + 256];

	if (!p) {
		fn(arg, false, "the worker is out of memory");
		return;
	}
	*p = (struct wk_probe){ .a = a, .fn = fn, .arg = arg, .next = a->probes };
	loop_timer_init(&p->timer, wk_agent_probe_late, p);
	a->probes = p;
	frame_put16(ask, port);
	frame_put32(ask + 2, timeout_ms);
	if (len > sizeof(ask) - 6)
		len = sizeof(ask) - 6;
	memcpy(ask + 6, expect ? expect : "", len);
	if (!a->connected || wk_agent_send(a, FRAME_PROBE, 0, a->next_probe + 1, ask, 6 + len)) {
		/* Told from the loop: the caller is in the middle of something. */
		loop_timer_start(w->loop, &p->timer, 0);
		return;
	}
	p->id = ++a->next_probe;
	loop_timer_start(w->loop, &p->timer, (uint64_t)timeout_ms + WK_AGENT_GRACE_MS);
	wk_agent_feed(a);
}

/* ---- the ring ---------------------------------------------------------------------------- */

static void wk_agent_frame(void *arg, const struct frame *f)
{
	struct wk_agent *a = arg;

	a->heard = loop_now();
	if (f->type == FRAME_HELLO)
		wk_agent_hello(a, f);
	else if (!a->connected)
		return;
	else if (f->type == FRAME_LANE) {
		/* Once: with each WELCOME comes another, and what waits there must not be lost. */
		if (!wk_lane_used(a->lane))
			wk_lane_begin(a->lane, true);
	}
	else if (f->type == FRAME_PROBED)
		wk_agent_probed_frame(a, f);
	else if (f->type != FRAME_PONG)
		wk_execs_frame(a->execs, f);
}

static void wk_agent_serve(void *arg)
{
	struct wk_agent *a = arg;
	char data[sizeof(((struct xencons_interface *)0)->out)];
	unsigned int rounds = 0;
	uint32_t n = 0;

	do {
		if (!wk_ring_get(&a->out, data, sizeof(data), &n)) {
			wk_agent_broken(a);
			return;
		}
		if (n) {
			wk_ring_publish(&a->out);
			frame_eat(&a->frames, data, n, wk_agent_frame, a);
		}
	} while (n && ++rounds < WK_AGENT_ROUNDS);
	/* One that was killed in the middle of a frame; its successor says HELLO soon. */
	if (a->connected && a->frames.lost != a->lost) {
		wk_agent_lost(a, "the agent in the guest has begun anew");
		wk_agent_send(a, FRAME_RESET, 0, 0, NULL, 0);
	}
	if (n)
		wk_agent_soon(a);
	wk_execs_pump(a->execs);
	wk_agent_feed(a);
}

static void wk_agent_more(void *arg)
{
	struct wk_agent *a = arg;

	if (a->port)
		wk_agent_serve(a);
}

static void wk_agent_announce(void *dev, struct wk_xenbus *x)
{
	(void)dev;
	wk_xenbus_front(x, "type", "colinux");
	wk_xenbus_front(x, "output", "pty");
}

static int wk_agent_connect(void *dev, struct wk_xenbus *x)
{
	struct wk_agent *a = dev;
	struct xencons_interface *page;
	uint32_t port;
	void *at;

	if (wk_xenbus_page(x, "ring-ref", &at))
		return wk_xenbus_refuse(x, "its ring-ref is none");
	if (wk_xenbus_port(x, "port", wk_agent_serve, a, &port))
		return wk_xenbus_refuse(x, "its port is none");
	page = at;
	a->out = (struct wk_ring){ page->out, sizeof(page->out), &page->out_prod, &page->out_cons, 0 };
	a->in = (struct wk_ring){ page->in, sizeof(page->in), &page->in_cons, &page->in_prod, 0 };
	memset(&a->frames, 0, sizeof(a->frames));
	a->at = a->len = a->left = 0;
	a->version = 0;
	a->port = port;
	loop_timer_start(a->w->loop, &a->more, 0);
	return 0;
}

static void wk_agent_disconnect(void *dev)
{
	struct wk_agent *a = dev;

	a->port = 0;
	loop_timer_stop(a->w->loop, &a->more);
	wk_agent_lost(a, "the guest closed the line of its agent");
	a->len = a->left = 0;
}

/* ---- for others ------------------------------------------------------------------------ */

bool wk_agent_connected(const struct wk *w)
{
	return w->agent && w->agent->connected;
}

void wk_agent_call(struct wk *w, json_int_t id, const char *method, const json_t *params)
{
	wk_execs_call(w->agent->execs, id, method, params);
	wk_execs_pump(w->agent->execs);
	wk_agent_feed(w->agent);
}

void wk_agent_resize(struct wk *w, const json_t *params)
{
	uint8_t size[4];

	if (!wk_agent_connected(w))
		return;
	frame_put16(size, (uint32_t)json_integer_value(json_object_get(params, "columns")));
	frame_put16(size + 2, (uint32_t)json_integer_value(json_object_get(params, "rows")));
	wk_agent_send(w->agent, FRAME_WINDOW_SIZE, 0, 0, size, sizeof(size));
	wk_agent_feed(w->agent);
}

struct wk_agent *wk_agent_new(struct wk *w)
{
	static const struct wk_xenbus_ops ops = { wk_agent_announce, wk_agent_connect, wk_agent_disconnect, NULL };
	struct wk_agent *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->w = w;
	loop_timer_init(&a->ping, wk_agent_ping, a);
	loop_timer_init(&a->more, wk_agent_more, a);
	a->queue = malloc(WK_AGENT_OUT);
	a->execs = wk_execs_new(w, a);
	a->lane = wk_lane_new(w, a);
	a->bus = a->queue && a->execs && a->lane ? wk_xenbus_new(w, "console", 1, &ops, a) : NULL;
	if (a->bus)
		return a;
	wk_agent_free(a);
	return NULL;
}

void wk_agent_free(struct wk_agent *a)
{
	if (!a)
		return;
	loop_timer_stop(a->w->loop, &a->ping);
	loop_timer_stop(a->w->loop, &a->more);
	wk_agent_probes_lost(a, "the worker ends");
	wk_xenbus_free(a->bus);
	wk_execs_free(a->execs);
	free(a->lane);
	free(a->queue);
	free(a);
}
