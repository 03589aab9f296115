/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seam on Darwin: mutex. */
#include "seam.h"

struct co_os_mutex { lck_mtx_t *m; };

struct co_os_mutex *co_os_mutex_new(void)
{
	struct co_os_mutex *m = co_darwin_new(sizeof(*m));

	if (!m)
		return NULL;
	m->m = lck_mtx_alloc_init(co_darwin_group, LCK_ATTR_NULL);
	if (!m->m) {
		co_darwin_delete(m, sizeof(*m));
		return NULL;
	}
	return m;
}

void co_os_mutex_free(struct co_os_mutex *m)
{
	lck_mtx_free(m->m, co_darwin_group);
	co_darwin_delete(m, sizeof(*m));
}

void co_os_mutex_lock(struct co_os_mutex *m)
{
	lck_mtx_lock(m->m);
}

int co_os_mutex_trylock(struct co_os_mutex *m)
{
	return !!lck_mtx_try_lock(m->m);
}

void co_os_mutex_unlock(struct co_os_mutex *m)
{
	lck_mtx_unlock(m->m);
}
