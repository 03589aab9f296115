// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One request of a disk's that is wrong, with a proper one before and behind it:
 * those are served, it is refused, and nothing is written but what they lend.
 */
#include "hostile_ring.h"

#define IDS	1000u			/* of the requests beside it */

struct disk_case {
	u8 op, indirect, nseg;
	u16 nseg_indirect;
	u8 good;			/* segments before the wrong ones */
	u8 first, last;
	u8 read_only;			/* the disk */
	u8 served;			/* not wrong at all */
	u32 ref, page;			/* of the segments, of the page that holds them */
	u64 sector;
};

/* The wrong segments name `ref`; good ones before it lend pages from 8 on. */
static void disk_segments(const struct disk_case *c, struct blkif_request_segment *s, u32 n)
{
	struct blkif_request_segment bad = { c->ref, c->first, c->last };

	for (u32 i = 0; i < n; i++) {
		struct blkif_request_segment good = { LEND + 8 + i, 0, 7 };

		s[i] = i < c->good ? good : bad;
	}
}

static void disk_wrong(struct disk *d, const struct disk_case *c)
{
	union blkif_sring_entry e = { .req = {
		.operation = c->op, .nr_segments = c->nseg, .id = 2, .sector_number = c->sector,
	} };
	struct blkif_request_indirect q = {
		.operation = BLKIF_OP_INDIRECT, .indirect_op = c->op, .nr_segments = c->nseg_indirect,
		.id = 2, .sector_number = c->sector,
	};

	if (c->indirect) {
		disk_segments(c, (void *)lent[4], 512);
		for (int i = 0; i < 8; i++)
			q.indirect_grefs[i] = c->page;
		memcpy(&e, &q, sizeof(q));
	} else {
		disk_segments(c, e.req.seg, BLKIF_MAX_SEGMENTS_PER_REQUEST);
	}
	disk_put(d, &e);
}

static long disk_case(u64 arg)
{
	const struct disk_case *c = (const struct disk_case *)arg;
	struct disk *d = c->read_only ? &cdrom : &data_disk;
	struct blkif_response rsp;
	long result = 1;
	u32 wrong = 0;

	disk_open(d);
	lent_fill();
	disk_ask(d, IDS + 1, BLKIF_OP_READ, 40, LEND + 1);
	disk_wrong(d, c);
	disk_ask(d, IDS + 2, BLKIF_OP_READ, 80, LEND + 2);
	disk_go(d);
	for (int i = 0; i < 3; i++) {
		rsp = disk_answer(d);
		if (rsp.id == 2) {
			result = rsp.status;
			wrong++;
		} else if (rsp.status) {
			breach("the request beside it fails");
		}
	}
	if (wrong != 1 || !lent_is(1, d, 40) || !lent_is(2, d, 80))
		breach("the requests beside it suffer");
	if (c->served ? result != 0 : result >= 0)
		breach(c->served ? "what is allowed is refused" : "what is not allowed is done");
	for (u32 i = 0; i < LENT; i++)
		if (i != 1 && i != 2 && (i != 4 || !c->indirect) && !filled(lent[i], 0, 4096) &&
		    !(i >= 8 && i < 8u + c->good && lent_may_be(i, d, c->sector + (i - 8) * 8)) && !c->served)
			breach("a page that was not lent for it is written");
	return result;
}

