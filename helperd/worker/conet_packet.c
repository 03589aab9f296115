/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_packet.c: what conet must know of a frame's headers: where a checksum
 * belongs, how large a segment may be.
 *
 * Called by conet_nat.c and the tap.  Frames from the guest are private
 * copies by now, but every length in them is a stranger's claim: nothing is
 * touched beyond the bytes that are there.
 */
#include <string.h>

#include "conet.h"

static bool conet_l4(const uint8_t *frame, struct conet_headers *h)
{
	const uint8_t *l4 = frame + h->l4;

	if (h->protocol == PROTO_UDP)
		return h->l4_len >= UDP_LEN && conet_get16(l4 + 4) == h->l4_len;
	return h->protocol == PROTO_TCP && h->l4_len >= TCP_LEN && l4[12] >> 4 >= 5 &&
	       (uint32_t)(l4[12] >> 4) * 4 <= h->l4_len;
}

bool conet_headers(const uint8_t *frame, uint32_t len, struct conet_headers *h)
{
	const uint8_t *ip = frame + ETH_LEN;
	uint32_t total, head;

	*h = (struct conet_headers){ .l3 = ETH_LEN };
	if (conet_type(frame, len) == ETH_IPV4 && len >= ETH_LEN + IP4_LEN) {
		head = (ip[0] & 15u) * 4;
		total = conet_get16(ip + 2);
		/* Neither MF nor an offset: a fragment has no checksum of its own. */
		if (ip[0] >> 4 != 4 || head < IP4_LEN || (conet_get16(ip + 6) & 0x3fff))
			return false;
		h->protocol = ip[9];
	} else if (conet_type(frame, len) == ETH_IPV6 && len >= ETH_LEN + IP6_LEN) {
		head = IP6_LEN;
		total = IP6_LEN + conet_get16(ip + 4);
		if (ip[0] >> 4 != 6)
			return false;
		h->v6 = true;
		h->protocol = ip[6];
	} else {
		return false;
	}
	if (total < head || total > len - ETH_LEN)
		return false;
	h->l4 = ETH_LEN + head;
	h->l4_len = total - head;
	return conet_l4(frame, h);
}

/* ---- checksums --------------------------------------------------------------- */

static uint16_t conet_fold(uint64_t sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)sum;
}

/* Sum of the 16-bit words in memory order: its bytes are stored as they come. */
uint16_t conet_sum(const uint8_t *data, uint32_t len, uint64_t start)
{
	uint64_t sum = start, word, more;
	uint16_t last = 0;

	for (; len >= 16; len -= 16, data += 16) {
		memcpy(&word, data, 8);
		memcpy(&more, data + 8, 8);
		sum += (word >> 32) + (word & 0xffffffff) + (more >> 32) + (more & 0xffffffff);
	}
	for (; len >= 2; len -= 2, data += 2) {
		memcpy(&last, data, 2);
		sum += last;
	}
	if (len) {
		last = 0;
		memcpy(&last, data, 1);
		sum += last;
	}
	return conet_fold(sum);
}

static uint16_t conet_pseudo(const uint8_t *frame, const struct conet_headers *h)
{
	const uint8_t *ip = frame + h->l3;
	uint8_t tail[4] = { 0, h->protocol, (uint8_t)(h->l4_len >> 8), (uint8_t)h->l4_len };
	uint64_t sum = h->v6 ? conet_sum(ip + 8, 32, 0) : conet_sum(ip + 12, 8, 0);

	return conet_sum(tail, sizeof(tail), sum);
}

static uint8_t *conet_field(uint8_t *frame, const struct conet_headers *h)
{
	return frame + h->l4 + (h->protocol == PROTO_TCP ? 16 : 6);
}

void conet_complete(uint8_t *frame, const struct conet_headers *h)
{
	uint8_t *field = conet_field(frame, h);
	uint16_t sum;

	memset(field, 0, 2);
	sum = (uint16_t)~conet_sum(frame + h->l4, h->l4_len, conet_pseudo(frame, h));
	if (!sum && h->protocol == PROTO_UDP)
		sum = 0xffff;
	memcpy(field, &sum, 2);
}

/* ---- refusals ------------------------------------------------------------------- */

static void conet_swap(uint8_t *a, uint8_t *b, uint32_t n)
{
	while (n--) {
		uint8_t x = *a;

		*a++ = *b;
		*b++ = x;
	}
}

