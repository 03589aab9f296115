/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conlog: the console's bounded log, memory that colinuxd makes, the worker
 * writes and colinuxd reads (mapped read-only, believing nothing but its own
 * cursors).  It outlives the worker: what a guest said before it died stays.
 */
#ifndef LIB_CONLOG_H
#define LIB_CONLOG_H

#include <stddef.h>
#include <stdint.h>

#define CONLOG_BYTES	(256u << 10)	/* a power of two */

struct conlog {
	uint64_t head;			/* bytes ever written */
	char pad[4096 - sizeof(uint64_t)];
	char data[CONLOG_BYTES];
};

_Static_assert(sizeof(struct conlog) == 4096 + CONLOG_BYTES, "conlog");
_Static_assert((CONLOG_BYTES & (CONLOG_BYTES - 1)) == 0, "conlog mask");

/* A descriptor of sizeof(struct conlog) bytes whose size nobody can change; -1. */
int conlog_create(void);
struct conlog *conlog_map(int fd, int writable);	/* NULL on failure */
void conlog_unmap(struct conlog *c);

void conlog_write(struct conlog *c, const char *data, size_t len);

uint64_t conlog_head(const struct conlog *c);

/*
 * Copies up to max bytes from *cursor on and moves it.  *dropped grows by what
 * was overwritten before it could be read.  Returns bytes copied.
 */
size_t conlog_read(const struct conlog *c, uint64_t *cursor, char *out, size_t max, uint64_t *dropped);

#endif
