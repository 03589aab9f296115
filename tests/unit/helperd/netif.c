/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * netif.c: netfront's rings in plain memory, by polite and rude guests; the
 * headers of frames.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "wire.h"

#define PAGES		600u
#define ENTRIES		256u

static uint8_t (*pages)[4096];
static struct conet_ring ring;
static uint8_t *buffer;
static struct conet_packet p;

static union netif_tx_sring_entry *tx(RING_IDX i)
{
	return (union netif_tx_sring_entry *)(ring.tx + 1) + i % ENTRIES;
}

static union netif_rx_sring_entry *rx(RING_IDX i)
{
	return (union netif_rx_sring_entry *)(ring.rx + 1) + i % ENTRIES;
}

/* References are page numbers; those of 500 to 599 are lent for reading only. */
static void *frame(void *arg, uint32_t ref, bool write)
{
	(void)arg;
	return ref >= PAGES || (write && ref / 100 == 5) ? NULL : pages[ref];
}

static void set_up(void)
{
	pages = aligned_alloc(4096, PAGES * 4096);
	for (size_t i = 0; i < PAGES * 4096u; i++)
		pages[i / 4096][i % 4096] = (uint8_t)(i * 7 + i / 4096);
	ring = (struct conet_ring){ .frame = frame, .sg = true, .gso4 = true, .gso6 = true };
	ring.tx = calloc(1, 4096);
	ring.rx = calloc(1, 4096);
	ring.tx->rsp_event = ring.rx->rsp_event = 1;
	buffer = malloc(CONET_FRAME_MAX);
	memset(&p, 0, sizeof(p));
}

static void tear_down(void)
{
	free(pages);
	free(ring.tx);
	free(ring.rx);
	free(buffer);
}

static void send_slot(uint16_t id, uint32_t ref, uint16_t offset, uint16_t size, uint16_t flags)
{
	tx(ring.tx->req_prod++)->req = (struct netif_tx_request){ ref, offset, flags, id, size };
}

static void send_extra(uint8_t type, uint8_t flags, uint16_t size, uint8_t gso)
{
	struct netif_extra_info x = { .type = type, .flags = flags, .u.gso = { size, gso, 0, 0 } };

	memcpy(tx(ring.tx->req_prod++), &x, sizeof(x));
}

static int answer(RING_IDX i)
{
	return tx(i)->rsp.status;
}

static void small_frame(void)
{
	set_up();
	CHECK(!conet_ring_take(&ring, buffer, &p) && !conet_ring_arm(&ring, NULL));
	CHECK(ring.tx->req_event == 1);
	send_slot(7, 3, 100, 60, NETTXF_csum_blank | NETTXF_data_validated);
	CHECK(conet_ring_arm(&ring, NULL));
	CHECK(conet_ring_take(&ring, buffer, &p) == 1 && p.len == 60 && p.blank && p.good && !p.gso);
	CHECK(!memcmp(buffer, pages[3] + 100, 60));
	CHECK(ring.tx->rsp_prod == 0, "answers are not published by take");
	CHECK(conet_ring_publish(&ring) == CONET_TELL_SENT && ring.tx->rsp_prod == 1);
	CHECK(!conet_ring_seen(&ring));
	ring.tx->rsp_event = 2;
	CHECK(conet_ring_seen(&ring), "it has taken the answer, and waits for the next");
	ring.tx->rsp_event = 1;
	CHECK(tx(0)->rsp.id == 7 && answer(0) == NETIF_RSP_OKAY);
	CHECK(!conet_ring_publish(&ring), "nothing new");
	/* The guest does not ask to be told of the next one. */
	send_slot(8, 3, 0, 60, 0);
	CHECK(conet_ring_take(&ring, buffer, &p) == 1 && !p.blank && !conet_ring_publish(&ring));
	CHECK(ring.tx->rsp_prod == 2 && !ring.broken);
	tear_down();
}