/* A row names what is unlike the usual. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define ROW(name, allow, ...) \
	{ name, disk_case, (u64)&(const struct disk_case){ .nseg = 1, .last = 7, .ref = LEND, __VA_ARGS__ }, allow }
#define WRONG(name, ...)	ROW("disk_" name, ERROR, __VA_ARGS__)
#define READ(name, ...)		WRONG("read_" name, .op = BLKIF_OP_READ, __VA_ARGS__)
#define WRITE(name, ...)	WRONG("write_" name, .op = BLKIF_OP_WRITE, .sector = 1ull << 13, __VA_ARGS__)
#define BOTH(name, ...)		READ(name, __VA_ARGS__), WRITE(name, __VA_ARGS__)
#define INDIRECT(name, ...) \
	WRONG("indirect_" name, .indirect = 1, .op = BLKIF_OP_READ, .nseg_indirect = 3, .page = LEND + 4, __VA_ARGS__)

const struct attack disk_request_attacks[] = {
	BOTH("ref_none", .ref = REF_NONE), BOTH("ref_foreign", .ref = REF_FOREIGN),
	BOTH("ref_transfer", .ref = REF_TRANSFER), BOTH("ref_transitive", .ref = REF_TRANSITIVE),
	BOTH("ref_sub_page", .ref = REF_SUB), BOTH("ref_shared_info", .ref = REF_BEYOND),
	BOTH("ref_grant_table", .ref = REF_GRANTS), BOTH("ref_huge_frame", .ref = REF_HUGE),
	BOTH("ref_outside", .ref = REF_OUTSIDE), BOTH("ref_max", .ref = ~0u),
	BOTH("ref_third", .ref = REF_HUGE, .good = 2, .nseg = 3), READ("ref_kept", .ref = KEEP),
	BOTH("segments_0", .nseg = 0), BOTH("segments_12", .nseg = 12), BOTH("segments_255", .nseg = 255),
	BOTH("first_behind_last", .first = 5, .last = 4), BOTH("first_255", .first = 255),
	BOTH("last_8", .last = 8), BOTH("last_255", .last = 255),
	BOTH("last_255_of_ram", .last = 255, .ref = REF_LAST),
	BOTH("both_255_of_ram", .first = 255, .last = 255, .ref = REF_LAST),
	READ("sector_end", .sector = 16384), READ("sector_last", .sector = 16377),
	READ("sector_max", .sector = ~0ull), READ("sector_wraps", .sector = ~0ull - 6),
	READ("sector_sign", .sector = 1ull << 63), READ("sector_bytes_wrap", .sector = 1ull << 55),
	WRONG("write_sector_end", .op = BLKIF_OP_WRITE, .sector = 16384),
	WRONG("write_sector_last", .op = BLKIF_OP_WRITE, .sector = 16377),
	WRONG("write_sector_wraps", .op = BLKIF_OP_WRITE, .sector = ~0ull - 6),
	WRONG("write_bytes_wrap", .op = BLKIF_OP_WRITE, .sector = 1ull << 55),
	WRONG("op_4", .op = 4), WRONG("op_7", .op = 7), WRONG("op_100", .op = 100), WRONG("op_255", .op = 255),
	WRONG("flush_ref", .op = BLKIF_OP_FLUSH_DISKCACHE, .ref = REF_HUGE),
	WRONG("flush_segments", .op = BLKIF_OP_FLUSH_DISKCACHE, .nseg = 255),
	WRONG("flush_sector", .op = BLKIF_OP_FLUSH_DISKCACHE, .sector = 1ull << 55),
	WRONG("barrier_ref", .op = BLKIF_OP_WRITE_BARRIER, .ref = REF_NONE),
	WRONG("barrier_segments", .op = BLKIF_OP_WRITE_BARRIER, .nseg = 12),
	/* Its count lies where the first segment is. */
	WRONG("discard_none", .op = BLKIF_OP_DISCARD, .ref = 0, .last = 0),
	WRONG("discard_end", .op = BLKIF_OP_DISCARD, .ref = 1, .last = 0, .sector = 16384),
	WRONG("discard_huge", .op = BLKIF_OP_DISCARD, .ref = ~0u, .first = 255, .last = 255),
	WRONG("cdrom_write", .op = BLKIF_OP_WRITE, .read_only = 1),
	WRONG("cdrom_indirect", .op = BLKIF_OP_WRITE, .read_only = 1, .indirect = 1, .nseg_indirect = 1,
	      .page = LEND + 4),
	WRONG("cdrom_barrier", .op = BLKIF_OP_WRITE_BARRIER, .read_only = 1),
	WRONG("cdrom_flush", .op = BLKIF_OP_FLUSH_DISKCACHE, .read_only = 1),
	WRONG("cdrom_discard", .op = BLKIF_OP_DISCARD, .read_only = 1, .ref = 8, .last = 0),
	INDIRECT("segments_0", .nseg_indirect = 0), INDIRECT("segments_257", .nseg_indirect = 257),
	INDIRECT("segments_513", .nseg_indirect = 513), INDIRECT("segments_max", .nseg_indirect = 0xffff),
	INDIRECT("page_none", .page = REF_NONE), INDIRECT("page_grants", .page = REF_GRANTS),
	INDIRECT("page_huge", .page = REF_HUGE), INDIRECT("page_outside", .page = REF_OUTSIDE),
	INDIRECT("op_flush", .op = BLKIF_OP_FLUSH_DISKCACHE), INDIRECT("op_discard", .op = BLKIF_OP_DISCARD),
	INDIRECT("op_indirect", .op = BLKIF_OP_INDIRECT), INDIRECT("op_255", .op = 255),
	INDIRECT("ref", .ref = REF_HUGE, .good = 2), INDIRECT("ref_kept", .ref = KEEP),
	INDIRECT("last_255", .last = 255, .nseg_indirect = 256), INDIRECT("first", .first = 7, .last = 0),
	INDIRECT("sector", .sector = 16384 - 8), INDIRECT("ref_none", .ref = REF_NONE, .nseg_indirect = 256),
	/* Nothing wrong with these, but for their taste. */
	ROW("disk_indirect_itself", OK, .served = 1, .op = BLKIF_OP_READ, .indirect = 1, .nseg_indirect = 256,
	    .ref = LEND + 4, .page = LEND + 4),
	ROW("disk_indirect_kept", OK, .served = 1, .op = BLKIF_OP_READ, .indirect = 1, .nseg_indirect = 256,
	    .page = KEEP + 4),
	ROW("disk_one_page", OK, .served = 1, .op = BLKIF_OP_READ, .nseg = 11),
	ROW("disk_last_of_ram", OK, .served = 1, .op = BLKIF_OP_READ, .ref = REF_LAST),
	ROW("disk_write_kept", OK, .served = 1, .op = BLKIF_OP_WRITE, .ref = KEEP, .sector = 1 << 13),
	{ 0, 0, 0, 0 },
};
