/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XNU's memory, copies and knowledge of the host.  A kernel address is its own
 * physical one (a frame's number is cut to the 32 bits that XNU has); memory comes
 * dirty, as XNU gives it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kpi/bsd.h"
#include "kpi/libkern.h"
#include "kpi/iokit.h"
#include "kpi/unsupported.h"
#include "xnu.h"

#define MANY	4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static co_u64 asked, fail_at, live;
static struct block { char *p; co_u64 bytes; int aligned; } blocks[MANY];
static struct { char *p; co_u64 bytes; } users[16];
static struct { const char *name, *value; } args[2];
static int no_tsc;
static char line[300];

struct pmap *kernel_pmap = (struct pmap *)args;
unsigned int real_ncpus = 3;
co_u64 xnu_root[512] __attribute__((aligned(4096)));

int xnu_refuse(void)
{
	int no;

	pthread_mutex_lock(&lock);
	no = ++asked == fail_at;
	pthread_mutex_unlock(&lock);
	return no;
}

void xnu_count(int change)
{
	pthread_mutex_lock(&lock);
	live += (co_u64)(co_s64)change;
	pthread_mutex_unlock(&lock);
}

void xnu_fail_nth(co_u64 n)
{
	pthread_mutex_lock(&lock);
	asked = 0;
	fail_at = n;
	pthread_mutex_unlock(&lock);
}

co_u64 xnu_allocations(void) { return asked; }
co_u64 xnu_live(void) { return live; }

/* ---- memory of the kernel's ---------------------------------------------------------- */

static void *take(co_u64 bytes, co_u64 alignment)
{
	void *p;
	int i;

	xnu_may_sleep("an allocation");
	if (!bytes)
		xnu_die("an allocation of nothing");
	if (xnu_refuse() || posix_memalign(&p, alignment, bytes))
		return NULL;
	memset(p, 0xa5, bytes);
	pthread_mutex_lock(&lock);
	for (i = 0; i < MANY && blocks[i].p; i++)
		;
	if (i == MANY)
		xnu_die("too many blocks");
	blocks[i] = (struct block){ p, bytes, alignment >= 4096 };
	live++;
	pthread_mutex_unlock(&lock);
	return p;
}

static void give(char *p, co_u64 bytes, int aligned)
{
	int i;

	xnu_may_sleep("a free");
	pthread_mutex_lock(&lock);
	for (i = 0; i < MANY && blocks[i].p != p; i++)
		;
	if (!p || i == MANY || blocks[i].bytes != bytes || blocks[i].aligned != aligned)
		xnu_die("a free of what was not allocated so");
	blocks[i].p = NULL;
	live--;
	pthread_mutex_unlock(&lock);
	free(p);
}

void *IOMalloc(vm_size_t size) { return take(size, 16); }
void IOFree(void *p, vm_size_t size) { give(p, size, 0); }
void *IOMallocAligned(vm_size_t size, vm_size_t alignment)
{
	/* Less than a page would come with a header before it. */
	if (alignment != 4096 || size % 4096)
		xnu_die("aligned memory that is not whole pages");
	return size > 2ull << 30 ? NULL : take(size, alignment);
}
void IOFreeAligned(void *p, vm_size_t size) { give(p, size, 1); }

/* Is it ours?  lock held. */
static int known(const char *p, co_u64 bytes)
{
	for (int i = 0; i < MANY; i++)
		if (blocks[i].p && p >= blocks[i].p && p + bytes <= blocks[i].p + blocks[i].bytes)
			return 1;
	return 0;
}

unsigned int pmap_find_phys(struct pmap *pmap, unsigned long long va)
{
	int ok;

	if (pmap != kernel_pmap)
		xnu_die("frames of another map");
	pthread_mutex_lock(&lock);
	ok = known((char *)va, 1);
	pthread_mutex_unlock(&lock);
	return ok ? (unsigned int)(va >> 12) : 0;
}

unsigned long long ml_phys_read_double_64(unsigned long long pa)
{
	unsigned long long base = (unsigned long long)xnu_root;
	int ok = pa >= base && pa < base + sizeof(xnu_root);

	pthread_mutex_lock(&lock);
	ok = ok || known((char *)pa, 8);
	pthread_mutex_unlock(&lock);
	if (!ok)
		xnu_die("physical memory that does not exist");	/* XNU panics */
	return *(unsigned long long *)pa;
}

/* ---- user space ------------------------------------------------------------------------ */

void xnu_user(void *p, co_u64 bytes)
{
	int i;

	for (i = 0; i < 16 && users[i].p; i++)
		;
	if (i == 16)
		xnu_die("too many user ranges");
	users[i].p = p;
	users[i].bytes = bytes;
}

void xnu_user_clear(void) { memset(users, 0, sizeof(users)); }

static int user_ok(co_u64 at, co_u64 bytes)
{
	xnu_may_sleep("a user copy");
	for (int i = 0; i < 16; i++) {
		co_u64 start = (co_u64)users[i].p;

		if (start && at >= start && at - start <= users[i].bytes && bytes <= users[i].bytes - (at - start))
			return 1;
	}
	return 0;
}

int copyin(const user_addr_t from, void *to, unsigned long len)
{
	if (!user_ok(from, len))
		return EFAULT;
	memcpy(to, (void *)from, len);
	return 0;
}

int copyout(const void *from, user_addr_t to, unsigned long len)
{
	if (!user_ok(to, len))
		return EFAULT;
	memcpy((void *)to, from, len);
	return 0;
}

/* ---- the host ------------------------------------------------------------------------------ */

int sysctlbyname(const char *name, void *old, unsigned long *size, void *new, unsigned long new_size)
{
	co_u64 v;

	if (new || new_size || *size != 8)
		xnu_die("a sysctl of the wrong size");
	if (!strcmp(name, "hw.memsize"))
		v = 8ull << 30;
	else if (!strcmp(name, "machdep.tsc.frequency") && !no_tsc)
		v = 2400000000;
	else
		return 2;
	memcpy(old, &v, 8);
	return 0;
}

kern_return_t vm_stats(void *info, unsigned int *count)
{
	struct vm_statistics64 *s = info;

	if (*count != sizeof(*s) / 4)
		xnu_die("statistics of another size");
	memset(s, 0, sizeof(*s));
	s->free_count = 1 << 18;
	s->purgeable_count = 1 << 16;
	s->external_page_count = 1 << 19;
	s->internal_page_count = 1 << 20;
	return KERN_SUCCESS;
}

void xnu_no_tsc(int yes) { no_tsc = yes; }

void xnu_boot_arg(const char *name, const char *value)
{
	for (int i = 0; i < 2; i++)
		if (!args[i].name || !strcmp(args[i].name, name)) {
			args[i].name = name;
			args[i].value = value;
			return;
		}
}

boolean_t PE_parse_boot_argn(const char *name, void *to, int max)
{
	for (int i = 0; i < 2; i++)
		if (args[i].name && args[i].value && !strcmp(args[i].name, name)) {
			memcpy(to, args[i].value, strnlen(args[i].value, (unsigned long)max));
			return TRUE;
		}
	return FALSE;
}

int xnu_printf(const char *format, ...);
int xnu_printf(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(line, sizeof(line), format, list);
	va_end(list);
	return 0;
}

const char *xnu_log(void) { return line; }
