/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * frame: what the agent in the guest and its peer in the worker say to each
 * other over the second PV console, a plain byte stream in each direction.
 *
 * A frame is a head of 16 bytes (little-endian: magic, type, stream, length,
 * session, CRC-32 of all the rest) and up to FRAME_DATA_MAX bytes.  Whoever
 * starts again finds the tail of what was said before: bytes that are no frame
 * are skipped and counted, and a side that has lost some while connected makes
 * both begin anew.
 *
 * The agent says HELLO with a number of its own, every second until WELCOME
 * comes back with that number; whatever it hears before is of a former life.
 * A HELLO with another number than the last one ends everything that the worker
 * had with the agent before; the same number asks for WELCOME again.  An agent
 * that was killed may have left half a frame: before its first HELLO the next
 * one says as many zeros as could be missing.  The worker always ends a frame
 * that it has begun.
 *
 * Neither side buffers without bound: DATA may be sent only against credit.
 * EXEC carries the host's first FRAME_WINDOW bytes for stdout and stderr each,
 * STARTED the guest's for stdin; CREDIT gives more.
 */
#ifndef AGENT_FRAME_H
#define AGENT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION	1u
#define FRAME_MAGIC	0x46416f63u	/* "coAF" */
#define FRAME_HEAD	16u
#define FRAME_DATA_MAX	16384u
#define FRAME_WINDOW	65536u		/* bytes of one stream under way */
#define FRAME_SESSIONS	32u		/* commands at once */
#define FRAME_PROBES	32u
#define FRAME_LANE_NODE	"data/colinux-agent"	/* below the domain's home: reading it takes what waits */
#define FRAME_ARGS_MAX	4096u		/* words of a command, and of its environment */

enum frame_type {
	FRAME_HELLO = 1,	/* guest: u32 version, u64 number */
	FRAME_WELCOME,		/* host: the same back, with its own version */
	FRAME_RESET,		/* host: say HELLO again */
	FRAME_PING,		/* host */
	FRAME_PONG,		/* guest */
	FRAME_EXEC,		/* host: struct frame_exec, then user, folder, words, environment, each with a NUL */
	FRAME_STARTED,		/* guest */
	FRAME_FAILED,		/* guest: why, as text; instead of STARTED */
	FRAME_DATA,		/* stream 0 from the host, 1 and 2 from the guest */
	FRAME_EOF,		/* host: no more stdin */
	FRAME_CREDIT,		/* u32 bytes more of that stream */
	FRAME_WINDOW_SIZE,	/* host: u16 columns, u16 rows; session 0: the console */
	FRAME_SIGNAL,		/* host: u8 number, to the command's process group */
	FRAME_END,		/* host: nobody listens any more, end it */
	FRAME_EXIT,		/* guest: u8 1 if by a signal, u8 code or signal; the session is over */
	FRAME_PROBE,		/* host: u16 port, u32 ms, the expected beginning */
	FRAME_PROBED,		/* guest: u8 1 if as expected, and why not as text (its port is known) */
	FRAME_LANE,		/* guest: it fetches DATA and EOF from xenstore, from now on */
	FRAME_FETCH,		/* host: some wait there */
	FRAME_TYPES
};

#define FRAME_EXEC_TTY		1u
#define FRAME_EXEC_STDIN	2u
#define FRAME_EXEC_HEAD		9u	/* u8 flags, u16 columns, u16 rows, u16 words, u16 environment */

struct frame {
	uint8_t type, stream;
	uint16_t len;
	uint32_t id;
	const uint8_t *data;
};

struct frame_in {
	uint8_t buffer[FRAME_HEAD + FRAME_DATA_MAX];
	uint32_t have;
	uint64_t lost;			/* times that bytes were skipped */
};

typedef void (*frame_fn)(void *arg, const struct frame *f);

/* Writes the frame to out, which has room for FRAME_HEAD + len; returns its size. */
size_t frame_put(uint8_t *out, uint8_t type, uint8_t stream, uint32_t id, const void *data, uint16_t len);
/* Takes n bytes in any pieces; fn is called for each whole frame, whose data lives no longer than the call. */
void frame_eat(struct frame_in *in, const void *data, size_t n, frame_fn fn, void *arg);

static inline void frame_put16(uint8_t *to, uint32_t v)
{
	to[0] = (uint8_t)v;
	to[1] = (uint8_t)(v >> 8);
}

static inline void frame_put32(uint8_t *to, uint32_t v)
{
	frame_put16(to, v);
	frame_put16(to + 2, v >> 16);
}

static inline uint32_t frame_get16(const uint8_t *from)
{
	return from[0] | (uint32_t)from[1] << 8;
}

static inline uint32_t frame_get32(const uint8_t *from)
{
	return frame_get16(from) | frame_get16(from + 2) << 16;
}

#endif
