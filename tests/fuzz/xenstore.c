/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest at xenstore's ring page: pieces of bytes, whole messages, answers
 * read or left lying, indices gone wild.  A guest that keeps the protocol is
 * never killed, and every byte it gets parses as messages.
 *
 * Input: records.  First byte & 3: 0 raw (n, bytes), 1 message (type, tx, n,
 * payload), 2 read n * 16 bytes of answers, 3 an index (which, 4 bytes).
 */
#include "fuzz.h"
#include "wk.h"
#include "xenstore.h"
#include "../../kext/include/xen/io/xs_wire.h"

static int killed, wild;

struct answers {
	uint8_t head[16];
	size_t got;		/* of the head, then of the body */
	uint32_t body;
};

void wk_kill(struct wk *w, const char *why)
{
	(void)w;
	MUST(why && why[0]);
	killed = 1;
}

void wk_end(struct wk *w, const char *kind, int exit, const char *format, ...)
{
	(void)w;
	(void)kind;
	(void)exit;
	(void)format;
	MUST(!"the worker gave up");
}

void wk_port_raise(struct wk *w, uint32_t port)
{
	(void)w;
	MUST(port == CO_PORT_XENSTORE);
}

static void parse(struct answers *a, uint8_t byte)
{
	struct xsd_sockmsg m;

	if (a->got < sizeof(a->head)) {
		a->head[a->got++] = byte;
		if (a->got < sizeof(a->head))
			return;
		memcpy(&m, a->head, sizeof(m));
		MUST(m.type < XS_TYPE_COUNT && m.len <= XENSTORE_PAYLOAD_MAX);
		a->body = m.len;
	} else {
		a->body--;
	}
	if (!a->body)
		a->got = 0;
}

static void push(struct xenstore_domain_interface *page, const void *data, size_t n)
{
	const char *p = data;

	while (n-- && page->req_prod - page->req_cons < XENSTORE_RING_SIZE)
		page->req[MASK_XENSTORE_IDX(page->req_prod++)] = *p++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wk w = { .loop = loop_new(), .name = "fuzz" };
	struct xenstore_domain_interface *page = calloc(1, 4096);
	struct answers answers = { .got = 0 };
	struct xsd_sockmsg m = { 0 };
	struct xs_wire *wire;
	size_t at = 0;

	killed = wild = 0;
	w.xs = wk_xs_new(&w);
	MUST(w.xs && !wk_xs_populate(w.xs, "fuzz", 64 << 20, 5));
	wire = xs_wire_new(&w, w.xs, page);
	MUST(wire);
	while (at + 6 < size && !killed) {
		const uint8_t *r = data + at;
		size_t n;

		switch (r[0] & 3) {
		case 0:
			n = r[1] < size - at - 2 ? r[1] : size - at - 2;
			push(page, r + 2, n);
			at += 2 + n;
			wild = 1;	/* a bad length may get it killed */
			break;
		case 1:
			n = r[3] < size - at - 4 ? r[3] : size - at - 4;
			m.type = r[1] % 32;
			m.req_id++;
			m.tx_id = r[2] & 7;
			m.len = (uint32_t)n;
			if (page->req_prod - page->req_cons + sizeof(m) + n <= XENSTORE_RING_SIZE) {
				push(page, &m, sizeof(m));
				push(page, r + 4, n);
			}
			at += 4 + n;
			break;
		case 2:
			for (n = r[1] * 16u; n-- && page->rsp_cons != page->rsp_prod;)
				if (!wild)
					parse(&answers, (uint8_t)page->rsp[MASK_XENSTORE_IDX(page->rsp_cons++)]);
				else
					page->rsp_cons++;
			at += 2;
			break;
		default:
			memcpy(r[1] & 1 ? &page->req_prod : &page->rsp_cons, r + 2, 4);
			wild = 1;
			at += 6;
		}
		xs_wire_serve(wire);
		loop_once(w.loop, 0);
	}
	MUST(!killed || wild);
	wk_xs_ask_poweroff(w.xs);
	loop_once(w.loop, 0);
	wk_xs_free(w.xs);
	xs_wire_free(wire);
	loop_free(w.loop);
	free(page);
	return 0;
}
