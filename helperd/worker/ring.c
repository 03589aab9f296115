/* SPDX-License-Identifier: GPL-2.0-or-later */
/* ring.c: see ring.h.  Called by xenstore.c and console.c. */
#include <string.h>

#include "ring.h"

bool wk_ring_get(struct wk_ring *r, char *out, uint32_t max, uint32_t *n)
{
	uint32_t have = wk_ring_load(r->theirs) - r->own, at, first;

	*n = 0;
	if (have > r->size)
		return false;
	if (have > max)
		have = max;
	at = r->own & (r->size - 1);
	first = r->size - at < have ? r->size - at : have;
	memcpy(out, r->data + at, first);
	memcpy(out + first, r->data, have - first);
	r->own += have;
	*n = have;
	return true;
}

bool wk_ring_put(struct wk_ring *r, const char *data, uint32_t len, uint32_t *n)
{
	uint32_t used = r->own - wk_ring_load(r->theirs), at, first;

	*n = 0;
	if (used > r->size)
		return false;
	if (len > r->size - used)
		len = r->size - used;
	at = r->own & (r->size - 1);
	first = r->size - at < len ? r->size - at : len;
	memcpy(r->data + at, data, first);
	memcpy(r->data, data + first, len - first);
	r->own += len;
	*n = len;
	return true;
}
