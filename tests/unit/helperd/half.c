/* SPDX-License-Identifier: GPL-2.0-or-later */
/* half.c: see half.h.  Stands in for main.c and lib/dev.c of the worker. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../kext/include/xen/grant_table.h"
#include "dev.h"
#include "half.h"

#define HALF_PATIENCE_MS	20000u

struct wk half;
char half_killed[160];
unsigned int half_raised[WK_PORTS];

void wk_kill(struct wk *w, const char *why)
{
	w->over = true;
	snprintf(half_killed, sizeof(half_killed), "%s", why);
}

void wk_end(struct wk *w, const char *kind, int exit, const char *format, ...)
{
	(void)kind;
	(void)exit;
	wk_kill(w, format);
}

void *wk_frame(struct wk *w, uint64_t gfn)
{
	return gfn < w->ram_pages ? w->memory + (gfn << CO_PAGE_SHIFT) : NULL;
}

void wk_port_bind(struct wk *w, uint32_t port, wk_port_fn fn, void *arg)
{
	if (port >= WK_PORTS)
		return;
	w->ports[port].fn = fn;
	w->ports[port].arg = arg;
}

void wk_port_raise(struct wk *w, uint32_t port)
{
	(void)w;
	__atomic_add_fetch(&half_raised[port % WK_PORTS], 1, __ATOMIC_SEQ_CST);
}

int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at)
{
	(void)vm;
	(void)gfn;
	*at = calloc(pages, CO_PAGE_SIZE);
	return *at ? 0 : -CO_ENOMEM;
}

/* No wire in this half: the watches of a guest lead nowhere. */
void xs_wire_event(struct xs_wire *x, const char *path, const char *token)
{
	(void)x;
	(void)path;
	(void)token;
}

void half_up(void)
{
	struct err e;

	memset(&half, 0, sizeof(half));
	memset(half_raised, 0, sizeof(half_raised));
	half_killed[0] = 0;
	half.loop = loop_new();
	half.name = "half";
	half.ram_pages = HALF_PAGES;
	half.memory = aligned_alloc(CO_PAGE_SIZE, HALF_PAGES * CO_PAGE_SIZE);
	memset(half.memory, 0, HALF_PAGES * CO_PAGE_SIZE);
	half.xs = wk_xs_new(&half);
	if (wk_grant_map(&half, &e) || wk_xs_populate(half.xs, half.name, 1 << 20, 2))
		abort();
}

void half_down(void)
{
	wk_xs_free(half.xs);
	loop_free(half.loop);
	free(half.memory);
	free(half.grants);
}

void half_grant(uint32_t ref, uint64_t gfn, uint16_t flags)
{
	struct grant_entry_v1 e = { .flags = flags | GTF_permit_access, .frame = (uint32_t)gfn };

	memcpy(half.grants + ref, &e, sizeof(e));
}

void half_take_back(uint32_t ref)
{
	half.grants[ref] = 0;
}

void *half_page(uint64_t gfn)
{
	return half.memory + (gfn << CO_PAGE_SHIFT);
}

void half_write(const char *path, const char *format, ...)
{
	char full[128], value[512];
	va_list args;

	snprintf(full, sizeof(full), WK_HOME "/device/%s", path);
	va_start(args, format);
	vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (wk_xs_write(half.xs, XS_GUEST, full, "%s", value))
		abort();
}

const char *half_read(const char *path)
{
	static char value[XS_VALUE_MAX + 1];
	char full[160];

	snprintf(full, sizeof(full), "%s%s", path[0] == '/' ? "" : WK_HOME "/", path);
	if (wk_xs_read(half.xs, full, value, sizeof(value)) < 0)
		value[0] = 0;
	return value;
}

void half_notify(uint32_t port)
{
	if (half.ports[port].fn)
		half.ports[port].fn(half.ports[port].arg);
}

void half_run(unsigned int ms)
{
	uint64_t end = loop_now() + ms;

	while (loop_now() < end)
		loop_once(half.loop, 1);
}

int half_until(const char *path, const char *value)
{
	uint64_t end = loop_now() + HALF_PATIENCE_MS;

	while (strcmp(half_read(path), value)) {
		if (loop_now() > end)
			return -1;
		loop_once(half.loop, 1);
	}
	return 0;
}
