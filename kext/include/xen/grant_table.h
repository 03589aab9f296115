/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Grant tables, version 1: what a guest lends to its backends. */
#ifndef CO_XEN_GRANT_TABLE_H
#define CO_XEN_GRANT_TABLE_H

#include "xen.h"

#define GNTTAB_NR_RESERVED_ENTRIES	8
#define GNTTAB_RESERVED_CONSOLE		0
#define GNTTAB_RESERVED_XENSTORE	1

#define GTF_invalid		0x0000u
#define GTF_permit_access	0x0001u
#define GTF_accept_transfer	0x0002u
#define GTF_transitive		0x0003u
#define GTF_type_mask		0x0003u
#define GTF_readonly		0x0004u
#define GTF_reading		0x0008u
#define GTF_writing		0x0010u
#define GTF_sub_page		0x0100u

#define GNTTABOP_map_grant_ref		0
#define GNTTABOP_unmap_grant_ref	1
#define GNTTABOP_setup_table		2
#define GNTTABOP_dump_table		3
#define GNTTABOP_transfer		4
#define GNTTABOP_copy			5
#define GNTTABOP_query_size		6
#define GNTTABOP_unmap_and_replace	7
#define GNTTABOP_set_version		8
#define GNTTABOP_get_status_frames	9
#define GNTTABOP_get_version		10
#define GNTTABOP_swap_grant_ref		11
#define GNTTABOP_cache_flush		12

#define GNTST_okay		0
#define GNTST_general_error	(-1)
#define GNTST_bad_domain	(-2)
#define GNTST_bad_gntref	(-3)
#define GNTST_bad_handle	(-4)
#define GNTST_bad_virt_addr	(-5)
#define GNTST_permission_denied	(-8)
#define GNTST_bad_page		(-9)
#define GNTST_no_space		(-13)

struct grant_entry_v1 {
	co_u16 flags;		/* GTF_*; the guest writes it last */
	domid_t domid;
	co_u32 frame;
};

struct gnttab_map_grant_ref {
	co_u64 host_addr;
	co_u32 flags;
	grant_ref_t ref;
	domid_t dom;
	xen_s16 status;
	grant_handle_t handle;
	co_u64 dev_bus_addr;
};

struct gnttab_unmap_grant_ref {
	co_u64 host_addr;
	co_u64 dev_bus_addr;
	grant_handle_t handle;
	xen_s16 status;
};

struct gnttab_setup_table {
	domid_t dom;
	co_u32 nr_frames;
	xen_s16 status;
	xen_handle_t frame_list;	/* xen_pfn_t[nr_frames], out */
};

struct gnttab_query_size {
	domid_t dom;
	co_u32 nr_frames;
	co_u32 max_nr_frames;
	xen_s16 status;
};

struct gnttab_set_version {
	co_u32 version;
};

struct gnttab_get_version {
	domid_t dom;
	co_u16 pad;
	co_u32 version;
};

XEN_ASSERT_SIZE(struct grant_entry_v1, 8);
XEN_ASSERT_SIZE(struct gnttab_map_grant_ref, 32);
XEN_ASSERT_SIZE(struct gnttab_unmap_grant_ref, 24);
XEN_ASSERT_SIZE(struct gnttab_setup_table, 24);
XEN_ASSERT_SIZE(struct gnttab_query_size, 16);

#endif
