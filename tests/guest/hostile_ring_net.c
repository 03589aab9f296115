// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks through the rings of a network: transmit, receive, and what the
 * frames say.  The proper thing beside each is a question about an address,
 * which the gateway answers.  By design a broken ring ends the VM.
 */
#include "hostile_ring.h"

#define ENTRIES		256u
#define BUFFERS		64u
#define ARP_FRAME	42u

struct device net_bus = { "device/vif/0", "/local/domain/0/backend/vif/1/0", 0 };
static struct xen_sring *const tx = (void *)ring_pages[2], *const rx = (void *)ring_pages[3];
static u8 buffers[BUFFERS][4096] __attribute__((aligned(4096)));
static u32 tx_asked, tx_heard, rx_asked, rx_heard;
static u8 tx_sent[ENTRIES][12];
static int rx_first;			/* the next buffer begins a frame */
static u8 arp_seen[256];		/* answers for the address that ends so */

static volatile u8 *tx_slot(u32 i)
{
	return (volatile u8 *)(tx + 1) + i % ENTRIES * sizeof(union netif_tx_sring_entry);
}

static volatile u8 *rx_slot(u32 i)
{
	return (volatile u8 *)(rx + 1) + i % ENTRIES * sizeof(union netif_rx_sring_entry);
}

/* ---- receiving ----------------------------------------------------------------------- */

static void rx_ask(u16 id, u32 ref)
{
	struct netif_rx_request q = { .id = id, .gref = ref };

	memcpy((void *)rx_slot(rx_asked++), &q, sizeof(q));
	__atomic_store_n(&rx->req_prod, rx_asked, __ATOMIC_SEQ_CST);
}

static void rx_lend(u32 i)
{
	fill(buffers[i]);
	rx_ask((u16)i, REF_RX_BUFFER + i);
}

static void see(const u8 *frame, u32 len)
{
	static const u8 arp_reply[] = { 8, 6, 0, 1, 8, 0, 6, 4, 0, 2, 0x52, 0x55, 10, 0, 2, 2, 10, 0, 2, 2 };

	if (len < ETH_LEN)
		breach("a frame shorter than its header");
	for (u32 i = 0; i < sizeof(arp_reply); i++)
		if (frame[12 + i] != arp_reply[i])
			return;
	for (u32 i = ARP_FRAME; i < len; i++)
		if (frame[i])
			breach("a frame's padding holds something");
	/* To somebody else: to an attack of ours that lied about itself. */
	for (u32 i = 0; i < 6; i++)
		if (frame[i] != our_mac[i] || frame[6 + i] != gateway_mac[i] || frame[32 + i] != our_mac[i])
			return;
	arp_seen[frame[41]]++;
}

/* Looks at what has come and lends the buffers again. */
static void rx_look(void)
{
	u32 before = rx_heard;

	while (__atomic_load_n(&rx->rsp_prod, __ATOMIC_ACQUIRE) != rx_heard) {
		struct netif_rx_response r;

		if (__atomic_load_n(&rx->rsp_prod, __ATOMIC_ACQUIRE) - rx_heard > rx_asked - rx_heard)
			breach("more frames than buffers");
		memcpy(&r, (const void *)rx_slot(rx_heard++), sizeof(r));
		if (r.id >= BUFFERS || r.offset || r.status <= 0 || r.status > 4096 ||
		    r.flags & ~(NETRXF_data_validated | NETRXF_csum_blank | NETRXF_more_data))
			breach("an answer that no frame can have");
		if (!filled(buffers[r.id], (u32)r.status, 4096))
			breach("a buffer is written behind its frame");
		if (rx_first)
			see(buffers[r.id], (u32)r.status);
		rx_first = !(r.flags & NETRXF_more_data);
		rx_lend(r.id);
	}
	/* Frames may wait for them. */
	if (rx_heard != before)
		notify(net_bus.port);
}

/* ---- sending --------------------------------------------------------------------------- */

static void tx_put(const void *entry, u32 size)
{
	u8 *sent = tx_sent[tx_asked % ENTRIES];

	memset(sent, 0xee, 12);
	memcpy(sent, entry, size);
	memcpy((void *)tx_slot(tx_asked++), sent, 12);
}

