/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * agent_exec.c: commands that clients run in the guest: exec.* of the contract.
 *
 * Called by agent.c.  Nothing of a command's output is kept here: the guest may
 * send as much as colinuxd has said that its client takes (exec.credit), and
 * goes straight on.  Input waits in its call, which is answered when the guest
 * has room for it; that holds back whoever writes.
 *
 * colinuxd alone decides whose command a number is.  The guest's word counts
 * for its own commands only: what it may not say makes its agent begin anew.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent.h"
#include "log.h"
#include "proto.h"

#ifndef WK_EXEC_START_MS
#define WK_EXEC_START_MS	20000u	/* until the agent must have started it */
#endif
#define WK_EXEC_WRITES		4u	/* calls of one command that wait */

struct wk_exec_write {
	json_int_t call;
	uint8_t *data;
	uint32_t len, at;
	bool eof;
	struct wk_exec_write *next;
};

struct wk_exec {
	struct wk_execs *all;
	uint32_t id;
	enum { WK_EXEC_WAITS, WK_EXEC_ASKED, WK_EXEC_RUNS } state;
	bool ended;			/* nobody listens: the agent is, or must be, told */
	bool ended_told;
	json_int_t call;		/* exec.start's */
	uint8_t *request;		/* until it is asked */
	uint32_t request_len;
	struct loop_timer late;
	uint32_t in_credit;		/* bytes the guest takes of stdin */
	uint32_t out_credit[2];		/* bytes it may still send */
	uint32_t owed[2];		/* of credit that it must be told */
	struct wk_exec_write *writes;
	unsigned int nwrites;
	struct wk_exec *next;
};

struct wk_execs {
	struct wk *w;
	struct wk_agent *agent;
	struct wk_exec *list;
	unsigned int count;
	uint32_t next_id;
	struct {			/* output of one stream that will be one event */
		struct wk_exec *exec;	/* NULL: none */
		unsigned int which;
		uint32_t len;
		uint8_t data[FRAME_DATA_MAX];
	} joined;
};

static struct wk_exec *wk_exec_find(const struct wk_execs *x, json_int_t id)
{
	struct wk_exec *s = x->list;

	while (s && s->id != id)
		s = s->next;
	return s;
}

static void wk_exec_free(struct wk_exec *s)
{
	struct err e;

	for (struct wk_exec **p = &s->all->list; *p; p = &(*p)->next)
		if (*p == s) {
			*p = s->next;
			s->all->count--;
			break;
		}
	if (s->all->joined.exec == s)
		s->all->joined.exec = NULL;
	loop_timer_stop(s->all->w->loop, &s->late);
	err_set(&e, CO_ESTATE, "the command has ended");
	while (s->writes) {
		struct wk_exec_write *wr = s->writes;

		s->writes = wr->next;
		wk_fail(s->all->w, wr->call, &e);
		free(wr->data);
		free(wr);
	}
	free(s->request);
	free(s);
}

static void wk_execs_flush(struct wk_execs *x)
{
	char text[FRAME_DATA_MAX / 3 * 4 + 8];
	const struct wk_exec *s = x->joined.exec;

	if (!s)
		return;
	x->joined.exec = NULL;
	proto_base64_encode(x->joined.data, x->joined.len, text);
	wk_tell(x->w, json_pack("{s:s, s:I, s:s, s:s}", "event", "exec.data", "exec", (json_int_t)s->id,
				"stream", x->joined.which ? "stderr" : "stdout", "data", text));
}

/* The command is over, for a reason of the guest's or because its agent is gone. */
static void wk_exec_over(struct wk_exec *s, const char *key, json_int_t value, const char *error)
{
	struct wk_execs *x = s->all;
	struct err e;

	wk_execs_flush(x);
	if (s->state != WK_EXEC_RUNS) {
		err_set(&e, CO_EGUEST, "%s", error ? error : "the agent in the guest ended it before it began");
		wk_fail(x->w, s->call, &e);
	} else if (error) {
		wk_tell(x->w, json_pack("{s:s, s:I, s:s}", "event", "exec.exit", "exec", (json_int_t)s->id,
					"error", error));
	} else {
		wk_tell(x->w, json_pack("{s:s, s:I, s:I}", "event", "exec.exit", "exec", (json_int_t)s->id,
					key, value));
	}
	wk_exec_free(s);
}

void wk_execs_lost(struct wk_execs *x, const char *why)
{
	for (struct wk_exec *s = x->list, *next; s; s = next) {
		next = s->next;
		/* What was not asked for yet waits for the next agent. */
		if (s->state != WK_EXEC_WAITS)
			wk_exec_over(s, NULL, 0, why);
	}
}

bool wk_execs_any(const struct wk_execs *x)
{
	return x->list;
}

