/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block: one disk of the guest's, in four files.
 *
 *   block_file.c   the file or block device: open, lock, size, flush, discard
 *   block_io.c     the ring, and the threads that do what it asks
 *   block_aio.c    reads and writes for which no thread has to wait
 *   block.c        the handshake, and the list of disks
 */
#ifndef WK_BLOCK_H
#define WK_BLOCK_H

#include <sys/uio.h>

#include "../../kext/include/xen/io/blkif.h"
#include "device.h"

#define WK_DISKS_MAX		16u	/* xvda .. xvdp */
#define WK_DISK_SECTOR		512u	/* what the protocol counts in */
#define WK_DISK_THREADS		4u	/* requests of one disk that wait for the host at once */
#define WK_DISK_SEGMENTS	256u	/* of one request: 1 MiB */
#define WK_DISK_NAME		40u
#define WK_DISK_ENTRIES		32u	/* of a one-page ring */
/*
 * A flush that failed.  Linux takes BLKIF_RSP_ERROR for an empty flush as "cannot
 * flush at all": it reports success to whoever waits for his fsync.  Any other
 * number is an I/O error, after which it does not flush any more either: hence
 * write_through.
 */
#define WK_DISK_RSP_LOST	(-3)

/* ---- block_file.c ------------------------------------------------------------ */

struct wk_disk_file {
	int fd;				/* -1: not open */
	int direct;			/* the same past the page cache; -1: cannot */
	char name[WK_DISK_NAME];
	const char *path;		/* the setup's */
	bool read_only, device;
	uint64_t sectors;
	uint32_t discard;		/* granularity in bytes; 0: cannot */
};

/* From one of setup's "disks": opened, locked, measured, or why not. */
int wk_disk_open(struct wk_disk_file *f, const json_t *spec, bool aio, struct err *e);
/* 0 or an errno.  Flush: what was written before is on the medium. */
int wk_disk_flush(const struct wk_disk_file *f);
int wk_disk_discard(const struct wk_disk_file *f, uint64_t sector, uint64_t count);

/* ---- block_io.c --------------------------------------------------------------- */

struct wk_disk_request {
	struct wk_disk_request *next;
	struct wk_disk *disk;
	bool by_thread;			/* nothing for block_aio.c */
	union blkif_sring_entry entry;	/* our copy of what the guest asked */
	uint8_t operation;		/* as the answer names it */
	uint64_t sector;
	uint32_t niov;
	struct iovec iov[WK_DISK_SEGMENTS];
	uint64_t iocb[8];		/* struct iocb */
	uint64_t bytes;			/* of it */
};

struct wk_disk {
	struct wk *w;
	struct wk_disk_file file;
	struct wk_xenbus *bus;
	uint32_t number;		/* 0 is xvda */
	pthread_mutex_t lock;		/* of all below */
	pthread_cond_t work;
	unsigned int threads, idle, running;
	bool alone;			/* a barrier runs */
	bool broken;			/* the guest's ring is impossible: served no more */
	bool accused;			/* of that, in the log */
	bool over;			/* the threads end */
	struct xen_sring *ring;		/* NULL: no frontend */
	uint32_t port;
	uint32_t taken, answered, told;	/* free-running indices of the ring: ours, private */
	struct wk_disk_request *head, **tail, *free;
	pthread_t thread[WK_DISK_THREADS];
	bool slow;			/* atomic: the last write took long */
	bool no_peek;			/* atomic: the file system cannot tell what is cached */
	bool write_through;		/* atomic: a flush failed: every write is flushed from then on */
	bool complained;		/* atomic: an error was logged */
	bool persistent;		/* persistent grants are offered */
	bool keeps;			/* and the frontend wants them */
	uint64_t kept[WK_GRANTS / 64];
	struct wk_disk_request requests[WK_DISK_ENTRIES];
};

void wk_disk_init(struct wk_disk *d);
int wk_disk_start(struct wk_disk *d, void *ring, uint32_t port);	/* 0 or an errno */
void wk_disk_kick(void *disk);		/* the guest's notice; in the main thread */
void wk_disk_stop(struct wk_disk *d);	/* no more answers; what runs goes on */
bool wk_disk_busy(struct wk_disk *d);
void wk_disk_end(struct wk_disk *d);	/* waits for what runs */

/* For block_aio.c, with the lock held. */
/* A read or a write that is allowed: where its data is; false: not for us. */
bool wk_disk_prepare(struct wk_disk *d, struct wk_disk_request *r, bool *write);
void wk_disk_done(struct wk_disk *d, struct wk_disk_request *r, xen_s16 status);

void wk_disk_complain(struct wk_disk *d, const char *what, int error);	/* in the log, once */

/* ---- block_aio.c ---------------------------------------------------------------- */

int wk_aio_open(struct wk_disks *l);		/* before the sandbox closes; not 0: no AIO here */
void wk_aio_close(struct wk_disks *l);
void wk_aio_start(struct wk_disk *d);		/* what of the queue it can; the lock is held */
void wk_aio_take(struct wk_disks *l);		/* answers, if there are any: no call */
void wk_aio_ready(void *disks, short revents);	/* the loop's, for disks->event */

/* ---- block.c: see also wk.h --------------------------------------------------- */

struct wk_disks {
	uint32_t count;
	uint64_t context;		/* of AIO */
	int event;			/* readable when some has ended; -1: there is no AIO */
	struct loop_fd *watch;
	struct wk_disk disk[];
};

#endif
