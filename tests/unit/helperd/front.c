/* SPDX-License-Identifier: GPL-2.0-or-later */
/* front.c: see front.h.  Its wrappers stand between block_*.c and the C library. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "../../../kext/include/xen/grant_table.h"
#include "front.h"

#define FRONT_DISKS	3u
#define FRONT_RING_REF(n)	(200u + (n))
#define FRONT_RING_GFN(n)	(100u + (n))
#define FRONT_SEGS_REF(n)	(300u + (n))	/* pages of indirect segments, one a slot */
#define FRONT_SEGS_GFN(n)	(200u + (n))
#define FRONT_PATIENCE_MS	30000u

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_SEQ_CST)

char front_dir[64], front_path[2][96];

static struct {
	RING_IDX req_prod, rsp_cons;
	uint32_t next_id;
	struct { uint32_t id; int status; } kept[64];
	unsigned int nkept;
} front[FRONT_DISKS];

/* ---- the host -------------------------------------------------------------------- */

unsigned int host_writes, host_reads, host_flushes;
bool host_direct = true;
int host_error;
unsigned int host_flush_errors;
bool host_in_pieces;
int64_t host_hang_at = -1;

ssize_t __real_preadv(int fd, const struct iovec *v, int n, off_t at);
ssize_t __real_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __real_pwritev(int fd, const struct iovec *v, int n, off_t at);
int __real_fdatasync(int fd);
ssize_t __wrap_preadv(int fd, const struct iovec *v, int n, off_t at);
ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags);
ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at);
int __wrap_fdatasync(int fd);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	va_list args;
	int mode;

	if ((flags & O_DIRECT) && !host_direct) {
		errno = EINVAL;
		return -1;
	}
	va_start(args, flags);
	mode = flags & O_CREAT ? va_arg(args, int) : 0;
	va_end(args);
	return __real_open(path, flags, mode);
}

static void nap(void)
{
	struct timespec t = { 0, 1000000 };

	nanosleep(&t, NULL);
}

/* One vector, cut in the middle; -1: an error or an interruption instead. */
static int host_mood(const struct iovec *v, struct iovec *cut, int *n, off_t at)
{
	static __thread unsigned int turn;

	while (LOAD(host_hang_at) == at)
		nap();
	errno = LOAD(host_error);
	if (errno)
		return -1;
	*cut = *v;
	if (!LOAD(host_in_pieces))
		return 0;
	if (++turn % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	cut->iov_len = cut->iov_len / 2 + 1;
	*n = 1;
	return 1;
}

ssize_t __wrap_preadv(int fd, const struct iovec *v, int n, off_t at)
{
	struct iovec cut;
	int mood = host_mood(v, &cut, &n, at);

	__atomic_add_fetch(&host_reads, 1, __ATOMIC_SEQ_CST);
	return mood < 0 ? -1 : __real_preadv(fd, mood ? &cut : v, n, at);
}

ssize_t __wrap_preadv2(int fd, const struct iovec *v, int n, off_t at, int flags)
{
	/* What hangs or fails is not in the page cache. */
	if (LOAD(host_hang_at) == at || LOAD(host_error) || LOAD(host_in_pieces)) {
		errno = EAGAIN;
		return -1;
	}
	return __real_preadv2(fd, v, n, at, flags);
}

ssize_t __wrap_pwritev(int fd, const struct iovec *v, int n, off_t at)
{
	struct iovec cut;
	int mood = host_mood(v, &cut, &n, at);

	__atomic_add_fetch(&host_writes, 1, __ATOMIC_SEQ_CST);
	return mood < 0 ? -1 : __real_pwritev(fd, mood ? &cut : v, n, at);
}

int __wrap_fdatasync(int fd)
{
	__atomic_add_fetch(&host_flushes, 1, __ATOMIC_SEQ_CST);
	errno = LOAD(host_error);
	if (LOAD(host_flush_errors)) {
		__atomic_sub_fetch(&host_flush_errors, 1, __ATOMIC_SEQ_CST);
		errno = EIO;
	}
	return errno ? -1 : __real_fdatasync(fd);
}

/* ---- life ---------------------------------------------------------------------------- */

void front_files(uint64_t bytes)
{
	if (!front_dir[0]) {
		strcpy(front_dir, "/tmp/colinux-block-XXXXXX");
		if (!mkdtemp(front_dir))
			abort();
	}
	for (int i = 0; i < 2; i++) {
		int fd;

		snprintf(front_path[i], sizeof(front_path[i]), "%s/disk%d", front_dir, i);
		unlink(front_path[i]);
		fd = open(front_path[i], O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)bytes))
			abort();
		close(fd);
	}
}

void front_connect(uint32_t disk)
{
	char path[64];

	memset(&front[disk], 0, sizeof(front[disk]));
	memset(half_page(FRONT_RING_GFN(disk)), 0, CO_PAGE_SIZE);
	front_ring(disk)->req_event = front_ring(disk)->rsp_event = 1;
	half_grant(FRONT_RING_REF(disk), FRONT_RING_GFN(disk), 0);
	snprintf(path, sizeof(path), "vbd/%u/ring-ref", 51712 + 16 * disk);
	half_write(path, "%u", FRONT_RING_REF(disk));
	snprintf(path, sizeof(path), "vbd/%u/event-channel", 51712 + 16 * disk);
	half_write(path, "%u", FRONT_PORT(disk));
	snprintf(path, sizeof(path), "vbd/%u/protocol", 51712 + 16 * disk);
	half_write(path, "x86_64-abi");
	snprintf(path, sizeof(path), "vbd/%u/state", 51712 + 16 * disk);
	half_write(path, "3");
}

