/* SPDX-License-Identifier: GPL-2.0-or-later */
/* exec.c: colinuxd and commands in guests: whose each is, how much is under way, how they end. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"
#include "proto.h"

static struct daemon d = { .worker = EVIL };
static struct client c;

static json_int_t start(struct client *of, const char *name, const char *what)
{
	json_t *r = call(of, "exec.start", "{\"name\":\"%s\",\"argv\":[\"%s\"]}", name, what);
	json_int_t id = r ? json_integer_value(json_object_get(r, "exec")) : -1;

	json_decref(r);
	return id;
}

static void boot(const char *name)
{
	DO(&c, "vm.create", "{\"name\":\"%s\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"}}", name);
	DO(&c, "vm.start", "{\"name\":\"%s\"}", name);
}

static void drop(const char *name)
{
	DO(&c, "vm.delete", "{\"name\":\"%s\",\"force\":true}", name);
}

static int is(const json_t *event, json_int_t id, const char *key, json_int_t value)
{
	return json_integer_value(json_object_get(event, "exec")) == id &&
	       json_is_integer(json_object_get(event, key)) && json_integer_value(json_object_get(event, key)) == value;
}

static void a_command_is_its_client_s(void)
{
	struct client u, other;
	json_int_t id;
	json_t *r;

	client_open(&u, &d, 0);
	client_open(&other, &d, 12345);
	boot("a");
	id = start(&u, "a", "echo");
	CHECK(id > 0);
	DO(&u, "exec.write", "{\"name\":\"a\",\"exec\":%lld,\"data\":\"aGVsbG8=\"}", (long long)id);
	r = wait_event(&u, "exec.data");
	CHECK(json_integer_value(json_object_get(r, "exec")) == id && !strcmp(text(r, "data"), "aGVsbG8=") &&
	      !strcmp(text(r, "stream"), "stderr") && !strcmp(text(r, "name"), "a"));
	json_decref(r);
	/* Not another connection's, be it the same user's; and not another user's. */
	FAILS("STATE", "no command of this connection", &c, "exec.write", "{\"name\":\"a\",\"exec\":%lld,\"data\":\"\"}",
	      (long long)id);
	FAILS("STATE", "no command of this connection", &c, "exec.signal", "{\"name\":\"a\",\"exec\":%lld,\"signal\":9}",
	      (long long)id);
	FAILS("STATE", "has ended", &u, "exec.resize", "{\"name\":\"a\",\"exec\":%lld,\"columns\":1,\"rows\":1}",
	      (long long)id + 1);
	FAILS("NOENT", "no VM", &other, "exec.start", "{\"name\":\"a\",\"argv\":[\"x\"]}");
	FAILS("METHOD", "exec.end", &u, "exec.end", "{\"name\":\"a\",\"exec\":%lld}", (long long)id);
	FAILS("METHOD", "exec.credit", &u, "exec.credit", "{\"name\":\"a\",\"exec\":%lld,\"bytes\":99}", (long long)id);
	DO(&u, "exec.write", "{\"name\":\"a\",\"exec\":%lld,\"data\":\"eA==\",\"eof\":true}", (long long)id);
	r = wait_event(&u, "exec.exit");
	CHECK(is(r, id, "code", 5));
	json_decref(r);
	FAILS("STATE", "has ended", &u, "exec.write", "{\"name\":\"a\",\"exec\":%lld,\"data\":\"\"}", (long long)id);
	id = start(&u, "a", "wait");
	DO(&u, "exec.signal", "{\"name\":\"a\",\"exec\":%lld,\"signal\":15}", (long long)id);
	r = wait_event(&u, "exec.exit");
	CHECK(is(r, id, "signal", 15));
	json_decref(r);
	FAILS("GUEST", "no ?[2Jagent", &u, "exec.start", "{\"name\":\"a\",\"argv\":[\"refuse\"]}");
	start(&u, "a", "error");
	r = wait_event(&u, "exec.exit");
	CHECK(!strcmp(text(r, "error"), "gone?[2J"));
	json_decref(r);
	/* Nothing of all that was the other one's to see. */
	for (size_t i = 0; i < json_array_size(c.events); i++)
		CHECK(strncmp(text(json_array_get(c.events, i), "method"), "exec.", 5));
	client_close(&u);
	client_close(&other);
	drop("a");
}

/* A line of the console, as the worker notes what it is told. */
static int noted(struct client *who, const char *what)
{
	json_t *r;
	int found = 0;

	while (!found && (r = wait_event(who, "console.line"))) {
		found = !strcmp(text(r, "line"), what);
		json_decref(r);
	}
	return found;
}

