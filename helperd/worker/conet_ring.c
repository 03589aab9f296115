/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_ring.c: netfront's transmit and receive ring, as its backend.
 *
 * Called by conet_thread.c.  The ring pages are the guest's and change at any
 * moment: an entry is copied out once and only the copy is checked and used;
 * our own indices live here and are only published.  A frame is taken when it
 * is there whole; its answers are in the ring, unpublished, when take returns.
 */
#include <string.h>

#include "conet.h"

#define CONET_ENTRIES	256u		/* of either ring: what a page holds */
#define CONET_EXTRAS	4u		/* extra_info slots of one frame */

_Static_assert((CO_PAGE_SIZE - sizeof(struct xen_sring)) / sizeof(union netif_tx_sring_entry) >= CONET_ENTRIES &&
	       (CO_PAGE_SIZE - sizeof(struct xen_sring)) / sizeof(union netif_tx_sring_entry) < 2 * CONET_ENTRIES,
	       "tx entries");
_Static_assert((CO_PAGE_SIZE - sizeof(struct xen_sring)) / sizeof(union netif_rx_sring_entry) >= CONET_ENTRIES &&
	       (CO_PAGE_SIZE - sizeof(struct xen_sring)) / sizeof(union netif_rx_sring_entry) < 2 * CONET_ENTRIES,
	       "rx entries");

static union netif_tx_sring_entry *conet_tx(struct conet_ring *r, RING_IDX i)
{
	return (union netif_tx_sring_entry *)(r->tx + 1) + (i & (CONET_ENTRIES - 1));
}

static union netif_rx_sring_entry *conet_rx(struct conet_ring *r, RING_IDX i)
{
	return (union netif_rx_sring_entry *)(r->rx + 1) + (i & (CONET_ENTRIES - 1));
}

/* Buffers of the guest's that a frame takes. */
static uint32_t conet_slots(const struct conet_packet *p)
{
	return (p->len + CO_PAGE_SIZE - 1) / CO_PAGE_SIZE + (p->gso != 0);
}

/* Requests that wait in a ring; 0 too when the guest's index is impossible. */
static uint32_t conet_pending(struct conet_ring *r, struct xen_sring *ring, RING_IDX cons)
{
	uint32_t n;

	if (r->broken)
		return 0;
	n = __atomic_load_n(&ring->req_prod, __ATOMIC_ACQUIRE) - cons;
	if (n <= CONET_ENTRIES)
		return n;
	r->broken = "the guest broke a network ring: its index is impossible";
	return 0;
}

