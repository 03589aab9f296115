/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * IOKit's descriptors and mappings, over memfds.  Frames come in short runs and out
 * of order; only wired memory has any.  A descriptor that goes while it is wired or
 * mapped, and a mapping over what is not reserved, abort.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pthread.h>

#include "kpi/mach.h"
#include "kpi/iokit.h"
#include "kpi/unsupported.h"
extern "C" {
#define _Static_assert static_assert
#include "xnu.h"
}

#define SCATTERED	8192u		/* pages of a descriptor that come out of order */

struct object {
	int kind;			/* 'd', 'p' (physical), 'm' */
	int refs, maps, wired, fd;
	co_u64 pages;
	char **page;			/* where each is, for those who know its frame */
	char *all;
	struct object *of, *next;	/* of: a mapping's descriptor */
	char *at;
	co_u64 bytes;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct object *objects;
static struct { char *at; co_u64 bytes; } rooms[64];
static co_u64 maps;
static int a_kernel_task;
task_t kernel_task = (task_t)&a_kernel_task;
co_u32 xnu_apic[1024];

static struct object *real(const void *p)
{
	struct object *o = (struct object *)p;

	if (!o || o->refs < 1)
		xnu_die("an object that is gone");
	return o;
}

static struct object *make(int kind)
{
	struct object *o = (struct object *)calloc(1, sizeof(*o));

	o->kind = kind;
	o->refs = 1;
	o->fd = -1;
	pthread_mutex_lock(&lock);
	o->next = objects;
	objects = o;
	pthread_mutex_unlock(&lock);
	xnu_count(1);
	return o;
}

static void unwire(struct object *o)
{
	if (o->all)
		munmap(o->all, o->pages * 4096);
	else
		for (co_u64 i = 0; i < o->pages; i++)
			munmap(o->page[i], 4096);
	free(o->page);
	o->page = NULL;
	o->all = NULL;
	o->wired = 0;
}

void OSObject::release() const
{
	struct object *o = real(this), **p = &objects;

	xnu_may_sleep("a release");
	if (--o->refs)
		return;
	if (o->kind == 'm') {
		/* Ours is gone before its pages are: what the user may still read is a fault. */
		if (o->fd >= 0)
			munmap(o->at, o->bytes);
		real(o->of)->maps--;
		((OSObject *)o->of)->release();
		pthread_mutex_lock(&lock);
		maps--;
		pthread_mutex_unlock(&lock);
	} else {
		if (o->maps)
			xnu_die("a descriptor released under its mappings");
		if (o->wired)
			xnu_die("a descriptor released while it is wired");
		if (o->fd >= 0)
			close(o->fd);
	}
	pthread_mutex_lock(&lock);
	while (*p != o)
		p = &(*p)->next;
	*p = o->next;
	pthread_mutex_unlock(&lock);
	free(o);
	xnu_count(-1);
}

IOBufferMemoryDescriptor *IOBufferMemoryDescriptor::inTaskWithOptions(task_t task, IOOptionBits options,
								      vm_size_t capacity, vm_offset_t alignment)
{
	struct object *o;

	xnu_may_sleep("an allocation");
	if (task || !(options & kIOMemoryPageable) || !(options & kIOMemoryMapperNone) ||
	    (options & 7) != kIODirectionInOut || alignment != 4096 || !capacity || capacity % 4096)
		xnu_die("a descriptor with the wrong options");
	if (capacity >= 1ull << 32 || xnu_refuse())
		return NULL;
	o = make('d');
	o->pages = capacity / 4096;
	o->fd = memfd_create("guest", MFD_CLOEXEC);
	if (o->fd < 0 || ftruncate(o->fd, (off_t)capacity))
		xnu_die("no memfd");
	return (IOBufferMemoryDescriptor *)o;
}

IOReturn IOGeneralMemoryDescriptor::prepare(IODirection direction)
{
	struct object *o = real(this);

	xnu_may_sleep("wiring");
	if (direction != kIODirectionInOut || o->wired)
		xnu_die("wired twice, or for nothing");
	if (xnu_refuse())
		return 1;
	o->page = (char **)calloc(o->pages, sizeof(*o->page));
	if (o->pages > SCATTERED)
		o->all = (char *)mmap(NULL, o->pages * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd, 0);
	for (co_u64 i = 0; i < o->pages; i++) {
		co_u64 n = o->all ? i : i ^ (i / 8 % 3 == 1 && (i | 7) < o->pages ? 5 : 0);

		o->page[n] = o->all ? o->all + n * 4096
				    : (char *)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, o->fd,
						   (off_t)(n * 4096));
	}
	o->wired = 1;
	return kIOReturnSuccess;
}

IOReturn IOGeneralMemoryDescriptor::complete(IODirection direction)
{
	struct object *o = real(this);

	xnu_may_sleep("unwiring");
	if (direction != kIODirectionInOut || !o->wired)
		xnu_die("unwired what was not wired so");
	if (o->maps)
		xnu_die("unwired under its mappings");
	unwire(o);
	return kIOReturnSuccess;
}