/* 17 slots: 1000 bytes, then 15 whole pages, then the rest. */
static void large_frame(void)
{
	uint16_t last = 65000 - 1000 - 15 * 4096;
	uint8_t *want = malloc(65000), *at = want;

	set_up();
	send_slot(1, 1, 96, 65000, NETTXF_more_data | NETTXF_extra_info | NETTXF_csum_blank);
	send_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, 1448, XEN_NETIF_GSO_TYPE_TCPV4);
	memcpy(at, pages[1] + 96, 1000);
	for (uint16_t i = 0; i < 15; i++) {
		send_slot((uint16_t)(2 + i), 10u + i, 0, 4096, NETTXF_more_data);
		memcpy(at + 1000 + i * 4096, pages[10 + i], 4096);
	}
	send_slot(17, 30, 8, last, 0);
	memcpy(at + 1000 + 15 * 4096, pages[30] + 8, last);
	CHECK(conet_ring_take(&ring, buffer, &p) == 1 && p.len == 65000 && !memcmp(buffer, want, 65000));
	CHECK(p.gso == XEN_NETIF_GSO_TYPE_TCPV4 && p.gso_size == 1448 && p.blank);
	CHECK(conet_ring_publish(&ring) && ring.tx->rsp_prod == 18);
	for (RING_IDX i = 0; i < 18; i++)
		CHECK(answer(i) == (i == 1 ? NETIF_RSP_NULL : NETIF_RSP_OKAY), "%u", i);
	CHECK(tx(17)->rsp.id == 17 && tx(0)->rsp.id == 1);
	free(want);
	tear_down();
}

/* Each is answered as an error in all its slots, and the next frame is taken. */
static void senseless_frames(void)
{
	static const struct { const char *what; uint16_t offset, size, size2; uint32_t ref; } cases[] = {
		{ "an empty frame", 0, 0, 0, 1 },
		{ "beyond its page", 4000, 97, 0, 1 },
		{ "an offset beyond", 4097, 1, 0, 1 },
		{ "the largest offset", 65535, 65535, 0, 1 },
		{ "a page that is not lent", 0, 60, 0, PAGES },
		{ "no reference", 0, 60, 0, 0xffffffff },
		{ "a second slot larger than all", 0, 60, 61, 1 },
		{ "a second slot that is all", 0, 60, 60, 1 },
		{ "an empty second slot", 0, 60, 0, 2 },
		{ "a first slot larger than a page", 0, 65535, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool two = cases[i].size2 || cases[i].ref == 2;

		set_up();
		send_slot(1, cases[i].ref, cases[i].offset, cases[i].size, two ? NETTXF_more_data : 0);
		if (two)
			send_slot(2, 1, 0, cases[i].size2, 0);
		send_slot(3, 1, 0, 60, 0);
		CHECK(conet_ring_take(&ring, buffer, &p) == 1 && p.len == 60, "%s", cases[i].what);
		CHECK(!ring.broken && answer(0) == NETIF_RSP_ERROR, "%s", cases[i].what);
		CHECK(ring.tx_cons == 2u + two && answer(two) == NETIF_RSP_ERROR, "%s", cases[i].what);
		CHECK(answer(1u + two) == NETIF_RSP_OKAY, "%s", cases[i].what);
		tear_down();
	}
}

static void too_many_slots(void)
{
	set_up();
	send_slot(0, 1, 0, 200, NETTXF_more_data);
	for (uint16_t i = 1; i < 100; i++)
		send_slot(i, 1, 0, 1, i < 99 ? NETTXF_more_data : 0);
	CHECK(!conet_ring_take(&ring, buffer, &p) && !ring.broken && ring.tx_cons == 100);
	for (RING_IDX i = 0; i < 100; i++)
		CHECK(answer(i) == NETIF_RSP_ERROR && tx(i)->rsp.id == i, "%u", i);
	/* One less than too many is a frame. */
	send_slot(0, 1, 0, 200, NETTXF_more_data);
	for (uint16_t i = 1; i < XEN_NETIF_NR_SLOTS_MIN; i++)
		send_slot(i, 1, 0, 1, i < XEN_NETIF_NR_SLOTS_MIN - 1 ? NETTXF_more_data : 0);
	CHECK(conet_ring_take(&ring, buffer, &p) == 1 && p.len == 200);
	tear_down();
}

static void extras(void)
{
	set_up();
	send_slot(1, 1, 0, 60, NETTXF_extra_info);
	send_extra(XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, 0, 0);
	send_slot(2, 1, 0, 60, NETTXF_extra_info);
	send_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, 0, XEN_NETIF_GSO_TYPE_TCPV4);
	send_slot(3, 1, 0, 60, NETTXF_extra_info);
	send_extra(XEN_NETIF_EXTRA_TYPE_GSO, 0, 1448, 9);
	send_slot(4, 1, 0, 60, NETTXF_extra_info);
	for (int i = 0; i < 50; i++)
		send_extra(XEN_NETIF_EXTRA_TYPE_GSO, i < 49 ? XEN_NETIF_EXTRA_FLAG_MORE : 0, 1448, 1);
	CHECK(!conet_ring_take(&ring, buffer, &p) && !ring.broken);
	CHECK(ring.tx_cons == ring.tx->req_prod && answer(0) == NETIF_RSP_ERROR && answer(6) == NETIF_RSP_ERROR);
	CHECK(answer(7) == NETIF_RSP_NULL && answer(56) == NETIF_RSP_NULL);
	tear_down();
}

