/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake_disk.c: the fake guest's block driver: each request once, in the worker's real sandbox. */
#include <stdio.h>
#include <string.h>

#include "../../../kext/include/xen/grant_table.h"
#include "../../../kext/include/xen/io/blkif.h"
#include "../../../kext/include/xen/io/xs_wire.h"
#include "fake.h"

#define DEVICE	"device/vbd/51712/"
#define BACK	"/local/domain/0/backend/vbd/1/51712/state"
#define PORT	7u
#define REF	64u		/* the ring; data page n is REF + 1 + n */
#define FRAME	12000u		/* where the fake guest has nothing else */

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

static co_u8 *ram;
static struct xen_sring *ring;

static void *page(unsigned int n)
{
	return ram + ((FRAME + n) << CO_PAGE_SHIFT);
}

static void lend(unsigned int n)
{
	fake_grants[REF + n] = GTF_permit_access | (co_u64)(FRAME + n) << 32;
}

static void write_node(const char *node, const char *value)
{
	char text[128], payload[4097];
	size_t len = (size_t)snprintf(text, sizeof(text), DEVICE "%s%c%s", node, 0, value);

	fake_xs_call(XS_WRITE, text, len, payload);
}

static int request(co_u8 op, co_u64 sector, unsigned int first, unsigned int pages)
{
	union blkif_sring_entry *slots = (void *)(ring + 1), *e;
	struct blkif_response rsp;
	co_u32 at = ring->req_prod;

	e = &slots[at % 32];
	memset(e, 0, sizeof(*e));
	e->req.operation = op;
	e->req.id = at;
	e->req.sector_number = sector;
	e->req.nr_segments = (co_u8)pages;
	for (unsigned int i = 0; i < pages; i++)
		e->req.seg[i] = (struct blkif_request_segment){ REF + first + i, 0, 7 };
	if (op == BLKIF_OP_DISCARD)
		((struct blkif_request_discard *)e)->nr_sectors = 8;
	STORE(ring->rsp_event, at + 1);
	STORE(ring->req_prod, at + 1);
	fake_notify(PORT);
	while (LOAD(ring->rsp_prod) == at)
		fake_wait();
	memcpy(&rsp, &slots[at % 32], sizeof(rsp));
	return rsp.id == at ? rsp.status : 99;
}

const char *fake_disk(co_u8 *memory)
{
	static char why[64];
	char payload[4097] = "";
	int got[6];

	ram = memory;
	ring = page(0);
	memset(ring, 0, CO_PAGE_SIZE);
	ring->req_event = 1;
	for (unsigned int n = 0; n < 12; n++)
		lend(n);
	write_node("ring-ref", "64");
	write_node("event-channel", "7");
	write_node("protocol", "x86_64-abi");
	write_node("state", "3");
	while (payload[0] != '4')
		if (fake_xs_call(XS_READ, BACK, sizeof(BACK), payload) != XS_READ)
			return "no backend";
	memset(page(1), 0x5a, 2 * CO_PAGE_SIZE);
	got[0] = request(BLKIF_OP_WRITE, 8, 1, 2);
	got[1] = request(BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0);
	got[2] = request(BLKIF_OP_READ, 8, 3, 2);
	got[3] = memcmp(page(1), page(3), 2 * CO_PAGE_SIZE);
	got[4] = request(BLKIF_OP_DISCARD, 8, 0, 0);
	got[5] = request(BLKIF_OP_READ, 8, 5, 1);
	for (int i = 0; i < 6; i++) {
		if (got[i]) {
			snprintf(why, sizeof(why), "step %d says %d", i, got[i]);
			return why;
		}
	}
	return *(co_u64 *)page(5) ? "what was discarded is still there" : "";
}