uint32_t conet_refuse(uint8_t *frame, struct conet_headers *h)
{
	uint8_t *ip = frame + h->l3, *tcp = frame + h->l4;
	uint32_t next = ((uint32_t)conet_get16(tcp + 4) << 16 | conet_get16(tcp + 6)) + 1;
	uint16_t sum;

	conet_swap(frame, frame + 6, 6);
	h->l4_len = TCP_LEN;
	if (h->v6) {
		conet_swap(ip + 8, ip + 24, 16);
		conet_put16(ip + 4, TCP_LEN);
	} else {
		conet_swap(ip + 12, ip + 16, 4);
		conet_put16(ip + 2, (uint16_t)(h->l4 - h->l3 + TCP_LEN));
		memset(ip + 10, 0, 2);
		sum = (uint16_t)~conet_sum(ip, h->l4 - h->l3, 0);
		memcpy(ip + 10, &sum, 2);
	}
	conet_swap(tcp, tcp + 2, 2);
	memset(tcp + 4, 0, TCP_LEN - 4);
	conet_put16(tcp + 8, (uint16_t)(next >> 16));
	conet_put16(tcp + 10, (uint16_t)next);
	tcp[12] = 0x50;
	tcp[13] = TCP_RST | TCP_ACK;
	conet_complete(frame, h);
	return h->l4 + TCP_LEN;
}

/* ---- segments -------------------------------------------------------------------- */

/*
 * A guest of MTU 1500 promises segments of 1460 bytes, and slirp would give it
 * a packet for each.  But the receive ring takes a large segment whole, with
 * the size it is made of: so slirp may make large ones.
 */
void conet_raise_mss(uint8_t *frame, const struct conet_headers *h, uint16_t mss)
{
	uint8_t *tcp = frame + h->l4, *field = tcp + 16;
	uint32_t end, at, size;
	uint64_t sum;
	uint16_t old, now, c;

	if (h->protocol != PROTO_TCP || !(tcp[13] & TCP_SYN))
		return;
	end = (uint32_t)(tcp[12] >> 4) * 4;
	for (at = TCP_LEN; at < end && tcp[at]; at += size) {
		size = tcp[at] == 1 ? 1 : at + 1 < end ? tcp[at + 1] : 0;
		if (!size || size > end - at || (tcp[at] != 1 && size < 2))
			return;
		if (tcp[at] != 2 || size != 4)
			continue;
		if (conet_get16(tcp + at + 2) < CONET_MTU - IP6_LEN - TCP_LEN || conet_get16(tcp + at + 2) >= mss)
			return;
		/* An option may begin at an odd place: then the sum sees its bytes swapped. */
		memcpy(&old, tcp + at + 2, 2);
		conet_put16(tcp + at + 2, mss);
		memcpy(&now, tcp + at + 2, 2);
		if (at & 1) {
			old = (uint16_t)(old << 8 | old >> 8);
			now = (uint16_t)(now << 8 | now >> 8);
		}
		memcpy(&c, field, 2);
		sum = (uint64_t)(uint16_t)~c + (uint16_t)~old + now;
		c = (uint16_t)~conet_fold(sum);
		memcpy(field, &c, 2);
		return;
	}
}

void conet_enlarge(struct conet_packet *p)
{
	struct conet_headers h;
	uint32_t head;
	uint16_t sum;

	p->good = true;		/* the NAT has just made it */
	if (p->len <= ETH_LEN + CONET_MTU || !conet_headers(p->data, p->len, &h) || h.protocol != PROTO_TCP)
		return;
	head = h.l4 + (uint32_t)(p->data[h.l4 + 12] >> 4) * 4;
	if (head > CONET_HEAD)
		return;
	memcpy(p->head, p->data, head);
	p->head_len = head;
	/* As for every large segment, the field holds the pseudo header's sum. */
	sum = conet_pseudo(p->head, &h);
	memcpy(conet_field(p->head, &h), &sum, 2);
	p->blank = true;
	p->gso = h.v6 ? XEN_NETIF_GSO_TYPE_TCPV6 : XEN_NETIF_GSO_TYPE_TCPV4;
	p->gso_size = (uint16_t)(CONET_MTU - (head - ETH_LEN));
}