static void tx_ask(u32 ref, u16 offset, u16 size, u16 flags, u16 id)
{
	struct netif_tx_request q = { ref, offset, flags, id, size };

	tx_put(&q, sizeof(q));
}

static void tx_go(void)
{
	__atomic_store_n(&tx->req_prod, tx_asked, __ATOMIC_SEQ_CST);
	notify(net_bus.port);
}

static int tx_heard_any(void)
{
	rx_look();
	return __atomic_load_n(&tx->rsp_prod, __ATOMIC_ACQUIRE) != tx_heard;
}

static struct netif_tx_response tx_answer(void)
{
	struct netif_tx_response r;
	volatile u8 *e = tx_slot(tx_heard);

	if (!WAIT(tx_heard_any(), PATIENCE))
		die("the network does not answer");
	if (__atomic_load_n(&tx->rsp_prod, __ATOMIC_ACQUIRE) - tx_heard > tx_asked - tx_heard)
		breach("more answers than frames");
	memcpy(&r, (const void *)e, sizeof(r));
	for (u32 i = sizeof(r); i < 12; i++)
		if (e[i] != tx_sent[tx_heard % ENTRIES][i])
			breach("an entry holds more than the answer");
	if (!filled(tx, 16, 64) || !filled(tx, 64 + ENTRIES * 12, 4096) || !filled(rx, 16, 64) ||
	    !filled(rx, 64 + ENTRIES * 8, 4096))
		breach("a ring's page is written beside its entries");
	tx_heard++;
	return r;
}

/* In page 31 of those lent; which address asks tells the answers apart. */
static void tx_arp(u8 last, u16 id)
{
	put_arp(lent[31] + last * 48u % 4000, last);
	tx_ask(LEND + 31, last * 48u % 4000, ARP_FRAME, 0, id);
}

static int arp_came(u8 last)
{
	rx_look();
	return arp_seen[last];
}

/* ---- connections ------------------------------------------------------------------------ */

static void net_nodes(void)
{
	const struct node nodes[] = {
		{ "tx-ring-ref", 0, REF_TX }, { "rx-ring-ref", 0, REF_RX }, { "event-channel", 0, net_bus.port },
		{ "request-rx-copy", 0, 1 }, { "feature-sg", 0, 1 }, { "feature-gso-tcpv4", 0, 1 },
	};

	store_write_all(net_bus.front, nodes, 6);
}

void net_prepare(u32 n)
{
	struct xen_sring *const both[] = { tx, rx };

	device_reset(&net_bus);
	for (u32 i = 0; i < 2; i++) {
		fill(both[i]);
		both[i]->req_prod = both[i]->rsp_prod = 0;
		both[i]->req_event = both[i]->rsp_event = 1;
		grant(REF_TX + i, gfn_of(both[i]), GTF_permit_access);
	}
	tx_asked = tx_heard = rx_asked = rx_heard = 0;
	rx_first = 1;
	for (u32 i = 0; i < BUFFERS; i++)
		grant(REF_RX_BUFFER + i, gfn_of(buffers[i]), GTF_permit_access);
	for (u32 i = 0; i < n; i++)
		rx_lend(i);
	net_nodes();
}

static void net_open_or_die(u32 n)
{
	net_prepare(n);
	if (device_connect(&net_bus))
		die("the network refuses proper rings");
	memset(arp_seen, 0, sizeof(arp_seen));
}

/* A frame there and back.  What an attack has left under way comes before it. */
void net_check(void)
{
	static u8 last = 100;

	net_open_or_die(BUFFERS);
	last = last >= 250 ? 100 : last + 1;
	for (u32 tries = 0; !arp_seen[last]; tries++) {
		if (tries == 30)
			breach("a proper frame is not served properly");
		tx_arp(last, 1);
		tx_go();
		if (tx_answer().status)
			breach("a proper frame is refused");
		WAIT(arp_came(last), 2 * SECOND);
	}
}

/* ---- one frame that is wrong --------------------------------------------------------------- */

