/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ready.c: is the guest ready, and does it stay well?  Called by main.c when
 * it runs, and by console.c when the awaited text was shown; ports are probed
 * by the agent inside the guest (agent.c), one after the other.
 *
 * What a probe answers is the guest's word: it decides about nothing but this
 * VM's own state, and its texts are made plain before they are told.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wk.h"

#define WK_READY_RETRY_MS	500u
#define WK_READY_TIMEOUT_MS	5000u	/* of a probe, where health does not say */

struct wk_ready {
	struct wk *w;
	enum { WK_WAITING, WK_WELL, WK_ILL } state;
	const char *console;		/* text that is still waited for, or NULL */
	const json_t *checks;
	size_t at;			/* of the checks: the one that is next */
	bool health;			/* the checks are repeated */
	uint32_t interval, timeout, most;	/* most: rounds that may fail in a row */
	uint32_t failed;		/* rounds in a row */
	uint64_t good;			/* loop_now() of the newest round that held */
	char told[ERR_TEXT];
	struct loop_timer timer;
};

static const json_t *wk_ready_check(const struct wk_ready *r)
{
	return json_array_get(r->checks, r->at);
}

static unsigned int wk_ready_port(const struct wk_ready *r)
{
	return (unsigned int)json_integer_value(json_object_get(wk_ready_check(r), "port"));
}

/* Tells colinuxd what is new; text becomes plain. */
static void wk_ready_tell(struct wk_ready *r, const char *event, char *text)
{
	for (char *p = text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			*p = '?';
	if (!strcmp(text, r->told))
		return;
	strcpy(r->told, text);
	wk_event(r->w, event, text);
}

/* What is not ready yet; why is of the probe that failed, NULL: none did. */
static void wk_ready_waits(struct wk_ready *r, const char *why)
{
	char text[ERR_TEXT];

	if (r->console)
		snprintf(text, sizeof(text), "\"%.200s\" on its console", r->console);
	else if (!wk_agent_connected(r->w))
		snprintf(text, sizeof(text), "the agent in the guest");
	else if (why)
		snprintf(text, sizeof(text), "port %u: %.200s", wk_ready_port(r), why);
	else
		snprintf(text, sizeof(text), "port %u", wk_ready_port(r));
	wk_ready_tell(r, "waiting", text);
}

static void wk_ready_again(struct wk_ready *r, uint32_t ms)
{
	loop_timer_start(r->w->loop, &r->timer, ms);
}

/* All checks hold: for the first time, or in one more round. */
static void wk_ready_good(struct wk_ready *r)
{
	if (r->console) {
		wk_ready_waits(r, NULL);
		return;
	}
	r->failed = 0;
	r->good = loop_now();
	r->told[0] = 0;
	if (r->state != WK_WELL)
		wk_event(r->w, "ready", NULL);
	r->state = WK_WELL;
	if (!r->health)
		return;
	r->at = 0;
	wk_ready_again(r, r->interval);
}

/* A check did not hold. */
static void wk_ready_bad(struct wk_ready *r, const char *why)
{
	char text[ERR_TEXT];

	if (r->state == WK_WAITING) {
		wk_ready_waits(r, why);
		wk_ready_again(r, WK_READY_RETRY_MS);
		return;
	}
	if (++r->failed >= r->most) {
		r->state = WK_ILL;
		snprintf(text, sizeof(text), "port %u has not answered for %llu s: %.160s", wk_ready_port(r),
			 (unsigned long long)(loop_now() - r->good) / 1000, why);
		wk_ready_tell(r, "unhealthy", text);
	}
	r->at = 0;
	wk_ready_again(r, r->interval);
}

static void wk_ready_probed(void *arg, bool ok, const char *why)
{
	struct wk_ready *r = arg;

	if (!ok)
		wk_ready_bad(r, why);
	else if (++r->at < json_array_size(r->checks))
		wk_ready_again(r, 0);
	else
		wk_ready_good(r);
}

static void wk_ready_probe(void *arg)
{
	struct wk_ready *r = arg;

	if (!wk_agent_connected(r->w)) {
		wk_ready_bad(r, "the agent in the guest does not answer");
		return;
	}
	if (r->state == WK_WAITING && !r->told[0])
		wk_ready_waits(r, NULL);
	wk_agent_probe(r->w, (uint16_t)wk_ready_port(r),
		       json_string_value(json_object_get(wk_ready_check(r), "expect")), r->timeout,
		       wk_ready_probed, r);
}

void wk_ready_start(struct wk *w)
{
	struct wk_ready *r = w->ready;

	if (json_array_size(r->checks))
		wk_ready_again(r, 0);
	else if (r->console)
		wk_ready_waits(r, NULL);
}

void wk_ready_console(struct wk *w)
{
	struct wk_ready *r = w->ready;

	r->console = NULL;
	if (r->at >= json_array_size(r->checks))
		wk_ready_good(r);
}

struct wk_ready *wk_ready_new(struct wk *w)
{
	const json_t *health = json_object_get(w->setup, "health");
	struct wk_ready *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->w = w;
	r->console = json_string_value(json_object_get(w->setup, "readyConsole"));
	r->checks = json_object_get(w->setup, "readyTcp");
	r->health = health && json_array_size(r->checks);
	r->interval = (uint32_t)json_integer_value(json_object_get(health, "intervalMs"));
	r->timeout = health ? (uint32_t)json_integer_value(json_object_get(health, "timeoutMs"))
			    : WK_READY_TIMEOUT_MS;
	r->most = (uint32_t)json_integer_value(json_object_get(health, "failures"));
	loop_timer_init(&r->timer, wk_ready_probe, r);
	return r;
}

void wk_ready_free(struct wk_ready *r)
{
	if (!r)
		return;
	loop_timer_stop(r->w->loop, &r->timer);
	free(r);
}
