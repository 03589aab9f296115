/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block_io.c: what the guest asks of a disk, done by a few threads of its own.
 *
 * Any idle thread takes what is in the ring; each then works on one request.
 * The data goes straight between the file and the guest's pages.  A disk that
 * hangs keeps its own threads, and nobody else.
 *
 * Where block_aio.c can, the main thread takes what is in the ring and starts it, and
 * the threads do the rest: flushes, barriers, holes, errors.
 *
 * The ring is guest memory: an entry is copied whole and only the copy is
 * looked at, our indices are private.  Whoever holds the last request of the
 * queue has asked to be told of more before it starts, so that a free thread
 * is woken while it waits for the host.
 *
 * Waking costs more than working when the host has one CPU.  So a thread wakes
 * a second one only when it is about to wait (what the page cache has is read
 * without), and the guest is told of several answers at once, but never later
 * than before a wait.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "block.h"
#include "log.h"

#define WK_DISK_UNTOLD		8u		/* answers that the guest may not know of yet */
#define WK_DISK_SLOW_NS		1000000u	/* a write that took this long had to wait */
#define WK_DISK_STACK		(256u << 10)

#define LOAD(x)		__atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define STORE(x, v)	__atomic_store_n(&(x), (v), __ATOMIC_RELEASE)

static union blkif_sring_entry *wk_disk_slot(struct wk_disk *d, uint32_t index)
{
	return (union blkif_sring_entry *)(d->ring + 1) + (index & (WK_DISK_ENTRIES - 1));
}

/* ---- the ring; the lock is held -------------------------------------------------- */

/* Moves all requests to the queue, and asks the guest to tell of the next one. */
static void wk_disk_take(struct wk_disk *d)
{
	uint32_t there;

	while (d->ring && !d->broken) {
		there = LOAD(d->ring->req_prod);
		if (there - d->taken > WK_DISK_ENTRIES - (d->taken - d->answered)) {
			if (!d->accused)
				log_line(LOG_WARNING, "disk %s: the guest broke its ring, it is served no more",
					 d->file.name);
			d->broken = d->accused = true;
			return;
		}
		while (d->taken != there) {
			struct wk_disk_request *r = d->free;

			/* As many as the ring has entries: there is one. */
			d->free = r->next;
			memcpy(&r->entry, wk_disk_slot(d, d->taken++), sizeof(r->entry));
			r->next = NULL;
			r->by_thread = false;
			*d->tail = r;
			d->tail = &r->next;
		}
		STORE(d->ring->req_event, d->taken + 1);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (LOAD(d->ring->req_prod) == d->taken)
			return;
	}
}

/* With AIO the main thread takes what is in the ring, the others what it left. */
static bool wk_disk_by_threads(const struct wk_disk *d)
{
	return d->file.direct < 0;
}

static struct wk_disk_request *wk_disk_next(struct wk_disk *d)
{
	struct wk_disk_request *r = d->head;

	if (!r && wk_disk_by_threads(d)) {
		wk_disk_take(d);
		r = d->head;
	}
	/* A barrier is alone: whoever ends the last of the others comes by here again. */
	if (!r || d->alone || (r->entry.req.operation == BLKIF_OP_WRITE_BARRIER && d->running))
		return NULL;
	d->alone = r->entry.req.operation == BLKIF_OP_WRITE_BARRIER;
	d->head = r->next;
	if (!d->head) {
		d->tail = &d->head;
		if (wk_disk_by_threads(d))
			wk_disk_take(d);
	}
	return r;
}

void wk_disk_done(struct wk_disk *d, struct wk_disk_request *r, xen_s16 status)
{
	struct blkif_response rsp;

	d->running--;

	memset(&rsp, 0, sizeof(rsp));	/* its padding too */
	rsp.id = r->entry.req.id;
	rsp.operation = r->operation;
	rsp.status = status;
	if (d->ring) {
		memcpy(&wk_disk_slot(d, d->answered)->rsp, &rsp, sizeof(rsp));
		d->answered++;
		STORE(d->ring->rsp_prod, d->answered);
	}
	r->next = d->free;
	d->free = r;
}

/* Does the guest want to know of the answers since we told it last? */
static bool wk_disk_untold(struct wk_disk *d)
{
	uint32_t old = d->told;

	if (!d->ring || old == d->answered)
		return false;
	d->told = d->answered;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return XEN_RING_MUST_NOTIFY(old, d->answered, LOAD(d->ring->rsp_event));
}

