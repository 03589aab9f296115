/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netfront.c: see netfront.h. */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev.h"
#include "netfront.h"

/* Without these no test can go on. */
#define CHECK(cond, ...)							\
	do {									\
		if (!(cond)) {							\
			printf("not ok %s:%d: %s", __FILE__, __LINE__, #cond);	\
			printf(" " __VA_ARGS__);				\
			printf("\n");						\
			fflush(stdout);						\
			_exit(1);						\
		}								\
	} while (0)

#define TX_GFN		10u
#define RX_GFN		11u
#define OUT_GFN		12u		/* what we send */
#define PATIENCE	400		/* times 50 ms */

struct xen_sring *tx, *rx;
RING_IDX rx_cons;
uint8_t got[65536], mac[6] = { 0x52, 0x54, 0, 1, 2, 3 };
uint32_t got_len;
char killed[200];
json_t *reply;
struct err failed;
bool solo;

int dev_vm_kill(int vm, const char *why)
{
	(void)vm;
	snprintf(killed, sizeof(killed), "%s", why);
	return 0;
}

void wk_reply(struct wk *w, json_int_t id, json_t *result)
{
	(void)w;
	(void)id;
	json_decref(reply);
	reply = result;
}

void wk_fail(struct wk *w, json_int_t id, const struct err *e)
{
	(void)w;
	(void)id;
	failed = *e;
}

void meet(void)
{
	tx = half_page(TX_GFN);
	rx = half_page(RX_GFN);
	memset(tx, 0, 4096);
	memset(rx, 0, 4096);
	tx->rsp_event = rx->rsp_event = rx->req_event = tx->req_event = 1;
	rx_cons = 0;
	half_grant(TX_GFN, TX_GFN, 0);
	half_grant(RX_GFN, RX_GFN, 0);
	half_grant(OUT_GFN, OUT_GFN, 4);	/* GTF_readonly */
	for (uint16_t i = 0; i < IN_COUNT; i++) {
		union netif_rx_sring_entry *e = (union netif_rx_sring_entry *)(rx + 1) + i;

		half_grant(IN_GFN + i, IN_GFN + i, 0);
		e->req = (struct netif_rx_request){ i, 0, IN_GFN + i };
	}
	__atomic_store_n(&rx->req_prod, IN_COUNT, __ATOMIC_SEQ_CST);
	half_write("vif/0/tx-ring-ref", "%u", TX_GFN);
	half_write("vif/0/rx-ring-ref", "%u", RX_GFN);
	half_write("vif/0/event-channel", "%u", PORT);
	half_write("vif/0/request-rx-copy", "1");
	half_write("vif/0/feature-sg", "1");
	half_write("vif/0/feature-gso-tcpv4", "1");
	half_write("vif/0/state", "4");
}

int connected(void)
{
	return half_until("/local/domain/0/backend/vif/1/0/state", "4");
}

void notify(void)
{
	half_notify(PORT);
}

void post(const void *frame, uint32_t len)
{
	RING_IDX i = tx->req_prod;
	union netif_tx_sring_entry *e = (union netif_tx_sring_entry *)(tx + 1) + i % 256;

	memcpy(half_page(OUT_GFN), frame, len);
	e->req = (struct netif_tx_request){ OUT_GFN, 0, NETTXF_csum_blank, (uint16_t)i, (uint16_t)len };
	__atomic_store_n(&tx->req_prod, i + 1, __ATOMIC_SEQ_CST);
}

void transmit(const void *frame, uint32_t len)
{
	RING_IDX i = tx->req_prod;

	post(frame, len);
	notify();
	for (int n = 0; n < PATIENCE && __atomic_load_n(&tx->rsp_prod, __ATOMIC_ACQUIRE) != i + 1; n++)
		poll(NULL, 0, 50);
	CHECK(tx->rsp_prod == i + 1, "the frame was not taken");
}

bool receive(int patience)
{
	union netif_rx_sring_entry *e = (union netif_rx_sring_entry *)(rx + 1) + rx_cons % 256;
	struct netif_rx_response r;

	while (__atomic_load_n(&rx->rsp_prod, __ATOMIC_ACQUIRE) == rx_cons) {
		if (!patience--)
			return false;
		poll(NULL, 0, 50);
	}
	r = e->rsp;
	CHECK(r.status > 0 && !r.offset && !(r.flags & (NETRXF_more_data | NETRXF_extra_info)));
	got_len = (uint32_t)r.status;
	memcpy(got, half_page(IN_GFN + r.id), got_len);
	/* The buffer is offered again. */
	e = (union netif_rx_sring_entry *)(rx + 1) + rx->req_prod % 256;
	e->req = (struct netif_rx_request){ r.id, 0, IN_GFN + r.id };
	__atomic_store_n(&rx->req_prod, rx->req_prod + 1, __ATOMIC_SEQ_CST);
	rx_cons++;
	return true;
}

uint8_t *receive_ip(uint8_t protocol)
{
	for (int n = 0; n < 20 && receive(PATIENCE); n++)
		if (conet_type(got, got_len) == ETH_IPV4 && got[ETH_LEN + 9] == protocol)
			return got + ETH_LEN + (got[ETH_LEN] & 15) * 4;
	return NULL;
}

void set_up_with(const char *nets, int expected)
{
	struct err e = { 0 };
	int err;

	half_up();
	half.solo = solo;
	killed[0] = 0;
	half.setup = json_pack("{s:o}", "nets", json_loads(nets, 0, NULL));
	err = wk_net_open(&half, &e);
	CHECK(err == expected, "%s", e.text);
	failed = e;
	if (!err && wk_net_serve(&half, &e))
		CHECK(0, "%s", e.text);
}

void leave(void)
{
	json_decref(half.setup);
	json_decref(reply);
	reply = NULL;
}

uint32_t ip_frame(uint8_t *f, const char *from, const char *to, uint8_t protocol, uint32_t len)
{
	uint8_t *ip = f + ETH_LEN;
	uint16_t sum;

	memset(f, 0xff, 6);
	memcpy(f + 6, mac, 6);
	f[12] = 8;
	f[13] = 0;
	memset(ip, 0, IP4_LEN);
	ip[0] = 0x45;
	ip[2] = (uint8_t)((len + IP4_LEN) >> 8);
	ip[3] = (uint8_t)(len + IP4_LEN);
	ip[8] = 64;
	ip[9] = protocol;
	inet_pton(AF_INET, from, ip + 12);
	inet_pton(AF_INET, to, ip + 16);
	sum = (uint16_t)~conet_sum(ip, IP4_LEN, 0);
	memcpy(ip + 10, &sum, 2);
	return ETH_LEN + IP4_LEN + len;
}

uint32_t udp_frame(uint8_t *f, const char *from, const char *to, uint16_t sport, uint16_t dport,
			  const void *data, uint32_t len)
{
	uint8_t *udp = f + ETH_LEN + IP4_LEN;

	memset(udp, 0, 8);
	udp[0] = (uint8_t)(sport >> 8);
	udp[1] = (uint8_t)sport;
	udp[2] = (uint8_t)(dport >> 8);
	udp[3] = (uint8_t)dport;
	udp[4] = (uint8_t)((len + 8) >> 8);
	udp[5] = (uint8_t)(len + 8);
	memcpy(udp + 8, data, len);
	return ip_frame(f, from, to, PROTO_UDP, len + 8);
}

bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

int call(const char *method, const char *protocol, uint16_t host, int guest)
{
	json_t *params = json_pack("{s:{s:s, s:s, s:i, s:i}}", "forward", "protocol", protocol,
				   "hostAddress", "127.0.0.1", "hostPort", host, "guestPort", guest);

	failed.code = 0;
	wk_net_call(&half, method, 7, params);
	json_decref(params);
	return failed.code;
}
