/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of /dev/colinux on Darwin, with all of core behind it; the guest is a function. */
#include <pthread.h>
#include <sched.h>

#include "test.h"

#define MIB	(1ull << 20)

static u64 live, held;			/* with the kext loaded and nothing open */

static void all_gone(const char *when)
{
	CHECK(xnu_live() == live && co_os_held_pages() == held && xnu_maps() == 1 && !co_host.nvms,
	      "%s: live %llu, held %llu, maps %llu", when, xnu_live() - live, co_os_held_pages() - held,
	      xnu_maps());
}

static int make_vm(int minor)
{
	struct co_vm_create c = { .memory_bytes = 32 * MIB, .vcpus = 1, .name = "test" };
	int ret = CALL(minor, CO_VM_CREATE, &c);

	CHECK(ret || c.handle == minor);
	return ret;
}

static int running_vm(void)
{
	struct co_vm_set set = { .rip = 1, .rsp = 2 };
	int m = xnu_open();

	CHECK(m > 0 && !make_vm(m) && !CALL(m, CO_VM_SET, &set));
	return m;
}

/* ---- handles ---------------------------------------------------------------------- */

static void a_handle_becomes_the_vm(void)
{
	struct co_hello h = { .abi_version = CO_ABI_VERSION };
	struct co_vm_map map = { .gfn = 0, .pages = 8192, .writable = 1 };
	struct co_vm_status st = { 0 };
	int a = xnu_open(), b = xnu_open();

	CHECK(a > 0 && b > 0 && a != b);
	CHECK(!CALL(a, CO_HELLO, &h) && h.cpus == 3 && !h.vms && h.held_pages == 0 && !h.obstacles);
	CHECK(CALL(a, CO_VM_STATUS, &st) == -CO_ENOSYS);	/* it controls as yet */
	CHECK(!make_vm(a));
	CHECK(!CALL(a, CO_VM_STATUS, &st) && st.ram_pages == 8192);
	CHECK(!CALL(a, CO_VM_MAP, &map));
	*(u64 *)(map.address + 4096 * 8191) = 4711;
	CHECK(CALL(a, CO_HELLO, &h) == -CO_ENOSYS && make_vm(a) == -CO_ENOSYS);
	CHECK(!CALL(b, CO_HELLO, &h) && h.vms == 1 && h.held_pages > 8192);
	CHECK(xnu_close(a) == 0);
	CHECK(!CALL(b, CO_HELLO, &h) && !h.vms && !h.held_pages);
	CHECK(xnu_close(b) == 0);
	all_gone("closed");
}

static void minors(void)
{
	int m, n, many[200];

	for (n = 0; n < 1000; n++)
		CHECK(xnu_look_up() > 0);
	m = xnu_open();
	CHECK(m > 1000 && xnu_open_minor(m) == 16);		/* EBUSY */
	CHECK(xnu_open_minor(0) == 6);				/* ENXIO: the node itself */
	for (n = 0; n < 200 && (many[n] = xnu_open()) > 0; n++)
		;
	CHECK(n == 127 && many[n] == -24);			/* EMFILE */
	while (n--)
		CHECK(xnu_close(many[n]) == 0);
	CHECK(xnu_close(m) == 0 && xnu_close(m) == 0);		/* the second is nobody's */
	all_gone("closed");
}

static void calls(void)
{
	struct co_hello h = { .abi_version = CO_ABI_VERSION };
	struct co_trace t = { .max = 4 };
	char bytes[8192] = "";
	int m = xnu_open();

	CHECK(CALL(m + 1, CO_HELLO, &h) == 1006);			/* ENXIO */
	CHECK(xnu_ioctl(m, CO_HELLO + (8 << 16), bytes) == 25);	/* another size: ENOTTY */
	CHECK(xnu_ioctl(m, CO_HELLO | 1ull << 32, bytes) == 25);
	CHECK(xnu_ioctl(m, 0x20007501, bytes) == 25);
	CHECK(xnu_ioctl(m, 3u << 30 | 8191u << 16 | 0xc000, bytes) == 25);
	h.size = 12;
	CHECK(xnu_ioctl(m, CO_HELLO, &h) == 0 && h.result == -CO_EABI);
	CHECK(!make_vm(m));
	t.address = 0xffffff8000001000ull;			/* a kernel address is no user's */
	CHECK(CALL(m, CO_TRACE, &t) == 0 && !t.count);
	CHECK(xnu_close(m) == 0);
	all_gone("closed");
}

static void *create(void *arg)
{
	struct co_vm_create c = { .memory_bytes = 32 * MIB, .vcpus = 1, .name = "race" };

	return (void *)(long)CALL(*(int *)arg, CO_VM_CREATE, &c);
}

