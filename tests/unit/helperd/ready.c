/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ready.c: worker/ready.c by itself, with a clock and an agent that the test
 * plays: what is told to colinuxd, and when.
 */
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "wk.h"

static uint64_t now;
static struct wk w;
static struct loop_timer *timer;
static char told[512];		/* the newest event, "event: line" */
static int events, probes, no_memory;
static bool connected, at_once;
static uint16_t port;
static char expected[64];
static uint32_t patience;
static wk_agent_probed answer;
static void *answer_arg;

void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size) { return no_memory ? NULL : __real_calloc(count, size); }

uint64_t loop_now(void) { return now; }
void loop_timer_init(struct loop_timer *t, loop_fn fn, void *arg) { *t = (struct loop_timer){ .fn = fn, .arg = arg }; }
void loop_timer_stop(struct loop *l, struct loop_timer *t) { (void)l; t->armed = false; }
void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	(void)l;
	t->due = now + ms;
	t->armed = true;
	timer = t;
}

void wk_event(struct wk *wk, const char *event, const char *line)
{
	(void)wk;
	snprintf(told, sizeof(told), "%s%s%s", event, line ? ": " : "", line ? line : "");
	events++;
}

bool wk_agent_connected(const struct wk *wk) { (void)wk; return connected; }

void wk_agent_probe(struct wk *wk, uint16_t p, const char *expect, uint32_t ms, wk_agent_probed fn, void *arg)
{
	(void)wk;
	port = p;
	snprintf(expected, sizeof(expected), "%s", expect ? expect : "-");
	patience = ms;
	answer = fn;
	answer_arg = arg;
	probes++;
	if (at_once)
		fn(arg, false, "the worker is out of memory");
}

static void begin(const char *setup)
{
	wk_ready_free(w.ready);
	json_decref(w.setup);
	w.setup = json_loads(setup, 0, NULL);
	timer = NULL;
	told[0] = 0;
	events = probes = 0;
	connected = at_once = false;
	w.ready = wk_ready_new(&w);
	CHECK(w.setup && w.ready);
	wk_ready_start(&w);
}

/* Lets the timer fire; how many ms that took, -1: none is armed. */
static long fire(void)
{
	long ms;

	if (!timer || !timer->armed)
		return -1;
	ms = (long)(timer->due - now);
	now = timer->due;
	timer->armed = false;
	timer->fn(timer->arg);
	return ms;
}

static void says(bool ok, const char *why)
{
	answer(answer_arg, ok, why);
}

#define TOLD(text)	CHECK(!strcmp(told, text), "%s", told)

static void without_checks_it_says_nothing(void)
{
	begin("{}");
	CHECK(fire() == -1 && events == 0);
	begin("{\"health\":{\"intervalMs\":1,\"timeoutMs\":1,\"failures\":1,\"restart\":true}}");
	CHECK(fire() == -1 && events == 0);
}

static void the_console_alone(void)
{
	begin("{\"readyConsole\":\"log\\u00efn:\\n\"}");
	TOLD("waiting: \"log??n:?\" on its console");
	wk_ready_console(&w);
	TOLD("ready");
	CHECK(fire() == -1);
}

#define PORTS	"\"readyTcp\":[{\"port\":25,\"expect\":\"220 \"},{\"port\":993}]"

static void each_port_in_turn(void)
{
	begin("{" PORTS "}");
	CHECK(fire() == 0);
	TOLD("waiting: the agent in the guest");
	CHECK(fire() == 500 && events == 1 && probes == 0);
	connected = true;
	fire();
	CHECK(probes == 1 && port == 25 && !strcmp(expected, "220 ") && patience == 5000);
	says(false, "connection refused");
	TOLD("waiting: port 25: connection refused");
	/* The same again is no news; a probe under way is the only one. */
	CHECK(fire() == 500 && fire() == -1);
	says(false, "connection refused");
	CHECK(events == 2);
	fire();
	says(false, "it said \"421\x1b[2J\xff\"");
	TOLD("waiting: port 25: it said \"421?[2J?\"");
	fire();
	says(true, "");
	CHECK(fire() == 0 && port == 993 && !strcmp(expected, "-"));
	says(false, "time ran out");
	TOLD("waiting: port 993: time ran out");
	/* What has held once is not asked for again. */
	fire();
	CHECK(port == 993);
	says(true, "");
	TOLD("ready");
	CHECK(fire() == -1);
}

