/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam's double in user space, for tests of core: memory, handles, copies.
 * Host frames are addresses >> 12.  Misuse (a wrong size, a double free, sleep
 * between enter and leave) aborts.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "inside.h"

#define MANY	2048

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static co_u64 asked, fail_at, live, held;
static co_u64 memory_total = 8ull << 30, memory_free = 15ull << 29;
static char last_line[256];
static co_u32 cpus;

static struct block { char *p; co_u64 bytes; } blocks[MANY];
static struct { char *p; co_u64 bytes; int writable; } users[MANY];
static struct { struct co_os_ram *ram; char *p; co_u64 bytes; } maps[MANY];
static struct co_vm *handles[MANY];

struct co_os_ram {
	int fd;			/* a memfd: user mappings share the pages */
	char *va;
	co_u64 pages;
	int uses;
};

void fake_die(const char *why)
{
	fprintf(stderr, "fake host: %s\n", why);
	abort();
}

/* ---- counting ------------------------------------------------------------ */

int fake_refuse(void)
{
	int no;

	if (fake_in_world())
		fake_die("an allocation between enter and leave");
	pthread_mutex_lock(&lock);
	no = ++asked == fail_at;
	pthread_mutex_unlock(&lock);
	return no;
}

void fake_count(int change)
{
	pthread_mutex_lock(&lock);
	live += (co_u64)(co_s64)change;
	pthread_mutex_unlock(&lock);
}

void fake_fail_nth(co_u64 n)
{
	asked = 0;
	fail_at = n;
}

co_u64 fake_allocations(void) { return asked; }
co_u64 fake_live(void) { return live; }

void fake_reset(void)
{
	fake_fail_nth(0);
	fake_user_clear();
	fake_memory(8ull << 30, 15ull << 29);
	last_line[0] = '\0';
	fake_cpus(2);
	fake_sync_reset();
}

/* ---- alloc ------------------------------------------------------------------ */

void *co_os_alloc(co_u64 bytes)
{
	void *p;
	int i;

	if (!bytes)
		fake_die("an allocation of nothing");
	if (fake_refuse() || posix_memalign(&p, 4096, bytes))
		return NULL;
	memset(p, 0, bytes);
	pthread_mutex_lock(&lock);
	for (i = 0; i < MANY && blocks[i].p; i++)
		;
	if (i == MANY)
		fake_die("too many blocks");
	blocks[i] = (struct block){ p, bytes };
	held += (bytes + 4095) / 4096;
	pthread_mutex_unlock(&lock);
	fake_count(1);
	return p;
}

void co_os_free(void *p, co_u64 bytes)
{
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MANY && blocks[i].p != p; i++)
		;
	if (!p || i == MANY || blocks[i].bytes != bytes)
		fake_die("a free of what was not allocated so");
	blocks[i].p = NULL;
	held -= (bytes + 4095) / 4096;
	pthread_mutex_unlock(&lock);
	fake_count(-1);
	free(p);
}

/* The block that holds [p, p + bytes); lock held. */
static int known(const char *p, co_u64 bytes)
{
	int i;

	for (i = 0; i < MANY; i++)
		if (blocks[i].p && p >= blocks[i].p &&
		    p + bytes <= blocks[i].p + ((blocks[i].bytes + 4095) & ~4095ull))
			return 1;
	return 0;
}

co_u64 co_os_hfn(const void *va)
{
	int ok;

	pthread_mutex_lock(&lock);
	ok = known(va, 1);
	pthread_mutex_unlock(&lock);
	if (!ok)
		fake_die("the frame of an address that was not allocated");
	return (co_u64)va >> 12;
}

int co_os_phys_read(co_u64 pa, void *to, co_u64 bytes)
{
	int ok;

	if (bytes > 4096 || (pa & 4095) + bytes > 4096)
		fake_die("a physical read across a page");
	pthread_mutex_lock(&lock);
	ok = known((char *)pa, bytes);
	pthread_mutex_unlock(&lock);
	if (!ok && pa >> 12 != (co_u64)fake_host_root >> 12)
		return -CO_EFAULT;
	memcpy(to, (void *)pa, bytes);
	return 0;
}

/* ---- pages -------------------------------------------------------------------- */

int co_os_ram_create(co_u64 pages, struct co_os_ram **out)
{
	struct co_os_ram *ram;

	if (fake_refuse())
		return -CO_ENOMEM;
	ram = calloc(1, sizeof(*ram));
	ram->fd = memfd_create("guest", MFD_CLOEXEC);
	if (ram->fd < 0 || ftruncate(ram->fd, (off_t)(pages * 4096)))
		fake_die("no memfd");
	ram->va = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, ram->fd, 0);
	if (ram->va == MAP_FAILED)
		fake_die("no mapping");
	ram->pages = pages;
	ram->uses = 1;
	pthread_mutex_lock(&lock);
	held += pages;
	pthread_mutex_unlock(&lock);
	fake_count(1);
	*out = ram;
	return 0;
}

static void ram_put(struct co_os_ram *ram)
{
	int last;

	pthread_mutex_lock(&lock);
	last = !--ram->uses;
	if (last)
		held -= ram->pages;
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	munmap(ram->va, ram->pages * 4096);
	close(ram->fd);
	free(ram);
	fake_count(-1);
}

