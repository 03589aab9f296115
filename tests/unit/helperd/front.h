/* SPDX-License-Identifier: GPL-2.0-or-later */
/* front.h: a block frontend on half a worker, and a host whose disks misbehave on demand. */
#ifndef FRONT_H
#define FRONT_H

#include "block.h"
#include "half.h"

#define FRONT_REF	1000u		/* data page n is reference FRONT_REF + n */
#define FRONT_GFN	512u		/* and this frame + n */
#define FRONT_PAGES	600u
#define FRONT_PORT(n)	(20u + (n))

/* One request: `count` segments from data page `page` on. */
struct front_io {
	uint8_t op;
	uint64_t sector;
	uint32_t page, count;
	uint8_t first, last;		/* sectors of each page; 0, 0 means 0, 7 */
	bool indirect;
};

/* Directory of the run; the file that disk 0 (and 1) has, made with `bytes`. */
extern char front_dir[64], front_path[2][96];
void front_files(uint64_t bytes);

/* Worker with disks (JSON text of setup's "disks", %s the paths), all connected; in_threads: no AIO. */
void front_up(const char *disks, ...) __attribute__((format(printf, 1, 2)));
void front_down(void);
void front_connect(uint32_t disk);

void *front_data(uint32_t page);
uint32_t front_ask(uint32_t disk, const struct front_io *io);	/* puts it in the ring: its id */
void front_push(uint32_t disk);			/* publishes, and notifies if asked to */
/* Waits for the answer to id; others that come meanwhile are kept. */
int front_answer(uint32_t disk, uint32_t id);
bool front_answered(uint32_t disk, uint32_t id);
int front_do(uint32_t disk, struct front_io io);	/* ask, push, answer */
/* The ring itself, for those who break it. */
struct xen_sring *front_ring(uint32_t disk);
union blkif_sring_entry *front_entry(uint32_t disk);	/* the next request's */
void front_entry_done(uint32_t disk);

/* ---- the host ------------------------------------------------------------------- */

extern unsigned int host_writes, host_reads, host_flushes;	/* atomic */
extern bool host_direct;		/* files can be opened past the page cache: AIO, and none of below */
extern int host_error;			/* of every transfer and flush, while not 0 */
extern unsigned int host_flush_errors;	/* so many flushes fail yet */
extern bool host_in_pieces;		/* transfers move one byte more than half, and are interrupted */
extern int64_t host_hang_at;		/* reads and writes at this byte wait, until it is -1 */

#endif
