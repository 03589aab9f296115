/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * msg: one JSON text a line over a stream socket, both directions bounded.
 *
 * A peer that sends a longer line, or that lets its output pile up above the
 * limit, is cut off: closed() tells why.  Callbacks run from the loop only,
 * never from inside msg_send; they may call msg_free.
 */
#ifndef LIB_MSG_H
#define LIB_MSG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "loop.h"

#define MSG_LINE_MAX	(1u << 20)
#define MSG_FDS_MAX	8
#define MSG_JSON_FLAGS	(JSON_REJECT_DUPLICATES)

struct msg;

struct msg_ops {
	void (*line)(void *arg, char *line, size_t len);	/* without the newline, NUL behind */
	void (*drained)(void *arg);		/* output fell below the mark; may be NULL */
	void (*closed)(void *arg, const char *why);	/* at most once; call msg_free */
};

/* Takes over fd (closed by msg_free); NULL: out of memory, fd stays the caller's. */
struct msg *msg_new(struct loop *l, int fd, size_t out_limit, const struct msg_ops *ops, void *arg);
void msg_free(struct msg *m);

/* Queues one text and its newline; -1 if the peer is (now) cut off. */
int msg_send(struct msg *m, const char *text, size_t len);
/* Texts may quote anything: what is not UTF-8 does not cost the message. */
json_t *msg_string(const char *text);
char *msg_text(const json_t *value, size_t *len);	/* free() it; NULL: out of memory */
int msg_send_json(struct msg *m, const json_t *value);
void msg_cut(struct msg *m, const char *why);	/* no more either way; closed() follows */
size_t msg_queued(const struct msg *m);
void msg_flush(struct msg *m);			/* blocks until written or the peer is gone */
void msg_pause(struct msg *m, bool pause);	/* stops reading from the peer */

/* Descriptors that came with the lines: collected only after msg_take_fds(m, true). */
void msg_take_fds(struct msg *m, bool take);
int msg_next_fd(struct msg *m);			/* oldest one, the caller's then; -1: none */

/* One text with descriptors, at once; for a fresh socket with room.  0 or -1. */
int msg_send_fds(int sock, const char *text, size_t len, const int *fds, unsigned int count);

#endif
