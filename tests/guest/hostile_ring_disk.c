// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A disk's proper use, for all attacks, and those that its ring is for.  The host has
 * filled the disks with words that tell where they belong; the writable one's second
 * half is for our writes.
 */
#include "hostile_ring.h"

#define ENTRIES	32u
#define IDS	1000u			/* of the requests beside the attack */

struct disk data_disk = {
	.bus = { "device/vbd/51712", "/local/domain/0/backend/vbd/1/51712", 0 },
	.number = 0, .ref = REF_DISK, .ring = (void *)ring_pages[0],
};
struct disk cdrom = {
	.bus = { "device/vbd/51728", "/local/domain/0/backend/vbd/1/51728", 0 },
	.number = 1, .ref = REF_CDROM, .ring = (void *)ring_pages[1],
};

static volatile union blkif_sring_entry *slot(struct disk *d, u32 index)
{
	return (volatile union blkif_sring_entry *)(d->ring + 1) + index % ENTRIES;
}

static u32 word(const struct disk *d, u64 sector, u32 i)
{
	return ((u32)sector * 128 + i + d->number * 77777777u) * 2654435761u;
}

static int sector_is(const u8 *at, const struct disk *d, u64 sector)
{
	const volatile u32 *p = (const volatile u32 *)at;

	for (u32 i = 0; i < 128; i++)
		if (p[i] != word(d, sector, i))
			return 0;
	return 1;
}

int lent_is(u32 page, const struct disk *d, u64 sector)
{
	for (u32 i = 0; i < 8; i++)
		if (!sector_is(lent[page] + 512 * i, d, sector + i))
			return 0;
	return 1;
}

/* Each sector of the page is untouched, or one of those eight. */
int lent_may_be(u32 page, const struct disk *d, u64 sector)
{
	for (u32 i = 0; i < 8; i++)
		if (!filled(lent[page], 512 * i, 512 * (i + 1)) &&
		    !sector_is(lent[page] + 512 * i, d, sector + i))
			return 0;
	return 1;
}

void lent_fill(void)
{
	for (u32 i = 0; i < LENT; i++)
		fill(lent[i]);
}

/* ---- proper use ------------------------------------------------------------------- */

static void disk_nodes(struct disk *d)
{
	const struct node nodes[] = {
		{ "ring-ref", 0, d->ref }, { "event-channel", 0, d->bus.port }, { "protocol", "x86_64-abi", 0 },
		{ "feature-persistent", 0, random() & 1 },
	};

	store_write_all(d->bus.front, nodes, 4);
}

static void disk_clear(struct disk *d)
{
	fill(d->ring);
	d->ring->req_prod = d->ring->rsp_prod = 0;
	d->ring->req_event = d->ring->rsp_event = 1;
	d->asked = d->heard = 0;
	grant(d->ref, gfn_of(d->ring), GTF_permit_access);
}

void disk_prepare(struct disk *d)
{
	device_reset(&d->bus);
	/* Only this disk offers persistent grants. */
	for (u32 i = 0; i < LENT && !d->number; i++)
		if (granted(LEND + i) & (GTF_reading | GTF_writing))
			breach("a page is kept from us when nobody can use it any more");
	disk_clear(d);
	disk_nodes(d);
}

void disk_open(struct disk *d)
{
	disk_prepare(d);
	if (device_connect(&d->bus))
		die("a disk refuses a proper ring");
}



/* All entries are answered with what they were asked with, but for 16 bytes. */
void disk_put(struct disk *d, const void *entry)
{
	union blkif_sring_entry *e = &d->sent[d->asked % ENTRIES];

	memcpy(e, entry, sizeof(*e));
	memcpy((void *)slot(d, d->asked++), e, sizeof(*e));
}

void disk_ask(struct disk *d, u64 id, u8 op, u64 sector, u32 ref)
{
	union blkif_sring_entry e = { .req = {
		.operation = op, .nr_segments = 1, .id = id, .sector_number = sector,
		.seg = { { ref, 0, 7 } },
	} };

	disk_put(d, &e);
}

void disk_go(struct disk *d)
{
	__atomic_store_n(&d->ring->req_prod, d->asked, __ATOMIC_SEQ_CST);
	notify(d->bus.port);
}

static int heard(struct disk *d)
{
	return __atomic_load_n(&d->ring->rsp_prod, __ATOMIC_ACQUIRE) != d->heard;
}

