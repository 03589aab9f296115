/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of kext/core on the fake host: the device's calls, every allocation
 * that can fail, and what the guest world's tables allow.
 */
#include "core_test.h"

/* ---- creation --------------------------------------------------------------------- */

static void create_and_close(void)
{
	struct co_vm_status st = { 0 };
	struct co_hello h = { .abi_version = CO_ABI_VERSION };
	s32 handle;
	struct co_vm *vm = create(&handle);

	CHECK(CALL(vm, CO_VM_STATUS, &st) == 0);
	CHECK(st.state == CO_VM_CREATED && st.ram_pages == 64 * MIB / 4096 && !st.why[0]);
	CHECK(st.overhead_pages <= st.ram_pages * 3 / 100 + 512, "%llu of %llu pages",
	      st.overhead_pages, st.ram_pages);
	CHECK(CALL(NULL, CO_HELLO, &h) == 0 && h.vms == 1);
	CHECK(h.held_pages >= st.ram_pages + st.overhead_pages - CO_SPECIAL_FRAMES,
	      "%llu", h.held_pages);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
	CHECK(CALL(NULL, CO_HELLO, &h) == 0 && !h.held_pages && !h.vms);
}

static void overhead(void)
{
	static const u64 sizes[] = { 32, 33, 64, 127, 128, 256, 1024, 4096, 7000 };

	for (u32 i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct co_vm_create c = request("vm", sizes[i] * MIB);
		struct co_vm_status st = { 0 };

		CHECK(CALL(NULL, CO_VM_CREATE, &c) == 0);
		CHECK(CALL(fake_handle(c.handle), CO_VM_STATUS, &st) == 0);
		CHECK(st.overhead_pages <= st.ram_pages * 3 / 100 + 512,
		      "%llu MiB: %llu of %llu pages", sizes[i], st.overhead_pages, st.ram_pages);
		fake_close(c.handle, co_vm_destroy);
	}
	all_gone("closed");
}

static void every_allocation_fails(void)
{
	u64 n;
	int ret = -1;

	for (n = 1; ret && n < 500; n++) {
		struct co_vm_create c = request("vm", 32 * MIB);

		fake_fail_nth(n);
		ret = CALL(NULL, CO_VM_CREATE, &c);
		fake_fail_nth(0);
		CHECK(!ret || ret == -CO_ENOMEM, "allocation %llu: %d", n, ret);
		if (!ret)
			fake_close(c.handle, co_vm_destroy);
		CHECK(!fake_handles());
		all_gone("after a failure");
	}
	CHECK(n > 20 && n < 500, "%llu allocations", n);
}

static void bad_sizes(void)
{
	static const struct { u64 bytes; int want; } cases[] = {
		{ 0, -CO_EMEMORY }, { MIB, -CO_EMEMORY }, { 32 * MIB - 4096, -CO_EMEMORY },
		{ ~0ull, -CO_EINVAL }, { 64 * MIB + 1, -CO_EINVAL }, { ~0ull << 12, -CO_EMEMORY },
		{ 7680 * MIB, -CO_ENOMEM },	/* as much as is free, and nothing left */
		{ 8192 * MIB + 4096, -CO_EMEMORY }, { CO_MAX_MEMORY + 4096, -CO_EMEMORY },
		{ 1ull << 63, -CO_EMEMORY },
	};

	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct co_vm_create c = request("vm", cases[i].bytes);
		int ret = CALL(NULL, CO_VM_CREATE, &c);

		CHECK(ret == cases[i].want, "%llu bytes: %d", cases[i].bytes, ret);
	}
	for (u32 vcpus = 0; vcpus < 4; vcpus += 2) {
		struct co_vm_create c = request("vm", 64 * MIB);

		c.vcpus = vcpus;
		CHECK(CALL(NULL, CO_VM_CREATE, &c) == -CO_EINVAL);
	}
	all_gone("refused");
}

static void names(void)
{
	static const char *const good[] = { "a", "Z9", "mail.server-1_x", "0123456789012345678901234567890" };
	static const char *const bad[] = { "", "-a", ".a", "_a", "a b", "a/b", "..", "a\n", "\x80", "a\x7f",
					   "01234567890123456789012345678901" };

	for (u32 i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct co_vm_create c = request(good[i], 32 * MIB);

		CHECK(CALL(NULL, CO_VM_CREATE, &c) == 0, "%s", good[i]);
		fake_close(c.handle, co_vm_destroy);
	}
	for (u32 i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct co_vm_create c = request(bad[i], 32 * MIB);

		CHECK(CALL(NULL, CO_VM_CREATE, &c) == -CO_EINVAL, "%s", bad[i]);
	}
	all_gone("names");
}

