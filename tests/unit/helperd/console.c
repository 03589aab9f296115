/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console.c: the worker's console and the shared log, with guests that lie
 * and readers that lag.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../unit.h"
#include "../../../kext/include/xen/io/console.h"
#include "proto.h"
#include "ring.h"
#include "wk.h"

static struct wk w;
static struct wk_console *con;
static struct xencons_interface *page;
static struct conlog *conlog;
static char killed[128], line[300];
static int raised, ready, replies, fails;
static json_int_t replied;

void wk_kill(struct wk *worker, const char *why)
{
	(void)worker;
	snprintf(killed, sizeof(killed), "%s", why);
}

void wk_port_raise(struct wk *worker, uint32_t port)
{
	(void)worker;
	raised += port == CO_PORT_CONSOLE;
}

void wk_ready_console(struct wk *worker)
{
	(void)worker;
	ready++;
}

void wk_event(struct wk *worker, const char *event, const char *text)
{
	(void)worker;
	(void)event;
	if (text)
		snprintf(line, sizeof(line), "%s", text);
}

void wk_reply(struct wk *worker, json_int_t id, json_t *result)
{
	(void)worker;
	replies++;
	replied = id;
	json_decref(result);
}

void wk_fail(struct wk *worker, json_int_t id, const struct err *e)
{
	(void)worker;
	(void)id;
	(void)e;
	fails++;
}

static void set_up(const char *what)
{
	int fd = conlog_create();

	memset(&w, 0, sizeof(w));
	w.loop = loop_new();
	page = aligned_alloc(4096, 4096);
	memset(page, 0, 4096);
	conlog = conlog_map(fd, 1);
	close(fd);
	con = wk_console_new(&w, conlog, what);
	wk_console_connect(con, page);
	killed[0] = line[0] = 0;
	raised = ready = replies = fails = 0;
}

static void tear_down(void)
{
	wk_console_free(con);
	conlog_unmap(conlog);
	free(page);
	loop_free(w.loop);
}

static void say(const char *text)
{
	for (; *text; text++)
		page->out[MASK_XENCONS_IDX(page->out_prod++, page->out)] = *text;
	wk_console_serve(con);
}

static void write_data(json_int_t id, size_t len)
{
	unsigned char *raw = malloc(len + 1);
	char *text = malloc(len / 3 * 4 + 8);
	json_t *params;

	memset(raw, 'a', len);
	proto_base64_encode(raw, len, text);
	params = json_pack("{s:s}", "data", text);
	wk_console_write(con, id, params);
	json_decref(params);
	free(text);
	free(raw);
}

static void lines_are_harmless(void)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "hello\r\n", "hello" },
		{ "\033[31mred\033[0m and\ttab\r\n", "red and tab" },
		{ "one\rtwo\r\n", "two" },
		{ "caf\xc3\xa9\x9b\x07\x7f!\r\n", "caf\?\?\?\?!" },
		{ "prompt# ", "prompt# " },
		{ "\r\n\r\n", "prompt# " },
		{ "abc\b\bx\n", "ax" },
		{ "\033[6n\n", "ax" },
	};

	set_up(NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(rows[i].in);
		wk_console_flush(con);
		CHECK(!strcmp(line, rows[i].out), "row %zu: %s", i, line);
	}
	tear_down();
}

static void long_lines_are_cut(void)
{
	char text[2000];

	set_up(NULL);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (int i = 0; i < 10; i++)
		say(text);
	wk_console_flush(con);
	CHECK(strlen(line) == 240);
	tear_down();
}

static void panic_is_kept(void)
{
	set_up(NULL);
	say("[ 1.0] Kernel panic - not syncing: first\n[ 1.1] Kernel panic - second\nmore\n");
	CHECK(!strcmp(wk_console_panic(con), "Kernel panic - not syncing: first"));
	tear_down();
}

static void ready_is_found_once(void)
{
	set_up("login: ");
	say("logi");
	say("n");
	CHECK(!ready);
	say(": ");
	CHECK(ready == 1);
	say("login: ");
	CHECK(ready == 1);
	tear_down();
	set_up("x");
	say("aaax");
	CHECK(ready == 1);
	tear_down();
	/* Over every border between two notices. */
	for (size_t cut = 1; cut < 20; cut++) {
		char text[32] = "it is now ready: go!";

		text[cut] = 0;
		set_up("ready: go");
		say(text);
		say(&"it is now ready: go!"[cut]);
		CHECK(ready == 1, "cut %zu", cut);
		tear_down();
	}
}

