/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec_worker.c: a worker whose guest runs any command: the first word says
 * what it does, and some of them what no worker may.
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto.h"

#define SOCKET	3
#define PIECE	12288			/* bytes, 16384 as text */
#define FLOOD	(4u << 20)
#define CRUMBS	65536u

static int stubborn;
static json_int_t next, flood_id;
static unsigned int flood_sent, flood_credit;

static void say(json_t *o)
{
	char *line = json_dumps(o, JSON_COMPACT);
	size_t len = strlen(line);

	line[len] = '\n';
	if (send(SOCKET, line, len + 1, MSG_NOSIGNAL) != (ssize_t)len + 1)
		_exit(0);
	free(line);
	json_decref(o);
}

static void answer(const json_t *call, json_t *result)
{
	say(json_pack("{s:O, s:o}", "id", json_object_get(call, "id"), "result", result));
}

/* What the test sees of it: a line of the console. */
static void note(const char *what, json_int_t id)
{
	char line[80];

	snprintf(line, sizeof(line), "%s %lld", what, (long long)id);
	say(json_pack("{s:s, s:s}", "event", "console", "line", line));
}

static void data(json_int_t id, const char *stream, const char *text)
{
	say(json_pack("{s:s, s:I, s:s, s:s}", "event", "exec.data", "exec", id, "stream", stream, "data", text));
}

static void flood(void)
{
	static char text[PIECE / 3 * 4 + 1];

	memset(text, 'A', sizeof(text) - 1);
	while (flood_sent < FLOOD && flood_credit >= PIECE) {
		data(flood_id, "stdout", text);
		flood_sent += PIECE;
		flood_credit -= PIECE;
	}
	if (flood_sent >= FLOOD && flood_id) {
		say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", flood_id, "code", 0));
		flood_id = 0;
	}
}

/* Bytes of both streams, each alone, as far as the window goes: a to z, and digits. */
static void crumbs(json_int_t id)
{
	unsigned char byte;
	char text[8];

	for (unsigned int i = 0; i < 2 * CRUMBS; i++) {
		byte = (unsigned char)(i & 1 ? '0' + i / 2 % 10 : 'a' + i / 2 % 26);
		proto_base64_encode(&byte, 1, text);
		data(id, i & 1 ? "stderr" : "stdout", text);
	}
}

static void start(const json_t *call, const json_t *params)
{
	const char *what = json_string_value(json_array_get(json_object_get(params, "argv"), 0));
	json_int_t id = !strcmp(what, "twice") ? next : ++next;
	static char text[2 * PIECE / 3 * 4 + 1], piece[PIECE / 3 * 4 + 1];

	memset(text, 'A', sizeof(text) - 1);
	memset(piece, 'B', sizeof(piece) - 1);
	if (!strcmp(what, "refuse")) {
		say(json_pack("{s:O, s:{s:i, s:s}}", "id", json_object_get(call, "id"), "error", "code", 22,
			      "message", "no \033[2Jagent"));
		return;
	}
	stubborn |= !strcmp(what, "stubborn");
	if (!strcmp(what, "early"))
		data(id, "stdout", "AAAA");
	answer(call, json_pack("{s:I}", "exec", id));
	if (!strcmp(what, "flood")) {
		flood_id = id;
		flood_sent = 0;
		flood_credit = 65536;
		flood();
	} else if (!strncmp(what, "crumbs", 6)) {
		crumbs(id);
		note("said", id);
		if (!strcmp(what, "crumbs"))
			say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "code", 3));
	} else if (!strcmp(what, "turns")) {
		for (int i = 0; i < 10; i++)
			data(id, i & 1 ? "stderr" : "stdout", piece);
		note("said", id);
		say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "code", 4));
	} else if (!strcmp(what, "empty")) {
		data(id, "stdout", "");
	} else if (!strcmp(what, "more")) {
		say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "code", 0));
		data(id, "stdout", "AAAA");
	} else if (!strcmp(what, "over")) {
		data(id, "stderr", text);
	} else if (!strcmp(what, "endless")) {
		for (;;)
			data(id, "stdout", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	} else if (!strcmp(what, "stranger")) {
		data(id + 7, "stdout", "AAAA");
	} else if (!strcmp(what, "stream")) {
		data(id, "stdlog", "AAAA");
	} else if (!strcmp(what, "base64")) {
		data(id, "stdout", "AA\"A");
	} else if (!strcmp(what, "no-code")) {
		say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "code", 300));
	} else if (!strcmp(what, "two-ends")) {
		say(json_pack("{s:s, s:I, s:i, s:s}", "event", "exec.exit", "exec", id, "code", 1, "error", "x"));
	} else if (!strcmp(what, "error")) {
		say(json_pack("{s:s, s:I, s:s}", "event", "exec.exit", "exec", id, "error", "gone\033[2J"));
	}
}

static void call(const json_t *call)
{
	const char *method = json_string_value(json_object_get(call, "method"));
	const json_t *params = json_object_get(call, "params");
	json_int_t id = json_integer_value(json_object_get(params, "exec"));

	if (!strcmp(method, "start")) {
		say(json_pack("{s:s}", "event", "running"));
	} else if (!strcmp(method, "exec.start")) {
		start(call, params);
	} else if (!strcmp(method, "exec.write")) {
		answer(call, json_object());
		data(id, "stderr", json_string_value(json_object_get(params, "data")));
		if (json_is_true(json_object_get(params, "eof")))
			say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "code", 5));
	} else if (!strcmp(method, "exec.signal")) {
		answer(call, json_object());
		say(json_pack("{s:s, s:I, s:O}", "event", "exec.exit", "exec", id, "signal", json_object_get(params, "signal")));
	} else if (!strcmp(method, "exec.credit")) {
		flood_credit += id == flood_id ? (unsigned int)json_integer_value(json_object_get(params, "bytes")) : 0;
		flood();
	} else if (!strcmp(method, "exec.end")) {
		note("end", id);
		if (!stubborn)
			say(json_pack("{s:s, s:I, s:i}", "event", "exec.exit", "exec", id, "signal", 1));
	} else if (!strcmp(method, "vm.memoryMap")) {
		note("sent", flood_sent);
		answer(call, json_pack("{s:[]}", "regions"));
	}
}

int main(void)
{
	static char in[1 << 20];
	size_t len = 0;
	int first = 1;

	for (;;) {
		ssize_t n = recv(SOCKET, in + len, sizeof(in) - len, 0);
		char *end;

		if (n <= 0)
			return 0;
		len += (size_t)n;
		while ((end = memchr(in, '\n', len))) {
			json_t *o = json_loadb(in, (size_t)(end - in), 0, NULL);

			if (first)
				say(json_pack("{s:i, s:{}}", "id", 1, "result"));
			else
				call(o);
			first = 0;
			json_decref(o);
			len -= (size_t)(end + 1 - in);
			memmove(in, end + 1, len);
		}
	}
}
