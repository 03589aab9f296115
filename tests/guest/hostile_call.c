// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks by hypercalls: buffers that are not the guest's, numbers out of
 * range, state that makes the next crossing fail, floods.  The last table is
 * seeded noise, and ends most VMs.
 */
#include "hostile.h"
#include "xen/callback.h"
#include "xen/event_channel.h"
#include "xen/grant_table.h"
#include "xen/memory.h"
#include "xen/physdev.h"
#include "xen/sched.h"
#include "xen/vcpu.h"
#include "xen/version.h"

/* Where no hypercall may read or write. */
static const u64 bad_buffers[] = {
	MON_TEXT, MON_VM, MON_GATE_IDT, MON_GATE_GDT, MON_STACK, MON_STATE, MON_HOST, MON_FRAMES,
	MON_POOL + PAGE, MON_PHYS, MON_HOLE_START, MON_HOLE_END - 8, MON_TEXT - 4, BAD_ADDRESS - 2,
	BAD_ADDRESS, 0xffff7ffffffffff8ull, UNMAPPED, 0x1000, ~0ull - 3, ~0ull,
};

/* A call whose argument `at` is a pointer that must be refused. */
struct call {
	u8 nr, at;
	u64 args[4];
};

/*
 * arg: nr | position << 8 | args...; every bad buffer must give an error (or a
 * fault), none may change the monitor's text.
 */
static long pointer(u64 index)
{
	static const struct call calls[] = {
		{ __HYPERVISOR_set_trap_table, 0, { 0 } },
		{ __HYPERVISOR_mmu_update, 0, { 0, 1, 0, DOMID_SELF } },
		{ __HYPERVISOR_set_gdt, 0, { 0, 512 } },
		{ __HYPERVISOR_multicall, 0, { 0, 4 } },
		{ __HYPERVISOR_mmuext_op, 0, { 0, 1, 0, DOMID_SELF } },
		{ __HYPERVISOR_console_io, 2, { CONSOLEIO_write, 64, 0 } },
		{ __HYPERVISOR_xen_version, 1, { XENVER_extraversion, 0 } },
		{ __HYPERVISOR_xen_version, 1, { XENVER_get_features, 0 } },
		{ __HYPERVISOR_memory_op, 1, { XENMEM_memory_map, 0 } },
		{ __HYPERVISOR_memory_op, 1, { XENMEM_decrease_reservation, 0 } },
		{ __HYPERVISOR_memory_op, 1, { XENMEM_machphys_mapping, 0 } },
		{ __HYPERVISOR_event_channel_op, 1, { EVTCHNOP_send, 0 } },
		{ __HYPERVISOR_event_channel_op, 1, { EVTCHNOP_bind_virq, 0 } },
		{ __HYPERVISOR_event_channel_op, 1, { EVTCHNOP_alloc_unbound, 0 } },
		{ __HYPERVISOR_vcpu_op, 2, { VCPUOP_register_vcpu_info, 0, 0 } },
		{ __HYPERVISOR_vcpu_op, 2, { VCPUOP_register_runstate_memory_area, 0, 0 } },
		{ __HYPERVISOR_vcpu_op, 2, { VCPUOP_register_vcpu_time_memory_area, 0, 0 } },
		{ __HYPERVISOR_vcpu_op, 2, { VCPUOP_set_singleshot_timer, 0, 0 } },
		{ __HYPERVISOR_callback_op, 1, { CALLBACKOP_register, 0 } },
		{ __HYPERVISOR_physdev_op, 1, { PHYSDEVOP_set_iopl, 0 } },
		{ __HYPERVISOR_sched_op, 1, { SCHEDOP_poll, 0 } },
		{ __HYPERVISOR_grant_table_op, 1, { GNTTABOP_setup_table, 0, 1 } },
	};
	static volatile u64 before;
	const struct call *c = &calls[index];

	if (index >= sizeof(calls) / sizeof(*calls))
		die("no such row of calls");
	before = *(volatile u64 *)MON_TEXT;
	for (unsigned int i = 0; i < sizeof(bad_buffers) / sizeof(*bad_buffers); i++) {
		u64 a[4];
		long r;

		memcpy(a, c->args, sizeof(a));
		a[c->at] = bad_buffers[i];
		r = hyper(c->nr, a[0], a[1], a[2], a[3], 0);
		if (r >= 0 && !(c->nr == __HYPERVISOR_set_trap_table && !bad_buffers[i])) {
			say("buffer at ");
			say_hex(bad_buffers[i]);
			say(" returned ");
			say_hex(r);
			say("\n");
			breach("a hypercall took a buffer that is not the guest's");
		}
	}
	if (before != *(volatile u64 *)MON_TEXT)
		breach("the monitor's text changed");
	return -14;
}