static void limit(void)
{
	s32 handles[CO_MAX_VMS];
	u32 ids[CO_MAX_VMS];

	for (u32 i = 0; i < CO_MAX_VMS; i++) {
		struct co_vm_create c = request("vm", 32 * MIB);

		CHECK(CALL(NULL, CO_VM_CREATE, &c) == 0, "%u", i);
		handles[i] = c.handle;
		ids[i] = c.id;
		for (u32 k = 0; k < i; k++)
			CHECK(ids[k] != c.id);
	}
	{
		struct co_vm_create c = request("vm", 32 * MIB);

		CHECK(CALL(NULL, CO_VM_CREATE, &c) == -CO_ELIMIT);
	}
	for (u32 i = 0; i < CO_MAX_VMS; i++)	/* from the middle and both ends */
		fake_close(handles[(i * 7 + 5) % CO_MAX_VMS], co_vm_destroy);
	all_gone("all closed");
}

/* ---- the calls' own rules --------------------------------------------------------- */

static void transport(void)
{
	static const u32 commands[] = { CO_HELLO, CO_VM_CREATE, CO_VM_DESTROY, CO_VM_MAP, CO_VM_SET,
					CO_VCPU_RUN, CO_EVENT, CO_EVENTS, CO_VM_STATUS, CO_VM_KILL, CO_TRACE };
	struct { u32 size; s32 result; char rest[600]; } arg;
	s32 handle;
	struct co_vm *vm = create(&handle);

	for (u32 i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		u32 size = commands[i] >> 16 & 0x3fff;
		int control = i < 3;

		memset(&arg, 0, sizeof(arg));
		for (int off = -1; off <= 1; off += 2) {	/* another build's struct */
			arg.size = size + (u32)off;
			CHECK(call_at(vm, commands[i], &arg, size) == -CO_EABI, "call %u", i);
		}
		arg.size = size;	/* through the wrong handle */
		CHECK(call_at(control ? vm : NULL, commands[i], &arg, size) == -CO_ENOSYS, "call %u", i);
		CHECK(call_at(vm, commands[i], &arg, size - 1) == -1000 - CO_EFAULT, "call %u", i);
		fake_user(&arg, size, 0);
		CHECK(co_device_call(control ? vm : NULL, 0, commands[i], (u64)&arg) == -CO_EFAULT, "call %u", i);
		fake_user_clear();
		CHECK(co_device_call(vm, 0, commands[i], 0) == -CO_EFAULT);
		CHECK(co_device_call(vm, 0, commands[i], ~0ull) == -CO_EFAULT);
	}
	CHECK(co_device_call(vm, 0, 0, (u64)&arg) == -CO_ENOSYS);
	CHECK(co_device_call(vm, 0, CO_HELLO + 0x10000, (u64)&arg) == -CO_ENOSYS);
	CHECK(co_device_call(NULL, 0, ~0u, (u64)&arg) == -CO_ENOSYS);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static void hello(void)
{
	struct co_hello h = { .abi_version = CO_ABI_VERSION + 1 };

	CHECK(CALL(NULL, CO_HELLO, &h) == -CO_EABI);
	CHECK(h.abi_version == CO_ABI_VERSION && h.build_id[0]);
	CHECK(h.tsc_khz == 2000000 && h.memory_total == 8192 * MIB && h.cpus == 2);
	CHECK(memchr(h.build_id, 0, sizeof(h.build_id)) && memchr(h.cpu_brand, 0, sizeof(h.cpu_brand)));
	CHECK(h.monitor_bytes == 8192 && !h.held_pages);
}

static void map_bounds(void)
{
	static const struct { s64 gfn, pages; int want; } cases[] = {
		{ 0, 1, 0 }, { 0, -1, 0 }, { -2, 1, 0 }, { 5, 7, 0 },	/* negative: from the end */
		{ 0, 0, -CO_EINVAL }, { 0, -9, -CO_EINVAL }, { -1, 1, -CO_EINVAL },
		{ -2, 2, -CO_EINVAL }, { 1, -1, -CO_EINVAL },
	};
	s32 handle;
	struct co_vm *vm = create(&handle);
	u64 frames = vm->ram_pages + CO_SPECIAL_FRAMES;

	for (u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct co_vm_map m = { .writable = 1 };
		int ret;

		m.gfn = cases[i].gfn < 0 ? frames + 1 + (u64)cases[i].gfn : (u64)cases[i].gfn;
		m.pages = cases[i].pages == -9 ? frames + 1 : cases[i].pages < 0 ? frames : (u64)cases[i].pages;
		ret = CALL(vm, CO_VM_MAP, &m);
		CHECK(ret == cases[i].want, "%u: gfn %llu, %llu pages: %d", i, m.gfn, m.pages, ret);
		if (!ret)
			fake_unmap(m.address);
	}
	{
		struct co_vm_map m = { .gfn = ~0ull, .pages = 2 }, n = { .gfn = 1, .pages = ~0ull };

		CHECK(CALL(vm, CO_VM_MAP, &m) == -CO_EINVAL && CALL(vm, CO_VM_MAP, &n) == -CO_EINVAL);
	}
	fake_fail_nth(1);
	{
		struct co_vm_map m = { .pages = 1 };

		CHECK(CALL(vm, CO_VM_MAP, &m) == -CO_ENOMEM);
	}
	fake_fail_nth(0);
	CHECK(!fake_mappings());
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* The worker dies or closes in any order: pages live as long as their last user. */
static void map_outlives_handle(void)
{
	struct co_vm_map m = { .writable = 1 };
	s32 handle;
	struct co_vm *vm = create(&handle);

	m.pages = vm->ram_pages;
	CHECK(CALL(vm, CO_VM_MAP, &m) == 0);
	*(u64 *)(m.address + 4096) = 42;
	CHECK(*(u64 *)fake_ram_va(vm->ram, 1) == 42);
	fake_close(handle, co_vm_destroy);
	CHECK(co_os_held_pages() == base_held + m.pages + CO_SPECIAL_FRAMES);
	CHECK(*(u64 *)(m.address + 4096) == 42);
	fake_unmap(m.address);
	all_gone("unmapped");
}

static void start_rules(void)
{
	struct co_vm_set set = { .cr3_gfn = 1 };
	struct co_vcpu_run run = { 0 };
	s32 handle;
	struct co_vm *vm = create(&handle);

	CHECK(CALL(vm, CO_VCPU_RUN, &run) == -CO_ESTATE);
	run.vcpu = 1;
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == -CO_EINVAL);
	set.vcpu = 1;
	CHECK(CALL(vm, CO_VM_SET, &set) == -CO_EINVAL);
	set.vcpu = 0;
	set.cr3_gfn = vm->ram_pages;
	CHECK(CALL(vm, CO_VM_SET, &set) == -CO_EINVAL);
	set.cr3_gfn = ~0ull;
	CHECK(CALL(vm, CO_VM_SET, &set) == -CO_EINVAL);
	set.cr3_gfn = vm->ram_pages - 1;
	CHECK(CALL(vm, CO_VM_SET, &set) == 0);
	CHECK(CALL(vm, CO_VM_SET, &set) == -CO_ESTATE);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* ---- killing ------------------------------------------------------------------------ */

static void first_reason_wins(void)
{
	struct co_vm_kill kill = { .why = "first" }, again = { 0 };
	struct co_vm_destroy end = { 0 };
	struct co_vm_status st = { 0 };
	struct co_vcpu_run run = { 0 };
	s32 handle;
	struct co_vm *vm = started(&handle);

	CHECK(CALL(vm, CO_VM_KILL, &kill) == 0);
	memset(again.why, 'x', sizeof(again.why));	/* not even terminated */
	CHECK(CALL(vm, CO_VM_KILL, &again) == 0);
	end.id = vm->id;
	CHECK(CALL(NULL, CO_VM_DESTROY, &end) == 0);
	CHECK(CALL(vm, CO_VM_STATUS, &st) == 0);
	CHECK(st.state == CO_VM_KILLED && !strcmp(st.why, "first"), "%s", st.why);
	CHECK(CALL(vm, CO_VCPU_RUN, &run) == 0 && run.exit == CO_EXIT_KILLED);
	fake_close(handle, co_vm_destroy);

	vm = create(&handle);				/* the long one alone */
	CHECK(CALL(vm, CO_VM_KILL, &again) == 0 && CALL(vm, CO_VM_STATUS, &st) == 0);
	CHECK(strlen(st.why) == CO_WHY_LEN - 1);
	end.id = vm->id;
	fake_close(handle, co_vm_destroy);
	CHECK(CALL(NULL, CO_VM_DESTROY, &end) == -CO_ENOENT);
	all_gone("closed");
}

static void trace(void)
{
	struct co_trace_entry got[MON_TRACE_ENTRIES + 1];
	struct co_trace t = { .size = sizeof(t), .max = 3, .address = (u64)got };
	s32 handle;
	struct co_vm *vm = create(&handle);

	CHECK(CALL(vm, CO_TRACE, &t) == 0 && !t.count);
	for (u32 i = 0; i < MON_TRACE_ENTRIES * 2 + 5; i++)
		vm->ring->ring[vm->ring->next++ % MON_TRACE_ENTRIES].a = i;
	fake_user(&t, sizeof(t), 1);
	fake_user(got, sizeof(got), 1);
	CHECK(co_device_call(vm, 0, CO_TRACE, (u64)&t) == 0 && t.result == 0 && t.count == 3);
	CHECK(got[0].a == MON_TRACE_ENTRIES * 2 + 2 && got[2].a == MON_TRACE_ENTRIES * 2 + 4);
	t.max = ~0u;
	CHECK(co_device_call(vm, 0, CO_TRACE, (u64)&t) == 0 && t.count == MON_TRACE_ENTRIES);
	CHECK(got[0].a == MON_TRACE_ENTRIES + 5);
	t.address = 4096;
	CHECK(co_device_call(vm, 0, CO_TRACE, (u64)&t) == 0 && t.result == -CO_EFAULT);
	fake_user_clear();
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

/* ---- what the guest world's tables allow ------------------------------------------------ */

/* Calls see() for each leaf below a third-level page, with the rights that add up. */
static void leaves(u64 hfn, u64 va, int level, u64 rights, void (*see)(u64 va, u64 entry, u64 rights))
{
	const u64 *t = (const u64 *)(hfn << 12);

	for (u64 i = 0; i < 512; i++) {
		u64 e = t[i], r = rights & (e | 1ull << 63), at = va + (i << (12 + 9 * (level - 1)));

		if (!(e & 1))
			continue;
		r |= (e | rights) & 1ull << 63;		/* NX adds up */
		if (level == 1)
			see(at, e, r);
		else
			leaves(e >> 12 & 0xffffffffffull, at, level - 1, r, see);
	}
}

static u64 writable, outside, host_seen, user_bit;

static void see_guest(u64 va, u64 e, u64 rights)
{
	if (rights & 2) {
		writable++;
		outside += !(va >= MON_ENTRY && va < MON_ENTRY + MON_ENTRY_PAGES * 4096);
	}
	host_seen += va >= MON_HOST && va < MON_FRAMES;
	user_bit += !!((e | rights) & 4);
}

static void guest_view_is_read_only(void)
{
	s32 handle;
	struct co_vm *vm = create(&handle);
	struct mon_vcpu *mon = vm->vcpu.mon;

	writable = outside = host_seen = user_bit = 0;
	leaves(mon->guest_l3, MON_BASE, 3, 7, see_guest);
	CHECK(writable == MON_ENTRY_PAGES && !outside, "%llu writable, %llu outside", writable, outside);
	CHECK(!host_seen && !user_bit);
	writable = outside = host_seen = user_bit = 0;
	leaves(mon->user_l3, MON_BASE, 3, 7, see_guest);
	CHECK(writable == MON_ENTRY_PAGES && !outside && !host_seen && !user_bit);
	fake_close(handle, co_vm_destroy);
	all_gone("closed");
}

static void start_fails(void)
{
	u64 n;
	int ret = -1;

	co_core_stop();
	base_live = fake_live();
	base_held = co_os_held_pages();
	for (n = 1; ret && n < 50; n++) {
		memset(&co_host, 0, sizeof(co_host));
		fake_fail_nth(n);
		ret = co_core_start(CO_PROTECT_WP, -1);
		fake_fail_nth(0);
		CHECK(!ret || ret == -CO_ENOMEM, "%d", ret);
		if (!ret)
			co_core_stop();
		all_gone("core");
	}
	CHECK(n > 2 && n < 50);
}

int main(void)
{
	if (start())
		return 1;
	RUN(hello);
	RUN(create_and_close);
	RUN(overhead);
	RUN(every_allocation_fails);
	RUN(bad_sizes);
	RUN(names);
	RUN(limit);
	RUN(transport);
	RUN(map_bounds);
	RUN(map_outlives_handle);
	RUN(start_rules);
	RUN(first_reason_wins);
	RUN(trace);
	RUN(guest_view_is_read_only);
	RUN(start_fails);
	UNIT_END();
}
