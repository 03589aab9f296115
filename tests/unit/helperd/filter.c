/* SPDX-License-Identifier: GPL-2.0-or-later */
/* filter.c: which frames of the guest's go to a NAT. */
#include <arpa/inet.h>
#include <string.h>

#include "../unit.h"
#include "conet_filter.h"
#include "wire.h"

static void filter(void)
{
	static const struct { const char *to; bool v6; uint8_t protocol; bool yes; } rows[] = {
		{ "192.0.2.1", false, PROTO_TCP, true }, { "10.0.2.3", false, PROTO_UDP, false },
		{ "127.0.0.1", false, PROTO_TCP, false }, { "127.9.9.9", false, PROTO_UDP, false },
		{ "0.0.0.0", false, PROTO_TCP, false }, { "0.1.2.3", false, PROTO_UDP, false },
		{ "10.0.2.2", false, PROTO_UDP, false }, { "255.255.255.255", false, PROTO_UDP, false },
		{ "2001:db8::1", true, PROTO_TCP, true }, { "fd63:6f4c:694e::3", true, PROTO_TCP, false },
		{ "::1", true, PROTO_TCP, false }, { "::", true, PROTO_UDP, false },
		{ "::ffff:127.0.0.1", true, PROTO_TCP, false }, { "::127.0.0.1", true, PROTO_TCP, false },
		{ "fd63:6f4c:694e::2", true, PROTO_UDP, false }, { "fd63:6f4c:694e::1234", true, PROTO_UDP, false },
		{ "ff02::1", true, PROTO_UDP, false }, { "ff02::1:2", true, PROTO_UDP, true },
		/* Link-local addresses, whichever libslirp has given itself. */
		{ "fe80::2", true, PROTO_UDP, false }, { "febf::1", true, PROTO_UDP, false },
		{ "fe80::2", true, PROTO_TCP, true }, { "fe80::2", true, PROTO_ICMP6, true },
		{ "febf::1", true, PROTO_ICMP6, true }, { "fe80::2", true, 0, false },
		{ "fec0::1", true, PROTO_UDP, true }, { "fe7f::1", true, PROTO_UDP, true },
	};
	struct conet_filter f = { 0 };
	uint8_t *ip = wire + ETH_LEN;

	inet_pton(AF_INET, "10.0.2.2", &f.gateway);
	inet_pton(AF_INET, "10.0.2.3", &f.nameserver4);
	inet_pton(AF_INET6, "fd63:6f4c:694e::", &f.prefix);
	inet_pton(AF_INET6, "fd63:6f4c:694e::3", &f.nameserver);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		wire_build(rows[i].v6, rows[i].protocol, 10, rows[i].to);
		CHECK(conet_filter_allows(&f, wire, wire_len, 0) == rows[i].yes, "%s", rows[i].to);
	}
	/* To the host itself: answers of a connection, but no new one; DHCP; ping. */
	wire_build(false, PROTO_TCP, 0, "10.0.2.2");
	CHECK(conet_filter_allows(&f, wire, wire_len, 0));
	wire[ETH_LEN + IP4_LEN + 13] = TCP_SYN;
	CHECK(!conet_filter_allows(&f, wire, wire_len, 0));
	wire[ETH_LEN + IP4_LEN + 13] = TCP_SYN | 0xc0;
	CHECK(!conet_filter_allows(&f, wire, wire_len, 0));
	wire_build(false, PROTO_UDP, 0, "255.255.255.255");
	wire[ETH_LEN + IP4_LEN + 2] = 0;
	wire[ETH_LEN + IP4_LEN + 3] = 67;
	CHECK(conet_filter_allows(&f, wire, wire_len, 0));
	wire[ETH_LEN + 9] = PROTO_ICMP;
	CHECK(conet_filter_allows(&f, wire, wire_len, 0));
	wire[ETH_LEN + 6] = 0x20;
	CHECK(!conet_filter_allows(&f, wire, wire_len, 0), "no fragments");
	for (int i = 0; i < 3; i++) {
		wire_build(true, PROTO_TCP, 0, i == 0 ? "fe80::2" : i == 1 ? "febf::1" : "fec0::1");
		wire[ETH_LEN + IP6_LEN + 13] = TCP_SYN;
		CHECK(conet_filter_allows(&f, wire, wire_len, 0) == (i == 2), "%d", i);
	}
	/* The resolver is asked for names, on whichever address of the host it lies. */
	for (int tcp = 0; tcp < 2; tcp++) {
		wire_build(false, tcp ? PROTO_TCP : PROTO_UDP, 0, "10.0.2.3");
		memcpy(ip + IP4_LEN + 2, "\0\x35", 2);
		CHECK(conet_filter_allows(&f, wire, wire_len, 0));
		ip[6] = 0x20;
		CHECK(!conet_filter_allows(&f, wire, wire_len, 0), "no fragments");
		ip[6] = 0;
		ip[7] = 1;
		CHECK(!conet_filter_allows(&f, wire, wire_len, 0), "no later ones either");
		wire_build(true, tcp ? PROTO_TCP : PROTO_UDP, 0, "fd63:6f4c:694e::3");
		memcpy(ip + IP6_LEN + 2, "\0\x35", 2);
		CHECK(conet_filter_allows(&f, wire, wire_len, 0));
		ip[IP6_LEN + 3] = 22;
		CHECK(!conet_filter_allows(&f, wire, wire_len, 0), "another port of the host");
	}
}

