/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A domain on /dev/colinux from an image in memory: for codom and bed, on either
 * host.  Whatever fails ends the program.
 */
#ifndef DOMAIN_H
#define DOMAIN_H

#include "../../kext/include/co_abi.h"
#include "../../kext/include/xen/sched.h"
#include "../../kext/include/xen/io/console.h"
#include "../../helperd/worker/builder/builder.h"
#include "bare.h"

static const char *error_name(int code)
{
	switch (code) {
#define CO_ERROR(name, number, text, hint) case number: return #name ": " text;
#include "errors.def"
#undef CO_ERROR
	}
	return "an unknown error";
}

static int vm_fd = -1;

static long call(int fd, unsigned int request, void *arg)
{
	return sys(SYS_IOCTL, fd, (long)request, (long)arg, 0, 0, 0);
}

/* Every struct begins with size and result. */
static void must(int fd, unsigned int request, void *arg, const char *what)
{
	long rc = call(fd, request, arg);
	co_s32 result = ((co_s32 *)arg)[1];

	if (rc < 0) {
		say(ME ": ");
		say(what);
		say(": errno ");
		say_number((co_u64)-rc, 10);
		say("\n");
		quit(1);
	}
	if (result)
		die(what, error_name(-result));
}

static int open_device(void)
{
	long fd = sys(SYS_OPEN, (long)"/dev/colinux", O_RDWR_, 0, 0, 0, 0);

	if (fd < 0)
		die("/dev/colinux", "cannot be opened (is the module loaded? are you root?)");
	return (int)fd;
}

static int hello(void)
{
	int fd = open_device();
	struct co_hello h = { .size = sizeof(h), .abi_version = CO_ABI_VERSION };

	must(fd, CO_HELLO, &h, "CO_HELLO");
	say(ME ": build ");
	say(h.build_id);
	say(h.protect == CO_PROTECT_WP ? " protect=wp" : " protect=none");
	say_pair("tsc_khz", h.tsc_khz);
	say(" features=0x");
	say_number(h.features, 16);
	say(" obstacles=0x");
	say_number(h.obstacles, 16);
	say_pair("held_pages", h.held_pages);
	say("\n");
	return fd;
}

/* Linux hands out a descriptor; on Darwin the handle that made a VM is its own. */
static void create_vm(int control, const char *name, co_u64 mib)
{
	struct co_vm_create c = { .size = sizeof(c), .vcpus = 1, .memory_bytes = mib << 20 };
	int i;

	for (i = 0; i + 1 < (int)CO_NAME_LEN && name[i]; i++)
		c.name[i] = name[i];
#ifdef __APPLE__
	(void)control;
	vm_fd = open_device();
	must(vm_fd, CO_VM_CREATE, &c, "CO_VM_CREATE");
#else
	must(control, CO_VM_CREATE, &c, "CO_VM_CREATE");
	vm_fd = c.handle;
#endif
}

/* What a domain is made of; cmdline and images stay the caller's. */
struct domain {
	const void *kernel, *initrd;
	co_u64 kernel_bytes, initrd_bytes, mib;
	const char *cmdline;
};

static co_u64 ring_gfn;

static struct xencons_interface *build(const struct domain *d)
{
	struct co_vm_map map = { .size = sizeof(map), .writable = 1 };
	struct co_vm_set set = { .size = sizeof(set) };
	static struct wk_builder_out out;
	struct wk_builder_in in = { 0 };

	map.pages = d->mib << (20 - CO_PAGE_SHIFT);
	must(vm_fd, CO_VM_MAP, &map, "CO_VM_MAP");

	in.memory = (void *)map.address;
	in.memory_bytes = d->mib << 20;
	in.kernel = d->kernel;
	in.kernel_bytes = d->kernel_bytes;
	in.initrd = d->initrd;
	in.initrd_bytes = d->initrd_bytes;
	in.cmdline = d->cmdline;
	in.shared_info_gfn = CO_SHARED_INFO_GFN(map.pages);
	in.console_port = CO_PORT_CONSOLE;
	if (wk_builder_build(&in, &out))
		die("the domain cannot be built", out.why);

	set.rip = out.rip;
	set.rsp = out.rsp;
	set.rsi = out.rsi;
	set.cr3_gfn = out.cr3_gfn;
	must(vm_fd, CO_VM_SET, &set, "CO_VM_SET");
	ring_gfn = out.console_gfn;
	return (void *)(map.address + (out.console_gfn << CO_PAGE_SHIFT));
}

