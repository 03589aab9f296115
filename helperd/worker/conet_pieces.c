/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_pieces.c: a large IPv4 packet of the guest's comes in fragments; a NAT gets
 * it whole.
 *
 * Called by conet_nat.c for every frame.  libslirp could join fragments itself,
 * but a hostile guest's crash it (4.7, in ip_reass).  Here they come as every
 * Linux sends them, one behind the other, without options, or are lost as on any
 * wire.  So one buffer is enough, and there is nothing to wait for or to time out.
 */
#include <string.h>

#include "conet.h"
#include "conet_filter.h"

#define CONET_BEFORE	(ETH_LEN + IP4_LEN)	/* what each begins with */

bool conet_pieces_is(const uint8_t *frame, uint32_t len)
{
	return conet_type(frame, len) == ETH_IPV4 && len >= CONET_BEFORE &&
	       (conet_get16(frame + ETH_LEN + 6) & (IP4_MORE | IP4_OFFSET));
}

/* Of the same packet: its number, its protocol, its addresses. */
static bool conet_pieces_same(const uint8_t *a, const uint8_t *b)
{
	return !memcmp(a + 4, b + 4, 2) && a[9] == b[9] && !memcmp(a + 12, b + 12, 8);
}

static void conet_pieces_finish(uint8_t *ip, uint32_t total)
{
	uint16_t sum;

	conet_put16(ip + 2, (uint16_t)total);
	memset(ip + 6, 0, 2);
	memset(ip + 10, 0, 2);
	sum = (uint16_t)~conet_sum(ip, IP4_LEN, 0);
	memcpy(ip + 10, &sum, 2);
}

bool conet_pieces_join(struct conet_pieces *s, uint8_t *frame, uint32_t *len)
{
	uint8_t *ip = frame + ETH_LEN;
	uint32_t total = conet_get16(ip + 2), field = conet_get16(ip + 6);
	uint32_t at = CONET_BEFORE + (field & IP4_OFFSET) * 8;

	if (ip[0] != 0x45 || total <= IP4_LEN || total > *len - ETH_LEN || conet_sum(ip, IP4_LEN, 0) != 0xffff ||
	    (field & IP4_MORE && (total - IP4_LEN) % 8))
		return false;
	if (at == CONET_BEFORE) {
		memcpy(s->frame, frame, CONET_BEFORE);
		s->len = CONET_BEFORE;
	}
	if (at != s->len || !conet_pieces_same(s->frame + ETH_LEN, ip))
		return false;
	total -= IP4_LEN;
	if (s->len + total > CONET_FRAME_MAX) {
		s->len = 0;
		return false;
	}
	memcpy(s->frame + s->len, ip + IP4_LEN, total);
	s->len += total;
	if (field & IP4_MORE)
		return false;
	conet_pieces_finish(s->frame + ETH_LEN, s->len - ETH_LEN);
	memcpy(frame, s->frame, s->len);
	*len = s->len;
	s->len = 0;
	return true;
}