/* Who has asked through a udp forward gets an answer, for a while, and nobody else. */
static void answers(void)
{
	struct conet_filter f = { 0 };
	uint8_t *udp = wire + ETH_LEN + IP4_LEN;

	inet_pton(AF_INET, "10.0.2.2", &f.gateway);
	wire_build(false, PROTO_UDP, 10, "10.0.2.15");
	inet_pton(AF_INET, "10.0.2.2", wire + ETH_LEN + 12);
	memcpy(udp, "\x9c\x40\x00\x35", 4);
	conet_filter_note(&f, wire, wire_len, 1000);
	inet_pton(AF_INET, "10.0.2.2", wire + ETH_LEN + 16);
	memcpy(udp, "\x00\x35\x9c\x40", 4);
	CHECK(conet_filter_allows(&f, wire, wire_len, 2000));
	CHECK(!conet_filter_allows(&f, wire, wire_len, 1000 + 240000));
	udp[3]++;
	CHECK(!conet_filter_allows(&f, wire, wire_len, 2000), "another port of the host");
	udp[3]--;
	udp[1]++;
	CHECK(!conet_filter_allows(&f, wire, wire_len, 2000), "another port of the guest");
}

/* Nothing but IP and ARP goes to a NAT. */
static void other_frames(void)
{
	static const uint16_t types[] = { 0, 60, 0x0805, 0x8035, 0x8100, 0x88cc, 0x88f8, 0xffff };
	struct conet_filter f = { 0 };

	wire_build(false, PROTO_TCP, 10, "192.0.2.1");
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		wire[12] = (uint8_t)(types[i] >> 8);
		wire[13] = (uint8_t)types[i];
		CHECK(!conet_filter_allows(&f, wire, wire_len, 0), "%x", types[i]);
	}
	memcpy(wire + 12, "\x08\x06", 2);
	CHECK(conet_filter_allows(&f, wire, wire_len, 0));
	CHECK(!conet_filter_allows(&f, wire, ETH_LEN - 1, 0), "not even a header");
}

/* A large question that comes through a udp forward, in pieces: the first has the ports. */
static void questions_in_pieces(void)
{
	struct conet_filter f = { 0 };
	uint8_t *ip = wire + ETH_LEN, *udp = ip + IP4_LEN;

	conet_filter_network(&f, 0);
	wire_build(false, PROTO_UDP, 1472, "10.0.2.15");
	inet_pton(AF_INET, "10.0.2.2", ip + 12);
	/* Its length is that of the whole. */
	memcpy(udp, "\x9c\x40\x00\x35\x40", 5);
	ip[6] = 0x20;
	ip[7] = 1;
	conet_filter_note(&f, wire, wire_len, 0);
	CHECK(!f.next, "a later piece has no ports");
	ip[7] = 0;
	conet_filter_note(&f, wire, ETH_LEN + IP4_LEN + 7, 0);
	CHECK(!f.next, "they are not all there");
	conet_filter_note(&f, wire, wire_len, 0);
	CHECK(f.next == 1);
	wire_build(false, PROTO_UDP, 1472, "10.0.2.2");
	memcpy(udp, "\x00\x35\x9c\x40\x40", 5);
	CHECK(conet_filter_allows(&f, wire, wire_len, 1));
	for (uint8_t n = 0; n < IP4_LEN + 8; n++) {
		ip[2] = 0;
		ip[3] = n;
		CHECK(!conet_filter_allows(&f, wire, wire_len, 1), "its packet ends in the ports, or before: %u", n);
	}
}

/* ---- packets in pieces ---------------------------------------------------------- */

static uint8_t whole[CONET_FRAME_MAX];
static uint32_t whole_len;
static struct conet_filter pieces_of;

