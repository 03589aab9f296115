/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: alloc.  Wired, page-aligned memory out of the kernel's map;
 * XNU does not clear it and gives at most 2 GiB in one piece.
 */
#include "seam.h"

static volatile co_s64 held;

static co_u64 whole(co_u64 bytes)
{
	return (bytes + CO_PAGE_SIZE - 1) & ~(CO_PAGE_SIZE - 1);
}

void co_darwin_count(co_s64 pages)
{
	__sync_fetch_and_add(&held, pages);
}

co_u64 co_os_held_pages(void)
{
	return (co_u64)held;
}

void *co_darwin_pages(co_u64 bytes)
{
	void *p;

	if (!bytes || whole(bytes) < bytes)
		return NULL;
	p = IOMallocAligned(whole(bytes), CO_PAGE_SIZE);
	if (p)
		memset(p, 0, whole(bytes));
	return p;
}

void co_darwin_free_pages(void *p, co_u64 bytes)
{
	IOFreeAligned(p, whole(bytes));
}

void *co_os_alloc(co_u64 bytes)
{
	void *p = co_darwin_pages(bytes);

	if (p)
		co_darwin_count((co_s64)(whole(bytes) >> CO_PAGE_SHIFT));
	return p;
}

void co_os_free(void *p, co_u64 bytes)
{
	if (!p)
		return;
	co_darwin_free_pages(p, bytes);
	co_darwin_count(-(co_s64)(whole(bytes) >> CO_PAGE_SHIFT));
}

void *co_darwin_new(co_u64 bytes)
{
	void *p = IOMalloc(bytes);

	if (p)
		memset(p, 0, bytes);
	return p;
}

void co_darwin_delete(void *p, co_u64 bytes)
{
	IOFree(p, bytes);
}
