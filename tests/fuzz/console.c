/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest at the console's ring page, and viewers who type: text of any kind,
 * indices gone wild.  What is told to colinuxd stays one harmless line, and
 * what was typed arrives once, in order.
 *
 * Input: records.  First byte & 3: 0 output (n, bytes), 1 a console.write
 * (n, bytes), 2 the guest reads n * 8 bytes, 3 an index (which, 4 bytes).
 */
#include "fuzz.h"
#include "proto.h"
#include "wk.h"
#include "../../kext/include/xen/io/console.h"

static int killed, wild;
static uint64_t typed;

void wk_kill(struct wk *w, const char *why)
{
	(void)w;
	MUST(why && why[0]);
	killed = 1;
}

void wk_port_raise(struct wk *w, uint32_t port)
{
	(void)w;
	MUST(port == CO_PORT_CONSOLE);
}

void wk_ready_console(struct wk *w) { (void)w; }
void wk_event(struct wk *w, const char *event, const char *line)
{
	json_t *j = line ? json_string(line) : NULL;

	(void)w;
	MUST(!strcmp(event, "console"));
	MUST(!line || (j && strlen(line) <= 256));
	for (; line && *line; line++)
		MUST((unsigned char)*line >= 0x20 && (unsigned char)*line < 0x7f);
	json_decref(j);
}

void wk_reply(struct wk *w, json_int_t id, json_t *result)
{
	(void)w;
	MUST(id == 7 && result);
	MUST(json_integer_value(json_object_get(result, "written")) >= 0);
	json_decref(result);
}

void wk_fail(struct wk *w, json_int_t id, const struct err *e)
{
	(void)w;
	MUST(id == 7 && e->code && e->text[0]);
}

static void type(struct wk_console *c, const uint8_t *data, size_t n)
{
	char text[400];
	json_t *params;

	typed += n;
	proto_base64_encode(data, n, text);
	params = json_pack("{s:s}", "data", text);
	wk_console_write(c, 7, params);
	json_decref(params);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct conlog log;
	struct wk w = { .loop = loop_new(), .name = "fuzz", .conlog = &log };
	struct xencons_interface *page = calloc(1, 4096);
	struct wk_console *c = wk_console_new(&w, &log, "login: ");
	uint64_t taken = 0, head = conlog_head(&log);
	size_t at = 0;

	killed = wild = 0;
	typed = 0;
	if (size && data[0] & 4)	/* typed before the guest exists */
		type(c, data, size < 200 ? size : 200);
	wk_console_connect(c, page);
	while (at + 6 < size && !killed) {
		const uint8_t *r = data + at;
		size_t n = r[1] < size - at - 2 ? r[1] : size - at - 2;

		switch (r[0] & 3) {
		case 0:
			for (size_t i = 0; i < n && page->out_prod - page->out_cons < sizeof(page->out); i++)
				page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = (char)r[2 + i];
			at += 2 + n;
			break;
		case 1:
			type(c, r + 2, n);
			at += 2 + n;
			break;
		case 2:
			for (n = r[1] * 8u; n-- && page->in_cons != page->in_prod; taken++)
				page->in_cons++;
			at += 2;
			break;
		default:
			memcpy(r[1] & 1 ? &page->out_prod : &page->in_cons, r + 2, 4);
			wild = 1;
			at += 6;
		}
		wk_console_serve(c);
		loop_once(w.loop, 0);
	}
	MUST(!killed || wild);
	MUST(wild || taken <= typed);
	MUST(conlog_head(&log) >= head);
	wk_console_flush(c);
	MUST(strlen(wk_console_panic(c)) <= 256);
	wk_console_free(c);
	loop_free(w.loop);
	free(page);
	return 0;
}