/* ---- what the agent says ---------------------------------------------------------- */

/* Pieces that come together go on together: one byte alone costs colinuxd and its client a whole line. */
static void wk_exec_data(struct wk_exec *s, const struct frame *f)
{
	struct wk_execs *x = s->all;
	unsigned int which = f->stream - 1u;

	if (which > 1 || f->len > s->out_credit[which]) {
		wk_agent_breach(x->agent, "it sent more than it may");
		return;
	}
	if (wk_crowded(x->w)) {
		wk_agent_breach(x->agent, "its commands write, and colinuxd does not keep up");
		return;
	}
	s->out_credit[which] -= f->len;
	if (s->ended || !f->len)
		return;
	if (x->joined.exec != s || x->joined.which != which || x->joined.len + f->len > FRAME_DATA_MAX) {
		wk_execs_flush(x);
		x->joined.exec = s;
		x->joined.which = which;
		x->joined.len = 0;
	}
	memcpy(x->joined.data + x->joined.len, f->data, f->len);
	x->joined.len += f->len;
}

static void wk_exec_credit(struct wk_exec *s, const struct frame *f)
{
	uint32_t more = f->len == 4 ? frame_get32(f->data) : UINT32_MAX;

	if (f->stream || more > FRAME_WINDOW - s->in_credit)
		wk_agent_breach(s->all->agent, "it gave more credit than it has");
	else
		s->in_credit += more;
}

static void wk_exec_exit(struct wk_exec *s, const struct frame *f)
{
	if (f->len != 2)
		wk_agent_breach(s->all->agent, "it told of an end in a way of its own");
	else
		wk_exec_over(s, f->data[0] ? "signal" : "code", f->data[1], NULL);
}

static void wk_exec_failed(struct wk_exec *s, const struct frame *f)
{
	char why[160];
	size_t len = f->len < sizeof(why) - 1 ? f->len : sizeof(why) - 1;
	struct err e;

	memcpy(why, f->data, len);
	why[len] = 0;
	log_clean(why);
	err_set(&e, CO_EGUEST, "the agent of %s cannot start it: %s", s->all->w->name, why);
	wk_fail(s->all->w, s->call, &e);
	wk_exec_free(s);
}

void wk_execs_frame(struct wk_execs *x, const struct frame *f)
{
	struct wk_exec *s = wk_exec_find(x, f->id);

	/* Nothing is told of a command that nobody asked for. */
	if (!s || s->state == WK_EXEC_WAITS)
		return;
	if (s->state == WK_EXEC_ASKED) {
		if (f->type == FRAME_STARTED) {
			s->state = WK_EXEC_RUNS;
			s->in_credit = FRAME_WINDOW;
			loop_timer_stop(x->w->loop, &s->late);
			wk_reply(x->w, s->call, json_pack("{s:I}", "exec", (json_int_t)s->id));
		} else if (f->type == FRAME_FAILED) {
			wk_exec_failed(s, f);
		}
	} else if (f->type == FRAME_DATA) {
		wk_exec_data(s, f);
	} else if (f->type == FRAME_CREDIT) {
		wk_exec_credit(s, f);
	} else if (f->type == FRAME_EXIT) {
		wk_exec_exit(s, f);
	}
}

/* ---- what it is told ----------------------------------------------------------------- */

static void wk_exec_pump_writes(struct wk_exec *s)
{
	struct wk_agent *a = s->all->agent;

	while (s->writes) {
		struct wk_exec_write *wr = s->writes;
		uint32_t n = wr->len - wr->at;

		if (n > s->in_credit)
			n = s->in_credit;
		if (n > FRAME_DATA_MAX)
			n = FRAME_DATA_MAX;
		if (n) {
			if (!wk_agent_data_room(a, n) || wk_agent_data(a, FRAME_DATA, s->id, wr->data + wr->at, n))
				return;
			wr->at += n;
			s->in_credit -= n;
		}
		if (wr->at < wr->len) {
			if (!s->in_credit)
				return;
			continue;
		}
		if (wr->eof && wk_agent_data(a, FRAME_EOF, s->id, NULL, 0))
			return;
		s->writes = wr->next;
		s->nwrites--;
		wk_reply(s->all->w, wr->call, json_object());
		free(wr->data);
		free(wr);
	}
}

