/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conet_filter.h: which frames may go to a NAT, and what guest and NAT are called there. */
#ifndef WK_CONET_FILTER_H
#define WK_CONET_FILTER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "conet.h"

#define CONET_PEERS	64u

struct conet_pieces {			/* conet_pieces.c: a packet as far as it has come */
	uint32_t len;
	uint8_t frame[CONET_FRAME_MAX];
};

/* Is it a fragment of an IPv4 packet? */
bool conet_pieces_is(const uint8_t *frame, uint32_t len);
/*
 * Takes a fragment.  true: it was the last, and `frame` (CONET_FRAME_MAX bytes) is the
 * whole packet now; false: there is nothing to pass on (yet, or it fits nowhere).
 */
bool conet_pieces_join(struct conet_pieces *s, uint8_t *frame, uint32_t *len);

struct conet_filter {			/* conet_filter.c */
	struct conet_pieces pieces;
	struct in_addr gateway, nameserver4;
	struct in6_addr prefix, nameserver;	/* prefix: its first 64 bits */
	struct {
		bool v6;
		uint16_t ours, theirs;	/* ports, as in the frame */
		int64_t until;		/* ms */
	} peers[CONET_PEERS];
	unsigned int next;
};

/*
 * Each network is 10.0.(2+n).0/24 and fd63:6f4c:694e:n::/64, with the gateway
 * at 2, DNS at 3 and the guest, by DHCP, at 15.
 */
void conet_filter_network(struct conet_filter *f, uint32_t n);
/* May the guest send this frame?  A fragment may not: it has been joined before. */
bool conet_filter_allows(const struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now);
/* A frame goes to the guest: an answer may come. */
void conet_filter_note(struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now);

#endif