void front_up(const char *disks, ...)
{
	char text[1024];
	struct err e;
	va_list args;

	va_start(args, disks);
	vsnprintf(text, sizeof(text), disks, args);
	va_end(args);
	half_up();
	half.setup = json_pack("{s:o}", "disks", json_loads(text, 0, NULL));
	if (wk_disks_open(&half, &e) || wk_disks_serve(&half, &e)) {
		printf("# %s\n", e.text);
		abort();
	}
	for (uint32_t i = 0; i < FRONT_PAGES; i++)
		half_grant(FRONT_REF + i, FRONT_GFN + i, 0);
	for (uint32_t i = 0; i < half.disks->count; i++)
		front_connect(i);
	host_writes = host_reads = host_flushes = 0;
}

void front_down(void)
{
	wk_disks_free(&half);
	json_decref(half.setup);
	half_down();
}

/* ---- the ring -------------------------------------------------------------------------- */

struct xen_sring *front_ring(uint32_t disk)
{
	return half_page(FRONT_RING_GFN(disk));
}

void *front_data(uint32_t page)
{
	return half_page(FRONT_GFN + page);
}

union blkif_sring_entry *front_entry(uint32_t disk)
{
	union blkif_sring_entry *e = (union blkif_sring_entry *)(front_ring(disk) + 1) +
				     (front[disk].req_prod & (WK_DISK_ENTRIES - 1));

	memset(e, 0, sizeof(*e));
	e->req.id = ++front[disk].next_id;
	return e;
}

void front_entry_done(uint32_t disk)
{
	front[disk].req_prod++;
}

uint32_t front_ask(uint32_t disk, const struct front_io *io)
{
	uint32_t slot = disk * WK_DISK_ENTRIES + (front[disk].req_prod & (WK_DISK_ENTRIES - 1)), id;
	union blkif_sring_entry *e = front_entry(disk);
	struct blkif_request_indirect *q = (void *)e;
	struct blkif_request_segment *s = e->req.seg;

	id = front[disk].next_id;
	if (io->op == BLKIF_OP_DISCARD) {
		struct blkif_request_discard *t = (void *)e;

		t->operation = io->op;
		t->sector_number = io->sector;
		t->nr_sectors = io->count;
		front_entry_done(disk);
		return id;
	}
	if (io->indirect) {
		s = half_page(FRONT_SEGS_GFN(slot));
		half_grant(FRONT_SEGS_REF(slot), FRONT_SEGS_GFN(slot), GTF_readonly);
		q->operation = BLKIF_OP_INDIRECT;
		q->indirect_op = io->op;
		q->nr_segments = (uint16_t)io->count;
		q->id = id;
		q->sector_number = io->sector;
		q->indirect_grefs[0] = FRONT_SEGS_REF(slot);
	} else {
		e->req.operation = io->op;
		e->req.nr_segments = (uint8_t)io->count;
		e->req.sector_number = io->sector;
	}
	for (uint32_t i = 0; i < io->count && i < (io->indirect ? 512 : BLKIF_MAX_SEGMENTS_PER_REQUEST); i++)
		s[i] = (struct blkif_request_segment){ FRONT_REF + io->page + i, io->first,
						       io->first || io->last ? io->last : 7 };
	front_entry_done(disk);
	return id;
}

void front_push(uint32_t disk)
{
	struct xen_sring *ring = front_ring(disk);
	RING_IDX old = ring->req_prod;

	STORE(ring->req_prod, front[disk].req_prod);
	if (XEN_RING_MUST_NOTIFY(old, front[disk].req_prod, LOAD(ring->req_event)))
		half_notify(FRONT_PORT(disk));
}

static void front_collect(uint32_t disk)
{
	struct xen_sring *ring = front_ring(disk);

	while (front[disk].rsp_cons != LOAD(ring->rsp_prod)) {
		struct blkif_response rsp;

		memcpy(&rsp, (union blkif_sring_entry *)(ring + 1) +
		       (front[disk].rsp_cons & (WK_DISK_ENTRIES - 1)), sizeof(rsp));
		if (front[disk].nkept == 64)
			abort();
		front[disk].kept[front[disk].nkept].id = (uint32_t)rsp.id;
		front[disk].kept[front[disk].nkept++].status = rsp.status;
		front[disk].rsp_cons++;
	}
	STORE(ring->rsp_event, front[disk].rsp_cons + 1);
}

bool front_answered(uint32_t disk, uint32_t id)
{
	front_collect(disk);
	for (unsigned int i = 0; i < front[disk].nkept; i++)
		if (front[disk].kept[i].id == id)
			return true;
	return false;
}

int front_answer(uint32_t disk, uint32_t id)
{
	uint64_t end = loop_now() + FRONT_PATIENCE_MS;

	while (!front_answered(disk, id)) {
		if (loop_now() > end)
			return 1000;
		loop_once(half.loop, 1);
	}
	for (unsigned int i = 0; i < front[disk].nkept; i++) {
		if (front[disk].kept[i].id == id) {
			int status = front[disk].kept[i].status;

			front[disk].kept[i] = front[disk].kept[--front[disk].nkept];
			return status;
		}
	}
	return 1001;
}

int front_do(uint32_t disk, struct front_io io)
{
	uint32_t id = front_ask(disk, &io);

	front_push(disk);
	return front_answer(disk, id);
}