static void a_client_that_goes_takes_its_commands_along(void)
{
	struct client u;
	char line[64];
	json_int_t one, two;
	json_t *r;

	DO(&c, "events.subscribe", "{\"console\":true}");
	boot("a");
	client_open(&u, &d, 0);
	one = start(&u, "a", "wait");
	two = start(&u, "a", "wait");
	client_close(&u);
	snprintf(line, sizeof(line), "end %lld", (long long)one < two ? (long long)two : (long long)one);
	CHECK(noted(&c, line));
	/* Gone before its answer: the command is ended all the same. */
	client_open(&u, &d, 0);
	client_send(&u, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec.start\",\"params\":{\"name\":\"a\",\"argv\":[\"x\"]}}\n");
	client_close(&u);
	snprintf(line, sizeof(line), "end %lld", (long long)two + 1);
	CHECK(noted(&c, line));
	/* The VM ends: whoever waits is told. */
	client_open(&u, &d, 0);
	one = start(&u, "a", "wait");
	drop("a");
	r = wait_event(&u, "exec.exit");
	CHECK(json_integer_value(json_object_get(r, "exec")) == one && strstr(text(r, "error"), "a has ended: it was removed"));
	json_decref(r);
	client_close(&u);
}

static void a_slow_client_holds_up_its_command_only(void)
{
	struct client slow;
	json_int_t id, sent = 0;
	size_t total = 0;
	json_t *r;

	boot("a");
	client_open(&slow, &d, 0);
	id = start(&slow, "a", "flood");
	/* Others are served as ever, and the flood stands still far below its 4 MiB. */
	for (int i = 0; i < 200; i++) {
		DO(&c, "vm.memoryMap", NAME("a"));
		r = wait_event(&c, "console.line");
		sent = atoll(text(r, "line") + 5);
		json_decref(r);
	}
	CHECK(sent >= 65536 && sent < 2 << 20, "%lld", (long long)sent);
	for (;;) {
		r = client_line(&slow);
		if (!r || !strcmp(text(r, "method"), "exec.exit"))
			break;
		total += strlen(text(json_object_get(r, "params"), "data")) / 4 * 3;
		json_decref(r);
	}
	CHECK(r && is(json_object_get(r, "params"), id, "code", 0));
	CHECK(total >= 4 << 20 && total < (4 << 20) + 12288, "%zu", total);
	json_decref(r);
	client_close(&slow);
	drop("a");
}

#define ASK(what)	"{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"exec.start\",\"params\":" \
			"{\"name\":\"a\",\"argv\":[\"" what "\"]}}\n"
#define CRUMBS	65536u

/* Reads until both commands have ended; turns 0: there is only one. */
static void crumbs_and_turns(struct client *of, json_int_t crumbs, json_int_t turns, const char *how, json_int_t value)
{
	size_t got[2] = { 0, 0 }, wrong = 0, pieces = 0;
	static unsigned char raw[16400];
	int ends = turns ? 2 : 1;
	json_t *r, *params;

	while (ends && (r = client_line(of))) {
		const char *data;
		bool err;
		long n;

		params = json_object_get(r, "params");
		data = text(params, "data");
		err = !strcmp(text(params, "stream"), "stderr");
		n = proto_base64_decode(data, strlen(data), raw);
		if (!strcmp(text(r, "method"), "exec.exit")) {
			ends--;
			if (is(params, turns, "code", 4))
				CHECK(pieces == 10, "%zu", pieces);
			else
				CHECK(got[0] == CRUMBS && got[1] == CRUMBS && (value < 0 ? strstr(text(params, "error"), how) != NULL :
				      is(params, crumbs, how, value)), "%zu %zu", got[0], got[1]);
		} else if (json_integer_value(json_object_get(params, "exec")) == turns) {
			/* The streams take turns, as they were sent. */
			wrong += n != 12288 || err != pieces++ % 2;
		} else {
			for (long i = 0; i < n; i++) {
				size_t k = got[err]++;

				wrong += raw[i] != (err ? '0' + k % 10 : 'a' + k % 26);
			}
		}
		json_decref(r);
	}
	CHECK(!ends && !wrong, "%d %zu", ends, wrong);
}

