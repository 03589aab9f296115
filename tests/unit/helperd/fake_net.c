/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fake_net.c: the fake guest's network driver, against the real worker in its
 * real sandbox: what is answered at once (ping of the gateway, a port of the
 * host's), a question for the resolver, and then nonsense of every kind.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "../../../kext/include/xen/grant_table.h"
#include "../../../kext/include/xen/io/netif.h"
#include "../../../kext/include/xen/io/xs_wire.h"
#include "fake.h"

#define DEVICE	"device/vif/0/"
#define BACK	"/local/domain/0/backend/vif/1/0/state"
#define PORT	8u
#define REF	128u		/* 0, 1 the rings; 2 what is sent; from 3 what comes */
#define BUFFERS	32u
#define FRAME	12100u		/* where the fake guest has nothing else */

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

static co_u8 *ram;
static struct xen_sring *tx, *rx;
static co_u32 taken;

static void *page(unsigned int n)
{
	return ram + ((FRAME + n) << CO_PAGE_SHIFT);
}

static union netif_tx_sring_entry *slot(co_u32 i)
{
	return (union netif_tx_sring_entry *)(tx + 1) + i % 256;
}

static void write_node(const char *node, const char *value)
{
	char text[128], payload[4097];
	size_t len = (size_t)snprintf(text, sizeof(text), DEVICE "%s%c%s", node, 0, value);

	fake_xs_call(XS_WRITE, text, len, payload);
}

static void offer(co_u32 n)
{
	union netif_rx_sring_entry *e = (union netif_rx_sring_entry *)(rx + 1) + rx->req_prod % 256;

	e->req = (struct netif_rx_request){ (co_u16)n, 0, REF + 3 + n };
	STORE(rx->req_prod, rx->req_prod + 1);
}

static void transmit(const co_u8 *frame, co_u16 len)
{
	co_u32 at = tx->req_prod;

	memcpy(page(2), frame, len);
	slot(at)->req = (struct netif_tx_request){ REF + 2, 0, NETTXF_csum_blank, (co_u16)at, len };
	STORE(tx->rsp_event, at + 1);
	STORE(tx->req_prod, at + 1);
	fake_notify(PORT);
	while (LOAD(tx->rsp_prod) != at + 1)
		fake_wait();
}

/* The next frame that comes. */
static const co_u8 *receive(void)
{
	struct netif_rx_response r;

	STORE(rx->rsp_event, taken + 1);
	while (LOAD(rx->rsp_prod) == taken)
		fake_wait();
	memcpy(&r, (union netif_rx_sring_entry *)(rx + 1) + taken++ % 256, sizeof(r));
	return page(3 + r.id % BUFFERS);
}

static co_u16 ip_frame(co_u8 *f, const char *to, co_u8 protocol, const co_u8 *l4, co_u16 len)
{
	static const co_u8 head[34] = {
		255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 8, 0,
		0x45, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 10, 0, 2, 15,
	};
	co_u32 sum = 0;

	memcpy(f, head, sizeof(head));
	f[17] = (co_u8)(len + 20);
	f[23] = protocol;
	inet_pton(AF_INET, to, f + 30);
	for (int i = 14; i < 34; i += 2)
		sum += (co_u32)f[i] << 8 | f[i + 1];
	sum = ~((sum >> 16) + (sum & 0xffff));
	f[24] = (co_u8)(sum >> 8);
	f[25] = (co_u8)sum;
	memcpy(f + 34, l4, len);
	return (co_u16)(34 + len);
}

/* Frames and entries that a driver never makes, and none that ends the VM. */
static void nonsense(int rounds)
{
	co_u32 x = 1, at = tx->req_prod;

	for (int i = 0; i < rounds; i++) {
		struct netif_tx_request q;
		co_u8 *bytes = page(2);

		for (size_t j = 0; j < sizeof(q) + 64; j++) {
			x = x * 1664525 + 1013904223;
			if (j < sizeof(q))
				((co_u8 *)&q)[j] = (co_u8)(x >> 24);
			else
				bytes[j - sizeof(q)] = (co_u8)(x >> 24);
		}
		/* Mostly a page that is lent, mostly IP, and whole as far as the ring goes. */
		if (x & 1 << 20)
			q.gref = REF + 2;
		if (x & 1 << 21)
			q.offset = 0, q.size %= 200;
		q.flags &= (co_u16)~(NETTXF_more_data | NETTXF_extra_info);
		bytes[12] = x & 1 << 22 ? 0x08 : 0x86;
		bytes[13] = x & 1 << 22 ? 0x00 : 0xdd;
		bytes[14] = x & 1 << 22 ? 0x45 : 0x60;
		slot(at)->req = q;
		STORE(tx->req_prod, ++at);
		fake_notify(PORT);
		STORE(tx->rsp_event, at);
		while (LOAD(tx->rsp_prod) != at)
			fake_wait();
	}
}

const char *fake_net(co_u8 *memory, int rounds)
{
	static const co_u8 echo[8] = { 8, 0, 0xf7, 0xff }, syn[20] = { 1, 1, 0, 25, [12] = 0x50, 2 };
	static const co_u8 arp[42] = {
		255, 255, 255, 255, 255, 255, 0x52, 0x54, 0, 1, 2, 3, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1,
		0x52, 0x54, 0, 1, 2, 3, 10, 0, 2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
	};
	static const co_u8 ask[25] = { 1, 1, 0, 53, 0, 25, 0, 0, 0, 7, 1, 0, 0, 1, [20] = 0, 0, 1, 0, 1 };
	char payload[4097] = "";
	const co_u8 *got;
	co_u8 frame[128];

	ram = memory;
	tx = page(0);
	rx = page(1);
	memset(tx, 0, CO_PAGE_SIZE);
	memset(rx, 0, CO_PAGE_SIZE);
	tx->req_event = rx->req_event = tx->rsp_event = rx->rsp_event = 1;
	for (unsigned int n = 0; n < 3 + BUFFERS; n++)
		fake_grants[REF + n] = GTF_permit_access | (co_u64)(FRAME + n) << 32;
	for (unsigned int n = 0; n < BUFFERS; n++)
		offer(n);
	write_node("tx-ring-ref", "128");
	write_node("rx-ring-ref", "129");
	write_node("event-channel", "8");
	write_node("request-rx-copy", "1");
	write_node("state", "4");
	while (payload[0] != '4')
		if (fake_xs_call(XS_READ, BACK, sizeof(BACK), payload) != XS_READ)
			return "no backend";
	transmit(arp, sizeof(arp));
	for (got = receive(); got[12] != 8 || got[13] != 6;)
		got = receive();
	transmit(frame, ip_frame(frame, "10.0.2.2", 1, echo, sizeof(echo)));
	for (got = receive(); got[13] != 0 || got[23] != 1;)
		got = receive();
	if (got[34] != 0)
		return "the gateway does not answer a ping";
	transmit(frame, ip_frame(frame, "10.0.2.2", 6, syn, sizeof(syn)));
	for (got = receive(); got[13] != 0 || got[23] != 6;)
		got = receive();
	if (got[47] != 0x14)
		return "a port of the host's loopback is not refused";
	/* libslirp opens resolv.conf and a socket; whether anybody answers is not our affair. */
	transmit(frame, ip_frame(frame, "10.0.2.3", 17, ask, sizeof(ask)));
	transmit(frame, ip_frame(frame, "192.0.2.99", 6, syn, sizeof(syn)));
	transmit(frame, ip_frame(frame, "192.0.2.99", 1, echo, sizeof(echo)));
	nonsense(rounds);
	return "";
}

void fake_net_break(void)
{
	STORE(tx->req_prod, tx->req_prod + 1000);
	fake_notify(PORT);
}