addr64_t IOGeneralMemoryDescriptor::getPhysicalSegment(IOByteCount offset, IOByteCount *length,
						       IOOptionBits options)
{
	struct object *o = real(this);
	co_u64 i = offset / 4096, n = 1;

	if (!o->wired || options != kIOMemoryMapperNone || i >= o->pages)
		xnu_die("frames of memory that is not wired, or by a device's view");
	if (xnu_refuse())
		return 0;
	while (n < 5 && i + n < o->pages && o->page[i + n] == o->page[i] + n * 4096)
		n++;
	*length = n * 4096;
	return (addr64_t)o->page[i];
}

void *xnu_frame(co_u64 hfn)
{
	void *found = NULL;

	pthread_mutex_lock(&lock);
	for (struct object *o = objects; o && !found; o = o->next)
		for (co_u64 i = 0; o->kind == 'd' && o->wired && i < o->pages && !found; i++)
			if ((co_u32)((co_u64)o->page[i] >> 12) == hfn)
				found = o->page[i];
	pthread_mutex_unlock(&lock);
	return found;
}

IOMemoryDescriptor *IOMemoryDescriptor::withAddressRange(mach_vm_address_t at, mach_vm_size_t length,
							 IOOptionBits options, task_t task)
{
	struct object *o;

	(void)options;
	if (at != 0xfee00000 || length != 4096 || task)
		xnu_die("device memory that is not the local APIC's");
	if (xnu_refuse())
		return NULL;
	o = make('p');
	o->pages = 1;
	return (IOMemoryDescriptor *)o;
}

/* Room that vm_allocate gave; lock held. */
static int reserved(const char *at, co_u64 bytes)
{
	for (int i = 0; i < 64; i++)
		if (rooms[i].at && at >= rooms[i].at && at + bytes <= rooms[i].at + rooms[i].bytes)
			return 1;
	return 0;
}

IOMemoryMap *IOMemoryDescriptor::createMappingInTask(task_t task, mach_vm_address_t at, IOOptionBits options,
						     mach_vm_size_t offset, mach_vm_size_t length)
{
	struct object *o = real(this), *m;
	int ok;

	xnu_may_sleep("a mapping");
	if (xnu_refuse())
		return NULL;
	m = make('m');
	m->of = o;
	if (o->kind == 'p') {
		if (task != kernel_task || !(options & kIOMapInhibitCache))
			xnu_die("device memory mapped for a user, or cached");
		m->at = (char *)xnu_apic;
	} else {
		if (!(options & kIOMapUnique) || offset + length > o->pages * 4096 || !length || !o->wired)
			xnu_die("a mapping of what is not there");
		pthread_mutex_lock(&lock);
		ok = (options & kIOMapAnywhere) || ((options & kIOMapOverwrite) && reserved((char *)at, length));
		pthread_mutex_unlock(&lock);
		if (!ok)
			xnu_die("a mapping over somebody else's");
		m->fd = 0;
		m->bytes = length;
		m->at = (char *)mmap((void *)at, length,
				     PROT_READ | (options & kIOMapReadOnly ? 0 : PROT_WRITE),
				     MAP_SHARED | (at ? MAP_FIXED : 0), o->fd, (off_t)offset);
		if (m->at == MAP_FAILED)
			xnu_die("no mapping");
	}
	o->refs++;
	o->maps++;
	pthread_mutex_lock(&lock);
	maps++;
	pthread_mutex_unlock(&lock);
	return (IOMemoryMap *)m;
}

IOVirtualAddress IOMemoryMap::getVirtualAddress()
{
	return (IOVirtualAddress)real(this)->at;
}

co_u64 xnu_maps(void) { return maps; }

void xnu_task_dies(void)
{
	for (struct object *o = objects; o; o = o->next)
		if (o->kind == 'm' && o->fd >= 0) {
			munmap(o->at, o->bytes);
			o->fd = -1;		/* nothing of the task's is left to unmap */
		}
}

/* ---- room in the calling task ------------------------------------------------------------ */

static int a_map;
extern "C" vm_map_t get_task_map(task_t task)
{
	(void)task;
	return (vm_map_t)&a_map;
}

extern "C" kern_return_t vm_allocate(vm_map_t map, vm_offset_t *at, vm_size_t size, int flags)
{
	int i;

	if ((void *)map != &a_map || flags != VM_FLAGS_ANYWHERE)
		xnu_die("room in a map of nobody's");
	if (xnu_refuse())
		return KERN_FAILURE;
	*at = (vm_offset_t)mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_mutex_lock(&lock);
	for (i = 0; i < 64 && rooms[i].at; i++)
		;
	if (i == 64)
		xnu_die("too many rooms");
	rooms[i].at = (char *)*at;
	rooms[i].bytes = size;
	pthread_mutex_unlock(&lock);
	return KERN_SUCCESS;
}

extern "C" kern_return_t vm_deallocate(vm_map_t map, vm_offset_t at, vm_size_t size)
{
	int i;

	if ((void *)map != &a_map)
		xnu_die("room in a map of nobody's");
	pthread_mutex_lock(&lock);
	for (i = 0; i < 64 && (rooms[i].at != (char *)at || rooms[i].bytes != size); i++)
		;
	if (i == 64)
		xnu_die("room given back that was not given");
	rooms[i].at = NULL;
	pthread_mutex_unlock(&lock);
	munmap((void *)at, size);
	return KERN_SUCCESS;
}