static void hostile_out(void)
{
	static const uint32_t bad[] = { 2049, 100000, 0x80000000u, 0xffffffffu };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		set_up(NULL);
		page->out_prod = bad[i];
		wk_console_serve(con);
		CHECK(strstr(killed, "console ring"), "%u", bad[i]);
		tear_down();
	}
	/* Our own index is ours: what the guest writes there changes nothing. */
	set_up(NULL);
	say("abc");
	page->out_cons = 77777;
	say("def");
	CHECK(!killed[0] && conlog->head == 6 && !memcmp(conlog->data, "abcdef", 6));
	CHECK(page->out_cons == 6);
	tear_down();
	/* Indices wrap. */
	set_up(NULL);
	for (uint32_t i = 0; i < 5000; i++)
		say("0123456789");
	CHECK(!killed[0] && conlog->head == 50000);
	tear_down();
}

static void hostile_in(void)
{
	set_up(NULL);
	page->in_cons = 5;		/* more taken than was ever there */
	/* The guest gives no notice: it is seen by what is typed. */
	write_data(1, 10);
	CHECK(strstr(killed, "console ring"));
	killed[0] = 0;
	wk_console_serve(con);
	CHECK(strstr(killed, "console ring"));
	tear_down();
}

static void typed_ahead(void)
{
	set_up(NULL);
	write_data(1, 100);
	CHECK(replies == 1 && page->in_prod == 100 && raised == 1);
	/* The ring holds 1024, the queue 65536: the second of these waits. */
	write_data(2, 48000);
	CHECK(replies == 2);
	write_data(3, 48000);
	CHECK(replies == 2);
	for (int i = 0; i < 80 && replies == 2; i++) {
		page->in_cons = page->in_prod;
		wk_console_serve(con);
	}
	CHECK(replies == 3 && replied == 3);
	/* Nobody reads: the calls that wait are bounded. */
	for (int i = 0; i < 100; i++)
		write_data(10 + i, 48000);
	CHECK(fails > 0 && fails < 100);
	tear_down();
}

static void not_base64(void)
{
	json_t *params = json_pack("{s:s}", "data", "a===");

	set_up(NULL);
	wk_console_write(con, 1, params);
	CHECK(fails == 1);
	json_decref(params);
	tear_down();
}

static void log_laps(void)
{
	uint64_t cursor = 0, dropped = 0;
	char out[1000];
	size_t n;

	set_up(NULL);
	for (int i = 0; i < 300; i++)
		conlog_write(conlog, (char *)page, 1000);
	n = conlog_read(conlog, &cursor, out, sizeof(out), &dropped);
	CHECK(n == 1000 && dropped == 300000 - CONLOG_BYTES && cursor == dropped + 1000);
	/* A writer that lies about its head: no more than garbage, no way out of the data. */
	conlog->head = 0;
	n = conlog_read(conlog, &cursor, out, sizeof(out), &dropped);
	CHECK(n == 0 && cursor == 0);
	conlog->head = UINT64_MAX;
	n = conlog_read(conlog, &cursor, out, sizeof(out), &dropped);
	CHECK(n == 0);
	conlog->head = UINT64_MAX / 2;
	cursor = 0;
	n = conlog_read(conlog, &cursor, out, sizeof(out), &dropped);
	CHECK(n == 1000);
	tear_down();
}

static void log_keeps_its_size(void)
{
	int fd = conlog_create();

	CHECK(fd >= 0 && ftruncate(fd, 0) < 0 && ftruncate(fd, 1 << 30) < 0);
	close(fd);
}

static void base64(void)
{
	static const char *const bad[] = { "a", "ab", "abc", "====", "a===", "ab=c", "ab==abcd", "abcd=", "a\nbc",
					   "ab\xff=", "YR==", "YWJ=" };
	unsigned char data[256], back[256];
	char text[400];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7);
	for (size_t n = 0; n <= sizeof(data); n++) {
		proto_base64_encode(data, n, text);
		CHECK(strlen(text) == (n + 2) / 3 * 4);
		CHECK(proto_base64_decode(text, strlen(text), back) == (long)n && !memcmp(back, data, n));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(proto_base64_decode(bad[i], strlen(bad[i]), back) < 0, "%s", bad[i]);
}

int main(void)
{
	RUN(lines_are_harmless);
	RUN(long_lines_are_cut);
	RUN(panic_is_kept);
	RUN(ready_is_found_once);
	RUN(hostile_out);
	RUN(hostile_in);
	RUN(typed_ahead);
	RUN(not_base64);
	RUN(log_laps);
	RUN(log_keeps_its_size);
	RUN(base64);
	UNIT_END();
}