/* Pointers inside the structures that a hypercall is given. */
static long nested_pointer(u64 which)
{
	long r = -1;

	for (unsigned int i = 0; i < sizeof(bad_buffers) / sizeof(*bad_buffers); i++) {
		u64 bad = bad_buffers[i];
		struct xen_memory_map map = { .nr_entries = 8, .buffer = bad };
		struct xen_memory_reservation res = { .extent_start = bad, .nr_extents = 4,
						      .domid = DOMID_SELF };
		struct sched_poll poll = { .ports = bad, .nr_ports = 4, .timeout = 1 };
		struct vcpu_register_time_memory_area time = { .addr = { .p = bad } };
		struct gnttab_setup_table table = { .dom = DOMID_SELF, .nr_frames = 4,
						    .frame_list = bad };
		struct multicall_entry multi = { .op = __HYPERVISOR_console_io,
						 .args = { CONSOLEIO_write, 64, bad } };

		switch (which) {
		case 0: r = hyper(__HYPERVISOR_memory_op, XENMEM_memory_map, (u64)&map, 0, 0, 0); break;
		case 1: r = hyper(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, (u64)&res, 0, 0, 0); break;
		case 2: r = hyper(__HYPERVISOR_memory_op, XENMEM_populate_physmap, (u64)&res, 0, 0, 0); break;
		case 3: r = hyper(__HYPERVISOR_sched_op, SCHEDOP_poll, (u64)&poll, 0, 0, 0); break;
		case 4: r = hyper(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_time_memory_area, 0, (u64)&time, 0, 0); break;
		case 5: r = hyper(__HYPERVISOR_vcpu_op, VCPUOP_register_runstate_memory_area, 0, (u64)&time, 0, 0); break;
		case 6: r = hyper(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (u64)&table, 1, 0, 0);
			r = r ? r : table.status; break;
		case 7: hyper(__HYPERVISOR_multicall, (u64)&multi, 1, 0, 0, 0); r = multi.result; break;
		}
		/* 1 and 2 return how many they did; a poll may end at once. */
		if (r > 0 || (r == 0 && (which == 0 || which == 7)))
			breach("a hypercall followed a pointer that is not the guest's");
		hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	}
	return r;
}

/* A count with a good buffer that is far too long. */
static long long_buffer(u64 nr)
{
	if (nr == __HYPERVISOR_console_io)
		return hyper(nr, CONSOLEIO_write, 0x7fffffff, (u64)spare, 0, 0);
	return hyper(nr, (u64)spare, 0x7fffffff, 0, DOMID_SELF, 0);
}

/* Two million calls in one: a page of entries mapped 32,768 times. */
static long vast_multicall(u64 entries)
{
	u64 *l4 = page_of(root_gfn()), *l3 = (u64 *)spare[1], *l2 = (u64 *)spare[2];
	u64 *l1 = (u64 *)spare[3];
	struct multicall_entry *m = (void *)spare[4];
	long r;

	for (unsigned int i = 0; i < PAGE / sizeof(*m); i++)
		m[i].op = __HYPERVISOR_xen_version;
	for (int i = 0; i < 512; i++)
		l1[i] = gfn_of(m) << 12 | PTE_P | PTE_W;
	for (int i = 0; i < 64; i++)
		l2[i] = gfn_of(l1) << 12 | PTE_P | PTE_W;
	l3[0] = gfn_of(l2) << 12 | PTE_P | PTE_W;
	if (update(&l4[302], gfn_of(l3) << 12 | PTE_P | PTE_W))
		return -1;
	r = hyper(__HYPERVISOR_multicall, 0xffff000000000000ull | 302ull << 39, entries, 0, 0, 0);
	update(&l4[302], 0);
	return r;
}

