/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * again.c: VMs that run again by themselves: after a crash, when they are
 * unhealthy, when a client asks; and that they do not after a stop.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"

static struct daemon d;
static struct client c;

static void make(const char *name, const char *what, const char *policy)
{
	DO(&c, "vm.create", "{\"name\":\"%s\",\"memory\":67108864,\"kernel\":{\"path\":\"" KERNEL "\"},"
	   "\"cmdline\":\"%s\",\"readyConsole\":\"login: \",\"restart\":\"%s\"}", name, what, policy);
}

static void boot(const char *name, const char *what, const char *policy)
{
	make(name, what, policy);
	json_array_clear(c.events);
	DO(&c, "vm.start", "{\"name\":\"%s\"}", name);
}

static void drop(const char *name)
{
	DO(&c, "vm.delete", "{\"name\":\"%s\",\"force\":true}", name);
}

static json_int_t number(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

/* The next event that tells this state of a VM. */
static json_t *told(const char *state)
{
	for (;;) {
		json_t *params = wait_event(&c, "vm.state"), *vm = json_object_get(params, "vm");

		if (!params)
			return NULL;
		if (!strcmp(text(vm, "state"), state)) {
			json_incref(vm);
			json_decref(params);
			return vm;
		}
		json_decref(params);
	}
}

static void told_of(const char *state, const char *reason, json_int_t restarts)
{
	json_t *vm = told(state);

	CHECK(vm && strstr(text(vm, "reason"), reason) && number(vm, "restarts") == restarts, "%s: %s, %lld",
	      state, text(vm, "reason"), (long long)number(vm, "restarts"));
	json_decref(vm);
}

static void state_is(const char *name, const char *state, const char *reason)
{
	json_t *r = call(&c, "vm.get", "{\"name\":\"%s\"}", name), *vm = json_object_get(r, "vm");

	CHECK(!strcmp(text(vm, "state"), state) && strstr(text(vm, "reason"), reason), "%s: %s", text(vm, "state"),
	      text(vm, "reason"));
	json_decref(r);
}

static void a_crash_and_a_stop(void)
{
	json_t *vm;

	boot("a", "crash", "on-failure");
	told_of("running", "", 0);
	vm = told("restarting");
	CHECK(strstr(text(vm, "reason"), "Kernel panic") && number(vm, "restarts") == 1);
	CHECK(strstr(text(vm, "waiting"), "starts again in 1 s"), "%s", text(vm, "waiting"));
	json_decref(vm);
	told_of("running", "Kernel panic", 1);
	vm = told("restarting");
	CHECK(strstr(text(vm, "waiting"), "in 2 s") && number(vm, "restarts") == 2, "%s", text(vm, "waiting"));
	json_decref(vm);
	FAILS("STATE", "force", &c, "vm.delete", NAME("a"));
	DO(&c, "vm.stop", NAME("a"));
	told_of("stopped", "before it started again", 2);
	/* Longer than the next try would have been away. */
	usleep(2200000);
	state_is("a", "stopped", "Kernel panic");
	/* A client's start counts anew, and so does its wait. */
	DO(&c, "vm.start", NAME("a"));
	told_of("restarting", "Kernel panic", 1);
	drop("a");
	FAILS("NOENT", "a", &c, "vm.get", NAME("a"));
}

static void policies(void)
{
	boot("a", "off", "always");
	told_of("restarting", "powered off", 1);
	drop("a");
	boot("a", "off", "on-failure");
	told_of("stopped", "powered off", 0);
	drop("a");
	boot("a", "crash", "never");
	told_of("failed", "panic", 0);
	drop("a");
	boot("a", "killed", "on-failure");
	told_of("restarting", "did what no guest may do", 1);
	drop("a");
	/* Only what a client has started runs again. */
	make("a", "boot", "always");
	DO(&c, "vm.stop", NAME("a"));
	state_is("a", "stopped", "before it ran");
	drop("a");
	boot("a", "boot", "always");
	json_decref(told("ready"));
	DO(&c, "vm.stop", NAME("a"));
	told_of("stopped", "powered off", 0);
	drop("a");
}

static void a_killed_worker(void)
{
	json_t *vm;
	pid_t pid;

	boot("a", "boot", "on-failure");
	vm = told("ready");
	pid = (pid_t)number(vm, "pid");
	json_decref(vm);
	DO(&c, "console.attach", NAME("a"));
	kill(pid, SIGKILL);
	told_of("restarting", "its worker was killed by signal 9", 1);
	vm = told("ready");
	CHECK(number(vm, "pid") > 0 && number(vm, "pid") != pid);
	json_decref(vm);
	/* Whoever watches the console goes on watching. */
	DO(&c, "console.write", "{\"name\":\"a\",\"data\":\"aGVsbG8=\"}");
	CHECK(wait_text(&c, "hello"));
	drop("a");
}

static void a_start_does_not_wait(void)
{
	boot("a", "crash", "on-failure");
	for (json_int_t n = 1; n < 4; n++) {
		told_of("restarting", "panic", n);
		DO(&c, "vm.start", NAME("a"));
	}
	drop("a");
}

static void a_client_restarts(void)
{
	char line[128];
	json_t *r, *vm;
	json_int_t id;

	boot("a", "boot", "never");
	vm = told("ready");
	id = number(vm, "id");
	json_decref(vm);
	r = call(&c, "vm.restart", NAME("a"));
	vm = json_object_get(r, "vm");
	CHECK(!strcmp(text(vm, "state"), "running") && number(vm, "id") > id && !json_object_get(vm, "restarts"),
	      "%s %s", call_name, call_text);
	json_decref(r);
	json_decref(told("restarting"));
	told_of("ready", "", 0);
	/* One that had crashed and was restarted by a client counts anew. */
	drop("a");
	boot("a", "boot", "on-failure");
	vm = told("ready");
	kill((pid_t)number(vm, "pid"), SIGKILL);
	json_decref(vm);
	told_of("ready", "signal 9", 1);
	DO(&c, "vm.restart", NAME("a"));
	told_of("ready", "", 0);
	/* One that does not run is started. */
	DO(&c, "vm.stop", NAME("a"));
	DO(&c, "vm.restart", NAME("a"));
	drop("a");
	/* One that does not power off is forced, by its time or at once. */
	boot("a", "stubborn", "never");
	DO(&c, "vm.restart", "{\"name\":\"a\",\"timeoutMs\":20}");
	DO(&c, "vm.restart", "{\"name\":\"a\",\"force\":true}");
	state_is("a", "running", "");
	/* A stop is stronger: who asked for the restart is told. */
	snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"vm.restart\",\"params\":%s}\n", NAME("a"));
	client_send(&c, line);
	client_send(&c, "{\"jsonrpc\":\"2.0\",\"id\":78,\"method\":\"vm.stop\",\"params\":{\"name\":\"a\",\"force\":true}}\n");
	for (int answers = 0; answers < 2;) {
		json_t *o = client_line(&c);

		if (number(o, "id") == 77)
			CHECK(strstr(text(json_object_get(o, "error"), "message"), "did not start"));
		answers += json_object_get(o, "id") != NULL;
		json_decref(o);
	}
	state_is("a", "stopped", "");
	drop("a");
}

