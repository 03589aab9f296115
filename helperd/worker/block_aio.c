/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block_aio.c: reads and writes that wait for the host without a thread.
 *
 * Called by block_io.c and the loop, always in the main thread, hence with nothing
 * that may wait: requests go to the kernel's own queue (Linux AIO), past its page
 * cache and between the device and the guest's pages without a copy, and only if
 * that takes no waiting (RWF_NOWAIT).  What the kernel refuses (a hole to be filled,
 * an odd alignment, a full queue) is left to the disk's threads, and what ends
 * short is done again by them.
 *
 * On a host with one CPU this halves the switches that a request costs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "block.h"

#ifdef __linux__
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

/*
 * What the kernel maps for io_setup(), at the address that it calls a context (fs/aio.c):
 * answers may be taken from there without a call, as libaio and QEMU do.  It writes
 * tail, we write head.
 */
struct wk_aio_ring {
	uint32_t id, nr, head, tail;
	uint32_t magic, compat, incompat, header_length;
	struct io_event events[];
};

#define WK_AIO_MAGIC	0xa10a10a1u

_Static_assert(sizeof(struct wk_aio_ring) == 32 && sizeof(struct io_event) == 32, "AIO ring");
_Static_assert(sizeof(struct iocb) == sizeof(((struct wk_disk_request *)0)->iocb), "iocb");

int wk_aio_open(struct wk_disks *l)
{
	aio_context_t context = 0;
	const struct wk_aio_ring *ring;

	l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->event < 0 || syscall(SYS_io_setup, WK_DISKS_MAX * WK_DISK_ENTRIES, &context))
		goto none;
	ring = (const struct wk_aio_ring *)context;
	if (ring->magic != WK_AIO_MAGIC || ring->incompat || ring->header_length != sizeof(*ring) || !ring->nr)
		goto destroy;
	l->context = context;
	return 0;
destroy:
	syscall(SYS_io_destroy, context);
none:	/* A host without it, or out of it, or with a new one: the threads do all. */
	if (l->event >= 0)
		close(l->event);
	l->event = -1;
	return -1;
}

void wk_aio_close(struct wk_disks *l)
{
	if (l->event < 0)
		return;
	syscall(SYS_io_destroy, (aio_context_t)l->context);
	close(l->event);
}

static void wk_aio_fill(struct wk_disk *d, struct wk_disk_request *r, bool write)
{
	struct iocb c = {
		.aio_data = (uintptr_t)r,
		.aio_rw_flags = RWF_NOWAIT,
		.aio_lio_opcode = write ? IOCB_CMD_PWRITEV : IOCB_CMD_PREADV,
		.aio_fildes = (uint32_t)d->file.direct,
		.aio_buf = (uintptr_t)r->iov,
		.aio_nbytes = r->niov,
		.aio_offset = (int64_t)(r->sector * WK_DISK_SECTOR),
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)d->w->disks->event,
	};

	memcpy(r->iocb, &c, sizeof(c));
	r->bytes = 0;
	for (uint32_t i = 0; i < r->niov; i++)
		r->bytes += r->iov[i].iov_len;
}

/* The threads' now; the lock is held. */
static void wk_aio_hand_over(struct wk_disk *d, struct wk_disk_request *r)
{
	d->running--;
	r->by_thread = true;
	r->next = NULL;
	*d->tail = r;
	d->tail = &r->next;
}

void wk_aio_start(struct wk_disk *d)
{
	struct wk_disk_request **p = &d->head, *r, *list[WK_DISK_ENTRIES];
	struct iocb *iocbs[WK_DISK_ENTRIES];
	uint32_t n = 0, at = 0;
	bool write;

	/* What comes behind a barrier waits with it. */
	while (!d->alone && (r = *p) && r->entry.req.operation != BLKIF_OP_WRITE_BARRIER) {
		if (r->by_thread || !wk_disk_prepare(d, r, &write) ||
		    (write && __atomic_load_n(&d->write_through, __ATOMIC_RELAXED))) {
			p = &r->next;
			continue;
		}
		*p = r->next;
		if (!*p)
			d->tail = p;
		wk_aio_fill(d, r, write);
		list[n] = r;
		iocbs[n++] = (struct iocb *)r->iocb;
		d->running++;
	}
	while (at < n) {
		long taken = syscall(SYS_io_submit, (aio_context_t)d->w->disks->context, (long)(n - at), iocbs + at);

		if (taken > 0)
			at += (uint32_t)taken;
		else
			wk_aio_hand_over(d, list[at++]);
	}
}

/* The lock is held. */
static void wk_aio_ended(struct wk_disk *d, struct wk_disk_request *r, int64_t result)
{
	/* One that began before every write is flushed needs it as well. */
	bool unflushed = r->operation == BLKIF_OP_WRITE && __atomic_load_n(&d->write_through, __ATOMIC_ACQUIRE);

	if (result == (int64_t)r->bytes && !unflushed) {
		wk_disk_done(d, r, BLKIF_RSP_OKAY);
	} else if (!d->ring) {
		/* Its frontend is gone: done again later it would be taken for one of the next. */
		wk_disk_done(d, r, BLKIF_RSP_ERROR);
	} else if (result >= 0 || result == -EAGAIN || result == -EINVAL || result == -EOPNOTSUPP) {
		wk_aio_hand_over(d, r);
	} else {
		wk_disk_complain(d, r->operation == BLKIF_OP_READ ? "read" : "write", (int)-result);
		wk_disk_done(d, r, BLKIF_RSP_ERROR);
	}
}

void wk_aio_take(struct wk_disks *l)
{
	struct wk_aio_ring *ring = (struct wk_aio_ring *)l->context;
	uint32_t head = ring->head, tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE), touched = 0;

	while (head != tail) {
		struct io_event e = ring->events[head];
		struct wk_disk_request *r = (struct wk_disk_request *)(uintptr_t)e.data;
		struct wk_disk *d = r->disk;

		head = (head + 1) % ring->nr;
		__atomic_store_n(&ring->head, head, __ATOMIC_RELEASE);
		pthread_mutex_lock(&d->lock);
		wk_aio_ended(d, r, e.res);
		pthread_mutex_unlock(&d->lock);
		touched |= 1u << d->number;
	}
	for (uint32_t i = 0; touched && i < l->count; i++)
		if (touched >> i & 1)
			wk_disk_kick(&l->disk[i]);
}

void wk_aio_ready(void *disks, short revents)
{
	struct wk_disks *l = disks;
	uint64_t count;

	(void)revents;
	if (read(l->event, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	wk_aio_take(l);
}
#else
int wk_aio_open(struct wk_disks *l)
{
	l->event = -1;
	return -1;
}

void wk_aio_close(struct wk_disks *l)
{
	(void)l;
}

void wk_aio_start(struct wk_disk *d)
{
	(void)d;
}

void wk_aio_take(struct wk_disks *l)
{
	(void)l;
}

void wk_aio_ready(void *disks, short revents)
{
	(void)disks;
	(void)revents;
}
#endif