/* ---- one request; no lock is held -------------------------------------------------- */

/* This thread is going to wait for the host: the guest and another thread go on. */
static void wk_disk_will_wait(struct wk_disk *d)
{
	bool tell;
	uint32_t port;

	pthread_mutex_lock(&d->lock);
	tell = wk_disk_untold(d);
	port = d->port;
	if (d->head && d->idle)
		pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	if (tell)
		wk_port_raise(d->w, port);
}

void wk_disk_complain(struct wk_disk *d, const char *what, int error)
{
	if (!__atomic_exchange_n(&d->complained, true, __ATOMIC_RELAXED))
		log_line(LOG_WARNING, "disk %s: %.200s: %s: %s; the guest sees an I/O error", d->file.name,
			 d->file.path, what, strerror(error));
}

static xen_s16 wk_disk_status(struct wk_disk *d, const char *what, int error)
{
	if (!error)
		return BLKIF_RSP_OKAY;
	if (error == EOPNOTSUPP)
		return BLKIF_RSP_EOPNOTSUPP;
	wk_disk_complain(d, what, error);
	return BLKIF_RSP_ERROR;
}

static uint64_t wk_disk_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static ssize_t wk_disk_read(struct wk_disk *d, const struct iovec *v, int n, off_t at, bool *peek)
{
#ifdef RWF_NOWAIT
	if (*peek) {
		ssize_t got = preadv2(d->file.fd, v, n, at, RWF_NOWAIT);

		if (got > 0)
			return got;
		*peek = false;
		if (got < 0 && errno == EOPNOTSUPP)
			STORE(d->no_peek, true);
		wk_disk_will_wait(d);
	}
#else
	(void)peek;
#endif
	return preadv(d->file.fd, v, n, at);
}