/* 131072 events of one byte would be 14 MB of JSON; their client's connection stands 4. */
static void single_bytes_cost_no_more_than_others(void)
{
	struct client slow;
	json_int_t id;
	char line[64];

	boot("a");
	client_open(&slow, &d, 0);
	id = start(&slow, "a", "crumbs");
	client_send(&slow, ASK("turns"));
	snprintf(line, sizeof(line), "said %lld", (long long)id + 1);
	CHECK(noted(&c, line));
	crumbs_and_turns(&slow, id, id + 1, "code", 3);
	/* It gets credit again, and what was written before its VM ended is not lost with that. */
	id = start(&slow, "a", "crumbs-on");
	CHECK(id > 0);
	if (id < 0)
		return;
	snprintf(line, sizeof(line), "said %lld", (long long)id);
	CHECK(noted(&c, line));
	drop("a");
	crumbs_and_turns(&slow, id, 0, "a has ended", -1);
	client_close(&slow);
	/* One that goes with output unread. */
	boot("a");
	client_open(&slow, &d, 0);
	id = start(&slow, "a", "crumbs");
	snprintf(line, sizeof(line), "said %lld", (long long)id);
	CHECK(noted(&c, line));
	client_close(&slow);
	drop("a");
}

static void limits(void)
{
	struct client u;
	char *big = malloc(200000);
	int refused = 0;

	boot("a");
	client_open(&u, &d, 0);
	for (int i = 0; i < 16; i++)
		CHECK(start(&u, "a", "wait") > 0);
	FAILS("LIMIT", "16 commands", &u, "exec.start", "{\"name\":\"a\",\"argv\":[\"x\"]}");
	CHECK(start(&c, "a", "wait") > 0);
	memset(big, 'x', 199999);
	big[199999] = 0;
	FAILS("TOOBIG", "longer than", &c, "exec.start", "{\"name\":\"a\",\"argv\":[\"%s\"]}", big);
	FAILS("PARAMS", "argv is missing", &c, "exec.start", "{\"name\":\"a\"}");
	client_close(&u);
	/* Those that are only asked for count too. */
	client_open(&u, &d, 0);
	big[0] = 0;
	for (int i = 0; i < 17; i++)
		strcat(big, ASK("wait"));
	client_send(&u, big);
	for (int i = 0; i < 17; i++) {
		json_t *r = client_line(&u);

		refused += json_object_get(r, "error") != NULL;
		json_decref(r);
	}
	CHECK(refused == 1, "%d", refused);
	client_close(&u);
	free(big);
	drop("a");
	/* Commands that do not end when their clients go cannot pile up. */
	boot("a");
	for (int k = 0; k < 4; k++) {
		client_open(&u, &d, 0);
		for (int i = 0; i < 16; i++)
			CHECK(start(&u, "a", "stubborn") > 0);
		client_close(&u);
	}
	FAILS("LIMIT", "64 commands", &c, "exec.start", "{\"name\":\"a\",\"argv\":[\"x\"]}");
	drop("a");
}

static void a_worker_that_lies_is_ended(void)
{
	static const struct { const char *what, *why; } lies[] = {
		{ "over", "output that no command may have" }, { "stream", "output that no command may have" },
		{ "base64", "output that no command may have" }, { "stranger", "a command that nobody started" },
		{ "early", "a command that nobody started" }, { "no-code", "end without a code" },
		{ "two-ends", "end without a code" }, { "empty", "output that no command may have" },
		{ "more", "a command that nobody started" },
	};
	struct client slow;
	json_t *vm;

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		boot("a");
		start(&c, "a", lies[i].what);
		vm = wait_state(&c, "a", "failed");
		CHECK(strstr(text(vm, "reason"), lies[i].why), "%s: %s", lies[i].what, text(vm, "reason"));
		json_decref(vm);
		drop("a");
	}
	/* More than it may send to one who does not read. */
	boot("a");
	client_open(&slow, &d, 0);
	client_send(&slow, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"exec.start\",\"params\":{\"name\":\"a\",\"argv\":[\"endless\"]}}\n");
	vm = wait_state(&c, "a", "failed");
	CHECK(strstr(text(vm, "reason"), "output that no command may have"), "%s", text(vm, "reason"));
	json_decref(vm);
	client_close(&slow);
	drop("a");
	boot("a");
	start(&c, "a", "wait");
	start(&c, "a", "twice");
	vm = wait_state(&c, "a", "failed");
	CHECK(strstr(text(vm, "reason"), "number twice"), "%s", text(vm, "reason"));
	json_decref(vm);
	drop("a");
}

int main(void)
{
	/* Whatever hangs ends the test, as a failure. */
	alarm(300);
	signal(SIGPIPE, SIG_IGN);
	daemon_start(&d, "");
	client_open(&c, &d, 0);
	RUN(a_command_is_its_client_s);
	RUN(a_client_that_goes_takes_its_commands_along);
	RUN(a_slow_client_holds_up_its_command_only);
	RUN(single_bytes_cost_no_more_than_others);
	RUN(limits);
	RUN(a_worker_that_lies_is_ended);
	client_close(&c);
	CHECK(daemon_end(&d, SIGTERM) == 0);
	daemon_forget(&d);
	UNIT_END();
}