static void broken_rings(void)
{
	set_up();
	ring.tx->req_prod = ENTRIES + 1;
	CHECK(!conet_ring_take(&ring, buffer, &p) && ring.broken && strstr(ring.broken, "index"));
	CHECK(!conet_ring_publish(&ring) && !conet_ring_arm(&ring, &p));
	tear_down();
	set_up();
	send_slot(1, 1, 0, 60, NETTXF_more_data);
	CHECK(!conet_ring_take(&ring, buffer, &p) && ring.broken && strstr(ring.broken, "without its end"));
	tear_down();
	set_up();
	send_slot(1, 1, 0, 60, NETTXF_extra_info);
	CHECK(!conet_ring_take(&ring, buffer, &p) && ring.broken);
	tear_down();
	set_up();
	ring.rx->req_prod = 0x80000000u;
	p = (struct conet_packet){ .data = buffer, .len = 60 };
	CHECK(!conet_ring_give(&ring, &p) && ring.broken);
	tear_down();
}

static void wraps_around(void)
{
	set_up();
	ring.tx_cons = ring.tx_told = ring.tx->req_prod = ring.tx->rsp_prod = 0xfffffffeu;
	ring.tx->rsp_event = 0xffffffffu;
	for (uint16_t i = 0; i < 4; i++)
		send_slot(i, i, 0, 100, 0);
	for (int i = 0; i < 4; i++)
		CHECK(conet_ring_take(&ring, buffer, &p) == 1 && !memcmp(buffer, pages[i], 100));
	CHECK(!conet_ring_take(&ring, buffer, &p) && conet_ring_publish(&ring) && ring.tx->rsp_prod == 2);
	CHECK(!conet_ring_seen(&ring));
	ring.tx->rsp_event = 3;
	CHECK(conet_ring_seen(&ring));
	tear_down();
}

/* ---- to the guest ------------------------------------------------------------ */

static void offer(uint32_t count, uint32_t ref)
{
	for (uint32_t i = 0; i < count; i++, ring.rx->req_prod++)
		rx(ring.rx->req_prod)->req = (struct netif_rx_request){ (uint16_t)ring.rx->req_prod, 0, ref + i };
}

static void give(uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		buffer[i] = (uint8_t)(i * 3 + 1);
	p = (struct conet_packet){ .data = buffer, .len = len };
}

static void small_to_guest(void)
{
	set_up();
	give(60);
	CHECK(conet_ring_give(&ring, &p) == -1, "it has offered nothing");
	CHECK(!conet_ring_arm(&ring, &p) && ring.rx->req_event == 1);
	offer(1, 40);
	CHECK(conet_ring_arm(&ring, &p));
	p.good = true;
	CHECK(!conet_ring_give(&ring, &p) && !memcmp(pages[40], buffer, 60));
	CHECK(conet_ring_publish(&ring) == CONET_TELL_GIVEN && ring.rx->rsp_prod == 1);
	CHECK(rx(0)->rsp.id == 0 && rx(0)->rsp.status == 60 && rx(0)->rsp.flags == NETRXF_data_validated);
	tear_down();
}

