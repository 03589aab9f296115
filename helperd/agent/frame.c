/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame.c: see frame.h.  Called by the agent and by the worker; each distrusts
 * the other's bytes.  Every byte is looked at a bounded number of times: a
 * frame whose sum is wrong is skipped whole.
 */
#include <string.h>
#include <zlib.h>

#include "frame.h"

#define FRAME_SUM	12u		/* where the sum lies; it covers all but itself */

static uint32_t frame_sum(const uint8_t *frame, uint32_t len)
{
	return (uint32_t)crc32(crc32(0, frame, FRAME_SUM), frame + FRAME_HEAD, len);
}

size_t frame_put(uint8_t *out, uint8_t type, uint8_t stream, uint32_t id, const void *data, uint16_t len)
{
	frame_put32(out, FRAME_MAGIC);
	out[4] = type;
	out[5] = stream;
	frame_put16(out + 6, len);
	frame_put32(out + 8, id);
	if (len)
		memcpy(out + FRAME_HEAD, data, len);
	frame_put32(out + FRAME_SUM, frame_sum(out, len));
	return FRAME_HEAD + (size_t)len;
}

static bool frame_head_ok(const uint8_t *head)
{
	return frame_get32(head) == FRAME_MAGIC && head[4] && head[4] < FRAME_TYPES &&
	       frame_get16(head + 6) <= FRAME_DATA_MAX;
}

/* Drops what cannot begin a frame from a whole head.  Zeros are said on purpose, and are no loss. */
static void frame_skip(struct frame_in *in)
{
	static const uint8_t zeros[FRAME_HEAD];
	uint8_t *next = memchr(in->buffer + 1, FRAME_MAGIC & 0xff, in->have - 1);
	uint32_t gone = next ? (uint32_t)(next - in->buffer) : in->have;

	in->lost += memcmp(in->buffer, zeros, gone) != 0;
	in->have -= gone;
	memmove(in->buffer, in->buffer + gone, in->have);
}

void frame_eat(struct frame_in *in, const void *data, size_t n, frame_fn fn, void *arg)
{
	const uint8_t *from = data;

	while (n) {
		uint32_t need = FRAME_HEAD;

		if (in->have >= FRAME_HEAD)
			need += frame_get16(in->buffer + 6);
		if (in->have < need) {
			uint32_t take = n < need - in->have ? (uint32_t)n : need - in->have;

			memcpy(in->buffer + in->have, from, take);
			in->have += take;
			from += take;
			n -= take;
		}
		if (in->have == FRAME_HEAD && !frame_head_ok(in->buffer)) {
			frame_skip(in);
			continue;
		}
		if (in->have >= FRAME_HEAD && in->have == FRAME_HEAD + frame_get16(in->buffer + 6)) {
			struct frame f = {
				in->buffer[4], in->buffer[5], (uint16_t)frame_get16(in->buffer + 6),
				frame_get32(in->buffer + 8), in->buffer + FRAME_HEAD,
			};

			in->have = 0;
			if (frame_get32(in->buffer + FRAME_SUM) == frame_sum(in->buffer, f.len))
				fn(arg, &f);
			else
				in->lost++;
		}
	}
}