static void health(void)
{
	struct daemon h = { .dir = "", .worker = EVIL };
	const char *const restarts[] = { "false", "true" };
	struct client main_client = c;
	json_t *vm;

	daemon_start(&h, "");
	client_open(&c, &h, 0);
	DO(&c, "events.subscribe", "{}");
	for (int i = 0; i < 2; i++) {
		DO(&c, "vm.create", "{\"name\":\"sick\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"},"
		   "\"readyTcp\":[{\"port\":25}],\"health\":{\"intervalMs\":1000,\"timeoutMs\":1000,\"failures\":2,"
		   "\"restart\":%s}}", restarts[i]);
		DO(&c, "vm.start", NAME("sick"));
		do {
			vm = told("running");
		} while (!text(vm, "waiting")[0] && (json_decref(vm), 1));
		CHECK(!strcmp(text(vm, "waiting"), "port 25: refused"));
		json_decref(vm);
		DO(&c, "vm.memoryMap", NAME("sick"));
		vm = told("ready");
		CHECK(!json_object_get(vm, "waiting"));
		json_decref(vm);
		DO(&c, "port.list", NAME("sick"));
		if (!i)
			told_of("running", "port 25 has not answered for 9 s", 0);
		else {
			/* It is asked to power off (maybe before that was told), and comes back. */
			told_of("restarting", "unhealthy: port 25 has not", 1);
			told_of("running", "unhealthy: port 25 has not", 1);
		}
		DO(&c, "vm.memoryMap", NAME("sick"));
		told_of("ready", i ? "unhealthy" : "", i);
		drop("sick");
	}
	/* One that changes its mind all the time floods nobody. */
	DO(&c, "vm.create", "{\"name\":\"changeable\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"}}");
	json_array_clear(c.events);
	for (int i = 0; i < 200; i++)
		DO(&c, "vm.get", NAME("changeable"));
	CHECK(json_array_size(c.events) < 200, "%zu events", json_array_size(c.events));
	client_close(&c);
	CHECK(daemon_end(&h, SIGTERM) == 0);
	daemon_forget(&h);
	c = main_client;
}