static long nested_multicall(u64 depth)
{
	struct multicall_entry *m = (void *)spare;
	const unsigned int most = sizeof(spare) / sizeof(*m);

	for (unsigned int i = 0; i < most; i++) {
		m[i].op = __HYPERVISOR_multicall;
		m[i].args[0] = (u64)&m[i + 1 < most && !depth ? i + 1 : 0];
		m[i].args[1] = depth ? most : 1;
	}
	return hyper(__HYPERVISOR_multicall, (u64)m, depth ? most : 1, 0, 0, 0);
}

static long multicall_of(u64 nr)
{
	struct multicall_entry *m = (void *)spare;

	for (int i = 0; i < 64; i++) {
		m[i].op = nr;
		for (int k = 0; k < 6; k++)
			m[i].args[k] = MON_STACK + 8 * k;
	}
	return hyper(__HYPERVISOR_multicall, (u64)m, 64, 0, 0, 0);
}

static long port_op(u64 which)
{
	static const u32 ports[] = { 0, CO_MAX_PORTS, CO_MAX_PORTS + 1, 1u << 16, 1u << 30, ~0u, 4095 };
	long r = 0;

	for (unsigned int i = 0; i < sizeof(ports) / sizeof(*ports); i++) {
		u32 op[8] = { ports[i], ports[i], ports[i], ports[i] };

		r = hyper(__HYPERVISOR_event_channel_op, which, (u64)op, 0, 0, 0);
		if (r == 0 && ports[i] >= CO_MAX_PORTS && which == EVTCHNOP_send)
			breach("a port out of range was sent to");
	}
	return r;
}

static long bind_virq(u64 virq)
{
	struct evtchn_bind_virq op = { .virq = virq, .vcpu = 0 };

	return hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_virq, (u64)&op, 0, 0, 0);
}

static long bind_vcpu(u64 vcpu)
{
	struct evtchn_bind_ipi op = { .vcpu = vcpu };

	return hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_bind_ipi, (u64)&op, 0, 0, 0);
}

static long all_ports(u64 arg)
{
	long r = 0;

	(void)arg;
	for (unsigned int i = 0; i < CO_MAX_PORTS + 8 && r >= 0; i++) {
		struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 0 };

		r = hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&op, 0, 0, 0);
	}
	for (u32 p = 3; p < CO_MAX_PORTS; p++)
		hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (u64)&p, 0, 0, 0);
	return r;
}

/* vcpu_info where it crosses a page, is unaligned or is not ours. */
static long vcpu_info(u64 offset)
{
	struct vcpu_register_vcpu_info info = { .mfn = gfn_of(spare[4]), .offset = offset };

	return hyper(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, (u64)&info, 0, 0);
}

static long vcpu_info_at(u64 gfn)
{
	struct vcpu_register_vcpu_info info = { .mfn = gfn, .offset = 0 };

	return hyper(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, (u64)&info, 0, 0);
}

static long other_vcpu(u64 id)
{
	long r = 0;

	for (int op = 0; op < 14; op++)
		r |= hyper(__HYPERVISOR_vcpu_op, op, id, (u64)spare, 0, 0);
	return r < 0 ? r : 0;
}

static long va_mapping(u64 va)
{
	return hyper(__HYPERVISOR_update_va_mapping, va, gfn_of(spare[0]) << 12 | PTE_P | PTE_W,
		     UVMF_INVLPG, 0, 0);
}

static long va_flags(u64 flags)
{
	return hyper(__HYPERVISOR_update_va_mapping, (u64)spare[8],
		     gfn_of(spare[8]) << 12 | PTE_P | PTE_W, flags, 0, 0);
}

