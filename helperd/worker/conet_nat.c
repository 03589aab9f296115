/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_nat.c: frames on the way to a NAT and back, made ready for each other.
 *
 * Called by conet_slirp.c, whose NAT is libslirp in this process, and by
 * conet_tap_linux.c, behind whose device is QEMU's.  Both take frames as large as
 * the guest makes them, and give such, but know nothing of blank checksums.
 */
#include "conet.h"
#include "conet_filter.h"
#include "loop.h"

/*
 * Of the segments that a NAT makes for the guest.  libslirp knows no window scaling:
 * 65535 bytes are under way at most, and the next ones wait for an answer to these.
 * In three segments (of whole words), NAT, worker and guest each have one in hand.
 */
#define CONET_NAT_WINDOW	65535u
#define CONET_NAT_MSS		(CONET_NAT_WINDOW / 3 / 4 * 4)

bool conet_nat_takes(struct conet_net *n, struct conet_filter *f, uint8_t *buffer, struct conet_packet *p)
{
	struct conet_headers h;
	bool whole;

	if (conet_pieces_is(buffer, p->len) && !conet_pieces_join(&f->pieces, buffer, &p->len))
		return false;
	whole = conet_headers(buffer, p->len, &h);
	if (!conet_filter_allows(f, buffer, p->len, (int64_t)loop_now())) {
		/* A program that tries is told at once, not left waiting. */
		if (whole && h.protocol == PROTO_TCP && (buffer[h.l4 + 13] & (TCP_SYN | TCP_ACK)) == TCP_SYN) {
			struct conet_packet answer = { .data = buffer, .len = conet_refuse(buffer, &h), .good = true };

			conet_to_guest(n, &answer);
		}
		return false;
	}
	if (whole) {
		if (p->blank)
			conet_complete(buffer, &h);
		if (h.v6 ? n->ring.gso6 : n->ring.gso4)
			conet_raise_mss(buffer, &h, CONET_NAT_MSS);
	}
	return true;
}

void conet_nat_gives(struct conet_net *n, struct conet_filter *f, struct conet_packet *p)
{
	conet_filter_note(f, p->data, p->len, (int64_t)loop_now());
	if (!p->gso)
		conet_enlarge(p);
	conet_to_guest(n, p);
}