/* Copies what the guest wrote; true if it should be told of the room. */
static int drain(struct xencons_interface *ring)
{
	XENCONS_RING_IDX cons = __atomic_load_n(&ring->out_cons, __ATOMIC_RELAXED);
	XENCONS_RING_IDX prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);
	char text[sizeof(ring->out)];
	XENCONS_RING_IDX n = prod - cons, i;

	if (!n)
		return 0;
	if (n > sizeof(ring->out)) {	/* indices gone wild: catch up */
		__atomic_store_n(&ring->out_cons, prod, __ATOMIC_RELEASE);
		return 0;
	}
	for (i = 0; i < n; i++)
		text[i] = ring->out[MASK_XENCONS_IDX(cons + i, ring->out)];
	__atomic_store_n(&ring->out_cons, prod, __ATOMIC_RELEASE);
	put(1, text, n);
	return 1;
}

static void report_trace(void)
{
	static struct co_trace_entry entries[128];
	struct co_trace t = {
		.size = sizeof(t), .max = sizeof(entries) / sizeof(entries[0]),
		.address = (co_u64)(unsigned long)entries,
	};
	co_u32 i;

	if (call(vm_fd, CO_TRACE, &t) < 0 || t.result || t.count > t.max)
		return;
	for (i = 0; i < t.count; i++) {
		struct co_trace_entry *e = &entries[i];
		co_u64 v[4] = { e->a, e->b, e->c, e->d };

		say(ME ": trace ");
		say_number(e->tsc, 10);
		say(" what=");
		say_number(e->what, 10);
		for (int k = 0; k < 4; k++) {
			say(" ");
			say_number(v[k], 16);
		}
		say("\n");
	}
}

static void report(int quiet, int trace)
{
	struct co_vm_status s = { .size = sizeof(s) };
	struct co_counters *c = &s.counters;

	if (trace)
		report_trace();
	must(vm_fd, CO_VM_STATUS, &s, "CO_VM_STATUS");
	s.why[CO_WHY_LEN - 1] = '\0';
	if (s.why[0]) {
		say(ME ": why: ");
		say(s.why);
		say("\n");
	}
	if (quiet)
		return;
	say(ME ":");
#define COUNTER(name) say_pair(#name, c->name)
	COUNTER(passages); COUNTER(interrupts); COUNTER(nmis);
	COUNTER(nmis_in_monitor); COUNTER(slow_paths); COUNTER(page_faults);
	COUNTER(fills); COUNTER(injected); COUNTER(hypercalls);
	COUNTER(cr3_writes); COUNTER(wp_toggles); COUNTER(shadow_allocs);
	COUNTER(shadow_recycles); COUNTER(unsyncs); COUNTER(resyncs);
	COUNTER(emulated); COUNTER(timer_exits); COUNTER(blocks); COUNTER(run_ns);
	COUNTER(notices); COUNTER(longest_off);
#undef COUNTER
	say_pair("shadow_pages", s.shadow_pages);
	say_pair("shadow_used", s.shadow_used);
	say_pair("overhead_pages", s.overhead_pages);
	say("\n");
}

static int run(struct xencons_interface *ring, co_u32 how)
{
	static struct co_vcpu_run r;

	for (;;) {
		struct co_event ev = { .size = sizeof(ev), .port = CO_PORT_CONSOLE };
		long rc;

		r.size = sizeof(r);
		r.result = 0;
		r.vcpu = 0;
		r.detail = how;
		rc = call(vm_fd, CO_VCPU_RUN, &r);
		if (rc == -ERR_INTR)
			continue;
		if (rc < 0)
			r.result = -CO_EIO;
		if (r.result == -CO_EKILLED)
			r.exit = CO_EXIT_KILLED;
		else if (r.result) {
			say(ME ": CO_VCPU_RUN: ");
			say(error_name(-r.result));
			say("\n");
			return 1;
		}
		if (r.exit == CO_EXIT_CONSOLE && r.nports <= sizeof(r.text))
			put(1, r.text, r.nports);
		if (!how && drain(ring))
			must(vm_fd, CO_EVENT, &ev, "CO_EVENT");
		if (r.exit == CO_EXIT_SHUTDOWN)
			return r.detail == SHUTDOWN_poweroff ? 0 : 10 + (int)(r.detail & 7);
		if (r.exit == CO_EXIT_KILLED)
			return 20;
		if (r.exit > CO_EXIT_CONSOLE) {
			say(ME ": CO_VCPU_RUN returned an unknown exit\n");
			return 1;
		}
	}
}


#endif