/* Two threads make a VM by one handle: it can only be one's. */
static void two_creates(void)
{
	for (int i = 0; i < 20; i++) {
		int m = xnu_open(), good = 0;
		pthread_t t[2];
		void *ret;

		for (int k = 0; k < 2; k++)
			pthread_create(&t[k], NULL, create, &m);
		for (int k = 0; k < 2; k++) {
			pthread_join(t[k], &ret);
			good += !ret;
			CHECK(!ret || (long)ret == -CO_ESTATE || (long)ret == -CO_ENOSYS);
		}
		CHECK(good == 1 && co_host.nvms == 1);
		CHECK(xnu_close(m) == 0);
	}
	all_gone("closed");
}

/* ---- a guest runs ------------------------------------------------------------------------- */

static volatile int inside;

static u32 blocks(struct co_vcpu *v)
{
	v->mon->deadline_ns = 0;
	v->mon->host_irq = 0xde;
	return inside++ < 3 ? MON_EXIT_IRQ : MON_EXIT_BLOCK;
}

struct runner {
	pthread_t thread;
	int minor, err;
	struct co_vcpu_run run;
};

static void *run(void *arg)
{
	struct runner *r = arg;

	r->err = CALL(r->minor, CO_VCPU_RUN, &r->run);
	return NULL;
}

static void start(struct runner *r, int m, u32 (*fn)(struct co_vcpu *))
{
	*r = (struct runner){ .minor = m, .run = { .detail = CO_RUN_ON } };
	inside = 0;
	guest = fn;
	pthread_create(&r->thread, NULL, run, r);
}

/* The owner goes, by revoke or by death, while a thread of his is in the guest. */
static void owner_death(void)
{
	for (int i = 0; i < 60; i++) {
		int m = running_vm();
		struct runner r;

		start(&r, m, blocks);
		for (int spin = 0; spin < i % 20 * 10; spin++)
			sched_yield();
		if (i == 30)
			while (!xnu_sleepers())
				sched_yield();
		CHECK(xnu_close(m) == 0);
		pthread_join(r.thread, NULL);
		/* Killed inside; or too late to get in at all. */
		CHECK((r.err == 0 && r.run.exit == CO_EXIT_KILLED) || r.err == 1006, "%d %u", r.err, r.run.exit);
		CHECK(CALL(m, CO_VCPU_RUN, &r.run) == 1006);
		all_gone("died");
	}
	CHECK(xnu_interrupt() == 0xde);
}

static void signals_come_out(void)
{
	int m = running_vm();
	struct runner r;

	for (int i = 0; i < 3; i++) {
		start(&r, m, blocks);
		while (!xnu_sleepers())
			sched_yield();
		xnu_signal(1);
		pthread_join(r.thread, NULL);
		xnu_signal(0);
		CHECK(r.err == 0 && r.run.exit == CO_EXIT_INTR);
	}
	CHECK(xnu_close(m) == 0);
	all_gone("closed");
}

static u32 spins(struct co_vcpu *v)
{
	(void)v;
	inside = 1;
	return MON_EXIT_YIELD;
}

static void exit_and_kill_come_out(void)
{
	struct co_vm_destroy end = { 0 };
	struct co_vm_create c = { .memory_bytes = 32 * MIB, .vcpus = 1, .name = "by-id" };
	struct co_vm_set set = { .rip = 1, .rsp = 2 };
	int control = xnu_open(), m = running_vm(), k = xnu_open();
	struct runner r;

	start(&r, m, spins);
	while (!inside)
		sched_yield();
	xnu_exit(1);
	pthread_join(r.thread, NULL);
	xnu_exit(0);
	CHECK(r.err == 0 && r.run.exit == CO_EXIT_INTR);
	CHECK(xnu_close(m) == 0);

	CHECK(!CALL(k, CO_VM_CREATE, &c) && !CALL(k, CO_VM_SET, &set));
	start(&r, k, spins);
	while (!inside)
		sched_yield();
	end.id = c.id;
	CHECK(!CALL(control, CO_VM_DESTROY, &end));
	pthread_join(r.thread, NULL);
	CHECK(r.err == 0 && r.run.exit == CO_EXIT_KILLED);
	CHECK(xnu_close(k) == 0 && xnu_close(control) == 0);
	all_gone("closed");
}

static u32 notifies(struct co_vcpu *v)
{
	if (inside++)
		return blocks(v);
	v->vm->mon->outbox[0] |= 4;
	v->vm->mon->outbox_summary |= 1;
	return MON_EXIT_EVENT;
}

