/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * policy.c: root/restart.c by itself, with a clock that the test sets: how long
 * a VM waits to run again, and what makes it wait less.
 */
#include <string.h>

#include "../unit.h"
#include "hd.h"
#include "log.h"

static uint64_t now;
static struct hd hd;
static struct hd_vm vm;
static bool begin_fails;
static int begun, over, stops;

uint64_t loop_now(void) { return now; }
void loop_timer_init(struct loop_timer *t, loop_fn fn, void *arg) { *t = (struct loop_timer){ .fn = fn, .arg = arg }; }
void loop_timer_stop(struct loop *l, struct loop_timer *t) { (void)l; t->armed = false; }
void loop_timer_start(struct loop *l, struct loop_timer *t, uint64_t ms)
{
	(void)l;
	t->due = now + ms;
	t->armed = true;
}
void log_line(enum log_level level, const char *format, ...) { (void)level; (void)format; }
void hd_vm_news(struct hd_vm *v) { (void)v; }
void hd_vm_ask_stop(struct hd_vm *v, uint64_t ms) { (void)ms; v->stopping = true; stops++; }
void hd_life_over(struct hd_vm *v) { over++; if (v->wanted) hd_restart_due(v); }
int hd_life_begin(struct hd_vm *v, struct err *e)
{
	begun++;
	v->well = 0;
	v->stopping = false;
	strcpy(e->text, "no memory");
	e->code = 2;
	return begin_fails ? -2 : 0;
}

static void fresh(enum hd_policy policy)
{
	vm = (struct hd_vm){ .hd = &hd, .policy = policy, .wanted = true, .made = true, .state = HD_RUNNING };
	begin_fails = false;
	begun = over = stops = 0;
}

/* It ends like this; ms until it runs again, -1: never. */
static long ends(const char *kind)
{
	strcpy(vm.kind, kind);
	vm.started = now;
	now += 5000;
	if (!hd_restart_due(&vm))
		return -1;
	CHECK(vm.state == HD_RESTARTING && vm.again_timer.armed);
	return (long)(vm.again_timer.due - now);
}

static void fire(void)
{
	now = vm.again_timer.due;
	vm.again_timer.armed = false;
	vm.again_timer.fn(vm.again_timer.arg);
}

static void it_waits_longer_each_time(void)
{
	static const long ms[] = { 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000 };

	fresh(HD_ON_FAILURE);
	for (size_t i = 0; i < sizeof(ms) / sizeof(ms[0]); i++) {
		CHECK(ends("failed") == ms[i], "%zu", i);
		CHECK(vm.restarts == i + 1);
		fire();
	}
	CHECK(begun == 9);
	vm.row = 4000000000u;
	CHECK(ends("killed") == 60000);
}

static void a_good_time_makes_it_short_again(void)
{
	fresh(HD_ON_FAILURE);
	ends("failed");
	ends("failed");
	vm.well = now;
	now += 594999;
	CHECK(ends("failed") == 4000);		/* and 5 s more, in ends() */
	vm.well = now;
	now += 595000;
	CHECK(ends("failed") == 1000);
	/* Once: what fails at its start was not well. */
	CHECK(ends("failed") == 2000 && vm.restarts == 5);
}

static void a_start_that_fails_counts(void)
{
	fresh(HD_ON_FAILURE);
	CHECK(ends("killed") == 1000);
	begin_fails = true;
	fire();
	CHECK(over == 1 && vm.again_timer.armed && vm.again_timer.due - now == 2000);
	CHECK(!strcmp(vm.reason, "it was to start, but no memory"));
	/* Without a policy that is the end. */
	fresh(HD_NEVER);
	begin_fails = true;
	hd_restart_at(&vm, 0);
	fire();
	CHECK(over == 1 && !vm.again_timer.armed);
}

static void what_runs_again(void)
{
	fresh(HD_NEVER);
	CHECK(ends("failed") == -1 && ends("killed") == -1 && ends("poweroff") == -1);
	CHECK(ends("reboot") == 0 && vm.restarts == 0);
	fresh(HD_ON_FAILURE);
	CHECK(ends("poweroff") == -1 && ends("reboot") == 0 && ends("what?") == 1000);
	fresh(HD_ALWAYS);
	CHECK(ends("poweroff") == 1000 && vm.restarts == 1);
	vm.wanted = false;
	CHECK(ends("poweroff") == -1 && ends("failed") == -1 && ends("reboot") == -1);
	/* A reboot as soon as it started is a failure, if failures count. */
	fresh(HD_ON_FAILURE);
	strcpy(vm.kind, "reboot");
	vm.started = now;
	CHECK(hd_restart_due(&vm) && vm.restarts == 1 && strstr(vm.reason, "as soon as"));
	fresh(HD_NEVER);
	strcpy(vm.kind, "reboot");
	vm.started = now;
	CHECK(!hd_restart_due(&vm) && strstr(vm.reason, "as soon as"));
}

static void the_unhealthy_is_renewed(void)
{
	json_t *setup = json_pack("{s:{s:b}}", "health", "restart", 1);

	fresh(HD_NEVER);
	vm.setup = setup;
	vm.state = HD_READY;
	hd_restart_ill(&vm, "port 1 is deaf");
	CHECK(vm.state == HD_RUNNING && stops == 1 && vm.renew);
	hd_restart_ill(&vm, "port 1 is deaf");
	CHECK(stops == 1);
	CHECK(ends("poweroff") == 1000 && !strcmp(vm.reason, "it was unhealthy: port 1 is deaf"));
	fire();
	/* That was once: the next end is as the policy says. */
	CHECK(ends("poweroff") == -1);
	/* One that a client stops is not renewed. */
	fresh(HD_NEVER);
	vm.setup = setup;
	vm.state = HD_READY;
	hd_restart_ill(&vm, "port 1 is deaf");
	vm.wanted = false;
	CHECK(ends("poweroff") == -1);
	/* And before it runs, nothing of its worker's is believed. */
	fresh(HD_NEVER);
	vm.setup = setup;
	vm.state = HD_RESTARTING;
	hd_restart_ill(&vm, "x");
	CHECK(stops == 0 && !vm.ill[0] && vm.state == HD_RESTARTING);
	json_decref(setup);
}

static void cancelled(void)
{
	fresh(HD_ALWAYS);
	ends("failed");
	strcpy(vm.reason, "it crashed");
	hd_restart_cancel(&vm);
	CHECK(over == 1 && !vm.again_timer.armed && !vm.wanted && !strcmp(vm.kind, "forced"));
	CHECK(strstr(vm.reason, "before: it crashed"));
}

int main(void)
{
	now = 1000000;
	RUN(it_waits_longer_each_time);
	RUN(a_good_time_makes_it_short_again);
	RUN(a_start_that_fails_counts);
	RUN(what_runs_again);
	RUN(the_unhealthy_is_renewed);
	RUN(cancelled);
	UNIT_END();
}