/* 0 or an errno; less than all is an error. */
static int wk_disk_move(struct wk_disk *d, struct wk_disk_request *r, bool write)
{
	struct iovec *v = r->iov;
	uint32_t n = r->niov;
	off_t at = (off_t)(r->sector * WK_DISK_SECTOR);
	bool peek = !LOAD(d->no_peek);

	while (n) {
		ssize_t done = write ? pwritev(d->file.fd, v, (int)n, at)
				     : wk_disk_read(d, v, (int)n, at, &peek);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return done ? errno : EIO;
		at += done;
		while (n && (size_t)done >= v->iov_len) {
			done -= (ssize_t)v->iov_len;
			v++;
			n--;
		}
		if (n) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return 0;
}

static int wk_disk_write(struct wk_disk *d, struct wk_disk_request *r)
{
	uint64_t start;
	int error;

	if (LOAD(d->slow))
		wk_disk_will_wait(d);
	start = wk_disk_now();
	error = wk_disk_move(d, r, true);
	STORE(d->slow, wk_disk_now() - start > WK_DISK_SLOW_NS);
	return error;
}

static void *wk_disk_page(struct wk_disk *d, uint32_t ref, bool write)
{
	return d->keeps ? wk_grant_keep(d->w, d->kept, ref, write) : wk_grant_frame(d->w, ref, write);
}

/* One segment of a request, to the end of its iov.  false: the guest does not lend it. */
static bool wk_disk_segment(struct wk_disk *d, struct wk_disk_request *r,
			    const struct blkif_request_segment *s, bool to_guest, uint64_t *sectors)
{
	struct iovec *last = r->niov ? &r->iov[r->niov - 1] : NULL;
	char *page, *from;
	size_t len;

	if (s->first_sect > s->last_sect || s->last_sect >= CO_PAGE_SIZE / WK_DISK_SECTOR)
		return false;
	page = wk_disk_page(d, s->gref, to_guest);
	if (!page)
		return false;
	from = page + s->first_sect * WK_DISK_SECTOR;
	len = (s->last_sect - s->first_sect + 1u) * WK_DISK_SECTOR;
	*sectors += len / WK_DISK_SECTOR;
	if (last && (char *)last->iov_base + last->iov_len == from)
		last->iov_len += len;
	else
		r->iov[r->niov++] = (struct iovec){ from, len };
	return true;
}

/* The data's place in the guest's memory and on the disk; false: it has none. */
static bool wk_disk_map(struct wk_disk *d, struct wk_disk_request *r, const struct blkif_request_segment *s,
			uint32_t n, bool to_guest)
{
	uint64_t sectors = 0;

	r->niov = 0;
	for (uint32_t i = 0; i < n; i++)
		if (!wk_disk_segment(d, r, s + i, to_guest, &sectors))
			return false;
	return sectors <= d->file.sectors && r->sector <= d->file.sectors - sectors;
}

/* Copies the segments of an indirect request: how many, 0: they cannot be. */
static uint32_t wk_disk_indirect(struct wk_disk *d, struct wk_disk_request *r, struct blkif_request_segment *s)
{
	const struct blkif_request_indirect *q = (const void *)&r->entry;
	const uint32_t a_page = CO_PAGE_SIZE / sizeof(*s);

	r->operation = q->indirect_op;
	r->sector = q->sector_number;
	if (q->nr_segments > WK_DISK_SEGMENTS)
		return 0;
	for (uint32_t at = 0; at < q->nr_segments; at += a_page) {
		const void *page = wk_disk_page(d, q->indirect_grefs[at / a_page], false);
		uint32_t n = q->nr_segments - at < a_page ? q->nr_segments - at : a_page;

		if (!page)
			return 0;
		memcpy(s + at, page, n * sizeof(s[0]));
	}
	return q->nr_segments;
}

bool wk_disk_prepare(struct wk_disk *d, struct wk_disk_request *r, bool *write)
{
	struct blkif_request_segment copy[WK_DISK_SEGMENTS], *s = r->entry.req.seg;
	uint32_t n = r->entry.req.nr_segments;

	r->operation = r->entry.req.operation;
	r->sector = r->entry.req.sector_number;
	if (r->operation == BLKIF_OP_INDIRECT)
		n = wk_disk_indirect(d, r, s = copy);
	else if (n > BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return false;
	*write = r->operation == BLKIF_OP_WRITE;
	return n && (*write || r->operation == BLKIF_OP_READ) && !(*write && d->file.read_only) &&
	       wk_disk_map(d, r, s, n, !*write);
}

static xen_s16 wk_disk_transfer(struct wk_disk *d, struct wk_disk_request *r)
{
	bool write;
	int error;

	if (!wk_disk_prepare(d, r, &write))
		return BLKIF_RSP_ERROR;
	if (!write)
		return wk_disk_status(d, "read", wk_disk_move(d, r, false));
	error = wk_disk_write(d, r);
	if (!error && LOAD(d->write_through))
		error = wk_disk_flush(&d->file);
	return wk_disk_status(d, "write", error);
}

/* Flush, and the data that may come with it; a barrier's data is flushed too. */
static xen_s16 wk_disk_sync(struct wk_disk *d, struct wk_disk_request *r)
{
	const struct blkif_request *q = &r->entry.req;
	int error;

	if (q->nr_segments > BLKIF_MAX_SEGMENTS_PER_REQUEST)
		return BLKIF_RSP_ERROR;
	r->sector = q->sector_number;
	if (q->nr_segments && (d->file.read_only || !wk_disk_map(d, r, q->seg, q->nr_segments, false)))
		return BLKIF_RSP_ERROR;
	wk_disk_will_wait(d);
	error = wk_disk_flush(&d->file);
	if (!error && q->nr_segments)
		error = wk_disk_write(d, r);
	if (!error && q->nr_segments && q->operation == BLKIF_OP_WRITE_BARRIER)
		error = wk_disk_flush(&d->file);
	if (!error)
		return BLKIF_RSP_OKAY;
	STORE(d->write_through, true);
	/* The guest asks for no flush any more: also of what was answered since ours began. */
	wk_disk_flush(&d->file);
	wk_disk_complain(d, "flush", error);
	return WK_DISK_RSP_LOST;
}

static xen_s16 wk_disk_trim(struct wk_disk *d, const struct blkif_request_discard *q)
{
	if (!d->file.discard)
		return BLKIF_RSP_EOPNOTSUPP;
	if (!q->nr_sectors || q->nr_sectors > d->file.sectors ||
	    q->sector_number > d->file.sectors - q->nr_sectors)
		return BLKIF_RSP_ERROR;
	wk_disk_will_wait(d);
	return wk_disk_status(d, "discard", wk_disk_discard(&d->file, q->sector_number, q->nr_sectors));
}

static xen_s16 wk_disk_do(struct wk_disk *d, struct wk_disk_request *r)
{
	r->operation = r->entry.req.operation;
	switch (r->operation) {
	case BLKIF_OP_READ:
	case BLKIF_OP_WRITE:
	case BLKIF_OP_INDIRECT:
		return wk_disk_transfer(d, r);
	case BLKIF_OP_FLUSH_DISKCACHE:
	case BLKIF_OP_WRITE_BARRIER:
		return wk_disk_sync(d, r);
	case BLKIF_OP_DISCARD:
		return wk_disk_trim(d, (const void *)&r->entry);
	default:
		return BLKIF_RSP_EOPNOTSUPP;
	}
}

/* ---- threads ------------------------------------------------------------------------ */

static void *wk_disk_thread(void *arg)
{
	struct wk_disk *d = arg;
	xen_s16 status;

	pthread_mutex_lock(&d->lock);
	while (!d->over) {
		struct wk_disk_request *r = wk_disk_next(d);

		if (r) {
			d->running++;
			pthread_mutex_unlock(&d->lock);
			status = wk_disk_do(d, r);
			pthread_mutex_lock(&d->lock);
			d->alone = false;
			wk_disk_done(d, r, status);
		}
		if ((!d->head || d->answered - d->told >= WK_DISK_UNTOLD) && wk_disk_untold(d)) {
			uint32_t port = d->port;

			pthread_mutex_unlock(&d->lock);
			wk_port_raise(d->w, port);
			pthread_mutex_lock(&d->lock);
		} else if (!r) {
			d->idle++;
			pthread_cond_wait(&d->work, &d->lock);
			d->idle--;
		}
	}
	pthread_mutex_unlock(&d->lock);
	return NULL;
}

void wk_disk_kick(void *disk)
{
	struct wk_disk *d = disk;
	bool tell = false;
	uint32_t port;

	pthread_mutex_lock(&d->lock);
	port = d->port;
	if (!wk_disk_by_threads(d)) {
		wk_disk_take(d);
		wk_aio_start(d);
		tell = wk_disk_untold(d);
	}
	/* With no thread idle, the first one that is done looks by itself. */
	if (d->idle && (d->head || wk_disk_by_threads(d)))
		pthread_cond_signal(&d->work);
	pthread_mutex_unlock(&d->lock);
	if (tell)
		wk_port_raise(d->w, port);
}

void wk_disk_init(struct wk_disk *d)
{
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->work, NULL);
	d->tail = &d->head;
	for (uint32_t i = 0; i < WK_DISK_ENTRIES; i++) {
		d->requests[i].next = d->free;
		d->requests[i].disk = d;
		d->free = &d->requests[i];
	}
}

int wk_disk_start(struct wk_disk *d, void *ring, uint32_t port)
{
	pthread_attr_t attr;
	int err = 0;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, WK_DISK_STACK);
	while (!err && d->threads < WK_DISK_THREADS) {
		err = pthread_create(&d->thread[d->threads], &attr, wk_disk_thread, d);
		d->threads += !err;
	}
	pthread_attr_destroy(&attr);
	if (!d->threads)
		return err;
	pthread_mutex_lock(&d->lock);
	d->ring = ring;
	d->port = port;
	d->taken = d->answered = d->told = 0;
	d->broken = false;
	pthread_mutex_unlock(&d->lock);
	/* The guest may have asked before we listened. */
	wk_disk_kick(d);
	return 0;
}

void wk_disk_stop(struct wk_disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->ring = NULL;
	/* Nobody waits for the answers to these any more. */
	while (d->head) {
		struct wk_disk_request *r = d->head;

		d->head = r->next;
		r->next = d->free;
		d->free = r;
	}
	d->tail = &d->head;
	pthread_mutex_unlock(&d->lock);
}

bool wk_disk_busy(struct wk_disk *d)
{
	bool busy;

	pthread_mutex_lock(&d->lock);
	busy = d->running > 0;
	pthread_mutex_unlock(&d->lock);
	return busy;
}

void wk_disk_end(struct wk_disk *d)
{
	pthread_mutex_lock(&d->lock);
	d->over = true;
	pthread_cond_broadcast(&d->work);
	pthread_mutex_unlock(&d->lock);
	while (d->threads)
		pthread_join(d->thread[--d->threads], NULL);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->work);
}