static void select_wakes(void)
{
	struct co_events e = { 0 };
	u64 wakes = xnu_select_wakes();
	int control = xnu_open(), m = running_vm();
	struct runner r;

	CHECK(xnu_select(control) == 0 && xnu_select(m) == 0 && xnu_select_wakes() == wakes);
	start(&r, m, notifies);
	while (xnu_select_wakes() == wakes)
		sched_yield();
	CHECK(xnu_select(m) == 1);
	CHECK(!CALL(m, CO_EVENTS, &e) && e.nports == 1 && e.ports[0] == 2);
	CHECK(xnu_select(m) == 0);
	CHECK(xnu_close(m) == 0 && xnu_select(m) == 1);
	pthread_join(r.thread, NULL);
	CHECK(xnu_close(control) == 0);
	all_gone("closed");
}

static u32 in_a_timer(struct co_vcpu *v)
{
	if (inside++)
		return MON_EXIT_CONSOLE;
	v->mon->deadline_ns = co_time_now(v->vm) + 2000000;
	return MON_EXIT_BLOCK;
}

static void a_deadline_wakes(void)
{
	int m = running_vm();
	struct runner r;

	for (int i = 0; i < 20; i++) {
		start(&r, m, in_a_timer);
		pthread_join(r.thread, NULL);
		CHECK(r.err == 0 && r.run.exit == CO_EXIT_CONSOLE);
	}
	CHECK(xnu_close(m) == 0);
	all_gone("closed");
}

/* ---- failing, unloading --------------------------------------------------------------------- */

static int whole_life(void)
{
	struct co_vm_map map = { .pages = 16 };
	struct co_vm_set set = { .rip = 1, .rsp = 2 };
	int m = xnu_open(), ret;

	if (m < 0)
		return m;
	ret = make_vm(m);
	if (!ret)
		ret = CALL(m, CO_VM_MAP, &map);
	if (!ret)
		ret = CALL(m, CO_VM_SET, &set);
	CHECK(xnu_close(m) == 0);
	return ret;
}

/* One piece's frames are read run by run, each of which may fail: those are sampled. */
static void every_allocation_fails(void)
{
	u64 n, total, made = 0;
	int ok = 0;

	xnu_fail_nth(0);
	CHECK(!whole_life());
	total = xnu_allocations();	/* about: how often the guest's thread waits varies */
	for (n = 1; !ok && n < 100000; n += n < 60 || n + 60 > total ? 1 : 41) {
		int ret;

		xnu_fail_nth(n);
		ret = whole_life();
		made = xnu_allocations();
		xnu_fail_nth(0);
		ok = !ret;
		CHECK(ok || ret == -CO_ENOMEM || ret == -12, "%d at %llu", ret, n);
		all_gone("failed");
	}
	CHECK(ok && made < n, "%llu of %llu made", made, n);
}

static void unload_is_refused(void)
{
	int m = running_vm(), k;
	struct runner r;

	CHECK(!unload() && strstr(xnu_log(), "1 VMs live") && xnu_device());
	start(&r, m, blocks);
	CHECK(!unload());
	k = xnu_open();
	CHECK(k > 0);			/* the refusal left everything in place */
	CHECK(xnu_close(m) == 0);
	pthread_join(r.thread, NULL);
	CHECK(!unload() && xnu_close(k) == 0);
	CHECK(unload() && !xnu_live() && !xnu_device() && !co_os_held_pages());
	CHECK(load());
}

static void the_slot_is_taken(void)
{
	struct co_hello h = { .abi_version = CO_ABI_VERSION };
	int m;

	CHECK(unload());
	xnu_root[MON_SLOT] = 0x1003;
	CHECK(load());
	m = xnu_open();
	CHECK(!CALL(m, CO_HELLO, &h) && (h.obstacles & CO_OBSTACLE_SLOT_IN_USE));
	CHECK(make_vm(m) == -CO_ECPU);
	CHECK(xnu_close(m) == 0 && unload());
	xnu_root[MON_SLOT] = 0;
	CHECK(load());
}

int main(void)
{
	if (!load())
		xnu_die("the kext cannot be loaded");
	live = xnu_live();
	held = co_os_held_pages();
	RUN(a_handle_becomes_the_vm);
	RUN(minors);
	RUN(calls);
	RUN(two_creates);
	RUN(owner_death);
	RUN(signals_come_out);
	RUN(exit_and_kill_come_out);
	RUN(select_wakes);
	RUN(a_deadline_wakes);
	RUN(every_allocation_fails);
	RUN(unload_is_refused);
	RUN(the_slot_is_taken);
	unit_failed += !unload();
	UNIT_END();
}