/* Bytes at..at+n of a packet with this number; what comes of it, in `whole`. */
static bool piece(uint8_t id, uint32_t at, uint32_t n, bool more)
{
	uint8_t *ip = whole + ETH_LEN;
	uint16_t sum;

	wire_build(false, PROTO_UDP, 10, "192.0.2.1");
	memcpy(whole, wire, ETH_LEN + IP4_LEN);
	conet_put16(ip + 2, (uint16_t)(IP4_LEN + n));
	ip[4] = id;
	conet_put16(ip + 6, (uint16_t)(at / 8 | (more ? IP4_MORE : 0)));
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~conet_sum(ip, IP4_LEN, 0);
	memcpy(ip + 10, &sum, 2);
	for (uint32_t i = 0; i < n; i++)
		ip[IP4_LEN + i] = (uint8_t)((at + i) * 7);
	whole_len = ETH_LEN + IP4_LEN + n;
	CHECK(conet_pieces_is(whole, whole_len) == (at || more));
	return conet_pieces_join(&pieces_of.pieces, whole, &whole_len);
}

static bool complete(uint32_t n)
{
	const uint8_t *ip = whole + ETH_LEN;
	uint32_t i = 0;

	while (i < n && ip[IP4_LEN + i] == (uint8_t)(i * 7))
		i++;
	return whole_len == ETH_LEN + IP4_LEN + n && i == n && conet_get16(ip + 2) == IP4_LEN + n &&
	       conet_sum(ip, IP4_LEN, 0) == 0xffff && !conet_pieces_is(whole, whole_len);
}

static void pieces(void)
{
	const uint32_t most = CONET_FRAME_MAX - ETH_LEN - IP4_LEN;
	uint32_t at;

	CHECK(!piece(1, 0, 1480, true) && !piece(1, 1480, 1480, true));
	CHECK(piece(1, 2960, 7, false) && complete(2967));
	CHECK(!piece(1, 2960, 7, false), "once more the last");
	/* The largest; and one byte more. */
	for (at = 0; at + 1480 <= most; at += 1480)
		CHECK(!piece(2, at, 1480, true));
	CHECK(piece(2, at, most - at, false) && complete(most));
	for (at = 0; at + 1480 <= most; at += 1480)
		CHECK(!piece(3, at, 1480, true));
	CHECK(!piece(3, at, most - at + 1, false) && !piece(3, at, 1, false), "it was too large: nothing is left");
	/* Out of order, with a hole, twice, of another packet: lost. */
	CHECK(!piece(4, 8, 8, false) && !piece(4, 0, 8, true));
	CHECK(!piece(4, 16, 8, false) && !piece(4, 0, 16, true) && !piece(4, 8, 8, false));
	CHECK(!piece(5, 16, 8, false) && piece(4, 16, 8, false) && complete(24));
	/* A new first piece is a new packet. */
	CHECK(!piece(6, 0, 800, true) && !piece(7, 0, 8, true) && !piece(6, 800, 8, false));
	CHECK(piece(7, 8, 1, false) && complete(9));
	CHECK(!piece(8, 0, 9, true) && !piece(8, 9, 1, false), "eight bytes are the least");
	CHECK(!piece(9, 0, 0, true) && !piece(9, 0, 8, true) && !piece(9, 8, 0, false), "empty ones");
}

/* What no fragment has. */
static void bad_pieces(void)
{
	for (uint32_t row = 0; row < 5; row++) {
		uint8_t *ip = whole + ETH_LEN;
		uint16_t sum;

		CHECK(!piece(1, 0, 80, true));
		CHECK(!piece(2, 80, 80, false));	/* another's: `whole` is as it was */
		ip[4] = 1;
		if (row == 0)
			ip[0] = 0x46;
		if (row == 1)
			ip[3]++;
		if (row == 2)
			ip[9] = PROTO_ICMP;
		if (row == 3)
			ip[19]++;
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~conet_sum(ip, row ? IP4_LEN : 24, 0);
		memcpy(ip + 10, &sum, 2);
		if (row == 4)
			ip[11]++;
		CHECK(!conet_pieces_join(&pieces_of.pieces, whole, &whole_len), "row %u", row);
		CHECK(piece(1, 80, 8, false) && complete(88), "it has done no harm");
	}
}

/* The addresses of the second network, and of the largest. */
static void networks(void)
{
	struct conet_filter f = { 0 };
	char text[INET6_ADDRSTRLEN];

	conet_filter_network(&f, 1);
	CHECK(!strcmp(inet_ntop(AF_INET, &f.gateway, text, sizeof(text)), "10.0.3.2"));
	CHECK(!strcmp(inet_ntop(AF_INET, &f.nameserver4, text, sizeof(text)), "10.0.3.3"));
	conet_filter_network(&f, 15);
	CHECK(!strcmp(inet_ntop(AF_INET6, &f.prefix, text, sizeof(text)), "fd63:6f4c:694e:f::"));
	CHECK(!strcmp(inet_ntop(AF_INET6, &f.nameserver, text, sizeof(text)), "fd63:6f4c:694e:f::3"));
}

int main(void)
{
	RUN(filter);
	RUN(answers);
	RUN(other_frames);
	RUN(questions_in_pieces);
	RUN(pieces);
	RUN(bad_pieces);
	RUN(networks);
	UNIT_END();
}