static void wk_exec_pump(struct wk_exec *s)
{
	struct wk_agent *a = s->all->agent;
	uint8_t credit[4];

	if (s->state == WK_EXEC_WAITS) {
		if (!wk_agent_connected(s->all->w) || !wk_agent_room(a, s->request_len) ||
		    wk_agent_send(a, FRAME_EXEC, 0, s->id, s->request, s->request_len))
			return;
		s->state = WK_EXEC_ASKED;
		free(s->request);
		s->request = NULL;
	}
	if (s->state != WK_EXEC_RUNS)
		return;
	if (s->ended) {
		if (!s->ended_told)
			s->ended_told = !wk_agent_send(a, FRAME_END, 0, s->id, NULL, 0);
		return;
	}
	for (uint8_t k = 0; k < 2; k++) {
		if (!s->owed[k])
			continue;
		frame_put32(credit, s->owed[k]);
		if (wk_agent_send(a, FRAME_CREDIT, k + 1, s->id, credit, sizeof(credit)))
			return;
		s->out_credit[k] += s->owed[k];
		s->owed[k] = 0;
	}
	wk_exec_pump_writes(s);
}

void wk_execs_pump(struct wk_execs *x)
{
	wk_execs_flush(x);
	for (struct wk_exec *s = x->list; s; s = s->next)
		wk_exec_pump(s);
}

/* ---- what clients ask -------------------------------------------------------------------- */

static void wk_exec_late(void *arg)
{
	struct wk_exec *s = arg;
	struct err e;

	wk_agent_silent(s->all->agent, &e);
	/* Should it start after all, the agent finds nobody who wants it. */
	if (s->state == WK_EXEC_ASKED)
		wk_agent_send(s->all->agent, FRAME_END, 0, s->id, NULL, 0);
	wk_fail(s->all->w, s->call, &e);
	wk_exec_free(s);
}

/* Adds a text with its NUL; 0, or -1: it does not fit. */
static int wk_exec_word(uint8_t *to, uint32_t *len, const json_t *text)
{
	const char *s = json_is_string(text) ? json_string_value(text) : "";
	size_t n = strlen(s) + 1;

	if (n > FRAME_DATA_MAX - *len)
		return -1;
	memcpy(to + *len, s, n);
	*len += (uint32_t)n;
	return 0;
}

static int wk_exec_request(struct wk_exec *s, const json_t *params, struct err *e)
{
	const json_t *words = json_object_get(params, "argv"), *env = json_object_get(params, "env"), *word;
	uint8_t *to = s->request;
	size_t i;
	int full;

	to[0] = (uint8_t)((json_is_true(json_object_get(params, "tty")) ? FRAME_EXEC_TTY : 0) |
			  (json_is_true(json_object_get(params, "stdin")) ? FRAME_EXEC_STDIN : 0));
	frame_put16(to + 1, (uint32_t)json_integer_value(json_object_get(params, "columns")));
	frame_put16(to + 3, (uint32_t)json_integer_value(json_object_get(params, "rows")));
	frame_put16(to + 5, (uint32_t)json_array_size(words));
	frame_put16(to + 7, (uint32_t)json_array_size(env));
	s->request_len = FRAME_EXEC_HEAD;
	full = wk_exec_word(to, &s->request_len, json_object_get(params, "user")) |
	       wk_exec_word(to, &s->request_len, json_object_get(params, "cwd"));
	json_array_foreach((json_t *)(uintptr_t)words, i, word)
		full |= wk_exec_word(to, &s->request_len, word);
	json_array_foreach((json_t *)(uintptr_t)env, i, word) {
		if (!strchr(json_string_value(word), '='))
			return err_set(e, CO_EINVAL, "env: %.64s is not of the form NAME=VALUE",
				       json_string_value(word));
		full |= wk_exec_word(to, &s->request_len, word);
	}
	if (full || json_array_size(words) > FRAME_ARGS_MAX || json_array_size(env) > FRAME_ARGS_MAX)
		return err_set(e, CO_ETOOBIG, "the command and its environment are longer than %u bytes",
			       FRAME_DATA_MAX - 64);
	return 0;
}

static void wk_exec_start(struct wk_execs *x, json_int_t id, const json_t *params)
{
	struct wk_exec *s = NULL, **tail = &x->list;
	struct err e;

	if (x->count >= FRAME_SESSIONS) {
		err_set(&e, CO_ELIMIT, "%u commands run in %s already", x->count, x->w->name);
		wk_fail(x->w, id, &e);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s)
		s->request = malloc(FRAME_DATA_MAX);
	if (!s || !s->request) {
		err_set(&e, CO_ENOMEM, "out of memory");
	} else if (!wk_exec_request(s, params, &e)) {
		s->all = x;
		s->call = id;
		/* Numbers do not come again soon; the last one is the agent's own. */
		do {
			s->id = ++x->next_id;
		} while (!s->id || s->id == UINT32_MAX || wk_exec_find(x, s->id));
		s->out_credit[0] = s->out_credit[1] = FRAME_WINDOW;
		while (*tail)
			tail = &(*tail)->next;
		*tail = s;
		x->count++;
		loop_timer_init(&s->late, wk_exec_late, s);
		loop_timer_start(x->w->loop, &s->late, WK_EXEC_START_MS);
		return;
	}
	wk_fail(x->w, id, &e);
	if (s)
		free(s->request);
	free(s);
}