void co_os_ram_release(struct co_os_ram *ram) { ram_put(ram); }

co_u64 co_os_ram_hfn(struct co_os_ram *ram, co_u64 index)
{
	return (co_u64)fake_ram_va(ram, index) >> 12;
}

void *fake_ram_va(struct co_os_ram *ram, co_u64 index)
{
	if (index >= ram->pages)
		fake_die("a guest frame that does not exist");
	return ram->va + index * 4096;
}

int co_os_ram_map(struct co_os_ram *ram, void *os_file, co_u64 first, co_u64 pages,
		  int writable, co_u64 *address)
{
	char *p;
	int i;

	(void)os_file;
	if (!pages || first >= ram->pages || pages > ram->pages - first)
		fake_die("a mapping of guest frames that do not exist");
	if (fake_refuse())
		return -CO_ENOMEM;
	p = mmap(NULL, pages * 4096, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
		 ram->fd, (off_t)(first * 4096));
	if (p == MAP_FAILED)
		fake_die("no mapping");
	pthread_mutex_lock(&lock);
	for (i = 0; i < MANY && maps[i].ram; i++)
		;
	if (i == MANY)
		fake_die("too many mappings");
	maps[i].ram = ram;
	maps[i].p = p;
	maps[i].bytes = pages * 4096;
	ram->uses++;
	pthread_mutex_unlock(&lock);
	fake_count(1);
	*address = (co_u64)p;
	return 0;
}

co_u64 fake_mappings(void)
{
	co_u64 n = 0;

	for (int i = 0; i < MANY; i++)
		n += !!maps[i].ram;
	return n;
}

void fake_unmap(co_u64 address)
{
	struct co_os_ram *ram = NULL;

	for (int i = 0; i < MANY && !ram; i++) {
		if ((co_u64)maps[i].p != address || !maps[i].ram)
			continue;
		ram = maps[i].ram;
		maps[i].ram = NULL;
		munmap(maps[i].p, maps[i].bytes);
	}
	if (!ram)
		fake_die("an unmap of what is not mapped");
	fake_count(-1);
	ram_put(ram);
}

/* ---- misc, handles, user -------------------------------------------------------- */

void fake_memory(co_u64 total, co_u64 free_)
{
	memory_total = total;
	memory_free = free_;
}

co_u64 co_os_memory_total(void) { return memory_total; }
co_u64 co_os_memory_free(void) { return memory_free; }
co_u64 co_os_held_pages(void) { return held; }
co_u32 co_os_cpus(void) { return cpus; }
void fake_cpus(co_u32 n) { cpus = n; }

int co_os_handle_create(struct co_vm *vm, void *os_file, co_s32 *handle)
{
	int i;

	(void)os_file;

	if (fake_refuse())
		return -CO_ENOMEM;
	for (i = 0; i < MANY && handles[i]; i++)
		;
	if (i == MANY)
		fake_die("too many handles");
	handles[i] = vm;
	fake_count(1);
	*handle = i;
	return 0;
}

struct co_vm *fake_handle(co_s32 handle)
{
	return handle >= 0 && handle < MANY ? handles[handle] : NULL;
}

co_u64 fake_handles(void)
{
	co_u64 n = 0;

	for (int i = 0; i < MANY; i++)
		n += !!handles[i];
	return n;
}

void fake_close(co_s32 handle, void (*destroy)(struct co_vm *))
{
	struct co_vm *vm = fake_handle(handle);

	if (!vm)
		fake_die("a close of what is not open");
	handles[handle] = NULL;
	fake_count(-1);
	destroy(vm);
}

void fake_user(void *p, co_u64 bytes, int writable)
{
	int i;

	for (i = 0; i < MANY && users[i].p; i++)
		;
	if (i == MANY)
		fake_die("too many user ranges");
	users[i].p = p;
	users[i].bytes = bytes;
	users[i].writable = writable;
}

void fake_user_clear(void)
{
	memset(users, 0, sizeof(users));
}

static int user_ok(co_u64 at, co_u64 bytes, int write)
{
	if (fake_in_world())
		fake_die("a user copy between enter and leave");
	for (int i = 0; i < MANY; i++) {
		co_u64 start = (co_u64)users[i].p;

		if (start && at >= start && at - start <= users[i].bytes &&
		    bytes <= users[i].bytes - (at - start) && (!write || users[i].writable))
			return 1;
	}
	return 0;
}

int co_os_copy_in(void *to, co_u64 from, co_u64 bytes)
{
	if (!user_ok(from, bytes, 0))
		return -CO_EFAULT;
	memcpy(to, (void *)from, bytes);
	return 0;
}

int co_os_copy_out(co_u64 to, const void *from, co_u64 bytes)
{
	if (!user_ok(to, bytes, 1))
		return -CO_EFAULT;
	memcpy((void *)to, from, bytes);
	return 0;
}

/* ---- debug ---------------------------------------------------------------------- */

void co_os_log(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(last_line, sizeof(last_line), format, args);
	va_end(args);
}

const char *fake_log(void) { return last_line; }
