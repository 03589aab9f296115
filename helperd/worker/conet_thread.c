/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_thread.c: the network's own thread.  It sleeps in poll on the links'
 * descriptors and a pipe; a byte in the pipe says that the guest has put
 * something in a ring, or that the main thread has a call.
 *
 * Called by conet.c, whose port handler wakes it: a disk request never waits
 * for a frame, nor the vCPU for either.
 *
 * A worker that is solo, or one of a pair (vcpu.c), does the same in its loop, without the
 * thread.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conet.h"
#include "dev.h"
#include "log.h"
#include "loop.h"

#define CONET_BURST	64u	/* frames of one guest's ring before the others' turn */
#define CONET_OWED_MS	2u	/* so long a late notice waits for a frame to the guest */
#define CONET_OWED_MAX	64u	/* answers without a notice: a quarter of the ring */

struct conet_waiting {
	struct conet_waiting *next;
	struct conet_packet p;		/* data is what follows */
	uint8_t data[];
};

int conet_poll_add(struct conet_polls *p, int fd, short events)
{
	if (p->count == p->room) {
		unsigned int room = p->room ? p->room * 2 : 64;
		struct pollfd *fds = realloc(p->fds, room * sizeof(*fds));

		if (!fds)
			return -1;
		p->fds = fds;
		p->room = room;
	}
	p->fds[p->count] = (struct pollfd){ .fd = fd, .events = events };
	return (int)p->count++;
}

void conet_wake(void *conet)
{
	struct conet *c = conet;

	if (!c->running)
		c->busy = true;
	else if (!__atomic_exchange_n(&c->woken, 1, __ATOMIC_SEQ_CST) && write(c->pipe[1], "", 1) < 0)
		log_line(LOG_ERROR, "the network's pipe: %s", strerror(errno));
}

/* ---- to the guest -------------------------------------------------------------- */

static void conet_wait(struct conet_net *n, const struct conet_packet *p)
{
	struct conet_waiting *q;

	/* A guest that takes nothing loses frames, as on any full wire. */
	if (n->waiting + p->len > CONET_QUEUE_MAX)
		return;
	q = malloc(sizeof(*q) + p->len);
	if (!q)
		return;
	q->next = NULL;
	q->p = *p;
	memcpy(q->data, p->data, p->len);
	q->p.data = q->data;
	*n->last = q;
	n->last = &q->next;
	n->waiting += p->len;
}

static void conet_flush(struct conet_net *n)
{
	while (n->first && (!n->ring.rx || !conet_ring_give(&n->ring, &n->first->p))) {
		struct conet_waiting *q = n->first;

		n->first = q->next;
		if (!n->first)
			n->last = &n->first;
		n->waiting -= q->p.len;
		free(q);
	}
}

void conet_to_guest(struct conet_net *n, const struct conet_packet *p)
{
	if (!n->ring.rx || p->len > CONET_FRAME_MAX)
		return;
	if (n->first || conet_ring_give(&n->ring, p))
		conet_wait(n, p);
}

/* ---- one round -------------------------------------------------------------------- */

/*
 * A notice costs a passage of the guest's, and that its frames have been taken is
 * seldom worth one: Linux looks by itself whenever it sends.  But it waits for the
 * notice that it has asked for when the ring is full, or a sender's share of it.
 */
static bool conet_due(struct conet_net *n, unsigned int tell, RING_IDX told)
{
	if (!n->link->late)
		return tell;
	if (tell & CONET_TELL_SENT && !n->owed) {
		n->owed = true;
		n->owed_from = told;
		n->owed_until = loop_now() + CONET_OWED_MS;
	}
	return tell & CONET_TELL_GIVEN ||
	       (n->owed && (n->ring.tx_told - n->owed_from >= CONET_OWED_MAX || loop_now() >= n->owed_until));
}

static void conet_tell(struct conet_net *n)
{
	RING_IDX told = n->ring.tx_told;

	if (n->owed && conet_ring_seen(&n->ring))
		n->owed = false;
	if (conet_due(n, conet_ring_publish(&n->ring), told)) {
		wk_port_raise(n->all->w, n->port);
		n->all->told = true;
		n->owed = false;
	}
	if (n->ring.broken && n->ring.tx) {
		/* The vCPU comes back with this reason; the main thread ends the VM. */
		dev_vm_kill(n->all->w->vm, n->ring.broken);
		n->ring.tx = n->ring.rx = NULL;
		n->owed = false;
	}
}

/* true: there is more to do already. */
static bool conet_serve(struct conet_net *n)
{
	struct conet_packet p;

	if (!n->ring.tx)
		return false;
	for (unsigned int i = 0; i < CONET_BURST; i++) {
		if (!conet_ring_take(&n->ring, n->all->buffer, &p)) {
			conet_flush(n);
			conet_tell(n);
			return conet_ring_arm(&n->ring, n->first ? &n->first->p : NULL);
		}
		n->link->input(n, n->all->buffer, &p);
		n->talks = true;
	}
	conet_flush(n);
	conet_tell(n);
	return true;
}

