/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The console page: two byte rings with free-running indices. */
#ifndef CO_XEN_IO_CONSOLE_H
#define CO_XEN_IO_CONSOLE_H

#include "../types.h"

typedef co_u32 XENCONS_RING_IDX;
#define MASK_XENCONS_IDX(idx, ring)	((idx) & (sizeof(ring) - 1))

struct xencons_interface {
	char in[1024];			/* to the guest */
	char out[2048];
	XENCONS_RING_IDX in_cons, in_prod;
	XENCONS_RING_IDX out_cons, out_prod;
};

XEN_ASSERT_SIZE(struct xencons_interface, 3088);
XEN_ASSERT_OFFSET(struct xencons_interface, out_prod, 3084);

#endif
