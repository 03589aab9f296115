/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent_lane.c: what an agent that asked for it fetches from xenstore: DATA and
 * EOF of commands, a stream of frames of its own (see helperd/agent/lane.c).
 *
 * Called by agent.c and, when the guest reads the node, by xenstore.c.  The
 * guest can read it as often as it likes: it gets what waits, once.
 */
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "xenstore.h"

#define WK_LANE_BYTES	(128u << 10)

struct wk_lane {
	struct wk_agent *agent;
	bool used;			/* this agent fetches */
	bool empty;			/* it has been told that nothing waits: a FETCH is due with the next */
	uint32_t at, len;
	uint8_t bytes[WK_LANE_BYTES];
};

static int wk_lane_read(void *arg, char *out, uint32_t most)
{
	struct wk_lane *l = arg;
	uint32_t n = l->len < most ? l->len : most, first = WK_LANE_BYTES - l->at < n ? WK_LANE_BYTES - l->at : n;

	memcpy(out, l->bytes + l->at, first);
	memcpy(out + first, l->bytes, n - first);
	l->at = (l->at + n) % WK_LANE_BYTES;
	l->len -= n;
	l->empty = !n;
	if (n)
		wk_agent_soon(l->agent);
	return (int)n;
}

struct wk_lane *wk_lane_new(struct wk *w, struct wk_agent *a)
{
	struct wk_lane *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->agent = a;
	wk_xs_source(w->xs, WK_HOME "/" FRAME_LANE_NODE, wk_lane_read, l);
	return l;
}

void wk_lane_begin(struct wk_lane *l, bool used)
{
	l->used = used;
	l->empty = true;
	l->at = l->len = 0;
}

bool wk_lane_used(const struct wk_lane *l)
{
	return l->used;
}

bool wk_lane_room(const struct wk_lane *l, size_t len)
{
	return l->len + FRAME_HEAD + len <= WK_LANE_BYTES;
}

bool wk_lane_put(struct wk_lane *l, const uint8_t *frame, uint32_t n)
{
	uint32_t to = (l->at + l->len) % WK_LANE_BYTES, first = WK_LANE_BYTES - to < n ? WK_LANE_BYTES - to : n;
	bool fetch = l->empty;

	memcpy(l->bytes + to, frame, first);
	memcpy(l->bytes, frame + first, n - first);
	l->len += n;
	l->empty = false;
	return fetch;
}