static void net_around(u32 slots, int served)
{
	u32 before = tx_asked;

	tx_go();
	for (u32 i = 0; i < slots; i++) {
		struct netif_tx_response r = tx_answer();

		if (r.id == 1 || r.id == 2) {
			if (r.status)
				breach("the frame beside it fails");
		} else if (r.status != NETIF_RSP_NULL && (r.status < 0) == served) {
			breach(served ? "what is allowed is refused" : "what is not allowed is done");
		}
	}
	if (tx_asked != before || tx_heard != tx_asked)
		breach("answers and frames do not go in step");
	if (!WAIT(arp_came(51) && arp_came(52), PATIENCE))
		breach("the frames beside it are lost");
}

struct tx_case {
	u32 ref;
	u16 offset, size, flags;
};

static long net_frame(u64 arg)
{
	const struct tx_case *c = (const struct tx_case *)arg;

	net_open_or_die(BUFFERS);
	tx_arp(51, 1);
	tx_ask(c->ref, c->offset, c->size, c->flags, 3);
	tx_arp(52, 2);
	net_around(3, 0);
	return -1;
}

#define CHAIN(rests, size, first)	((u64)(rests) << 32 | (u64)(size) << 16 | (first))

static long net_chain(u64 arg)
{
	u32 rests = (u32)(arg >> 32);

	net_open_or_die(BUFFERS);
	tx_arp(51, 1);
	tx_ask(LEND, 0, (u16)arg, NETTXF_more_data, 3);
	for (u32 i = 0; i < rests; i++)
		tx_ask(LEND + i % 8, 0, (u16)(arg >> 16), i + 1 < rests ? NETTXF_more_data : 0, 4);
	tx_arp(52, 2);
	net_around(rests + 3, 0);
	return -1;
}

#define EXTRA(count, type, gso_type, size) \
	((u64)(count) << 48 | (u64)(type) << 32 | (u64)(gso_type) << 16 | (size))
#define GSO(count, type, size)	EXTRA(count, XEN_NETIF_EXTRA_TYPE_GSO, type, size)
#define GSO4(count, size)	GSO(count, XEN_NETIF_GSO_TYPE_TCPV4, size)

/* On a frame that is a question about an address: whoever serves it does no harm. */
static void put_extra(u64 arg, int last)
{
	struct netif_extra_info x = {
		.type = (u8)(arg >> 32), .flags = last ? 0 : XEN_NETIF_EXTRA_FLAG_MORE,
		.u.gso = { .size = (u16)arg, .type = (u8)(arg >> 16) },
	};

	tx_put(&x, sizeof(x));
}

static long net_extra_as(u64 arg, int served)
{
	u32 count = (u32)(arg >> 48);

	net_open_or_die(BUFFERS);
	tx_arp(51, 1);
	tx_arp(53, 3);
	((struct netif_tx_request *)tx_slot(tx_asked - 1))->flags = NETTXF_extra_info;
	((struct netif_tx_request *)tx_sent[(tx_asked - 1) % ENTRIES])->flags = NETTXF_extra_info;
	for (u32 i = 0; i < count; i++)
		put_extra(arg, i + 1 == count);
	tx_arp(52, 2);
	net_around(count + 3, served);
	return served ? 0 : -1;
}

static long net_extra(u64 arg)
{
	return net_extra_as(arg, 0);
}

static long net_gso(u64 arg)
{
	return net_extra_as(arg, 1);
}

/* ---- rings that are wrong --------------------------------------------------------------------- */

/* The VM must end: an index that no frame explains, or a frame without its end. */
static _Noreturn void net_must_end(void)
{
	tx_go();
	rest(PATIENCE);
	breach("a broken ring is served on");
}

static long net_tx_index(u64 by)
{
	net_open_or_die(BUFFERS);
	tx_arp(51, 1);
	tx_go();
	tx_answer();
	tx_asked += (u32)by;
	net_must_end();
}

static long net_rx_index(u64 by)
{
	net_open_or_die(BUFFERS);
	rx->req_prod = rx_asked + (u32)by;
	tx_arp(51, 1);
	net_must_end();
}

static long net_endless(u64 arg)
{
	net_open_or_die(BUFFERS);
	for (u32 i = 0; i < (u32)arg; i++)
		tx_ask(LEND, 0, i ? 1 : 4000, NETTXF_more_data, 3);
	net_must_end();
}

