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
 * harms nobody but the guest.  Hence no entry is ever marked as being read or
 * written: Linux may end a grant at any time.
 */
#include "../../kext/include/xen/grant_table.h"
#include "dev.h"
#include "device.h"

#define WK_GRANTS	(CO_GRANT_FRAMES * CO_PAGE_SIZE / sizeof(struct grant_entry_v1))

int wk_grant_map(struct wk *w, struct err *e)
{
	void *at;
	int err = dev_vm_map(w->vm, CO_GRANT_GFN(w->ram_pages), CO_GRANT_FRAMES, &at);

	if (err)
		return err_set(e, -err, "the guest's grant table cannot be mapped: %s", err_text(-err));
	w->grants = at;
	return 0;
}

void *wk_grant_frame(struct wk *w, uint32_t ref, bool write)
{
	union {
		uint64_t whole;
		struct grant_entry_v1 v1;
	} entry;

	if (!w->grants || ref >= WK_GRANTS)
		return NULL;
	entry.whole = __atomic_load_n(w->grants + ref, __ATOMIC_ACQUIRE);
	if ((entry.v1.flags & GTF_type_mask) != GTF_permit_access || (entry.v1.flags & GTF_sub_page) ||
	    (write && (entry.v1.flags & GTF_readonly)) || entry.v1.domid != 0)
		return NULL;
	return wk_frame(w, entry.v1.frame);
}
