/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: wait.  done() is asked, and the wake-up given, under one
 * mutex, which msleep lets go of only when the thread is on its queue: so a wake-up
 * between the question and the sleep finds the sleeper or its answer.
 *
 * Wakers are threads: XNU's timers run in threads too (timer.c).
 */
#include "seam.h"

#define SELINFO_BYTES	512u		/* struct selinfo is not public; about 80 bytes */

struct co_os_wait {
	lck_mtx_t *m;
	co_u64 select[SELINFO_BYTES / 8];
};

struct co_os_wait *co_os_wait_new(void)
{
	struct co_os_wait *w = co_darwin_new(sizeof(*w));

	if (!w)
		return NULL;
	w->m = lck_mtx_alloc_init(co_darwin_group, LCK_ATTR_NULL);
	if (!w->m) {
		co_darwin_delete(w, sizeof(*w));
		return NULL;
	}
	return w;
}

void co_os_wait_free(struct co_os_wait *w)
{
	selthreadclear((struct selinfo *)w->select);
	lck_mtx_free(w->m, co_darwin_group);
	co_darwin_delete(w, sizeof(*w));
}

int co_os_wait_until(struct co_os_wait *w, int (*done)(void *), void *arg)
{
	int ret = 0;

	lck_mtx_lock(w->m);
	while (!done(arg)) {
		/* A signal from before the sleep would not end it: msleep looks after. */
		if (co_os_interrupted() || msleep(w, w->m, PWAIT | PCATCH, "colinux", NULL)) {
			ret = -CO_EINTR;
			break;
		}
	}
	lck_mtx_unlock(w->m);
	return ret;
}

void co_os_wait_wake(struct co_os_wait *w)
{
	lck_mtx_lock(w->m);
	wakeup(w);
	selwakeup((struct selinfo *)w->select);
	lck_mtx_unlock(w->m);
}

/* For manager.c: is it so, and if not, who selects is woken with the others. */
int co_darwin_wait_select(struct co_os_wait *w, int (*done)(void *), void *arg, proc_t p, void *wql)
{
	int now;

	lck_mtx_lock(w->m);
	now = !!done(arg);
	if (!now)
		selrecord(p, (struct selinfo *)w->select, wql);
	lck_mtx_unlock(w->m);
	return now;
}