static void wk_exec_write(struct wk_exec *s, json_int_t id, const json_t *params)
{
	const json_t *data = json_object_get(params, "data");
	struct wk_exec_write *wr, **tail = &s->writes;
	long len = -1;
	struct err e;

	if (s->nwrites >= WK_EXEC_WRITES) {
		err_set(&e, CO_ELIMIT, "the command does not read, and %u writes wait already", s->nwrites);
		wk_fail(s->all->w, id, &e);
		return;
	}
	wr = calloc(1, sizeof(*wr));
	if (wr)
		wr->data = malloc(json_string_length(data) / 4 * 3 + 1);
	if (wr && wr->data)
		len = proto_base64_decode(json_string_value(data), json_string_length(data), wr->data);
	if (len < 0) {
		err_set(&e, wr && wr->data ? CO_EINVAL : CO_ENOMEM, wr && wr->data ? "data is not base64"
			: "out of memory");
		wk_fail(s->all->w, id, &e);
		if (wr)
			free(wr->data);
		free(wr);
		return;
	}
	wr->call = id;
	wr->len = (uint32_t)len;
	wr->eof = json_is_true(json_object_get(params, "eof"));
	while (*tail)
		tail = &(*tail)->next;
	*tail = wr;
	s->nwrites++;
}

/* A frame that is said at once, or refused. */
static void wk_exec_say(struct wk_exec *s, json_int_t id, uint8_t type, const uint8_t *data, size_t len)
{
	struct err e;

	if (!wk_agent_send(s->all->agent, type, 0, s->id, data, len)) {
		wk_reply(s->all->w, id, json_object());
		return;
	}
	err_set(&e, CO_EBUSY, "the agent of %s does not keep up", s->all->w->name);
	wk_fail(s->all->w, id, &e);
}

/* From colinuxd itself, without an answer: its client has taken so much. */
static void wk_exec_give(struct wk_exec *s, const json_t *params)
{
	int which = json_is_true(json_object_get(params, "stderr"));
	json_int_t bytes = json_integer_value(json_object_get(params, "bytes"));

	if (bytes > 0 && bytes <= FRAME_WINDOW - s->owed[which] - s->out_credit[which])
		s->owed[which] += (uint32_t)bytes;
}

void wk_execs_call(struct wk_execs *x, json_int_t id, const char *method, const json_t *params)
{
	struct wk_exec *s = wk_exec_find(x, json_integer_value(json_object_get(params, "exec")));
	uint8_t data[4];
	struct err e;

	if (!strcmp(method, "exec.start")) {
		wk_exec_start(x, id, params);
	} else if (!strcmp(method, "exec.credit")) {
		if (s)
			wk_exec_give(s, params);
	} else if (!strcmp(method, "exec.end")) {
		if (s)
			s->ended = true;
	} else if (!s || s->state != WK_EXEC_RUNS) {
		err_set(&e, CO_ESTATE, "the command has ended");
		wk_fail(x->w, id, &e);
	} else if (!strcmp(method, "exec.write")) {
		wk_exec_write(s, id, params);
	} else if (!strcmp(method, "exec.resize")) {
		frame_put16(data, (uint32_t)json_integer_value(json_object_get(params, "columns")));
		frame_put16(data + 2, (uint32_t)json_integer_value(json_object_get(params, "rows")));
		wk_exec_say(s, id, FRAME_WINDOW_SIZE, data, 4);
	} else if (!strcmp(method, "exec.signal")) {
		if (json_integer_value(json_object_get(params, "signal")) < 1 ||
		    json_integer_value(json_object_get(params, "signal")) > 64) {
			err_set(&e, CO_EINVAL, "signal: 1 to 64");
			wk_fail(x->w, id, &e);
			return;
		}
		data[0] = (uint8_t)json_integer_value(json_object_get(params, "signal"));
		wk_exec_say(s, id, FRAME_SIGNAL, data, 1);
	} else {
		err_set(&e, CO_ENOSYS, "the worker does not know %.64s", method);
		wk_fail(x->w, id, &e);
	}
}

struct wk_execs *wk_execs_new(struct wk *w, struct wk_agent *a)
{
	struct wk_execs *x = calloc(1, sizeof(*x));

	if (x) {
		x->w = w;
		x->agent = a;
	}
	return x;
}

void wk_execs_free(struct wk_execs *x)
{
	while (x && x->list)
		wk_exec_free(x->list);
	free(x);
}