static long mmu_ptr(u64 ptr)
{
	struct mmu_update u = { ptr, gfn_of(spare[0]) << 12 | PTE_P | PTE_W };
	u32 done;

	return hyper(__HYPERVISOR_mmu_update, (u64)&u, 1, (u64)&done, DOMID_SELF, 0);
}

static long mmuext_cmd(u64 cmd)
{
	static const u64 frames[] = { 1ull << 40, ~0ull, 1ull << 52, 0xfee00 };
	long r = 0;

	for (unsigned int i = 0; i < sizeof(frames) / sizeof(*frames); i++) {
		struct mmuext_op op = { .cmd = cmd };
		u32 done;

		op.arg1.mfn = frames[i];
		op.arg2.src_mfn = frames[i];
		r = hyper(__HYPERVISOR_mmuext_op, (u64)&op, 1, (u64)&done, DOMID_SELF, 0);
	}
	return r;
}

/* Debug addresses inside the hole must be refused; GD and I/O breakpoints too. */
static long debugreg(u64 address)
{
	long r = 0;

	for (int i = 0; i < 4; i++)
		r |= hyper(__HYPERVISOR_set_debugreg, i, address, 0, 0, 0);
	r |= hyper(__HYPERVISOR_set_debugreg, 7, 0xffff07ff, 0, 0, 0);
	attempt((long (*)(u64))0xffffffff00000000ull, 0);
	for (int i = 0; i < 1000; i++)
		hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	for (int i = 0; i < 4; i++)
		hyper(__HYPERVISOR_set_debugreg, i, 0, 0, 0, 0);
	hyper(__HYPERVISOR_set_debugreg, 7, 0x400, 0, 0, 0);
	return r;
}

static long dr7(u64 value)
{
	long r = hyper(__HYPERVISOR_set_debugreg, 7, value, 0, 0, 0);

	hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	hyper(__HYPERVISOR_set_debugreg, 7, 0x400, 0, 0, 0);
	return r;
}

static long debugreg_number(u64 n)
{
	return hyper(__HYPERVISOR_set_debugreg, n, 0, 0, 0, 0) |
	       hyper(__HYPERVISOR_get_debugreg, n, 0, 0, 0, 0);
}

static long segment_base(u64 base)
{
	long r = 0;

	for (int which = 0; which < 3; which++)
		r |= hyper(__HYPERVISOR_set_segment_base, which, base, 0, 0, 0);
	for (int which = 0; which < 3; which++)
		hyper(__HYPERVISOR_set_segment_base, which, 0, 0, 0, 0);
	return r;
}

static long gs_selector(u64 selector)
{
	long r = hyper(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, selector, 0, 0, 0);

	hyper(__HYPERVISOR_set_segment_base, SEGBASE_GS_USER_SEL, 0, 0, 0, 0);
	return r;
}

static long set_iopl(u64 iopl)
{
	struct physdev_set_iopl op = { iopl };
	u64 flags;
	long r = hyper(__HYPERVISOR_physdev_op, PHYSDEVOP_set_iopl, (u64)&op, 0, 0, 0);

	asm volatile("pushf\n\tpop %0" : "=r"(flags));
	if (flags >> 12 & 3)
		breach("IOPL was raised");
	return r;
}

static long flood(u64 nr)
{
	u64 arg = nr == __HYPERVISOR_sched_op ? SCHEDOP_yield : 0;

	for (int i = 0; i < 200000; i++)
		hyper(nr, arg, 0, 0, 0, 0);
	return 0;
}

static long timer_flood(u64 base)
{
	for (u64 i = 0; i < 20000; i++)
		hyper(__HYPERVISOR_set_timer_op, base + i, 0, 0, 0, 0);
	hyper(__HYPERVISOR_set_timer_op, 0, 0, 0, 0, 0);
	return 0;
}

