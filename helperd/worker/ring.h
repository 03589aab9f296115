/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ring: byte rings in pages that the guest writes at any moment.
 *
 * Our own index is private and only ever published, never read back; the
 * guest's is read once, checked, and used.  Bytes are copied out before anyone
 * looks at them.
 */
#ifndef WK_RING_H
#define WK_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wk_ring {
	char *data;			/* in the guest's page */
	uint32_t size;			/* a power of two */
	uint32_t *theirs;		/* the guest's index, in its page */
	uint32_t *ours;			/* where we publish ours */
	uint32_t own;			/* the truth about ours */
};

static inline uint32_t wk_ring_load(const uint32_t *index)
{
	return __atomic_load_n(index, __ATOMIC_ACQUIRE);
}

/* Everything written or read before is done when the guest sees the index. */
static inline void wk_ring_publish(struct wk_ring *r)
{
	__atomic_store_n(r->ours, r->own, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/*
 * Copies up to max bytes that the guest has produced; publishes nothing.
 * *n is what came; false: the guest's index is impossible.
 */
bool wk_ring_get(struct wk_ring *r, char *out, uint32_t max, uint32_t *n);

/* The same for bytes to the guest: *n is how many there was room for. */
bool wk_ring_put(struct wk_ring *r, const char *data, uint32_t len, uint32_t *n);

#endif