static void conet_take_call(struct conet *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->fn) {
		c->result = c->fn(c->net, c->arg, c->e);
		c->fn = NULL;
		pthread_cond_signal(&c->done);
	}
	pthread_mutex_unlock(&c->lock);
}

/* TOUR 18: Frames from the guest's ring to slirp or the tap, and the other way. */
static void conet_serve_all(struct conet *c)
{
	c->busy = false;
	for (unsigned int i = 0; i < c->count; i++)
		c->busy |= conet_serve(&c->nets[i]);
}

static void conet_fill_owed(const struct conet_net *n, struct conet_polls *p)
{
	uint64_t now = loop_now();
	int ms = n->owed_until > now ? (int)(n->owed_until - now) : 0;

	if (p->timeout < 0 || ms < p->timeout)
		p->timeout = ms;
}

static void conet_fill(struct conet *c)
{
	struct conet_polls *p = &c->polls;

	for (unsigned int i = 0; i < c->count; i++) {
		c->nets[i].link->fill(&c->nets[i], p);
		if (c->nets[i].owed)
			conet_fill_owed(&c->nets[i], p);
	}
	if (c->busy)
		p->timeout = 0;
}

static void conet_polled(struct conet *c)
{
	for (unsigned int i = 0; i < c->count; i++)
		c->nets[i].link->polled(&c->nets[i], &c->polls);
}

static void conet_sleep(struct conet *c)
{
	struct conet_polls *p = &c->polls;
	char junk[64];

	p->count = 0;
	p->timeout = -1;
	if (conet_poll_add(p, c->pipe[0], POLLIN) < 0) {
		poll(NULL, 0, 1);
		return;
	}
	conet_fill(c);
	if (poll(p->fds, p->count, p->timeout) < 0)
		for (unsigned int i = 0; i < p->count; i++)
			p->fds[i].revents = 0;
	if (p->fds[0].revents) {
		if (read(c->pipe[0], junk, sizeof(junk)) < 0 && errno != EAGAIN)
			log_line(LOG_ERROR, "the network's pipe: %s", strerror(errno));
		/* Before we look: whoever comes after the look finds it 0 and wakes us. */
		__atomic_store_n(&c->woken, 0, __ATOMIC_SEQ_CST);
	}
	conet_polled(c);
}

static void *conet_run(void *arg)
{
	struct conet *c = arg;

	for (;;) {
		conet_take_call(c);
		conet_serve_all(c);
		conet_sleep(c);
	}
	return NULL;
}

/* ---- solo: the same, as a part of each round of the loop --------------------------- */

static struct pollfd *conet_solo_fill(void *arg, size_t *count, int *ms)
{
	struct conet *c = arg;

	c->told = false;
	if (c->busy)
		conet_serve_all(c);
	c->polls.count = 0;
	c->polls.timeout = -1;
	conet_fill(c);
	if (c->told)		/* the guest is to run first */
		c->polls.timeout = 0;
	*count = c->polls.count;
	*ms = c->polls.timeout;
	return c->polls.fds;
}

static void conet_solo_polled(void *arg)
{
	struct conet *c = arg;

	conet_polled(c);
	conet_serve_all(c);
}

bool wk_net_look(struct wk *w, bool reads)
{
	struct conet *c = w->net;
	bool got = c && c->busy;

	for (unsigned int i = 0; c && reads && i < c->count; i++) {
		struct conet_net *n = &c->nets[i];

		/* On a CPU of its own it can afford to ask who has said nothing yet. */
		n->talks = (n->talks || w->pair) && n->link->look && n->link->look(n);
		got |= n->talks;
	}
	if (got)
		conet_serve_all(c);
	return c && c->busy;
}

bool wk_net_polled(struct wk *w)
{
	bool polled = false;

	for (unsigned int i = 0; w->net && i < w->net->count; i++)
		polled |= !w->net->nets[i].link->look;
	return polled;
}

/* ---- for the main thread ------------------------------------------------------------- */

int conet_call(struct conet *c, struct conet_net *n, conet_fn fn, void *arg, struct err *e)
{
	int result;

	if (!c->running) {
		c->busy = true;
		return fn(n, arg, e);
	}
	pthread_mutex_lock(&c->lock);
	c->net = n;
	c->arg = arg;
	c->e = e;
	c->fn = fn;
	conet_wake(c);
	while (c->fn)
		pthread_cond_wait(&c->done, &c->lock);
	result = c->result;
	pthread_mutex_unlock(&c->lock);
	return result;
}

int conet_thread_start(struct conet *c, struct err *e)
{
	int err;

	if (c->w->solo || c->w->pair) {
		loop_extra(c->w->loop, conet_solo_fill, conet_solo_polled, c);
		return 0;
	}
	err = pthread_create(&c->thread, NULL, conet_run, c);
	if (err)
		return err_set(e, CO_ELIMIT, "no thread for the network: %s", strerror(err));
	c->running = true;
	return 0;
}