static long unknown(u64 from)
{
	long r = -38;

	for (u64 nr = from; nr < from + 64; nr++)
		r = hyper(nr, MON_STACK, MON_STACK, MON_STACK, MON_STACK, MON_STACK);
	return r;
}

#define POINTER(n, name) { "buffer_" name, pointer, n, ERROR | KILL }

const struct attack call_attacks[] = {
	POINTER(0, "trap_table"), POINTER(1, "mmu_update"), POINTER(2, "set_gdt"),
	POINTER(3, "multicall"), POINTER(4, "mmuext"), POINTER(5, "console"),
	POINTER(6, "extraversion"), POINTER(7, "features"), POINTER(8, "memory_map"),
	POINTER(9, "decrease"), POINTER(10, "machphys"), POINTER(11, "send"),
	POINTER(12, "bind_virq"), POINTER(13, "alloc_unbound"), POINTER(14, "vcpu_info"),
	POINTER(15, "runstate"), POINTER(16, "vcpu_time"), POINTER(17, "singleshot"),
	POINTER(18, "callback"), POINTER(19, "set_iopl"), POINTER(20, "poll"), POINTER(21, "grants"),
	{ "nested_memory_map", nested_pointer, 0, ERROR | KILL },
	{ "nested_decrease", nested_pointer, 1, ANY }, { "nested_populate", nested_pointer, 2, ANY },
	{ "nested_poll", nested_pointer, 3, ANY }, { "nested_time", nested_pointer, 4, ANY },
	{ "nested_runstate", nested_pointer, 5, ANY }, { "nested_grants", nested_pointer, 6, ERROR | KILL },
	{ "nested_multicall", nested_pointer, 7, ERROR | KILL },
	{ "long_console", long_buffer, __HYPERVISOR_console_io, ANY },
	{ "long_mmu_update", long_buffer, __HYPERVISOR_mmu_update, ANY },
	{ "long_mmuext", long_buffer, __HYPERVISOR_mmuext_op, ANY },
	{ "vast_multicall", vast_multicall, 2 << 20, ANY }, { "long_multicall", vast_multicall, ~0u, ANY },
	{ "multicall_deep", nested_multicall, 0, ANY }, { "multicall_wide", nested_multicall, 1, ANY },
	{ "multicall_iret", multicall_of, __HYPERVISOR_iret, ANY },
	{ "multicall_trap_table", multicall_of, __HYPERVISOR_set_trap_table, ANY },
	{ "multicall_stack", multicall_of, __HYPERVISOR_stack_switch, ANY },
	{ "multicall_unknown", multicall_of, ~0ull, ANY },
	{ "ports_send", port_op, EVTCHNOP_send, ANY }, { "ports_close", port_op, EVTCHNOP_close, ANY },
	{ "ports_status", port_op, EVTCHNOP_status, ANY }, { "ports_unmask", port_op, EVTCHNOP_unmask, ANY },
	{ "ports_bind_vcpu", port_op, EVTCHNOP_bind_vcpu, ANY },
	{ "ports_interdomain", port_op, EVTCHNOP_bind_interdomain, ANY },
	{ "ports_unknown", port_op, 77, ERROR | KILL },
	{ "virq_24", bind_virq, 24, ERROR | KILL }, { "virq_big", bind_virq, 1u << 20, ERROR | KILL },
	{ "virq_minus_1", bind_virq, ~0u, ERROR | KILL },
	{ "ipi_vcpu_1", bind_vcpu, 1, ANY }, { "ipi_vcpu_minus_1", bind_vcpu, ~0u, ERROR | KILL },
	{ "ports_all", all_ports, 0, ANY },
	{ "info_crossing", vcpu_info, 4064, ERROR | KILL }, { "info_unaligned", vcpu_info, 3, ERROR | KILL },
	{ "info_far", vcpu_info, 4096, ERROR | KILL }, { "info_offset_minus_1", vcpu_info, ~0u, ERROR | KILL },
	{ "info_beyond", vcpu_info_at, 1ull << 40, ERROR | KILL }, { "info_max", vcpu_info_at, ~0ull, ERROR | KILL },
	{ "vcpu_1", other_vcpu, 1, ERROR | KILL }, { "vcpu_big", other_vcpu, 1u << 20, ERROR | KILL },
	{ "vcpu_minus_1", other_vcpu, ~0u, ERROR | KILL },
	{ "va_text", va_mapping, MON_TEXT, ERROR | KILL }, { "va_entry", va_mapping, MON_ENTRY, ERROR | KILL },
	{ "va_hole", va_mapping, MON_HOLE_START, ERROR | KILL }, { "va_bad", va_mapping, BAD_ADDRESS, ERROR | KILL },
	{ "va_unmapped", va_mapping, UNMAPPED, ANY }, { "va_flags", va_flags, MON_STATE | 3, ANY },
	{ "va_flags_bad", va_flags, BAD_ADDRESS | 1, ANY },
	{ "ptr_beyond", mmu_ptr, 1ull << 50, ERROR | KILL }, { "ptr_max", mmu_ptr, ~7ull, ERROR | KILL },
	{ "ptr_unaligned", mmu_ptr, 0x1000ull * 20 + 4, ANY }, { "ptr_type_3", mmu_ptr, 0x20003, ANY },
	{ "ptr_not_a_table", mmu_ptr, 0x3000ull, ANY },
	{ "ext_pin_l1", mmuext_cmd, 0, ERROR | KILL }, { "ext_pin_l4", mmuext_cmd, 3, ERROR | KILL },
	{ "ext_unpin", mmuext_cmd, 4, ERROR | KILL }, { "ext_baseptr", mmuext_cmd, 5, ERROR | KILL },
	{ "ext_user_baseptr", mmuext_cmd, 15, ERROR | KILL }, { "ext_clear", mmuext_cmd, 16, ERROR | KILL },
	{ "ext_copy", mmuext_cmd, 17, ERROR | KILL }, { "ext_mark", mmuext_cmd, 19, ERROR | KILL },
	{ "ext_invlpg_multi", mmuext_cmd, 9, ANY }, { "ext_unknown", mmuext_cmd, 1000, ERROR | KILL },
	{ "dr_text", debugreg, MON_TEXT, ERROR | KILL }, { "dr_stack", debugreg, MON_STACK_TOP - 8, ERROR | KILL },
	{ "dr_entry", debugreg, MON_ENTRY_RSP0 - 8, ERROR | KILL },
	{ "dr_hole_start", debugreg, MON_HOLE_START, ERROR | KILL }, { "dr_bad", debugreg, BAD_ADDRESS, ERROR | KILL },
	{ "dr7_gd", dr7, 0x2400, ANY }, { "dr7_io", dr7, 0x20403, ANY }, { "dr7_max", dr7, ~0ull, ANY },
	{ "dr_4", debugreg_number, 4, ANY }, { "dr_8", debugreg_number, 8, ERROR | KILL },
	{ "dr_minus_1", debugreg_number, ~0ull, ERROR | KILL },
	{ "base_bad", segment_base, BAD_ADDRESS, ERROR | KILL }, { "base_hole", segment_base, MON_STATE, ANY },
	{ "gs_ring0", gs_selector, MON_DS, ANY }, { "gs_tss", gs_selector, MON_TSS_SEL, ANY },
	{ "gs_beyond", gs_selector, 0xfffb, ANY },
	{ "iopl_3", set_iopl, 3, ANY }, { "iopl_junk", set_iopl, ~0u, ANY },
	{ "flood_version", flood, __HYPERVISOR_xen_version, ANY }, { "flood_yield", flood, __HYPERVISOR_sched_op, ANY },
	{ "flood_unknown", flood, 60, ANY }, { "timer_past", timer_flood, 1, ANY },
	{ "timer_far", timer_flood, ~0ull - 30000, ANY },
	{ "unknown_41", unknown, 41, ERROR | KILL }, { "unknown_big", unknown, 1ull << 40, ANY },
	{ "unknown_negative", unknown, -64ull, ERROR | KILL },
	{ 0, 0, 0, 0 },
};