static void large_to_guest(void)
{
	struct netif_extra_info x;

	set_up();
	give(9000);
	p.gso = XEN_NETIF_GSO_TYPE_TCPV6;
	p.gso_size = 1440;
	p.blank = true;
	p.head_len = 20;
	memset(p.head, 0xee, 20);
	offer(3, 40);
	CHECK(conet_ring_give(&ring, &p) == -1, "three pages and the extra slot are four");
	CHECK(!conet_ring_arm(&ring, &p) && ring.rx->req_event == 4);
	offer(1, 43);
	CHECK(!conet_ring_give(&ring, &p));
	CHECK(rx(0)->rsp.status == 4096 && rx(2)->rsp.status == 4096 && rx(3)->rsp.status == 9000 - 8192);
	CHECK(rx(0)->rsp.flags == (NETRXF_csum_blank | NETRXF_data_validated | NETRXF_extra_info |
				   NETRXF_more_data));
	CHECK(rx(2)->rsp.flags == NETRXF_more_data && rx(3)->rsp.flags == 0 && rx(3)->rsp.id == 3);
	memcpy(&x, rx(1), sizeof(x));
	CHECK(x.type == XEN_NETIF_EXTRA_TYPE_GSO && x.u.gso.size == 1440 && x.u.gso.type == p.gso && !x.flags);
	/* The head lies over the first bytes; the extra slot's buffer, 41, is not used. */
	CHECK(pages[40][19] == 0xee && !memcmp(pages[40] + 20, buffer + 20, 4076));
	CHECK(!memcmp(pages[42], buffer + 4096, 4096) && !memcmp(pages[43], buffer + 8192, 808));
	CHECK(pages[41][0] == (uint8_t)(41 * 4096 * 7 + 41));
	tear_down();
}

static void refused_to_guest(void)
{
	set_up();
	give(5000);
	offer(1, 40);
	offer(1, 500);		/* read-only */
	offer(1, 41);
	CHECK(!conet_ring_give(&ring, &p) && rx(0)->rsp.status == NETIF_RSP_ERROR && !rx(0)->rsp.flags);
	CHECK(rx(1)->rsp.status == NETIF_RSP_ERROR && ring.rx_cons == 2);
	CHECK(pages[500][0] == (uint8_t)(500 * 4096 * 7 + 500), "nothing was written");
	give(60);
	CHECK(!conet_ring_give(&ring, &p) && rx(2)->rsp.status == 60);
	/* A guest without scatter-gather gets no large frames. */
	ring.sg = false;
	give(4097);
	offer(2, 40);
	CHECK(!conet_ring_give(&ring, &p) && ring.rx_cons == 3);
	tear_down();
}

/* ---- headers ------------------------------------------------------------------- */

