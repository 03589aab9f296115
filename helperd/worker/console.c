/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console.c: hvc0.  What the guest says goes to the log that colinuxd shares
 * and shows; what viewers type waits here until the guest takes it.
 *
 * Called by the port's event and by colinuxd's console.write.  The guest's
 * indices and every byte are hostile: bytes are only stored, never obeyed, and
 * the newest line is made harmless before it is told to anyone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/include/xen/io/console.h"
#include "proto.h"
#include "ring.h"
#include "wk.h"

#define WK_CONSOLE_IN		65536u	/* typed ahead */
#define WK_CONSOLE_WRITES	64u	/* calls that wait for room */
#define WK_CONSOLE_LINE		240u
#define WK_CONSOLE_READY	256u
#define WK_CONSOLE_PAUSE_MS	20u	/* between two notices to colinuxd */

struct wk_console_write {		/* one console.write that waits for room */
	json_int_t id;
	unsigned char *data;
	uint32_t len, at;
	struct wk_console_write *next;
};

struct wk_console {
	struct wk *w;
	struct conlog *log;
	bool connected;
	struct wk_ring out, in;

	char typed[WK_CONSOLE_IN];
	uint32_t typed_at, typed_len;
	struct wk_console_write *writes;
	unsigned int nwrites;

	char line[WK_CONSOLE_LINE + 1], last[WK_CONSOLE_LINE + 1], told[WK_CONSOLE_LINE + 1];
	char panic[WK_CONSOLE_LINE + 1];
	uint32_t line_len;
	bool fresh;			/* the next character begins a line */
	enum { WK_TEXT, WK_ESCAPE, WK_CSI } parse;

	char ready[WK_CONSOLE_READY + 1];
	uint32_t ready_len;
	char tail[WK_CONSOLE_READY];	/* what a match may have begun in */
	uint32_t tail_len;

	uint64_t noticed;
	struct loop_timer notice;
};

/* ---- the newest line -------------------------------------------------------- */

static void wk_console_end_line(struct wk_console *c)
{
	const char *panic;

	if (c->line_len) {
		c->line[c->line_len] = 0;
		memcpy(c->last, c->line, c->line_len + 1);
		panic = strstr(c->last, "Kernel panic");
		if (panic && !c->panic[0])
			snprintf(c->panic, sizeof(c->panic), "%s", panic);
	}
	c->line_len = 0;
	c->fresh = false;
}

static void wk_console_char(struct wk_console *c, char ch)
{
	unsigned char u = (unsigned char)ch;

	if (c->parse == WK_ESCAPE) {
		c->parse = ch == '[' ? WK_CSI : WK_TEXT;
		return;
	}
	if (c->parse == WK_CSI) {
		if (u >= 0x40 && u <= 0x7e)
			c->parse = WK_TEXT;
		return;
	}
	if (ch == 0x1b) {
		c->parse = WK_ESCAPE;
	} else if (ch == '\n') {
		wk_console_end_line(c);
	} else if (ch == '\r') {
		c->fresh = true;
	} else if (ch == '\b') {
		c->line_len -= c->line_len > 0;
	} else if (u >= 0x20 || ch == '\t') {
		if (c->fresh)
			c->line_len = 0;
		c->fresh = false;
		if (c->line_len < WK_CONSOLE_LINE)
			c->line[c->line_len++] = u > 0x7e ? '?' : ch == '\t' ? ' ' : ch;
	}
}

static const char *wk_console_newest(struct wk_console *c)
{
	uint32_t i = 0;

	while (i < c->line_len && c->line[i] == ' ')
		i++;
	if (i == c->line_len)
		return c->last;
	c->line[c->line_len] = 0;
	return c->line;
}

const char *wk_console_panic(const struct wk_console *c)
{
	return c->panic;
}

/* ---- notices to colinuxd -------------------------------------------------------- */

static void wk_console_notify(void *arg)
{
	struct wk_console *c = arg;
	const char *line = wk_console_newest(c);
	bool news = strcmp(line, c->told) != 0;

	if (news)
		snprintf(c->told, sizeof(c->told), "%s", line);
	c->noticed = loop_now();
	wk_event(c->w, "console", news ? c->told : NULL);
}

/* A chatty guest must not keep colinuxd busy: the log itself is shared memory. */
static void wk_console_notice(struct wk_console *c)
{
	if (c->notice.armed)
		return;
	if (loop_now() - c->noticed >= WK_CONSOLE_PAUSE_MS)
		wk_console_notify(c);
	else
		loop_timer_start(c->w->loop, &c->notice, WK_CONSOLE_PAUSE_MS);
}

void wk_console_flush(struct wk_console *c)
{
	loop_timer_stop(c->w->loop, &c->notice);
	wk_console_notify(c);
}

/* ---- ready? ----------------------------------------------------------------------- */

static bool wk_console_find(const char *in, size_t len, const char *what, size_t n)
{
	for (size_t i = 0; i + n <= len; i++)
		if (in[i] == what[0] && !memcmp(in + i, what, n))
			return true;
	return false;
}

static void wk_console_match(struct wk_console *c, const char *text, size_t len)
{
	char both[WK_CONSOLE_READY + 2048];
	size_t n, keep;

	while (c->ready_len && len) {
		n = len < 2048 ? len : 2048;
		memcpy(both, c->tail, c->tail_len);
		memcpy(both + c->tail_len, text, n);
		if (wk_console_find(both, c->tail_len + n, c->ready, c->ready_len)) {
			c->ready_len = 0;
			wk_ready_console(c->w);
			return;
		}
		keep = c->tail_len + n < c->ready_len ? c->tail_len + n : c->ready_len - 1;
		memmove(c->tail, both + c->tail_len + n - keep, keep);
		c->tail_len = (uint32_t)keep;
		text += n;
		len -= n;
	}
}

