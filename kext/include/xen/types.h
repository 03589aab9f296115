/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Base types of the Xen PV guest ABI, x86-64 only.
 *
 * These headers are our own; the unit test tests/unit/xen_abi compares every
 * size, offset and number with Debian's libxen-dev.  A guest handle (a guest
 * virtual address inside an argument) is a plain co_u64 here: nobody on our
 * side may follow one without going through a checked accessor.
 *
 * Include them by relative path ("../include/xen/xen.h"): in a Linux module
 * build <xen/xen.h> would find the kernel's own header first.
 */
#ifndef CO_XEN_TYPES_H
#define CO_XEN_TYPES_H

#ifndef __ASSEMBLER__
#include "../co_abi.h"

typedef signed char xen_s8;
typedef short xen_s16;

typedef co_u64 xen_pfn_t;
typedef co_u64 xen_ulong_t;
typedef co_u64 xen_callback_t;
typedef co_u64 xen_handle_t;	/* guest virtual address */
typedef co_u16 domid_t;
typedef co_u32 evtchn_port_t;
typedef co_u32 grant_ref_t;
typedef co_u32 grant_handle_t;

#define XEN_OFFSET(type, member)	__builtin_offsetof(type, member)
#define XEN_ASSERT_SIZE(type, n)	\
	_Static_assert(sizeof(type) == (n), #type)
#define XEN_ASSERT_OFFSET(type, member, n)	\
	_Static_assert(XEN_OFFSET(type, member) == (n), #type "." #member)
#endif

#endif
