/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of core on a fake host whose second CPU is for guests: one serves there, one here. */
#include "core_test.h"

static struct co_vm *vm;
static u64 looks;

static void notify(u32 port)
{
	vm->mon->outbox[port / 64] |= 1ull << (port & 63);
	vm->mon->outbox_summary |= 1ull << (port / 64);
}

static void raise(u32 port)
{
	struct co_event ev = { .port = port };

	CHECK(CALL(vm, CO_EVENT, &ev) == 0);
}

/* As the monitor, or CO_VM_CREATE, has it: nothing for the guest. */
static void empty(void)
{
	vm->mon->inbox_summary = 0;
	memset((void *)vm->mon->inbox, 0, sizeof(vm->mon->inbox));
}

static struct co_events served(u32 mode)
{
	struct co_events e = { .mode = mode, .nports = 99 };

	CHECK(CALL(vm, CO_EVENTS, &e) == 0);
	return e;
}

static void modes(void)
{
	struct co_events wild = { .mode = CO_EVENTS_NAP + 1 }, nap = { .mode = CO_EVENTS_NAP };
	struct co_events soon = { .mode = CO_EVENTS_SOON };
	struct co_vm_status st = { 0 };
	s32 handle;

	co_host.guest_cpu = CO_NO_CPU;
	vm = started(&handle);
	CHECK(CALL(vm, CO_EVENTS, &nap) == -CO_EINVAL && CALL(vm, CO_EVENTS, &soon) == -CO_EINVAL);
	CHECK(CALL(vm, CO_VM_STATUS, &st) == 0 && st.guest_cpu == ~0u && !vm->mon->awake);
	co_host.guest_cpu = 1;
	CHECK(CALL(vm, CO_EVENTS, &wild) == -CO_EINVAL && !vm->mon->awake);
	CHECK(CALL(vm, CO_VM_STATUS, &st) == 0 && st.guest_cpu == 1);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* A nap's interrupt; or, at that moment, the guest. */
static void nothing_comes(void)
{
	CHECK(vm->mon->napping && vm->mon->awake);
	looks++;
}

static void guest_notifies(void)
{
	nothing_comes();
	notify(9);
}

static void naps(void)
{
	struct co_events e;
	s32 handle;

	vm = started(&handle);
	fake_nap(nothing_comes);
	served(CO_EVENTS_SOON);
	CHECK(!looks && vm->mon->awake);
	CHECK(!served(CO_EVENTS_NAP).nports && looks == 1 && !vm->mon->napping);
	fake_device();				/* since then something came: look first */
	CHECK(!served(CO_EVENTS_NAP).nports && looks == 1);
	notify(7);
	e = served(CO_EVENTS_NAP);
	CHECK(e.nports == 1 && e.ports[0] == 7 && looks == 1);
	fake_nap(guest_notifies);
	e = served(CO_EVENTS_NAP);
	CHECK(e.nports == 1 && e.ports[0] == 9 && looks == 2);
	served(CO_EVENTS_ALL);
	CHECK(looks == 2 && !vm->mon->awake);
	fake_nap(nothing_comes);
	co_vm_kill(vm, "enough");		/* nor is the end slept over */
	served(CO_EVENTS_NAP);
	CHECK(looks == 2);
	fake_nap(NULL);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* What is raised interrupts only a guest that does not come to look for it. */
static void raises(void)
{
	u64 kicks;
	s32 handle;

	vm = started(&handle);
	kicks = fake_kicks();
	vm->vcpu.cpu = 1;			/* it runs */
	raise(9);
	CHECK(fake_kicks() == kicks + 1);
	empty();
	served(CO_EVENTS_SOON);
	raise(9);
	CHECK(fake_kicks() == kicks + 1 && vm->mon->inbox_summary == 1);
	served(CO_EVENTS_SOON);
	CHECK(fake_kicks() == kicks + 1);
	vm->mon->spinning = 1;			/* it is idle, and will see it */
	served(CO_EVENTS_NAP);
	CHECK(fake_kicks() == kicks + 1);
	vm->mon->spinning = 0;			/* it computes */
	served(CO_EVENTS_NAP);
	CHECK(fake_kicks() == kicks + 2);
	served(CO_EVENTS_ALL);			/* its runner goes to sleep */
	CHECK(fake_kicks() == kicks + 3);
	served(CO_EVENTS_ALL);
	CHECK(fake_kicks() == kicks + 3);
	raise(10);
	CHECK(fake_kicks() == kicks + 4);
	vm->mon->spinning = 1;
	raise(11);
	CHECK(fake_kicks() == kicks + 4);
	co_vm_kill(vm, "enough");		/* that it must leave for */
	CHECK(fake_kicks() == kicks + 5);
	vm->vcpu.cpu = CO_NO_CPU;
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static u32 why;
static u64 spin, armed;

static u32 idling(struct co_vcpu *v)
{
	u32 now = why;

	spin = v->vm->mon->spin;
	armed = v->mon->armed_ns;
	v->mon->deadline_ns = co_time_now(v->vm) + 3600000000000ull;
	why = MON_EXIT_CONSOLE;
	return now;
}

static void run_as(u32 detail, u32 how)
{
	struct co_vcpu_run run = { .detail = detail };

	guest = idling;
	why = how;
	vm->vcpu.timer_fired = 1;		/* or else a solo one that waits is left waiting */
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == 0);
	guest = NULL;
}

static void spins(void)
{
	s32 handle;

	vm = started(&handle);
	fake_alone(1);
	run_as(CO_RUN_ON, MON_EXIT_IRQ);
	CHECK(spin && fake_moved() == 1 && !armed);	/* for its timer the host's tick will do */
	run_as(CO_RUN_SOLO, MON_EXIT_CONSOLE);	/* who serves it could not */
	CHECK(!spin);
	vm->vcpu.mon->armed_ns = 0;
	fake_alone(0);				/* another VM waits for the CPU */
	run_as(CO_RUN_ON, MON_EXIT_IRQ);
	CHECK(!spin && armed);
	co_host.guest_cpu = 0;			/* it is not there */
	fake_alone(1);
	run_as(CO_RUN_ON, MON_EXIT_CONSOLE);
	CHECK(!spin);
	co_host.guest_cpu = 1;
	fake_close(handle, co_vm_destroy);

	all_gone("closed");
}

int main(void)
{
	if (start())
		return 1;
	RUN(modes);
	RUN(naps);
	RUN(raises);
	RUN(spins);
	co_core_stop();
	UNIT_END();
}
