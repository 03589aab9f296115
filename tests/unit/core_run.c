/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of core's run loop on the fake host; the guest is a function. */
#include "core_test.h"

static u32 script[8], step;

static u32 scripted(struct co_vcpu *v)
{
	u32 why = script[step++ & 7];

	v->mon->host_irq = 0x1ec;		/* only a byte of it is a vector */
	return why;
}

static struct co_vcpu_run run_script(struct co_vm *vm, u32 a, u32 b, u32 c)
{
	struct co_vcpu_run run = { .exit = 99, .nports = 99 };
	u32 s[8] = { a, b, c, MON_EXIT_EVENT, MON_EXIT_EVENT, MON_EXIT_EVENT, MON_EXIT_EVENT, MON_EXIT_EVENT };

	memcpy(script, s, sizeof(s));
	step = 0;
	guest = scripted;
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == 0);
	guest = NULL;
	return run;
}

/* As the monitor does when the guest sends. */
static void notify(struct co_vm *vm, u32 port)
{
	vm->mon->outbox[port / 64] |= 1ull << (port & 63);
	vm->mon->outbox_summary |= 1ull << (port / 64);
}

static void exits(void)
{
	struct co_vcpu_run r;
	struct co_vm_kill late = { .why = "too late" };
	struct co_vm_status st = { 0 };
	s32 handle;
	struct co_vm *vm = started(&handle);
	struct mon_vcpu *mon = vm->vcpu.mon;

	notify(vm, 7);
	notify(vm, 9);
	r = run_script(vm, MON_EXIT_IRQ, MON_EXIT_NONE, MON_EXIT_EVENT);
	CHECK(r.exit == CO_EXIT_EVENT && r.nports == 2 && r.ports[0] == 7 && r.ports[1] == 9);
	CHECK(fake_interrupt() == 0xec && mon->counters.interrupts == 1 && step == 3);
	r = run_script(vm, MON_EXIT_NMI, MON_EXIT_YIELD, MON_EXIT_EVENT);
	CHECK(fake_interrupt() == 2 && mon->counters.nmis == 1);
	CHECK(!fake_nmis());
	mon->exit_arg = 1;				/* one that the monitor met */
	r = run_script(vm, MON_EXIT_NMI, 0, 0);
	CHECK(fake_nmis() == 1 && mon->counters.nmis == 2);
	mon->exit_arg = 0;
	r = run_script(vm, MON_EXIT_MC, MON_EXIT_TIMER, MON_EXIT_EVENT);
	CHECK(fake_interrupt() == 18);
	r = run_script(vm, MON_EXIT_EVENT, 0, 0);
	CHECK(r.exit == CO_EXIT_EVENT && !r.nports && !r.detail);
	memcpy(mon->text, "hello", 5);
	mon->exit_len = 5;
	r = run_script(vm, MON_EXIT_CONSOLE, 0, 0);
	CHECK(r.exit == CO_EXIT_CONSOLE && r.nports == 5 && !memcmp(r.text, "hello", 5));
	mon->exit_len = ~0u;
	r = run_script(vm, MON_EXIT_CONSOLE, 0, 0);
	CHECK(r.nports == sizeof(r.text));
	mon->exit_arg = 3;
	r = run_script(vm, MON_EXIT_SHUTDOWN, 0, 0);
	CHECK(r.exit == CO_EXIT_SHUTDOWN && r.detail == 3);
	r = run_script(vm, MON_EXIT_EVENT, 0, 0);	/* it stays so */
	CHECK(r.exit == CO_EXIT_SHUTDOWN && r.detail == 3 && step == 0);
	CHECK(CALL(vm, CO_VM_KILL, &late) == 0 && CALL(vm, CO_VM_STATUS, &st) == 0);
	CHECK(st.state == CO_VM_SHUTDOWN && st.shutdown_reason == 3 && !st.why[0]);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static struct co_events taken(struct co_vm *vm, u32 lazy)
{
	struct co_events e = { .lazy = lazy, .nports = 99 };

	CHECK(CALL(vm, CO_EVENTS, &e) == 0);
	return e;
}

/* The guest's notices without the end of a run: each is announced once, none is lost. */
static void events(void)
{
	struct co_vcpu_run run = { .detail = CO_RUN_ON };
	struct co_events e, bad = { .lazy = CO_MAX_PORTS };
	u32 s[8] = { MON_EXIT_EVENT, MON_EXIT_EVENT, MON_EXIT_IRQ, MON_EXIT_CONSOLE }, seen = 0;
	s32 handle;
	struct co_vm *vm = started(&handle);

	CHECK(!co_event_ready(vm) && !taken(vm, 0).nports);
	notify(vm, 2);
	memcpy(script, s, sizeof(s));
	step = 0;
	guest = scripted;
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == 0 && run.exit == CO_EXIT_CONSOLE && step == 4);
	guest = NULL;
	run.detail = CO_RUN_NAP + 1;
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == -CO_EINVAL);
	CHECK(co_event_ready(vm));
	e = taken(vm, 0);
	CHECK(e.nports == 1 && e.ports[0] == 2 && !co_event_ready(vm) && !taken(vm, 0).nports);

	notify(vm, 2);				/* a lazy one is silent once it was taken, */
	notify(vm, CO_MAX_PORTS - 1);
	CHECK(taken(vm, 2).nports == 2 && vm->mon->lazy_port == 2);
	notify(vm, 2);
	CHECK(!co_event_ready(vm));
	notify(vm, 3);				/* the others of its word are not, */
	CHECK(co_event_ready(vm));
	e = taken(vm, 2);			/* and it comes along */
	CHECK(e.nports == 2 && e.ports[0] == 2 && e.ports[1] == 3 && vm->mon->lazy_port == 2);
	CHECK(!taken(vm, 2).nports && !vm->mon->lazy_port);
	notify(vm, 2);
	CHECK(co_event_ready(vm));

	for (u32 port = 0; port < CO_MAX_PORTS; port++)
		notify(vm, port);
	for (u32 n; (n = (e = taken(vm, 5)).nports); seen += n)
		for (u32 i = 0; i < n; i++)
			CHECK(e.ports[i] == seen + i);
	CHECK(seen == CO_MAX_PORTS && !vm->mon->outbox_summary);
	CHECK(CALL(vm, CO_EVENTS, &bad) == -CO_EINVAL);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static void monitor_kills(void)
{
	struct co_vm_status st = { 0 };
	struct co_vcpu_run r;
	s32 handle;
	struct co_vm *vm = started(&handle);

	memset(vm->vcpu.mon->why, 'w', CO_WHY_LEN);
	r = run_script(vm, MON_EXIT_KILL, 0, 0);
	CHECK(r.exit == CO_EXIT_KILLED && CALL(vm, CO_VM_STATUS, &st) == 0);
	CHECK(strlen(st.why) == CO_WHY_LEN - 1);
	fake_close(handle, co_vm_destroy);
	vm = started(&handle);
	r = run_script(vm, 4711, 0, 0);
	CHECK(r.exit == CO_EXIT_KILLED && CALL(vm, CO_VM_STATUS, &st) == 0 && st.why[0]);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* ---- another thread runs the vCPU ------------------------------------------------------ */

struct runner {
	pthread_t thread;
	struct co_vm *vm;
	struct co_vcpu_run run;
	int ret, done;
};

static volatile int inside;	/* the guest is in the guest world */

static void *runner(void *arg)
{
	struct runner *r = arg;

	r->run.size = sizeof(r->run);
	r->ret = co_vcpu_run(r->vm, &r->run);
	__atomic_store_n(&r->done, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void start_runner(struct runner *r, struct co_vm *vm, u32 (*fn)(struct co_vcpu *), u32 detail)
{
	*r = (struct runner){ .vm = vm, .run.detail = detail };
	inside = 0;
	guest = fn;
	pthread_create(&r->thread, NULL, runner, r);
}

/* Blocks for ever; what woke it is seen at the next turn. */
static u32 blocking(struct co_vcpu *v)
{
	u32 seen = inside++;

	if (!seen) {
		v->mon->deadline_ns = 0;
		return MON_EXIT_BLOCK;
	}
	v->vm->mon->inbox_summary = 0;
	return MON_EXIT_EVENT;
}

static void event_wakes(void)
{
	struct runner r;
	s32 handle;
	struct co_vm *vm = started(&handle);

	for (int i = 0; i < 500; i++) {		/* before, while and after it falls asleep */
		struct co_event ev = { .port = 65 };

		start_runner(&r, vm, blocking, 0);
		for (int spin = 0; spin < i % 50 * 20; spin++)
			sched_yield();
		CHECK(CALL(vm, CO_EVENT, &ev) == 0);
		pthread_join(r.thread, NULL);
		CHECK(r.ret == 0 && r.run.exit == CO_EXIT_EVENT);
	}
	CHECK(vm->mon->inbox[1] == 2);
	for (u32 i = 0; i < 3; i++) {
		struct co_event ev = { .port = i == 0 ? 0 : i == 1 ? CO_MAX_PORTS : ~0u };

		CHECK(CALL(vm, CO_EVENT, &ev) == -CO_EINVAL);
	}
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static u32 blocking_for_an_hour(struct co_vcpu *v)
{
	u32 seen = inside++;

	v->mon->deadline_ns = seen ? 0 : co_time_now(v->vm) + 3600000000000ull;
	return seen ? MON_EXIT_EVENT : MON_EXIT_BLOCK;
}

static void timer_wakes(void)
{
	struct runner r;
	s32 handle;
	struct co_vm *vm = started(&handle);

	start_runner(&r, vm, blocking_for_an_hour, 0);
	while (!__atomic_load_n(&r.done, __ATOMIC_ACQUIRE)) {
		fake_clock(7200000000000ull);
		sched_yield();
	}
	pthread_join(r.thread, NULL);
	CHECK(r.ret == 0 && r.run.exit == CO_EXIT_EVENT);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* ---- CO_RUN_SOLO: the caller does all else itself ---------------------------------------- */

static u32 solo_why;
static u64 solo_deadline;

/* Its notice is held: the monitor leaves only when the guest has nothing more to do. */
static u32 asking(struct co_vcpu *v)
{
	CHECK(v->vm->mon->solo);
	if (solo_why == MON_EXIT_BLOCK || solo_why == MON_EXIT_IRQ)
		notify(v->vm, 7);
	v->mon->deadline_ns = solo_deadline;
	return solo_why;
}

static int turns;

static u32 ticking(struct co_vcpu *v)
{
	(void)v;
	turns++;
	return MON_EXIT_IRQ;
}

/* In its second turn. */
static u32 interrupted_once(struct co_vcpu *v)
{
	if (turns == 1)
		fake_device();
	return ticking(v);
}

static struct co_vcpu_run run_as(struct co_vm *vm, u32 detail)
{
	struct co_vcpu_run run = { .detail = detail };

	CHECK(CALL(vm, CO_VCPU_RUN, &run) == 0);
	return run;
}

static struct co_vcpu_run solo(struct co_vm *vm, u32 why, u64 deadline)
{
	struct co_vcpu_run run = { .size = sizeof(run), .detail = CO_RUN_SOLO };

	solo_why = why;
	solo_deadline = deadline;
	vm->vcpu.timer_fired = 1;		/* or else a guest that waits is left waiting */
	guest = asking;
	CHECK(co_vcpu_run(vm, &run) == 0);	/* CALL is for one thread at a time */
	guest = NULL;
	return run;
}

static void solo_runs(void)
{
	struct co_event ev = { .port = 9 };
	struct co_vm_kill kill = { .why = "enough" };
	struct co_vcpu_run r, bad = { .detail = CO_RUN_NAP + 1 };
	struct co_vcpu_run many = { .detail = CO_RUN_SOLO, .nports = CO_RUN_PORTS + 1 };
	struct co_vcpu_run wild = { .detail = CO_RUN_SOLO, .nports = 1, .ports = { CO_MAX_PORTS } };
	struct co_vcpu_run raise = { .detail = CO_RUN_SOLO, .nports = 2, .ports = { 65, 66 } };
	s32 handle;
	struct co_vm *vm = started(&handle);

	run_script(vm, MON_EXIT_CONSOLE, 0, 0);
	CHECK(!vm->mon->solo);
	CHECK(CALL(vm, CO_VCPU_RUN, &bad) == -CO_EINVAL);
	r = solo(vm, MON_EXIT_IRQ, 0);
	CHECK(r.exit == CO_EXIT_EVENT && r.nports == 1 && r.ports[0] == 7 && !r.detail);
	CHECK(solo(vm, MON_EXIT_YIELD, 0).exit == CO_EXIT_EVENT && !co_event_ready(vm));

	/* An interrupt that brings nothing to look at is not worth a look: but some time. */
	guest = ticking;
	CHECK(run_as(vm, CO_RUN_SOLO).exit == CO_EXIT_EVENT && turns == 4);
	guest = interrupted_once;
	turns = 0;
	CHECK(run_as(vm, CO_RUN_SOLO).exit == CO_EXIT_EVENT && turns == 2);
	CHECK(run_as(vm, CO_RUN_SOLO).exit == CO_EXIT_EVENT && turns == 6);
	turns = 0;
	CHECK(solo(vm, MON_EXIT_CONSOLE, 0).exit == CO_EXIT_CONSOLE);

	r = solo(vm, MON_EXIT_BLOCK, 0);	/* it waits, until somebody raises a port */
	CHECK(r.exit == CO_EXIT_EVENT && r.nports == 1 && r.ports[0] == 7 && r.detail == CO_RUN_IDLE);
	CHECK(!co_event_ready(vm));
	CHECK(CALL(vm, CO_EVENT, &ev) == 0 && co_event_ready(vm));
	CHECK(CALL(vm, CO_VCPU_RUN, &many) == -CO_EINVAL && CALL(vm, CO_VCPU_RUN, &wild) == -CO_EINVAL);
	r = solo(vm, MON_EXIT_BLOCK, 0);	/* nobody has taken it: not a wait at all */
	CHECK(r.exit == CO_EXIT_EVENT && !r.detail && !co_event_ready(vm));
	vm->mon->inbox_summary = 0;
	CHECK(solo(vm, MON_EXIT_BLOCK, 1).detail == 0);		/* nor with its deadline past */

	guest = asking;
	solo_deadline = 0;
	CHECK(CALL(vm, CO_VCPU_RUN, &raise) == 0 && !raise.detail && vm->mon->inbox[1] == 6);
	guest = NULL;
	vm->mon->inbox_summary = 0;

	CHECK(solo(vm, MON_EXIT_BLOCK, 0).detail == CO_RUN_IDLE && !co_event_ready(vm));
	CHECK(CALL(vm, CO_VM_KILL, &kill) == 0 && co_event_ready(vm));
	CHECK(solo(vm, MON_EXIT_BLOCK, 0).exit == CO_EXIT_KILLED);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* A handle that is polled finds out, whenever the port is raised. */
static int readable(void *vm)
{
	return co_event_ready(vm);
}

static void *raiser(void *vm)
{
	struct co_event ev = { .port = 9 };

	CHECK(CALL((struct co_vm *)vm, CO_EVENT, &ev) == 0);
	return NULL;
}

static void solo_wakes(void)
{
	pthread_t thread;
	s32 handle;
	struct co_vm *vm = started(&handle);

	for (int i = 0; i < 500; i++) {
		vm->mon->inbox_summary = 0;
		pthread_create(&thread, NULL, raiser, vm);
		for (int spin = 0; spin < i % 50 * 20; spin++)
			sched_yield();
		if (solo(vm, MON_EXIT_BLOCK, 0).detail == CO_RUN_IDLE)
			CHECK(co_os_wait_until(vm->notified, readable, vm) == 0);
		pthread_join(thread, NULL);
	}
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* ---- CO_RUN_NAP: a short wait where the runner is ------------------------------------------ */

static struct co_vm *napping;

static u32 never(struct co_vcpu *v)
{
	(void)v;
	CHECK(!"run for nothing");
	return MON_EXIT_BLOCK;
}

static u32 interrupted(struct co_vcpu *v)
{
	fake_device();
	return asking(v);
}

static void in_vain(void)
{
}

static void for_9(void)
{
	CHECK(co_event_raise(napping, 9) == 0);
}

/* A nap was taken (naps more of them than before), and there is still nothing. */
static int still(struct co_vm *vm, u64 naps)
{
	u64 before = fake_naps();
	struct co_vcpu_run r = run_as(vm, CO_RUN_NAP);

	return r.exit == CO_EXIT_EVENT && r.detail == CO_RUN_STILL && !r.nports && fake_naps() - before == naps;
}

static void solo_naps(void)
{
	struct co_vcpu_run r;
	s32 handle;
	struct co_vm *vm = napping = started(&handle);

	CHECK(solo(vm, MON_EXIT_BLOCK, 0).detail == CO_RUN_IDLE);
	guest = never;
	r = run_as(vm, CO_RUN_SOLO);
	CHECK(r.exit == CO_EXIT_EVENT && r.detail == CO_RUN_STILL && !r.nports);
	CHECK(still(vm, 0));			/* this host does not nap */
	fake_nap(in_vain);
	CHECK(still(vm, 1) && still(vm, 1));
	fake_device();				/* what came after a look is looked at before a nap, */
	CHECK(still(vm, 0) && still(vm, 1));
	fake_device();				/* also when in between there was nothing to run */
	CHECK(run_as(vm, CO_RUN_SOLO).detail == CO_RUN_STILL && still(vm, 0) && still(vm, 1));

	fake_nap(for_9);
	notify(vm, 7);				/* a nap takes no notices away */
	r = run_as(vm, CO_RUN_NAP);
	CHECK(r.exit == CO_EXIT_EVENT && !r.detail && !r.nports && fake_naps() == 5);
	CHECK(run_as(vm, CO_RUN_NAP).detail == 0 && fake_naps() == 5);
	r = solo(vm, MON_EXIT_BLOCK, 0);
	CHECK(r.nports == 1 && r.ports[0] == 7);
	vm->mon->inbox_summary = 0;

	solo(vm, MON_EXIT_BLOCK, 0);
	fake_nap(in_vain);
	vm->vcpu.timer_fired = 1;
	guest = interrupted;			/* nor is one slept over that came in a run */
	CHECK(run_as(vm, CO_RUN_SOLO).detail == CO_RUN_IDLE);
	guest = never;
	CHECK(still(vm, 0) && still(vm, 1));
	guest = NULL;
	fake_nap(NULL);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* A deadline put off and brought back costs nothing; one that comes too early waits on. */
static void lazy_timer(void)
{
	const u64 ms = 1000000;
	s32 handle;
	struct co_vm *vm = started(&handle);
	struct mon_vcpu *mon = vm->vcpu.mon;
	u64 early = co_time_now(vm) + 100 * ms, late = early + 3600000 * ms;

	solo(vm, MON_EXIT_BLOCK, early);
	CHECK(mon->armed_ns == early);
	solo(vm, MON_EXIT_BLOCK, late);
	CHECK(mon->armed_ns == early && !co_event_ready(vm));
	fake_clock(101 * ms);			/* too early: for the other one now */
	CHECK(mon->armed_ns == late && !co_event_ready(vm));
	solo(vm, MON_EXIT_BLOCK, early + 1000 * ms);
	CHECK(mon->armed_ns == early + 1000 * ms);
	solo(vm, MON_EXIT_BLOCK, 0);		/* none any more */
	fake_clock(2000 * ms);
	CHECK(!mon->armed_ns && !co_event_ready(vm));
	/* One that is due already starts no timer, which would only come in between. */
	CHECK(solo(vm, MON_EXIT_BLOCK, co_time_now(vm) - 1).detail == 0 && !mon->armed_ns);
	/* Both clocks no longer agree: the guest is run, whatever its deadline says. */
	solo(vm, MON_EXIT_BLOCK, late);
	fake_clock(2 * 3600000 * ms);
	CHECK(!mon->armed_ns && co_event_ready(vm));
	CHECK(solo(vm, MON_EXIT_BLOCK, co_time_now(vm) + 1000 * ms).detail == CO_RUN_IDLE);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static void signal_and_kill_wake(void)
{
	struct co_vm_kill kill = { .why = "enough" };
	struct co_vcpu_run busy = { 0 };
	struct runner r;
	s32 handle;
	struct co_vm *vm = started(&handle);

	start_runner(&r, vm, blocking, 0);
	fake_signal(1);
	pthread_join(r.thread, NULL);
	CHECK(r.ret == 0 && r.run.exit == CO_EXIT_INTR);
	fake_signal(0);

	start_runner(&r, vm, blocking, 0);
	while (!inside)
		sched_yield();
	CHECK(CALL(vm, CO_VCPU_RUN, &busy) == -CO_EBUSY);	/* one runner at a time */
	CHECK(CALL(vm, CO_VM_KILL, &kill) == 0);
	pthread_join(r.thread, NULL);
	CHECK(r.ret == 0 && r.run.exit == CO_EXIT_KILLED);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* A guest in a tight loop leaves only because somebody kicks its CPU. */
static u32 looping(struct co_vcpu *v)
{
	u64 before = fake_kicks();

	(void)v;
	inside = 1;
	while (fake_kicks() == before)
		;
	return MON_EXIT_IRQ;
}

static void kill_kicks(void)
{
	struct co_vm_kill kill = { .why = "enough" };
	struct runner r;
	s32 handle;
	struct co_vm *vm = started(&handle);

	start_runner(&r, vm, looping, 0);
	while (!inside)
		sched_yield();
	CHECK(CALL(vm, CO_VM_KILL, &kill) == 0);
	pthread_join(r.thread, NULL);
	CHECK(r.ret == 0 && r.run.exit == CO_EXIT_KILLED);
	guest = NULL;
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

int main(void)
{
	if (start())
		return 1;
	RUN(exits);
	RUN(events);
	RUN(monitor_kills);
	RUN(event_wakes);
	RUN(timer_wakes);
	RUN(solo_runs);
	RUN(solo_wakes);
	RUN(solo_naps);
	RUN(lazy_timer);
	RUN(signal_and_kill_wake);
	RUN(kill_kicks);
	co_core_stop();
	UNIT_END();
}