/* Both sides must see the other's newest word: a full fence between store and load. */
static bool conet_push(struct xen_sring *ring, RING_IDX *told, RING_IDX now)
{
	RING_IDX old = *told;

	if (old == now)
		return false;
	__atomic_store_n(&ring->rsp_prod, now, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	*told = now;
	return XEN_RING_MUST_NOTIFY(old, now, __atomic_load_n(&ring->rsp_event, __ATOMIC_RELAXED));
}

unsigned int conet_ring_publish(struct conet_ring *r)
{
	unsigned int tell = 0;

	if (!r->tx || !r->rx || r->broken)
		return 0;
	if (conet_push(r->tx, &r->tx_told, r->tx_cons))
		tell |= CONET_TELL_SENT;
	if (conet_push(r->rx, &r->rx_told, r->rx_cons))
		tell |= CONET_TELL_GIVEN;
	return tell;
}

/* It asks for a notice of the answer after those that it has taken from the ring. */
bool conet_ring_seen(const struct conet_ring *r)
{
	return !r->tx || (int32_t)(__atomic_load_n(&r->tx->rsp_event, __ATOMIC_RELAXED) - r->tx_told) > 0;
}

static bool conet_arm(struct conet_ring *r, struct xen_sring *ring, RING_IDX cons, uint32_t count)
{
	__atomic_store_n(&ring->req_event, cons + count, __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return conet_pending(r, ring, cons) >= count;
}

bool conet_ring_arm(struct conet_ring *r, const struct conet_packet *waits)
{
	bool more;

	if (!r->tx || !r->rx || r->broken)
		return false;
	more = conet_arm(r, r->tx, r->tx_cons, 1);
	return (waits && conet_arm(r, r->rx, r->rx_cons, conet_slots(waits))) || more;
}

/* ---- from the guest -------------------------------------------------------- */

struct conet_slots {			/* private copies of one frame's entries */
	struct netif_tx_request first, rest[XEN_NETIF_NR_SLOTS_MIN];
	uint32_t extras, rests;		/* as counted: rests may be more than there is room for */
	uint8_t gso;
	uint16_t gso_size;
	bool bad;
};

static void conet_extra(struct conet_slots *s, const struct netif_extra_info *x)
{
	if (x->type != XEN_NETIF_EXTRA_TYPE_GSO) {
		/* Multicast lists and hashes are not offered. */
		s->bad = true;
		return;
	}
	s->gso = x->u.gso.type;
	s->gso_size = x->u.gso.size;
	if (!s->gso_size || (s->gso != XEN_NETIF_GSO_TYPE_TCPV4 && s->gso != XEN_NETIF_GSO_TYPE_TCPV6))
		s->bad = true;
}

/* Reads the entries of one frame; false: they are not all there. */
static bool conet_collect(struct conet_ring *r, uint32_t have, struct conet_slots *s)
{
	union netif_tx_sring_entry *e = conet_tx(r, r->tx_cons);
	struct netif_tx_request next;
	struct netif_extra_info x;
	uint32_t used = 1;
	bool more;

	memset(s, 0, sizeof(*s));
	memcpy(&s->first, &e->req, sizeof(s->first));
	for (more = s->first.flags & NETTXF_extra_info; more; more = x.flags & XEN_NETIF_EXTRA_FLAG_MORE) {
		if (used == have)
			return false;
		memcpy(&x, conet_tx(r, r->tx_cons + used++), sizeof(x));
		if (++s->extras > CONET_EXTRAS)
			s->bad = true;
		conet_extra(s, &x);
	}
	for (more = s->first.flags & NETTXF_more_data; more; more = next.flags & NETTXF_more_data) {
		if (used == have)
			return false;
		memcpy(&next, &conet_tx(r, r->tx_cons + used++)->req, sizeof(next));
		if (s->rests < XEN_NETIF_NR_SLOTS_MIN)
			s->rest[s->rests] = next;
		s->rests++;
	}
	if (s->rests >= XEN_NETIF_NR_SLOTS_MIN)
		s->bad = true;
	return true;
}

static bool conet_copy(struct conet_ring *r, const struct netif_tx_request *q, uint32_t size, uint8_t *to)
{
	const uint8_t *page;

	if (size > CO_PAGE_SIZE || q->offset > CO_PAGE_SIZE - size)
		return false;
	page = r->frame(r->arg, q->gref, false);
	if (!page)
		return false;
	memcpy(to, page + q->offset, size);
	return true;
}

/* The frame's bytes into buffer; the first entry's size is the whole frame's. */
static bool conet_gather(struct conet_ring *r, const struct conet_slots *s, uint8_t *buffer)
{
	uint32_t first = s->first.size, at;

	if (s->bad)
		return false;
	for (uint32_t i = 0; i < s->rests; i++) {
		if (!s->rest[i].size || s->rest[i].size >= first)
			return false;
		first -= s->rest[i].size;
	}
	if (!first || !conet_copy(r, &s->first, first, buffer))
		return false;
	at = first;
	for (uint32_t i = 0; i < s->rests; at += s->rest[i++].size)
		if (!conet_copy(r, &s->rest[i], s->rest[i].size, buffer + at))
			return false;
	return true;
}

/* Answers take the places of their questions: all of those have been read. */
static void conet_answer(struct conet_ring *r, const struct conet_slots *s, int status)
{
	struct netif_tx_response answer = { s->first.id, (xen_s16)status };

	memcpy(&conet_tx(r, r->tx_cons++)->rsp, &answer, sizeof(answer));
	answer.status = NETIF_RSP_NULL;
	for (uint32_t i = 0; i < s->extras; i++)
		memcpy(&conet_tx(r, r->tx_cons++)->rsp, &answer, sizeof(answer));
	answer.status = (xen_s16)status;
	for (uint32_t i = 0; i < s->rests; i++) {
		if (i < XEN_NETIF_NR_SLOTS_MIN)
			answer.id = s->rest[i].id;
		else		/* too long to be remembered: nothing has touched its entry */
			memcpy(&answer.id, &conet_tx(r, r->tx_cons)->req.id, sizeof(answer.id));
		memcpy(&conet_tx(r, r->tx_cons++)->rsp, &answer, sizeof(answer));
	}
}

int conet_ring_take(struct conet_ring *r, uint8_t *buffer, struct conet_packet *p)
{
	struct conet_slots s;
	uint32_t have;

	while (r->tx && (have = conet_pending(r, r->tx, r->tx_cons))) {
		bool whole = conet_collect(r, have, &s), good;

		if (!whole) {
			/* Linux publishes whole frames only, as the ABI asks. */
			r->broken = "the guest broke a network ring: a frame without its end";
			return 0;
		}
		good = conet_gather(r, &s, buffer);
		conet_answer(r, &s, good ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
		if (!good)
			continue;
		p->data = buffer;
		p->len = s.first.size;
		p->head_len = 0;
		p->blank = s.first.flags & NETTXF_csum_blank;
		p->good = s.first.flags & NETTXF_data_validated;
		p->gso = s.gso;
		p->gso_size = s.gso_size;
		return 1;
	}
	return 0;
}

/* ---- to the guest ------------------------------------------------------------ */

static void conet_put(const struct conet_packet *p, uint32_t at, uint32_t n, uint8_t *to)
{
	if (at < p->head_len) {
		uint32_t k = p->head_len - at < n ? p->head_len - at : n;

		memcpy(to, p->head + at, k);
		at += k;
		to += k;
		n -= k;
	}
	memcpy(to, p->data + at, n);
}

static void conet_reply(struct conet_ring *r, uint16_t id, uint16_t flags, int status)
{
	struct netif_rx_response answer = { .id = id, .flags = flags, .status = (xen_s16)status };

	memcpy(&conet_rx(r, r->rx_cons++)->rsp, &answer, sizeof(answer));
}

int conet_ring_give(struct conet_ring *r, const struct conet_packet *p)
{
	struct netif_rx_request q[XEN_NETIF_NR_SLOTS_MIN];
	void *pages[XEN_NETIF_NR_SLOTS_MIN];
	uint32_t extras = p->gso != 0, slots = conet_slots(p), at = 0;
	uint16_t flags = (uint16_t)((p->blank ? NETRXF_csum_blank | NETRXF_data_validated : 0) |
				    (p->good ? NETRXF_data_validated : 0) | (extras ? NETRXF_extra_info : 0));
	bool lent = true;

	if (!r->rx || !p->len || slots > XEN_NETIF_NR_SLOTS_MIN || (slots > 1 && !r->sg))
		return 0;	/* it can never take this one: dropped */
	if (conet_pending(r, r->rx, r->rx_cons) < slots)
		return r->broken ? 0 : -1;
	for (uint32_t i = 0; i < slots; i++) {
		memcpy(&q[i], &conet_rx(r, r->rx_cons + i)->req, sizeof(q[i]));
		/* The buffer behind an extra_info answer is not written to. */
		pages[i] = i == 1 && extras ? NULL : r->frame(r->arg, q[i].gref, true);
		lent = lent && (pages[i] || (i == 1 && extras));
	}
	for (uint32_t i = 0; i < slots; i++) {
		uint32_t n = p->len - at < CO_PAGE_SIZE ? p->len - at : CO_PAGE_SIZE;

		if (!lent) {
			conet_reply(r, q[i].id, 0, NETIF_RSP_ERROR);
		} else if (i == 1 && extras) {
			struct netif_extra_info x = { .type = XEN_NETIF_EXTRA_TYPE_GSO,
						      .u.gso = { p->gso_size, p->gso, 0, 0 } };

			memcpy(conet_rx(r, r->rx_cons++), &x, sizeof(x));
		} else {
			conet_put(p, at, n, pages[i]);
			at += n;
			conet_reply(r, q[i].id, (uint16_t)(flags | (at < p->len ? NETRXF_more_data : 0)), (int)n);
			flags = 0;
		}
	}
	return 0;
}