static long net_endless_extra(u64 arg)
{
	net_open_or_die(BUFFERS);
	tx_ask(LEND, 0, 60, NETTXF_extra_info, 3);
	for (u32 i = 1; i < (u32)arg; i++)
		put_extra(GSO4(0, 1000), 0);
	net_must_end();
}

static long net_event_index(u64 value)
{
	net_open_or_die(BUFFERS);
	for (u32 i = 0; i < 100; i++) {
		tx->rsp_event = rx->rsp_event = (u32)value;
		tx->rsp_prod = (u32)value;
		tx_arp((u8)i, 9);
		tx_go();
		if (!WAIT(tx->rsp_prod == tx_asked, PATIENCE))
			breach("the worker believes its own index from the ring");
	}
	return 0;
}

/* One page is both rings: each answer is the other's question. */
static long net_shared_ring(u64 arg)
{
	(void)arg;
	net_open_or_die(0);
	device_reset(&net_bus);
	fill(tx);
	tx->req_prod = tx->rsp_prod = 0;
	net_nodes();
	store_write_number(net_bus.front, "rx-ring-ref", REF_TX);
	device_connect(&net_bus);
	for (u32 i = 0; i < 50; i++)
		tx_arp((u8)i, (u16)i);
	tx_go();
	rest(SECOND / 2);
	return 0;
}

/* ---- receiving into what is wrong ---------------------------------------------------------------- */

/* A frame for which the buffer is not lent is lost, and nothing else is. */
static long net_buffer(u64 ref)
{
	struct netif_rx_response r;

	net_open_or_die(0);
	fill(lent[0]);
	rx_ask(77, (u32)ref);
	tx_arp(51, 1);
	tx_go();
	if (!WAIT(rx->rsp_prod != rx_heard, PATIENCE))
		breach("a buffer is never answered for");
	memcpy(&r, (const void *)rx_slot(rx_heard++), sizeof(r));
	if (r.id != 77 || r.status >= 0)
		breach("a frame went where nothing is lent");
	if (!filled(lent[0], 0, 4096))
		breach("a page that is not lent for it is written");
	return r.status;
}

#define PING	12000u			/* bytes of its IP payload: three pages */

static void tx_ping(void)
{
	u32 len = ETH_LEN + 20 + PING;

	put_ping(lent[16], PING);
	tx_ask(LEND + 16, 0, (u16)len, NETTXF_more_data, 1);
	tx_ask(LEND + 17, 0, 4096, NETTXF_more_data, 1);
	tx_ask(LEND + 18, 0, (u16)(len - 8192), 0, 1);
}

/* An answer in several buffers, of which one is not lent: all come back, none is written. */
static long net_buffer_of_many(u64 ref)
{
	struct netif_rx_response r;
	u32 slots;

	net_open_or_die(0);
	tx_arp(15, 1);			/* the gateway learns who asks */
	tx_ping();
	tx_go();
	rx_ask(0, REF_RX_BUFFER);
	fill(buffers[0]);
	if (!WAIT(rx->rsp_prod == 1, PATIENCE))
		breach("a proper frame is not served properly");
	for (u32 i = 1; i < 4; i++) {
		fill(buffers[i]);
		rx_ask((u16)i, i == 2 ? (u32)ref : REF_RX_BUFFER + i);
	}
	notify(net_bus.port);
	if (!WAIT(rx->rsp_prod == 4, PATIENCE))
		breach("buffers are never answered for");
	for (slots = 1; slots < 4; slots++) {
		memcpy(&r, (const void *)rx_slot(slots), sizeof(r));
		if (r.status >= 0 || r.id != slots || !filled(buffers[slots], 0, 4096))
			breach("half a frame is delivered");
	}
	return r.status;
}

static long net_buffer_into(u64 ref)
{
	net_open_or_die(0);
	for (u32 i = 0; i < 8; i++)
		rx_ask((u16)i, (u32)ref);
	tx_arp(15, 1);
	tx_ping();		/* whole pages come back */
	tx_go();
	rest(SECOND / 2);
	notify(net_bus.port);
	notify(start->store_evtchn);
	notify(start->console.domU.evtchn);
	rest(SECOND / 2);
	for (u32 i = 0; i < sizeof(console->in); i++)
		console->in[i] = (char)PATTERN;
	return 0;
}

