// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks through what devices need: grant tables, whose frames the guest and
 * the worker share, and event channels.
 */
#include "hostile.h"
#include "xen/event_channel.h"
#include "xen/grant_table.h"

static long grant(u64 op, void *arg, u64 count)
{
	return hyper(__HYPERVISOR_grant_table_op, op, (u64)arg, count, 0, 0);
}

static long setup(u64 *frames, u32 n, domid_t dom)
{
	struct gnttab_setup_table t = { .dom = dom, .nr_frames = n, .status = 77,
					.frame_list = (u64)frames };
	long r = grant(GNTTABOP_setup_table, &t, 1);

	return r ? r : t.status;
}

/* Not an attack at all: every frame is another, above RAM, and remembers what is written. */
static long grant_frames(u64 arg)
{
	u64 *frames = (u64 *)spare[0], va = (u64)spare[8];
	long r = setup(frames, CO_GRANT_FRAMES, DOMID_SELF);

	(void)arg;
	if (r)
		return r;
	for (u64 pass = 0; pass < 2; pass++)
		for (u64 i = 0; i < CO_GRANT_FRAMES; i++) {
			volatile u64 *p = (u64 *)va;

			if (frames[i] <= start->nr_pages ||
			    frames[i] >= start->nr_pages + CO_SPECIAL_FRAMES)
				return -1;
			if (hyper(__HYPERVISOR_update_va_mapping, va,
				  frames[i] << 12 | PTE_P | PTE_W, UVMF_INVLPG, 0, 0))
				return -2;
			if (!pass)
				p[0] = p[511] = frames[i];
			else if (p[0] != frames[i] || p[511] != frames[i])
				return -3;
		}
	r = map(va, gfn_of((void *)va) << 12 | PTE_P | PTE_W);
	return r ? r : mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
}

static long grant_setup(u64 arg)
{
	return setup((u64 *)spare, (u32)arg, (domid_t)(arg >> 32));
}

static long grant_size(u64 dom)
{
	struct gnttab_query_size q = { .dom = (domid_t)dom };
	long r = grant(GNTTABOP_query_size, &q, 1);

	if (!r && !q.status && q.max_nr_frames != CO_GRANT_FRAMES)
		return -1;
	return r ? r : q.status;
}

static long grant_version(u64 version)
{
	struct gnttab_set_version v = { .version = (u32)version };
	struct gnttab_get_version now = { .dom = DOMID_SELF };
	long r = grant(GNTTABOP_set_version, &v, 1);

	if (grant(GNTTABOP_get_version, &now, 1) || now.version != 1 || v.version != 1)
		breach("another version of grant tables is in force");
	return r;
}

static long grant_count(u64 count)
{
	return grant(GNTTABOP_setup_table, spare, count);
}

/* A backend's operations, on memory of ours, of the monitor's and of nobody. */
static long grant_backend(u64 op)
{
	static const u64 places[] = { MON_TEXT, MON_STATE, MON_ENTRY, MON_PHYS, BAD_ADDRESS, UNMAPPED };
	long r = 0;

	for (unsigned int i = 0; i < sizeof(places) / sizeof(*places); i++) {
		for (unsigned int k = 0; k < 64; k++)
			((u64 *)spare)[k] = places[i];
		r = grant(op, spare, i * 1000 + 1);
		if (r >= 0)
			return r;
	}
	return r;
}

static u64 shared_frame(u64 which)
{
	return start->nr_pages + which;		/* shared_info, then the grant frames */
}

static long shared_as_root(u64 which)
{
	return mmuext(MMUEXT_NEW_BASEPTR, shared_frame(which), 0);
}

static long shared_pinned(u64 level)
{
	return mmuext(MMUEXT_PIN_L1_TABLE + level - 1, shared_frame(1), 0) &
	       mmuext(MMUEXT_PIN_L1_TABLE + level - 1, shared_frame(0), 0);
}

/* The grant frame as a table: a whole tree of its own in it, hung in at that level. */
static long shared_as_table(u64 level)
{
	u64 *e = entry_of(USER_CODE, (int)level + 1), old, va = (u64)spare[8];
	u64 link = shared_frame(1) << 12 | PTE_P | PTE_W | PTE_U;
	long r, got = 0;

	if (!e)
		return -2;
	if (map(va, link) || mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0))
		return -3;
	for (int i = 0; i < 512; i++)
		((u64 *)va)[i] = level == 1 ? gfn_of(spare[0]) << 12 | PTE_P | PTE_W | PTE_U : link;
	old = *e;
	r = update(e, link);
	if (!r) {
		mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
		got = attempt((long (*)(u64))USER_CODE, 0);
		if (got < TRAPPED)
			breach("a frame that the worker writes serves as a page table");
	}
	update(e, old);
	map(va, gfn_of((void *)va) << 12 | PTE_P | PTE_W);
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	return r ? r : got;
}

