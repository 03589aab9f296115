/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest at its network rings: entries, references and indices of any kind;
 * and the frames that come out of them, and any other, before conet's eyes for
 * headers.  Nothing is touched beyond what is lent, and every request that is
 * taken has one answer.
 *
 * Input: records.  First byte & 7: 0, 1 a transmit entry (12 bytes, appended),
 * 2 a receive entry (8 bytes, appended), 3 an index (which, 4 bytes), 4 frames
 * are taken, 5 a frame for the guest (length, 2 bytes; gso), 6 a raw frame (n,
 * bytes), 7 publish and arm.
 */
#include "conet.h"
#include "conet_filter.h"
#include "fuzz.h"

#define PAGES	40u

static uint8_t *pages[PAGES];
static struct conet_filter filter;

static void *frame(void *arg, uint32_t ref, bool write)
{
	MUST(arg == pages);
	return ref >= PAGES || (write && ref >= PAGES / 2) ? NULL : pages[ref];
}

/* What conet_nat.c does with a frame of the guest's, on an exact copy. */
static void look_whole(const uint8_t *data, uint32_t len, bool blank)
{
	uint8_t *copy = fuzz_copy(data, len);
	struct conet_packet p = { .data = copy, .len = len };
	struct conet_headers h;

	if (conet_filter_allows(&filter, copy, len, 1000) && conet_headers(copy, len, &h)) {
		MUST(h.l4 + h.l4_len <= len);
		if (blank)
			conet_complete(copy, &h);
		conet_raise_mss(copy, &h, 32768);
	} else if (conet_headers(copy, len, &h) && h.protocol == PROTO_TCP) {
		MUST(conet_refuse(copy, &h) <= len);
	}
	conet_filter_note(&filter, copy, len, 1000);
	conet_enlarge(&p);
	MUST(p.head_len <= CONET_HEAD && p.head_len <= len);
	MUST(!p.gso || (p.gso_size && p.blank && p.head_len));
	free(copy);
}

/* The same; fragments are joined first. */
static void look(const uint8_t *data, uint32_t len, bool blank)
{
	uint8_t *whole;

	if (!conet_pieces_is(data, len)) {
		look_whole(data, len, blank);
		return;
	}
	whole = malloc(CONET_FRAME_MAX);
	MUST(whole);
	memcpy(whole, data, len);
	if (conet_pieces_join(&filter.pieces, whole, &len)) {
		MUST(len <= CONET_FRAME_MAX && !conet_pieces_is(whole, len));
		MUST(conet_get16(whole + ETH_LEN + 2) + ETH_LEN == len && conet_sum(whole + ETH_LEN, IP4_LEN, 0) == 0xffff);
		look_whole(whole, len, blank);
	}
	MUST(filter.pieces.len <= CONET_FRAME_MAX);
	free(whole);
}

static void take(struct conet_ring *r, uint8_t *buffer)
{
	struct conet_packet p;
	RING_IDX before = r->tx_cons;

	for (int i = 0; i < 300 && conet_ring_take(r, buffer, &p); i++) {
		MUST(p.len && p.len <= CONET_FRAME_MAX && p.data == buffer);
		MUST(!p.gso || p.gso_size);
		look(buffer, p.len, p.blank);
	}
	MUST(r->tx_cons - before <= 256);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conet_ring r = { .frame = frame, .arg = pages, .sg = true, .gso4 = true };
	uint8_t *buffer = malloc(CONET_FRAME_MAX), *big = calloc(1, CONET_FRAME_MAX);
	size_t at = 0;

	r.tx = calloc(1, 4096);
	r.rx = calloc(1, 4096);
	MUST(r.tx && r.rx && buffer && big);
	memset(&filter, 0, sizeof(filter));
	memcpy(&filter.gateway, "\x0a\x00\x02\x02", 4);
	for (unsigned int i = 0; i < PAGES; i++) {
		pages[i] = malloc(4096);
		MUST(pages[i]);
		/* A guest's pages hold what it likes: parts of the input. */
		for (size_t j = 0; j < 4096; j++)
			pages[i][j] = size ? data[(i * 61 + j) % size] : 0;
	}
	while (at + 13 <= size) {
		const uint8_t *x = data + at;
		struct conet_packet p = { .data = big };
		uint32_t index;
		size_t n;

		at += 13;
		switch (x[0] & 7) {
		case 0:
		case 1:
			memcpy((union netif_tx_sring_entry *)(r.tx + 1) + (r.tx->req_prod++ & 255), x + 1, 12);
			break;
		case 2:
			memcpy((union netif_rx_sring_entry *)(r.rx + 1) + (r.rx->req_prod++ & 255), x + 1, 8);
			break;
		case 3:
			memcpy(&index, x + 2, 4);
			*(x[1] & 1 ? &r.tx->req_prod : x[1] & 2 ? &r.rx->req_prod : x[1] & 4 ? &r.tx->rsp_event :
			  &r.rx->rsp_event) = index;
			break;
		case 4:
			take(&r, buffer);
			break;
		case 5:
			p.len = x[1] | (uint32_t)x[2] << 8;
			p.gso = x[3] & 3;
			p.gso_size = 1448;
			p.head_len = x[4] % CONET_HEAD;
			if (p.head_len <= p.len)
				conet_ring_give(&r, &p);
			break;
		case 6:
			n = x[1] < size - at ? x[1] : size - at;
			look(data + at, (uint32_t)n, x[2] & 1);
			at += n;
			break;
		default:
			conet_ring_publish(&r);
			conet_ring_arm(&r, x[1] & 1 ? &p : NULL);
		}
		MUST(r.broken || r.tx_cons - r.tx_told <= 256);
	}
	for (unsigned int i = 0; i < PAGES; i++)
		free(pages[i]);
	free(r.tx);
	free(r.rx);
	free(buffer);
	free(big);
	return 0;
}
