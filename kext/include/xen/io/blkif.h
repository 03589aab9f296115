/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Block device requests, protocol "x86_64-abi". */
#ifndef CO_XEN_IO_BLKIF_H
#define CO_XEN_IO_BLKIF_H

#include "ring.h"

#define BLKIF_OP_READ			0
#define BLKIF_OP_WRITE			1
#define BLKIF_OP_WRITE_BARRIER		2
#define BLKIF_OP_FLUSH_DISKCACHE	3
#define BLKIF_OP_DISCARD		5
#define BLKIF_OP_INDIRECT		6

#define BLKIF_MAX_SEGMENTS_PER_REQUEST		11
#define BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST	8

#define BLKIF_RSP_EOPNOTSUPP	(-2)
#define BLKIF_RSP_ERROR		(-1)
#define BLKIF_RSP_OKAY		0

#define VDISK_CDROM	0x1
#define VDISK_REMOVABLE	0x2
#define VDISK_READONLY	0x4

struct blkif_request_segment {
	grant_ref_t gref;
	co_u8 first_sect, last_sect;	/* 512-byte sectors, inclusive */
};

struct blkif_request {
	co_u8 operation;
	co_u8 nr_segments;
	co_u16 handle;
	co_u64 id;			/* echoed */
	co_u64 sector_number;
	struct blkif_request_segment seg[BLKIF_MAX_SEGMENTS_PER_REQUEST];
};

struct blkif_request_discard {
	co_u8 operation;
	co_u8 flag;
	co_u16 handle;
	co_u64 id;
	co_u64 sector_number;
	co_u64 nr_sectors;
};

struct blkif_request_indirect {
	co_u8 operation;		/* BLKIF_OP_INDIRECT */
	co_u8 indirect_op;
	co_u16 nr_segments;
	co_u64 id;
	co_u64 sector_number;
	co_u16 handle;
	grant_ref_t indirect_grefs[BLKIF_MAX_INDIRECT_PAGES_PER_REQUEST];
};

struct blkif_response {
	co_u64 id;
	co_u8 operation;
	xen_s16 status;			/* BLKIF_RSP_* */
};

union blkif_sring_entry {
	struct blkif_request req;
	struct blkif_response rsp;
};

XEN_ASSERT_SIZE(struct blkif_request_segment, 8);
XEN_ASSERT_SIZE(struct blkif_request, 112);
XEN_ASSERT_SIZE(struct blkif_request_discard, 32);
XEN_ASSERT_SIZE(struct blkif_request_indirect, 64);
XEN_ASSERT_SIZE(struct blkif_response, 16);
XEN_ASSERT_SIZE(union blkif_sring_entry, 112);

#endif