static int disk_hear(struct disk *d, struct blkif_response *rsp)
{
	const u32 at = sizeof(*rsp), size = sizeof(union blkif_sring_entry);
	const u8 *p = (const u8 *)rsp, *sent = (const u8 *)&d->sent[d->heard % ENTRIES];
	volatile u8 *e = (volatile u8 *)slot(d, d->heard);

	if (!WAIT(heard(d), PATIENCE))
		return -1;
	if (__atomic_load_n(&d->ring->rsp_prod, __ATOMIC_ACQUIRE) - d->heard > d->asked - d->heard)
		breach("more answers than questions");
	memcpy(rsp, (const void *)e, sizeof(*rsp));
	if (p[9] || p[12] || p[13] || p[14] || p[15])
		breach("an answer's padding holds something");
	for (u32 i = at; i < size; i++)
		if (e[i] != sent[i])
			breach("a ring's entry holds more than the answer");
	if (!filled(d->ring, 16, 64) || !filled(d->ring, 64 + ENTRIES * size, 4096))
		breach("a ring's page is written beside its entries");
	d->heard++;
	return 0;
}

struct blkif_response disk_answer(struct disk *d)
{
	struct blkif_response rsp;

	if (disk_hear(d, &rsp))
		die("a disk does not answer");
	return rsp;
}

/* 0: answered as it must be; the page lent[page] is then the disk's. */
static void disk_read(struct disk *d, u64 sector, u32 page)
{
	struct blkif_response rsp;

	fill(lent[page]);
	disk_ask(d, IDS, BLKIF_OP_READ, sector, LEND + page);
	disk_go(d);
	rsp = disk_answer(d);
	if (rsp.id != IDS || rsp.operation != BLKIF_OP_READ || rsp.status || !lent_is(page, d, sector))
		breach("a proper read is not served properly");
}

void disk_check(struct disk *d)
{
	u64 half = d->sectors / 2, sector = random() % (half / 8) * 8, there;
	struct blkif_response rsp;

	disk_open(d);
	disk_read(d, sector, 0);
	if (d->number)
		return;
	/* What we write comes back: words of another sector. */
	there = half + sector;
	disk_ask(d, 1, BLKIF_OP_WRITE, there, LEND);
	disk_go(d);
	rsp = disk_answer(d);
	if (rsp.status)
		breach("a proper write is not served properly");
	fill(lent[1]);
	disk_ask(d, 2, BLKIF_OP_READ, there, LEND + 1);
	disk_go(d);
	rsp = disk_answer(d);
	if (rsp.status || !lent_is(1, d, sector))
		breach("what was written does not come back");
}

/* ---- rings that are wrong ----------------------------------------------------------- */

/* After three proper requests the guest's index is this much further. */
static long disk_index(u64 by)
{
	struct disk *d = &data_disk;

	disk_open(d);
	lent_fill();
	for (u32 i = 0; i < 3; i++)
		disk_read(d, 8 * i, i);
	for (u32 i = 3; i < ENTRIES; i++)
		disk_ask(d, i, BLKIF_OP_READ, 8 * i, LEND + i % 8);
	d->asked = 3 + (u32)by;
	disk_go(d);
	if (WAIT(heard(d), SECOND / 2))
		breach("an impossible index is believed");
	return -1;
}

/* Their own indices in the ring are ours to write, and nobody's to read. */
static long disk_answers_index(u64 value)
{
	struct disk *d = &data_disk;

	disk_open(d);
	disk_read(d, 8, 0);
	d->ring->rsp_prod = (u32)value;
	d->ring->req_event = (u32)value;
	disk_ask(d, 5, BLKIF_OP_READ, 16, LEND + 1);
	disk_go(d);
	if (!WAIT(d->ring->rsp_prod == 2, PATIENCE))
		breach("the worker believes its own index from the ring");
	if (disk_answer(d).id != 5)
		breach("another answer than the one that was due");
	return 0;
}

/* Notices are all that a wrong event index can cost; we look by ourselves. */
static long disk_event_index(u64 value)
{
	struct disk *d = &data_disk;

	disk_open(d);
	for (u32 i = 0; i < 200; i++) {
		d->ring->rsp_event = (u32)value + (value == 3 ? d->asked : 0);
		disk_read(d, 8 * i, i % LENT);
	}
	return 0;
}

/* As many as the ring holds, all with one id, half of them wrong, and again. */
static long disk_same_id(u64 arg)
{
	struct disk *d = &data_disk;
	u32 good = 0;

	(void)arg;
	disk_open(d);
	lent_fill();
	for (u32 round = 0; round < 20; round++) {
		for (u32 i = 0; i < ENTRIES; i++)
			disk_ask(d, 7, i & 1 ? BLKIF_OP_READ : 4, 8 * i, LEND + i);
		disk_go(d);
		for (u32 i = 0; i < ENTRIES; i++) {
			struct blkif_response rsp = disk_answer(d);

			if (rsp.id != 7)
				breach("an id that was never given");
			good += !rsp.status;
		}
	}
	for (u32 i = 0; i < ENTRIES; i++)
		if (i & 1 ? !lent_is(i, d, 8 * i) : !filled(lent[i], 0, 4096))
			breach("a page holds what was not asked for");
	if (good != 20 * ENTRIES / 2)
		breach("wrong requests succeed, or proper ones fail");
	return 0;
}

