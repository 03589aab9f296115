/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Request/response rings that frontends and backends share: one page (or
 * more), 64 bytes of indices, then a power of two of entries.  Indices run
 * freely and are masked; a producer notifies only when the other side's
 * *_event lies in what it has just published.
 */
#ifndef CO_XEN_IO_RING_H
#define CO_XEN_IO_RING_H

#include "../types.h"

typedef co_u32 RING_IDX;

struct xen_sring {
	RING_IDX req_prod, req_event;
	RING_IDX rsp_prod, rsp_event;
	co_u8 pvt_pad[4];
	co_u8 pad[44];
	/* entries follow */
};

/* True when publishing (old, new] must wake the reader that asked at event. */
#define XEN_RING_MUST_NOTIFY(old, new, event)	\
	((RING_IDX)((new) - (event)) < (RING_IDX)((new) - (old)))

/* Entries of `entry` bytes in `bytes` of ring, rounded down to a power of 2. */
static inline co_u32 xen_ring_entries(co_u32 bytes, co_u32 entry)
{
	co_u32 n = (bytes - (co_u32)sizeof(struct xen_sring)) / entry;

	while (n & (n - 1))
		n &= n - 1;
	return n;
}

XEN_ASSERT_SIZE(struct xen_sring, 64);

#endif