void wk_console_put(struct wk_console *c, const char *text, size_t len)
{
	conlog_write(c->log, text, len);
	for (size_t i = 0; i < len; i++)
		wk_console_char(c, text[i]);
	wk_console_match(c, text, len);
	wk_console_notice(c);
}

/* ---- the ring ----------------------------------------------------------------------- */

/* Moves what was typed: from the calls that wait to the queue, and on to the guest. */
static int wk_console_feed(struct wk_console *c)
{
	int moved = 0;
	uint32_t n;

	for (;;) {
		struct wk_console_write *wr = c->writes;

		while (c->connected && c->typed_len) {
			uint32_t run = WK_CONSOLE_IN - c->typed_at;

			if (run > c->typed_len)
				run = c->typed_len;
			if (!wk_ring_put(&c->in, c->typed + c->typed_at, run, &n))
				return -1;
			if (!n)
				break;
			wk_ring_publish(&c->in);
			c->typed_at = (c->typed_at + n) % WK_CONSOLE_IN;
			c->typed_len -= n;
			moved = 1;
		}
		if (!wr || c->typed_len == WK_CONSOLE_IN)
			return moved;
		while (wr->at < wr->len && c->typed_len < WK_CONSOLE_IN)
			c->typed[(c->typed_at + c->typed_len++) % WK_CONSOLE_IN] = (char)wr->data[wr->at++];
		if (wr->at < wr->len)
			continue;
		wk_reply(c->w, wr->id, json_pack("{s:I}", "written", (json_int_t)wr->len));
		c->writes = wr->next;
		c->nwrites--;
		free(wr->data);
		free(wr);
	}
}

/* TOUR 17: hvc0: from the guest's ring to the log that viewers see, and back. */
void wk_console_serve(void *console)
{
	struct wk_console *c = console;
	char text[sizeof(((struct xencons_interface *)0)->out)];
	uint32_t n = 0;
	int fed;

	if (!c->connected)
		return;
	/* One look is enough: the guest raises the port after each write. */
	if (!wk_ring_get(&c->out, text, sizeof(text), &n)) {
		wk_kill(c->w, "the guest broke the console ring");
		return;
	}
	if (n) {
		wk_ring_publish(&c->out);
		wk_console_put(c, text, n);
	}
	fed = wk_console_feed(c);
	/* For its output the guest waits only when it found the ring full. */
	if (fed < 0)
		wk_kill(c->w, "the guest broke the console ring");
	else if (fed || n == sizeof(text))
		wk_port_raise(c->w, CO_PORT_CONSOLE);
}

void wk_console_write(struct wk_console *c, json_int_t id, const json_t *params)
{
	const json_t *data = json_object_get(params, "data");
	struct wk_console_write *wr, **tail = &c->writes;
	long len;
	int fed;
	struct err e;

	if (c->nwrites >= WK_CONSOLE_WRITES) {
		err_set(&e, CO_ELIMIT, "the guest does not read its console, and %u writes wait already",
			c->nwrites);
		wk_fail(c->w, id, &e);
		return;
	}
	wr = calloc(1, sizeof(*wr));
	if (wr)
		wr->data = malloc(json_string_length(data) / 4 * 3 + 1);
	len = wr && wr->data ? proto_base64_decode(json_string_value(data), json_string_length(data), wr->data)
			     : -1;
	if (len < 0) {
		err_set(&e, wr && wr->data ? CO_EINVAL : CO_ENOMEM, wr && wr->data ? "data is not base64"
			: "out of memory");
		wk_fail(c->w, id, &e);
		if (wr)
			free(wr->data);
		free(wr);
		return;
	}
	wr->id = id;
	wr->len = (uint32_t)len;
	while (*tail)
		tail = &(*tail)->next;
	*tail = wr;
	c->nwrites++;
	fed = wk_console_feed(c);
	/* The guest may have broken it long ago: nobody looks there before something is typed. */
	if (fed < 0)
		wk_kill(c->w, "the guest broke the console ring");
	else if (fed)
		wk_port_raise(c->w, CO_PORT_CONSOLE);
}

/* ---- life ----------------------------------------------------------------------------- */

struct wk_console *wk_console_new(struct wk *w, struct conlog *log, const char *ready)
{
	struct wk_console *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->w = w;
	c->log = log;
	if (ready) {
		snprintf(c->ready, sizeof(c->ready), "%s", ready);
		c->ready_len = (uint32_t)strlen(c->ready);
	}
	loop_timer_init(&c->notice, wk_console_notify, c);
	return c;
}

void wk_console_connect(struct wk_console *c, void *page)
{
	struct xencons_interface *i = page;

	c->out = (struct wk_ring){ i->out, sizeof(i->out), &i->out_prod, &i->out_cons, 0 };
	c->in = (struct wk_ring){ i->in, sizeof(i->in), &i->in_cons, &i->in_prod, 0 };
	c->connected = true;
}

void wk_console_free(struct wk_console *c)
{
	if (!c)
		return;
	loop_timer_stop(c->w->loop, &c->notice);
	while (c->writes) {
		struct wk_console_write *wr = c->writes;

		c->writes = wr->next;
		free(wr->data);
		free(wr);
	}
	free(c);
}