/* A persistent grant is looked at each time all the same. */
static long disk_kept(u64 changed)
{
	struct disk *d = &data_disk;
	long status;

	disk_prepare(d);
	store_write(d->bus.front, "feature-persistent", "1");
	if (device_connect(&d->bus))
		die("a disk refuses a proper ring");
	disk_read(d, 8, 0);
	if (!(granted(LEND) & GTF_writing))
		breach("a persistent grant is not marked");
	fill(lent[0]);
	((volatile u64 *)grants)[LEND] = changed;
	disk_ask(d, 2, BLKIF_OP_READ, 16, LEND);
	disk_go(d);
	status = disk_answer(d).status;
	if (status >= 0 || !filled(lent[0], 0, 4096))
		breach("a page is written that is lent no more");
	return status;
}

/* Its own ring, xenstore's page, a page table: memory of ours all the same. */
static long disk_into(u64 ref)
{
	struct disk *d = &data_disk;

	disk_open(d);
	disk_ask(d, 1, BLKIF_OP_READ, 0, (u32)ref);
	disk_go(d);
	rest(SECOND / 5);
	notify(start->store_evtchn);
	notify(start->console.domU.evtchn);
	rest(SECOND / 5);
	return 0;
}

static long touch(u64 va)
{
	return *(volatile u8 *)va;
}

static long disk_into_table(u64 arg)
{
	static u64 old[512];
	u64 *table = page_of((*entry_of(USER_CODE, 2) & 0x000ffffffffff000ull) >> 12);

	(void)arg;
	memcpy(old, table, sizeof(old));
	disk_open(&data_disk);
	disk_ask(&data_disk, 1, BLKIF_OP_READ, 0, REF_TABLE);
	disk_go(&data_disk);
	rest(SECOND / 5);
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	for (u64 va = USER_CODE; va < USER_CODE + 512 * PAGE; va += PAGE)
		attempt(touch, va);
	memcpy(table, old, sizeof(old));
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	return 0;
}

/* Two disks on one page: each takes the other's requests, and answers over them. */
static long disk_shared_ring(u64 arg)
{
	struct xen_sring *own = cdrom.ring;

	(void)arg;
	disk_open(&data_disk);
	device_reset(&cdrom.bus);
	cdrom.ring = data_disk.ring;
	disk_clear(&cdrom);
	disk_nodes(&cdrom);
	device_connect(&cdrom.bus);
	for (u32 i = 0; i < 20; i++)
		disk_ask(&data_disk, i, i & 1 ? BLKIF_OP_READ : 200, 8 * i, LEND + i);
	disk_go(&data_disk);
	notify(cdrom.bus.port);
	rest(SECOND / 2);
	cdrom.ring = own;
	return 0;
}

/* ---- what changes while it is served -------------------------------------------------- */

static void scribble_slot(struct disk *d)
{
	static const u32 refs[] = { LEND, LEND + 1, KEEP, REF_NONE, REF_BEYOND, REF_HUGE, REF_OUTSIDE, ~0u };
	static const u8 ops[] = { BLKIF_OP_READ, BLKIF_OP_INDIRECT, BLKIF_OP_FLUSH_DISKCACHE, 4, 255 };
	u64 sectors[] = { d->sectors / 2, d->sectors - 8, 1ull << 63, ~0ull, 1ull << 55 };
	volatile struct blkif_request *q = &slot(d, (u32)random())->req;
	u64 r = random();

	switch (r % 6) {
	case 0: q->operation = ops[(r >> 8) % 5]; break;
	case 1: q->nr_segments = (u8)(r >> 8); break;
	case 2: q->sector_number = sectors[(r >> 8) % 5]; break;
	case 3: q->seg[(r >> 16) % 11].gref = refs[(r >> 8) % 8]; break;
	case 4: q->seg[(r >> 16) % 11].first_sect = (u8)(r >> 8); break;
	default: q->seg[(r >> 16) % 11].last_sect = (u8)(r >> 8); break;
	}
}