/* A guest that sends and takes nothing: what waits for it is bounded, and old. */
static long net_flood(u64 frames)
{
	net_open_or_die(0);
	while (frames) {
		u32 n = 0;

		for (; n < 200 && frames; n++, frames--)
			tx_arp(9, 5);
		tx_go();
		while (n--)
			tx_answer();
	}
	return 0;
}

/* ---- what changes while it is served, and noise --------------------------------------------------- */

static void net_scribble(void)
{
	static const u32 refs[] = { LEND, LEND + 31, REF_NONE, REF_BEYOND, REF_HUGE, REF_OUTSIDE, ~0u };
	volatile struct netif_tx_request *q = (volatile struct netif_tx_request *)tx_slot((u32)random());
	u64 r = random();

	switch (r % 5) {
	case 0: q->gref = refs[(r >> 8) % 7]; break;
	case 1: q->offset = (u16)(r >> 8); break;
	case 2: q->size = (u16)(r >> 8); break;
	case 3: grant(LEND + 31, r & 256 ? ~0u : gfn_of(lent[31]), r & 512 ? GTF_permit_access : 0); break;
	/* Not the flags: a chain without its end would end the VM. */
	default: lent[31][(r >> 8) % 4096] = (u8)(r >> 24); break;
	}
}

static long net_changing(u64 rounds)
{
	net_open_or_die(BUFFERS);
	while (rounds--) {
		for (u32 i = 0; i < 32; i++)
			tx_arp((u8)i, (u16)i);
		tx_go();
		for (u64 end = now() + 5 * SECOND; tx->rsp_prod != tx_asked && now() < end;)
			net_scribble();
		if (tx->rsp_prod != tx_asked)
			breach("frames are left without an answer");
		tx_heard = tx_asked;
		rx_look();
	}
	return 0;
}

static long net_noise(u64 frames)
{
	net_open_or_die(BUFFERS);
	while (frames--) {
		u32 len = noisy_frame(lent[16]), gso = random() & 1;
		u64 r = random();

		tx_ask(LEND + 16, 0, (u16)len, (u16)(r & (NETTXF_csum_blank | NETTXF_data_validated)) |
		       (gso ? NETTXF_extra_info : 0), 1);
		if (gso)
			put_extra(GSO(0, 1 + (r >> 8 & 1), 1 + (r >> 16) % 65535), 1);
		tx_go();
		tx_answer();
		if (gso)
			tx_answer();
	}
	return 0;
}

