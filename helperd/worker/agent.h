/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent.h: between agent.c (the line to the agent in the guest) and
 * agent_exec.c (commands that clients run through it).
 *
 * Whoever speaks on that line is the guest, which may be hostile: it can end
 * its own commands and lie about them, and nothing else.
 */
#ifndef WK_AGENT_H
#define WK_AGENT_H

#include "../agent/frame.h"
#include "wk.h"

struct wk_agent;
struct wk_execs;
struct wk_lane;

/* agent.c: how much more can be said just now; control frames always find some room beyond it. */
bool wk_agent_room(const struct wk_agent *a, size_t len);
/* -1: no room at all; the agent has not read for very long. */
int wk_agent_send(struct wk_agent *a, uint8_t type, uint8_t stream, uint32_t id, const void *data, size_t len);
/* The same for DATA and EOF, which keep their order: by the way that the agent likes best. */
bool wk_agent_data_room(const struct wk_agent *a, size_t len);
int wk_agent_data(struct wk_agent *a, uint8_t type, uint32_t id, const void *data, size_t len);
/* Looks at everything again, from the loop: there is room for more. */
void wk_agent_soon(struct wk_agent *a);
/* What the guest says breaks the rules: everything with its agent begins anew. */
void wk_agent_breach(struct wk_agent *a, const char *why);
/* "the agent of NAME does not answer ..." or why else not. */
int wk_agent_silent(const struct wk_agent *a, struct err *e);

/* agent_lane.c: what the agent fetches from xenstore */
struct wk_lane *wk_lane_new(struct wk *w, struct wk_agent *a);
void wk_lane_begin(struct wk_lane *l, bool used);	/* empty */
bool wk_lane_used(const struct wk_lane *l);
bool wk_lane_room(const struct wk_lane *l, size_t len);
bool wk_lane_put(struct wk_lane *l, const uint8_t *frame, uint32_t n);	/* there is room; true: it must be told */

/* agent_exec.c */
struct wk_execs *wk_execs_new(struct wk *w, struct wk_agent *a);
void wk_execs_free(struct wk_execs *x);
bool wk_execs_any(const struct wk_execs *x);
void wk_execs_frame(struct wk_execs *x, const struct frame *f);
void wk_execs_pump(struct wk_execs *x);		/* says what there is room for */
void wk_execs_lost(struct wk_execs *x, const char *why);	/* the agent that ran them is gone */
void wk_execs_call(struct wk_execs *x, json_int_t id, const char *method, const json_t *params);

#endif