static void scribble(struct disk *d, u64 what)
{
	static const u16 flags[] = { GTF_permit_access, GTF_invalid, GTF_permit_access | GTF_readonly };
	u64 frames[] = { gfn_of(lent[0]), gfn_of(lent[1]), start->nr_pages, start->nr_pages + 1, ~0u };
	struct blkif_request_segment *s = (void *)lent[16];
	u64 r = random();

	if (what == 0)
		scribble_slot(d);
	else if (what == 1)
		grant((u32)(LEND + r % 8), frames[(r >> 8) % 5], flags[(r >> 16) % 3]);
	else
		s[r % 256] = (struct blkif_request_segment){ r & 256 ? LEND + r % 8 : (u32)random(), (u8)(r >> 9),
							     (u8)(r >> 17) };
}

/*
 * Requests, the grants that they name, or their pages of segments, never twice the
 * same.  Any may turn into a write: all are about the disk's second half.
 */
static long disk_changing(u64 what)
{
	struct disk *d = &data_disk;
	struct blkif_request_indirect q = {
		.operation = BLKIF_OP_INDIRECT, .indirect_op = BLKIF_OP_READ, .nr_segments = 256,
		.sector_number = d->sectors / 2, .indirect_grefs = { LEND + 16 },
	};
	union blkif_sring_entry e;

	lent_fill();
	for (u32 round = 0; round < 300; round++) {
		if (round % 50 == 0)
			disk_open(d);
		for (u32 i = 0; i < 512; i++)
			((struct blkif_request_segment *)lent[16])[i] =
				(struct blkif_request_segment){ LEND + i % 8, 0, 7 };
		for (u32 i = 0; i < 8; i++) {
			memcpy(&e, &q, sizeof(q));
			if (i & 1 || what == 2)
				disk_put(d, &e);
			else
				disk_ask(d, i, BLKIF_OP_READ, d->sectors / 2 + 8 * i, LEND + i);
		}
		disk_go(d);
		for (u64 end = now() + 5 * SECOND; d->ring->rsp_prod != d->asked && now() < end;)
			scribble(d, what);
		if (d->ring->rsp_prod != d->asked)
			breach("requests are left without an answer");
		d->heard = d->asked;
		grant(LEND, gfn_of(lent[0]), GTF_permit_access);
	}
	return 0;
}

/* Connections that end and begin with requests under way. */
static long disk_hasty(u64 arg)
{
	struct disk *d = &data_disk;

	(void)arg;
	for (u32 i = 0; i < 40; i++) {
		disk_open(d);
		for (u32 k = 0; k < ENTRIES; k++)
			disk_ask(d, k, k % 5 ? BLKIF_OP_READ : k % 2 ? BLKIF_OP_WRITE_BARRIER : BLKIF_OP_FLUSH_DISKCACHE,
				 d->sectors / 2 + 8 * k, LEND + k);
		disk_go(d);
		for (u64 n = random() % 4; n; n--)
			yield();
	}
	return 0;
}

/* ---- the table --------------------------------------------------------------------------- */

const struct attack disk_ring_attacks[] = {
	{ "disk_index_33", disk_index, 33, ERROR }, { "disk_index_1000", disk_index, 1000, ERROR },
	{ "disk_index_sign", disk_index, 0x80000000u, ERROR }, { "disk_index_max", disk_index, ~0u - 3, ERROR },
	{ "disk_index_back", disk_index, ~0u, ERROR },
	{ "disk_answers_index_0", disk_answers_index, 0, OK }, { "disk_answers_index_max", disk_answers_index, ~0u, OK },
	{ "disk_event_0", disk_event_index, 0, OK }, { "disk_event_far", disk_event_index, 0x80000000u, OK },
	{ "disk_event_next", disk_event_index, 3, OK }, { "disk_same_id", disk_same_id, 0, OK },
	{ "disk_kept_none", disk_kept, GTF_invalid, ERROR },
	{ "disk_kept_huge", disk_kept, 0xffffffff00000001ull, ERROR },
	{ "disk_kept_foreign", disk_kept, 0x00070001, ERROR },
	{ "disk_kept_marked", disk_kept, GTF_reading | GTF_writing | 0xffffffff00000000ull, ERROR },
	{ "disk_changing_requests", disk_changing, 0, OK }, { "disk_changing_grants", disk_changing, 1, OK },
	{ "disk_changing_segments", disk_changing, 2, OK }, { "disk_hasty", disk_hasty, 0, OK },
	{ "disk_shared_ring", disk_shared_ring, 0, OK },
	{ "disk_into_ring", disk_into, REF_DISK, OK }, { "disk_into_console", disk_into, REF_CONSOLE, OK | KILL },
	{ "disk_into_table", disk_into_table, 0, OK | KILL }, { "disk_into_store", disk_into, REF_STORE, OK | KILL },
	{ 0, 0, 0, 0 },
};