static void bad_checks(void)
{
	static const struct { const char *name, *part, *keys; } bad[] = {
		{ "LIMIT", "at most 16", "\"readyTcp\":[{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},"
		  "{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1},"
		  "{\"port\":1},{\"port\":1},{\"port\":1},{\"port\":1}]" },
		{ "INVAL", "port: 0", "\"readyTcp\":[{\"port\":0}]" },
		{ "INVAL", "port: 65536", "\"readyTcp\":[{\"port\":65536}]" },
		{ "TOOBIG", "expect: 0 bytes", "\"readyTcp\":[{\"port\":1,\"expect\":\"\"}]" },
		{ "INVAL", "nothing to check", "\"health\":{\"intervalMs\":1000,\"timeoutMs\":1,\"failures\":1,\"restart\":true}" },
		{ "INVAL", "intervalMs: 5", "\"readyTcp\":[{\"port\":1}],"
		  "\"health\":{\"intervalMs\":5,\"timeoutMs\":1,\"failures\":1,\"restart\":true}" },
		{ "INVAL", "failures: 0", "\"readyTcp\":[{\"port\":1}],"
		  "\"health\":{\"intervalMs\":1000,\"timeoutMs\":1,\"failures\":0,\"restart\":true}" },
		{ "PARAMS", "one of never on-failure always", "\"restart\":\"sometimes\"" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		FAILS(bad[i].name, bad[i].part, &c, "vm.create",
		      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"},%s}", bad[i].keys);
}

/* colinuxd ends while one VM runs and another waits to run again. */
static void an_end(void)
{
	boot("a", "crash", "always");
	boot("b", "boot", "always");
	json_decref(told("ready"));
	json_decref(wait_state(&c, "a", "restarting"));
}

/* With time to do so, all guests power off at once, and colinuxd waits for them. */
static void guests_power_off_together(void)
{
	struct daemon p = { .dir = "", .patience = "60000" };
	struct client main_client = c;
	unsigned int off = 0;
	json_t *line;

	daemon_start(&p, "");
	client_open(&c, &p, 0);
	DO(&c, "events.subscribe", "{}");
	for (char name[] = "a"; name[0] < 'd'; name[0]++) {
		boot(name, "boot", "always");
		json_decref(told("ready"));
	}
	boot("w", "crash", "always");
	json_decref(told("restarting"));
	kill(p.pid, SIGTERM);
	while ((line = client_line(&c))) {
		const json_t *vm = json_object_get(json_object_get(line, "params"), "vm");

		off += !strcmp(text(vm, "state"), "stopped") && !strcmp(text(vm, "reason"), "the guest powered off");
		json_decref(line);
	}
	CHECK(off == 3, "%u", off);
	client_close(&c);
	CHECK(daemon_end(&p, 0) == 0);
	daemon_forget(&p);
	c = main_client;
}

int main(void)
{
	/* Whatever hangs ends the test, as a failure. */
	alarm(400);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	daemon_start(&d, "");
	client_open(&c, &d, 0);
	DO(&c, "events.subscribe", "{}");
	RUN(a_crash_and_a_stop);
	RUN(policies);
	RUN(a_killed_worker);
	RUN(a_start_does_not_wait);
	RUN(a_client_restarts);
	RUN(health);
	RUN(bad_checks);
	RUN(guests_power_off_together);
	RUN(an_end);
	client_close(&c);
	CHECK(daemon_end(&d, SIGTERM) == 0);
	daemon_forget(&d);
	UNIT_END();
}