static long unbound(u64 doms)
{
	struct evtchn_alloc_unbound op = { .dom = (domid_t)doms, .remote_dom = (domid_t)(doms >> 16) };

	return hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&op, 0, 0, 0);
}

/* A closed port is nobody's: no sending, no second closing. */
static long port_after_close(u64 which)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF };
	long r = hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&op, 0, 0, 0);

	if (r)
		return 0;
	if (hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (u64)&op.port, 0, 0, 0) ||
	    hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (u64)&op.port, 0, 0, 0))
		return 0;
	return hyper(__HYPERVISOR_event_channel_op, which, (u64)&op.port, 0, 0, 0);
}

#define SETUP(n, dom) ((u64)(dom) << 32 | (u32)(n))

const struct attack device_attacks[] = {
	{ "grant_frames", grant_frames, 0, OK },
	{ "grant_none", grant_setup, SETUP(0, DOMID_SELF), OK },
	{ "grant_too_many", grant_setup, SETUP(CO_GRANT_FRAMES + 1, DOMID_SELF), ERROR },
	{ "grant_minus_1", grant_setup, SETUP(~0u, DOMID_SELF), ERROR },
	{ "grant_dom_0", grant_setup, SETUP(1, 0), ERROR },
	{ "grant_dom_xen", grant_setup, SETUP(1, DOMID_XEN), ERROR },
	{ "grant_size", grant_size, DOMID_SELF, OK }, { "grant_size_dom_0", grant_size, 0, ERROR },
	{ "grant_version_1", grant_version, 1, OK }, { "grant_version_2", grant_version, 2, ERROR },
	{ "grant_version_0", grant_version, 0, ERROR }, { "grant_version_max", grant_version, ~0u, ERROR },
	{ "grant_count_0", grant_count, 0, ERROR }, { "grant_count_2", grant_count, 2, ERROR },
	{ "grant_count_max", grant_count, ~0u, ERROR },
	{ "grant_map", grant_backend, GNTTABOP_map_grant_ref, ERROR },
	{ "grant_unmap", grant_backend, GNTTABOP_unmap_grant_ref, ERROR },
	{ "grant_dump", grant_backend, GNTTABOP_dump_table, ERROR },
	{ "grant_transfer", grant_backend, GNTTABOP_transfer, ERROR },
	{ "grant_copy", grant_backend, GNTTABOP_copy, ERROR },
	{ "grant_replace", grant_backend, GNTTABOP_unmap_and_replace, ERROR },
	{ "grant_status", grant_backend, GNTTABOP_get_status_frames, ERROR },
	{ "grant_swap", grant_backend, GNTTABOP_swap_grant_ref, ERROR },
	{ "grant_cache", grant_backend, GNTTABOP_cache_flush, ERROR },
	{ "grant_unknown", grant_backend, 13, ERROR }, { "grant_op_max", grant_backend, ~0u, ERROR },
	{ "shared_root", shared_as_root, 0, ERROR }, { "grant_root", shared_as_root, 1, ERROR },
	{ "grant_last_root", shared_as_root, CO_GRANT_FRAMES, ERROR },
	{ "shared_pin_l1", shared_pinned, 1, ERROR }, { "shared_pin_l4", shared_pinned, 4, ERROR },
	{ "grant_l1", shared_as_table, 1, FAULT | ERROR }, { "grant_l2", shared_as_table, 2, FAULT | ERROR },
	{ "grant_l3", shared_as_table, 3, FAULT | ERROR },
	{ "unbound_for_1", unbound, 1, ERROR }, { "unbound_to_1", unbound, 1 << 16 | DOMID_SELF, ERROR },
	{ "unbound_to_self", unbound, DOMID_SELF << 16 | DOMID_SELF, OK },
	{ "port_closed_send", port_after_close, EVTCHNOP_send, ERROR },
	{ "port_closed_close", port_after_close, EVTCHNOP_close, ERROR },
	{ 0, 0, 0, 0 },
};
