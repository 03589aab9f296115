/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * grant.c: pages that the guest lends, by grant table (version 1).
 *
 * Called by the backends, from any thread, with references that the guest
 * wrote.  The table is the guest's memory too: an entry is read once, whole,
 * and only the copy is believed.
 *
 * All of the guest's RAM is mapped here anyway, so lending a page costs no
 * mapping, and an entry that the guest takes back while its page is in use
 * harms nobody but the guest.  Hence no entry is marked as being read or
 * written, and Linux may end a grant at any time; but for persistent grants, which
 * Linux uses again only as long as they are marked.
 */
#include "../../kext/include/xen/grant_table.h"
#include "dev.h"
#include "device.h"

_Static_assert(WK_GRANTS == CO_GRANT_FRAMES * CO_PAGE_SIZE / sizeof(struct grant_entry_v1), "grant entries");

union wk_grant {
	uint64_t whole;
	struct grant_entry_v1 v1;
};

int wk_grant_map(struct wk *w, struct err *e)
{
	void *at;
	int err = dev_vm_map(w->vm, CO_GRANT_GFN(w->ram_pages), CO_GRANT_FRAMES, &at);

	if (err)
		return err_set(e, -err, "the guest's grant table cannot be mapped: %s", err_text(-err));
	w->grants = at;
	return 0;
}

static void *wk_grant_look(struct wk *w, uint32_t ref, bool write, union wk_grant *entry)
{
	if (!w->grants || ref >= WK_GRANTS)
		return NULL;
	entry->whole = __atomic_load_n(w->grants + ref, __ATOMIC_ACQUIRE);
	if ((entry->v1.flags & GTF_type_mask) != GTF_permit_access || (entry->v1.flags & GTF_sub_page) ||
	    (write && (entry->v1.flags & GTF_readonly)) || entry->v1.domid != 0)
		return NULL;
	return wk_frame(w, entry->v1.frame);
}

void *wk_grant_frame(struct wk *w, uint32_t ref, bool write)
{
	union wk_grant entry;

	return wk_grant_look(w, ref, write, &entry);
}

void *wk_grant_keep(struct wk *w, uint64_t *kept, uint32_t ref, bool write)
{
	union wk_grant entry, marked;
	void *page = wk_grant_look(w, ref, write, &entry);

	if (!page)
		return NULL;
	marked = entry;
	marked.v1.flags |= GTF_reading | (entry.v1.flags & GTF_readonly ? 0 : GTF_writing);
	/* Not if the guest changes it just now: then it is only used, as others are. */
	if (marked.whole == entry.whole ||
	    __atomic_compare_exchange_n(w->grants + ref, &entry.whole, marked.whole, false, __ATOMIC_SEQ_CST,
					__ATOMIC_SEQ_CST))
		__atomic_fetch_or(kept + ref / 64, 1ull << ref % 64, __ATOMIC_SEQ_CST);
	return page;
}

void wk_grant_release(struct wk *w, uint64_t *kept)
{
	const union wk_grant marks = { .v1.flags = GTF_reading | GTF_writing };

	for (uint32_t i = 0; i < WK_GRANTS / 64; i++) {
		uint64_t bits = __atomic_exchange_n(kept + i, 0, __ATOMIC_SEQ_CST);

		for (uint32_t at = 0; at < 64; at++)
			if (bits >> at & 1)
				__atomic_fetch_and(w->grants + i * 64 + at, ~marks.whole, __ATOMIC_SEQ_CST);
	}
}