/* A row names what is unlike the usual. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define FRAME(name, ...) \
	{ "net_" name, net_frame, (u64)&(const struct tx_case){ .ref = LEND, .size = 60, __VA_ARGS__ }, ERROR }

const struct attack net_ring_attacks[] = {
	FRAME("size_0", .size = 0), FRAME("size_max", .size = 0xffff), FRAME("size_4097", .size = 4097),
	FRAME("offset_end", .offset = 4096), FRAME("offset_max", .offset = 0xffff),
	FRAME("over_the_page", .offset = 4090), FRAME("over_ram", .offset = 4095, .size = 4096, .ref = REF_LAST),
	FRAME("page_over_ram", .size = 0xffff, .ref = REF_LAST),
	FRAME("ref_none", .ref = REF_NONE), FRAME("ref_foreign", .ref = REF_FOREIGN),
	FRAME("ref_transfer", .ref = REF_TRANSFER), FRAME("ref_sub_page", .ref = REF_SUB),
	FRAME("ref_shared_info", .ref = REF_BEYOND), FRAME("ref_grant_table", .ref = REF_GRANTS),
	FRAME("ref_huge_frame", .ref = REF_HUGE), FRAME("ref_outside", .ref = REF_OUTSIDE),
	FRAME("ref_max", .ref = ~0u), FRAME("blank_ref", .ref = REF_HUGE, .flags = NETTXF_csum_blank),
	{ "net_chain_18", net_chain, CHAIN(18, 1, 2000), ERROR },
	{ "net_chain_19", net_chain, CHAIN(19, 1, 2000), ERROR },
	{ "net_chain_200", net_chain, CHAIN(200, 1, 2000), ERROR },
	{ "net_chain_more", net_chain, CHAIN(3, 1000, 2000), ERROR },
	{ "net_chain_empty", net_chain, CHAIN(3, 0, 2000), ERROR },
	{ "net_chain_max", net_chain, CHAIN(3, 0xffff, 0xffff), ERROR },
	{ "net_chain_wraps", net_chain, CHAIN(17, 0xff00, 60), ERROR },
	{ "net_chain_pages", net_chain, CHAIN(16, 4097, 0xffff), ERROR },
	{ "net_extra_5", net_extra, GSO4(5, 1000), ERROR }, { "net_extra_200", net_extra, GSO4(200, 1000), ERROR },
	{ "net_extra_mcast", net_extra, EXTRA(1, XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, 0), ERROR },
	{ "net_extra_hash", net_extra, EXTRA(1, XEN_NETIF_EXTRA_TYPE_HASH, 0, 0), ERROR },
	{ "net_extra_none", net_extra, EXTRA(1, 0, 0, 0), ERROR },
	{ "net_extra_255", net_extra, EXTRA(1, 255, 0, 0), ERROR },
	{ "net_gso_size_0", net_extra, GSO4(1, 0), ERROR },
	{ "net_gso_type_0", net_extra, GSO(1, 0, 1000), ERROR },
	{ "net_gso_type_9", net_extra, GSO(1, 9, 1000), ERROR },
	{ "net_gso_size_1", net_gso, GSO4(1, 1), OK }, { "net_gso_size_max", net_gso, GSO4(1, 0xffff), OK },
	{ "net_gso_twice", net_gso, GSO4(4, 1000), OK },
	{ "net_buffer_none", net_buffer, REF_NONE, ERROR }, { "net_buffer_kept", net_buffer, KEEP, ERROR },
	{ "net_buffer_foreign", net_buffer, REF_FOREIGN, ERROR },
	{ "net_buffer_shared_info", net_buffer, REF_BEYOND, ERROR },
	{ "net_buffer_grants", net_buffer, REF_GRANTS, ERROR }, { "net_buffer_huge", net_buffer, REF_HUGE, ERROR },
	{ "net_buffer_outside", net_buffer, REF_OUTSIDE, ERROR }, { "net_buffer_max", net_buffer, ~0u, ERROR },
	{ "net_many_kept", net_buffer_of_many, KEEP, ERROR }, { "net_many_huge", net_buffer_of_many, REF_HUGE, ERROR },
	{ "net_many_outside", net_buffer_of_many, REF_OUTSIDE, ERROR },
	{ "net_flood", net_flood, 30000, OK }, { "net_changing", net_changing, 300, OK },
	{ "net_noise", net_noise, 4000, OK },
	{ "net_event_0", net_event_index, 0, OK }, { "net_event_far", net_event_index, 0x80000000u, OK },
	{ "net_shared_ring", net_shared_ring, 0, OK | KILL },
	{ "net_into_rx_ring", net_buffer_into, REF_RX, OK | KILL },
	{ "net_into_tx_ring", net_buffer_into, REF_TX, OK | KILL },
	{ "net_into_store", net_buffer_into, REF_STORE, OK | KILL },
	{ "net_into_console", net_buffer_into, REF_CONSOLE, OK | KILL },
	{ "net_tx_index_257", net_tx_index, 257, KILL }, { "net_tx_index_sign", net_tx_index, 0x80000000u, KILL },
	{ "net_tx_index_back", net_tx_index, ~0u, KILL }, { "net_rx_index_far", net_rx_index, 1000, KILL },
	{ "net_rx_index_back", net_rx_index, ~0u - 70, KILL },
	{ "net_endless", net_endless, 256, KILL }, { "net_endless_short", net_endless, 2, KILL },
	{ "net_endless_extra", net_endless_extra, 256, KILL },
	{ 0, 0, 0, 0 },
};
