/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Grant tables, version 1: where a guest writes down which frames its backends
 * may use.
 *
 * Called by hypercall.c.  The frames lie above RAM, as shared_info does, and are
 * all there from the start: the guest maps them by its page tables, the worker by
 * CO_VM_MAP.  What stands in them is between those two; nothing here reads it.
 */
#include "mon.h"
#include "xen/grant_table.h"

static s64 setup_table(u64 va)
{
	struct gnttab_setup_table t;
	u64 frames[CO_GRANT_FRAMES];
	u32 i;

	if (mon_get(&t, va, sizeof(t)))
		return -XEN_EFAULT;
	if (t.dom != DOMID_SELF) {
		t.status = GNTST_bad_domain;
	} else if (t.nr_frames > CO_GRANT_FRAMES) {
		t.status = GNTST_general_error;
	} else {
		t.status = GNTST_okay;
		for (i = 0; i < t.nr_frames; i++)
			frames[i] = CO_GRANT_GFN(VM->ram_pages) + i;
		if (mon_put(t.frame_list, frames, t.nr_frames * sizeof(frames[0])))
			return -XEN_EFAULT;
	}
	return mon_put(va, &t, sizeof(t));
}

static s64 query_size(u64 va)
{
	struct gnttab_query_size q;

	if (mon_get(&q, va, sizeof(q)))
		return -XEN_EFAULT;
	q.status = q.dom == DOMID_SELF ? GNTST_okay : GNTST_bad_domain;
	q.nr_frames = q.max_nr_frames = q.status == GNTST_okay ? CO_GRANT_FRAMES : 0;
	return mon_put(va, &q, sizeof(q));
}

/* The answer says what is in force, which is always 1: Linux then uses that. */
static s64 set_version(u64 va)
{
	struct gnttab_set_version v;
	u32 asked;

	if (mon_get(&v, va, sizeof(v)))
		return -XEN_EFAULT;
	asked = v.version;
	v.version = 1;
	if (mon_put(va, &v, sizeof(v)))
		return -XEN_EFAULT;
	return asked == 1 ? 0 : asked == 2 ? -XEN_ENOSYS : -XEN_EINVAL;
}

static s64 get_version(u64 va)
{
	struct gnttab_get_version v;

	if (mon_get(&v, va, sizeof(v)))
		return -XEN_EFAULT;
	if (v.dom != DOMID_SELF)
		return -XEN_ESRCH;
	v.version = 1;
	return mon_put(va, &v, sizeof(v));
}

s64 mon_hc_grant(u32 op, u64 va, u32 count)
{
	s64 (*call)(u64);

	switch (op) {
	case GNTTABOP_setup_table: call = setup_table; break;
	case GNTTABOP_query_size: call = query_size; break;
	case GNTTABOP_set_version: call = set_version; break;
	case GNTTABOP_get_version: call = get_version; break;
	default: return -XEN_ENOSYS;	/* for backends, of which a guest has none */
	}
	return count == 1 ? call(va) : -XEN_EINVAL;
}
