/* SPDX-License-Identifier: GPL-2.0-or-later */
/* physdev_op: an unprivileged guest only sets its I/O privilege level. */
#ifndef CO_XEN_PHYSDEV_H
#define CO_XEN_PHYSDEV_H

#include "xen.h"

#define PHYSDEVOP_irq_status_query	5
#define PHYSDEVOP_set_iopl		6
#define PHYSDEVOP_set_iobitmap		7
#define PHYSDEVOP_apic_read		8
#define PHYSDEVOP_apic_write		9
#define PHYSDEVOP_eoi			12
#define PHYSDEVOP_map_pirq		13
#define PHYSDEVOP_unmap_pirq		14
#define PHYSDEVOP_pirq_eoi_gmfn_v1	17
#define PHYSDEVOP_get_free_pirq		23
#define PHYSDEVOP_pirq_eoi_gmfn_v2	28

struct physdev_set_iopl {
	co_u32 iopl;
};

struct physdev_set_iobitmap {
	xen_handle_t bitmap;
	co_u32 nr_ports;
};

XEN_ASSERT_SIZE(struct physdev_set_iopl, 4);
XEN_ASSERT_SIZE(struct physdev_set_iobitmap, 16);

#endif