static void a_port_is_named_before_it_has_failed(void)
{
	begin("{" PORTS "}");
	connected = true;
	fire();
	TOLD("waiting: port 25");
}

static void console_and_ports(void)
{
	begin("{\"readyConsole\":\"login:\",\"readyTcp\":[{\"port\":25}]}");
	connected = true;
	fire();
	says(true, "");
	TOLD("waiting: \"login:\" on its console");
	CHECK(fire() == -1);
	wk_ready_console(&w);
	TOLD("ready");

	begin("{\"readyConsole\":\"login:\",\"readyTcp\":[{\"port\":25}]}");
	connected = true;
	wk_ready_console(&w);
	CHECK(events == 0);
	fire();
	says(false, "connection refused");
	TOLD("waiting: port 25: connection refused");
	fire();
	says(true, "");
	TOLD("ready");
}

#define HEALTH	"\"health\":{\"intervalMs\":30000,\"timeoutMs\":700,\"failures\":3,\"restart\":false}"

static void round_of(bool first, bool second)
{
	CHECK(fire() == 30000 && port == 25);
	says(first, "connection refused");
	if (!first)
		return;
	CHECK(fire() == 0 && port == 993);
	says(second, "time ran out");
}

static void well(void)
{
	begin("{" PORTS "," HEALTH "}");
	connected = true;
	fire();
	CHECK(patience == 700);
	says(true, "");
	fire();
	says(true, "");
	TOLD("ready");
	events = 0;
}

static void health(void)
{
	well();
	round_of(true, true);
	/* Two rounds that fail are forgiven, also when a good one lies between. */
	round_of(true, false);
	round_of(false, false);
	round_of(true, true);
	round_of(true, false);
	round_of(true, false);
	CHECK(events == 0);
	round_of(true, false);
	TOLD("unhealthy: port 993 has not answered for 90 s: time ran out");
	round_of(false, false);
	TOLD("unhealthy: port 25 has not answered for 120 s: connection refused");
	/* It gets well by itself, and may get ill again. */
	round_of(true, true);
	TOLD("ready");
	round_of(true, true);
	CHECK(events == 3);
	round_of(false, false);
	round_of(false, false);
	round_of(false, false);
	TOLD("unhealthy: port 25 has not answered for 90 s: connection refused");
}

static void an_agent_that_falls_silent(void)
{
	well();
	connected = false;
	for (int i = 0; i < 3; i++)
		CHECK(fire() == 30000);
	TOLD("unhealthy: port 25 has not answered for 90 s: the agent in the guest does not answer");
	connected = true;
	round_of(true, true);
	TOLD("ready");
}

static void memory_runs_out(void)
{
	no_memory = 1;
	CHECK(!wk_ready_new(&w));
	no_memory = 0;
	/* A probe that cannot even be asked fails at once, from inside the call. */
	begin("{" PORTS "}");
	connected = at_once = true;
	for (int i = 0; i < 3; i++)
		fire();
	TOLD("waiting: port 25: the worker is out of memory");
	CHECK(probes == 3);
}

int main(void)
{
	now = 1000000;
	RUN(without_checks_it_says_nothing);
	RUN(the_console_alone);
	RUN(each_port_in_turn);
	RUN(a_port_is_named_before_it_has_failed);
	RUN(console_and_ports);
	RUN(health);
	RUN(an_agent_that_falls_silent);
	RUN(memory_runs_out);
	wk_ready_free(w.ready);
	json_decref(w.setup);
	UNIT_END();
}