/* A plain sum, word by word, of what a receiver would check. */
static uint16_t check(const struct conet_headers *h)
{
	const uint8_t *ip = wire + h->l3, *l4 = wire + h->l4;
	uint32_t sum = h->protocol + h->l4_len;

	for (int i = h->v6 ? 8 : 12; i < (h->v6 ? 40 : 20); i += 2)
		sum += conet_get16(ip + i);
	for (uint32_t i = 0; i < h->l4_len; i++)
		sum += i & 1 ? l4[i] : (uint32_t)l4[i] << 8;
	while (sum >> 16)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

static void checksums(void)
{
	struct conet_headers h;

	for (int v6 = 0; v6 < 2; v6++)
		for (int udp = 0; udp < 2; udp++)
			for (uint32_t n = 0; n < 70; n++) {
				wire_build(v6, udp ? PROTO_UDP : PROTO_TCP, n * 31 + n % 7, v6 ? "2001:db8::1" : "192.0.2.1");
				CHECK(conet_headers(wire, wire_len, &h) && h.v6 == v6);
				conet_complete(wire, &h);
				CHECK(check(&h) == 0, "v6 %d udp %d n %u", v6, udp, n);
			}
}

static void headers_that_lie(void)
{
	struct conet_headers h;

	for (int v6 = 0; v6 < 2; v6++) {
		wire_build(v6, PROTO_TCP, 10, v6 ? "2001:db8::1" : "192.0.2.1");
		for (uint32_t n = 0; n < wire_len; n++) {
			uint8_t *cut = malloc(n ? n : 1);	/* for the sanitizer */

			memcpy(cut, wire, n);
			CHECK(!conet_headers(cut, n, &h), "%u bytes", n);
			free(cut);
		}
		CHECK(conet_headers(wire, wire_len, &h));
		wire[h.l4 + 12] = 0x40;
		CHECK(!conet_headers(wire, wire_len, &h), "a short TCP header");
		wire[h.l4 + 12] = 0xf0;
		CHECK(!conet_headers(wire, wire_len, &h), "a long one");
	}
	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	wire[ETH_LEN + 6] = 0x20;
	CHECK(!conet_headers(wire, wire_len, &h), "a fragment");
	wire[ETH_LEN + 6] = 0;
	wire[ETH_LEN + 7] = 1;
	CHECK(!conet_headers(wire, wire_len, &h), "a later one");
	wire[ETH_LEN + 7] = 0;
	CHECK(conet_headers(wire, wire_len, &h));
	wire[ETH_LEN] = 0x4f;
	CHECK(!conet_headers(wire, wire_len, &h), "options longer than the packet");
}

static void segments(void)
{
	struct conet_headers h;

	for (int odd = 0; odd < 2; odd++) {
		wire_build(false, PROTO_TCP, 12, "192.0.2.1");
		CHECK(conet_headers(wire, wire_len, &h));
		wire[h.l4 + 12] = 0x80;
		wire[h.l4 + 13] = TCP_SYN;
		memset(wire + h.l4 + 20, 1, 12);
		memcpy(wire + h.l4 + 20 + odd, "\002\004\005\264", 4);
		conet_complete(wire, &h);
		conet_raise_mss(wire, &h, 32768);
		CHECK(conet_get16(wire + h.l4 + 22 + odd) == 32768 && check(&h) == 0, "odd %d", odd);
		conet_raise_mss(wire, &h, 1460);
		CHECK(conet_get16(wire + h.l4 + 22 + odd) == 32768, "never lowered");
	}
	/* Options that never end, or end beyond the header, are left alone. */
	wire[h.l4 + 20] = 2;
	wire[h.l4 + 21] = 0;
	conet_raise_mss(wire, &h, 40000);
	wire[h.l4 + 21] = 200;
	conet_raise_mss(wire, &h, 40000);
	memset(wire + h.l4 + 20, 1, 11);
	wire[h.l4 + 31] = 2;
	conet_raise_mss(wire, &h, 40000);
	CHECK(conet_get16(wire + h.l4 + 23) == 0x101);

	wire_build(true, PROTO_TCP, 2000, "2001:db8::1");
	p = (struct conet_packet){ .data = wire, .len = wire_len };
	conet_enlarge(&p);
	CHECK(p.gso == XEN_NETIF_GSO_TYPE_TCPV6 && p.gso_size == 1440 && p.blank && p.head_len == 74);
	CHECK(!memcmp(p.head, wire, 70) && !memcmp(p.head + 72, wire + 72, 2));
	wire_build(false, PROTO_TCP, 1460, "192.0.2.1");
	p = (struct conet_packet){ .data = wire, .len = wire_len };
	conet_enlarge(&p);
	CHECK(!p.gso && p.good && !p.blank && !p.head_len, "it is no larger than the guest's MTU");
}

static void refusals(void)
{
	struct conet_headers h;
	uint8_t *tcp;

	for (int v6 = 0; v6 < 2; v6++) {
		wire_build(v6, PROTO_TCP, 40, v6 ? "fd63:6f4c:694e::2" : "10.0.2.2");
		CHECK(conet_headers(wire, wire_len, &h));
		tcp = wire + h.l4;
		memcpy(tcp, "\x9c\x40\x00\x19\xff\xff\xff\xff", 8);
		wire_len = conet_refuse(wire, &h);
		CHECK(conet_headers(wire, wire_len, &h) && h.l4_len == TCP_LEN && wire_len == h.l4 + TCP_LEN);
		CHECK(check(&h) == 0 && tcp[13] == (TCP_RST | TCP_ACK));
		CHECK(!memcmp(tcp, "\x00\x19\x9c\x40\0\0\0\0\0\0\0\0", 12), "ports swapped, the next byte");
		CHECK(v6 ? wire[ETH_LEN + 23] == 2 : !memcmp(wire + ETH_LEN + 12, "\x0a\x00\x02\x02", 4));
		CHECK(v6 || conet_sum(wire + ETH_LEN, IP4_LEN, 0) == 0xffff);
	}
}

int main(void)
{
	RUN(small_frame);
	RUN(large_frame);
	RUN(senseless_frames);
	RUN(too_many_slots);
	RUN(extras);
	RUN(broken_rings);
	RUN(wraps_around);
	RUN(small_to_guest);
	RUN(large_to_guest);
	RUN(refused_to_guest);
	RUN(checksums);
	RUN(headers_that_lie);
	RUN(segments);
	RUN(refusals);
	UNIT_END();
}
