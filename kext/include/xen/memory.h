/* SPDX-License-Identifier: GPL-2.0-or-later */
/* memory_op and the E820 map that XENMEM_memory_map fills. */
#ifndef CO_XEN_MEMORY_H
#define CO_XEN_MEMORY_H

#include "xen.h"

#define XENMEM_increase_reservation	0
#define XENMEM_decrease_reservation	1
#define XENMEM_maximum_ram_page		2
#define XENMEM_current_reservation	3
#define XENMEM_maximum_reservation	4
#define XENMEM_machphys_mfn_list	5
#define XENMEM_populate_physmap		6
#define XENMEM_add_to_physmap		7
#define XENMEM_memory_map		9
#define XENMEM_machine_memory_map	10
#define XENMEM_exchange			11
#define XENMEM_machphys_mapping		12
#define XENMEM_set_memory_map		13
#define XENMEM_maximum_gpfn		14
#define XENMEM_remove_from_physmap	15

#define XENMAPSPACE_shared_info		0
#define XENMAPSPACE_grant_table		1
#define XENMAPSPACE_gmfn		2

#define E820_RAM	1
#define E820_RESERVED	2
#define E820_ACPI	3
#define E820_NVS	4
#define E820_UNUSABLE	5

struct xen_memory_reservation {
	xen_handle_t extent_start;	/* xen_pfn_t[nr_extents] */
	xen_ulong_t nr_extents;
	co_u32 extent_order;
	co_u32 mem_flags;
	domid_t domid;
};

struct xen_memory_exchange {
	struct xen_memory_reservation in, out;
	xen_ulong_t nr_exchanged;
};

struct xen_machphys_mfn_list {
	co_u32 max_extents;
	xen_handle_t extent_start;
	co_u32 nr_extents;		/* out */
};

struct xen_machphys_mapping {
	xen_ulong_t v_start, v_end;
	xen_ulong_t max_mfn;
};

struct xen_add_to_physmap {
	domid_t domid;
	co_u16 size;
	co_u32 space;			/* XENMAPSPACE_* */
	xen_ulong_t idx;
	xen_pfn_t gpfn;
};

struct xen_remove_from_physmap {
	domid_t domid;
	xen_pfn_t gpfn;
};

struct xen_memory_map {
	co_u32 nr_entries;		/* in: room; out: used */
	xen_handle_t buffer;		/* struct e820entry[] */
};

struct e820entry {
	co_u64 addr, size;
	co_u32 type;			/* E820_* */
} __attribute__((packed));

XEN_ASSERT_SIZE(struct xen_memory_reservation, 32);
XEN_ASSERT_SIZE(struct xen_memory_exchange, 72);
XEN_ASSERT_SIZE(struct xen_machphys_mfn_list, 24);
XEN_ASSERT_SIZE(struct xen_machphys_mapping, 24);
XEN_ASSERT_SIZE(struct xen_add_to_physmap, 24);
XEN_ASSERT_SIZE(struct xen_memory_map, 16);
XEN_ASSERT_SIZE(struct e820entry, 20);

#endif
