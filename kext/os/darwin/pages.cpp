/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: pages.  A guest's memory is a row of buffer descriptors
 * without a kernel address: XNU makes the pages when they are wired and clears
 * them; nothing but the user's mapping and the guest's tables leads to them.
 *
 * No IOMMU has a part in it (kIOMemoryMapperNone): with VT-d on, an address that
 * a device would use is not the one that a page table wants.
 *
 * The file calls methods by their class, so that each call is one exported
 * function; there is no class and no object of C++'s own here.
 */
#include "seam.h"

/* XNU makes no object of 4 GiB or more. */
#define PIECE_PAGES	(1ull << 18)
/* Each costs kernel memory, and the worker who asks is not trusted. */
#define MOST_MAPPINGS	256u

struct mapping {
	struct mapping *next;
	IOMemoryMap *map;
};

struct co_os_ram {
	co_u64 pages, pieces, bytes;	/* bytes: of this structure */
	struct mapping *maps;
	volatile co_u32 nmaps;
	IOBufferMemoryDescriptor **piece;
	co_u32 hfn[];
};

static co_u64 piece_pages(const struct co_os_ram *ram, co_u64 n)
{
	co_u64 left = ram->pages - n * PIECE_PAGES;

	return left < PIECE_PAGES ? left : PIECE_PAGES;
}

/* The frames of one piece, run by run. */
static int read_frames(struct co_os_ram *ram, co_u64 n)
{
	co_u64 first = n * PIECE_PAGES, pages = piece_pages(ram, n), i = 0;

	while (i < pages) {
		IOByteCount run = 0;
		addr64_t pa = ram->piece[n]->IOGeneralMemoryDescriptor::getPhysicalSegment(
			i << CO_PAGE_SHIFT, &run, kIOMemoryMapperNone);

		if (!pa || (pa & (CO_PAGE_SIZE - 1)) || run < CO_PAGE_SIZE)
			return -CO_ENOMEM;
		for (run >>= CO_PAGE_SHIFT; run && i < pages; run--, i++, pa += CO_PAGE_SIZE)
			ram->hfn[first + i] = (co_u32)(pa >> CO_PAGE_SHIFT);
	}
	return 0;
}

static void drop_piece(struct co_os_ram *ram, co_u64 n)
{
	ram->piece[n]->IOGeneralMemoryDescriptor::complete(kIODirectionInOut);
	ram->piece[n]->OSObject::release();
	co_darwin_count(-(co_s64)piece_pages(ram, n));
}

static int make_piece(struct co_os_ram *ram, co_u64 n)
{
	IOBufferMemoryDescriptor *md = IOBufferMemoryDescriptor::inTaskWithOptions(
		NULL, kIODirectionInOut | kIOMemoryPageable | kIOMemoryKernelUserShared | kIOMemoryMapperNone,
		piece_pages(ram, n) << CO_PAGE_SHIFT, CO_PAGE_SIZE);

	if (!md)
		return -CO_ENOMEM;
	if (md->IOGeneralMemoryDescriptor::prepare(kIODirectionInOut) != kIOReturnSuccess) {
		md->OSObject::release();
		return -CO_ENOMEM;
	}
	ram->piece[n] = md;
	co_darwin_count((co_s64)piece_pages(ram, n));
	if (read_frames(ram, n)) {
		drop_piece(ram, n);
		ram->piece[n] = NULL;
		return -CO_ENOMEM;
	}
	return 0;
}

extern "C" int co_os_ram_create(co_u64 pages, struct co_os_ram **out)
{
	co_u64 pieces = (pages + PIECE_PAGES - 1) / PIECE_PAGES;
	co_u64 table = (sizeof(struct co_os_ram) + pages * sizeof(co_u32) + 7) & ~7ull;
	co_u64 bytes = table + pieces * sizeof(IOBufferMemoryDescriptor *), n;
	struct co_os_ram *ram = (struct co_os_ram *)co_os_alloc(bytes);

	if (!ram)
		return -CO_ENOMEM;
	ram->pages = pages;
	ram->pieces = pieces;
	ram->bytes = bytes;
	ram->piece = (IOBufferMemoryDescriptor **)((char *)ram + table);
	for (n = 0; n < pieces; n++) {
		if (make_piece(ram, n)) {
			co_os_ram_release(ram);
			return -CO_ENOMEM;
		}
	}
	*out = ram;
	return 0;
}

static void forget(struct mapping *list)
{
	while (list) {
		struct mapping *m = list;

		list = m->next;
		m->map->OSObject::release();
		co_darwin_delete(m, sizeof(*m));
	}
}

/*
 * Ends the mappings first: they go from the process that has them, if it still
 * lives, before a page can be somebody else's.
 */
extern "C" void co_os_ram_release(struct co_os_ram *ram)
{
	co_u64 n;

	forget(ram->maps);
	for (n = 0; n < ram->pieces && ram->piece[n]; n++)
		drop_piece(ram, n);
	co_os_free(ram, ram->bytes);
}

extern "C" co_u64 co_os_ram_hfn(struct co_os_ram *ram, co_u64 index)
{
	return ram->hfn[index];
}

/* One piece's share of a mapping; at 0: wherever there is room. */
static int map_piece(co_u64 n, struct co_os_ram *ram, co_u64 first, co_u64 pages, IOOptionBits options,
		     co_u64 at, struct mapping **list, co_u64 *address)
{
	struct mapping *m = (struct mapping *)co_darwin_new(sizeof(*m));

	if (!m)
		return -CO_ENOMEM;
	m->map = ram->piece[n]->createMappingInTask(current_task(), at, options,
						    first << CO_PAGE_SHIFT, pages << CO_PAGE_SHIFT);
	if (!m->map) {
		co_darwin_delete(m, sizeof(*m));
		return -CO_ENOMEM;
	}
	*address = m->map->IOMemoryMap::getVirtualAddress();
	m->next = *list;
	*list = m;
	return 0;
}

/* Mappings of one VM may be asked for by two threads of its worker. */
static void keep(struct co_os_ram *ram, struct mapping *list)
{
	struct mapping *last = list;

	while (last->next)
		last = last->next;
	do
		last->next = ram->maps;
	while (!__sync_bool_compare_and_swap(&ram->maps, last->next, list));
}

/* A mapping that crosses pieces: room for all of it, then each over its part. */
static int map_pieces(struct co_os_ram *ram, co_u64 first, co_u64 pages, IOOptionBits options, co_u64 *address)
{
	vm_map_t task_map = get_task_map(current_task());
	struct mapping *list = NULL;
	vm_offset_t room = 0;
	co_u64 done = 0, at;

	if (vm_allocate(task_map, &room, pages << CO_PAGE_SHIFT, VM_FLAGS_ANYWHERE) != KERN_SUCCESS)
		return -CO_ENOMEM;
	while (done < pages) {
		co_u64 n = (first + done) / PIECE_PAGES, inside = (first + done) % PIECE_PAGES;
		co_u64 part = piece_pages(ram, n) - inside;

		if (part > pages - done)
			part = pages - done;
		if (map_piece(n, ram, inside, part, options | kIOMapOverwrite,
			      room + (done << CO_PAGE_SHIFT), &list, &at)) {
			forget(list);
			vm_deallocate(task_map, room, pages << CO_PAGE_SHIFT);
			return -CO_ENOMEM;
		}
		done += part;
	}
	keep(ram, list);
	*address = room;
	return 0;
}

static int map_range(struct co_os_ram *ram, co_u64 first, co_u64 pages, int writable, co_u64 *address)
{
	IOOptionBits options = kIOMapUnique | (writable ? 0 : kIOMapReadOnly);
	struct mapping *list = NULL;
	int ret;

	if (first / PIECE_PAGES != (first + pages - 1) / PIECE_PAGES)
		return map_pieces(ram, first, pages, options, address);
	ret = map_piece(first / PIECE_PAGES, ram, first % PIECE_PAGES, pages, options | kIOMapAnywhere,
			0, &list, address);
	if (!ret)
		keep(ram, list);
	return ret;
}

extern "C" int co_os_ram_map(struct co_os_ram *ram, void *os_file, co_u64 first, co_u64 pages,
			     int writable, co_u64 *address)
{
	int ret = -CO_ELIMIT;

	(void)os_file;
	if (__sync_add_and_fetch(&ram->nmaps, 1) <= MOST_MAPPINGS)
		ret = map_range(ram, first, pages, writable, address);
	if (ret)
		__sync_sub_and_fetch(&ram->nmaps, 1);
	return ret;
}

/* ---- device memory ------------------------------------------------------------ */

struct co_darwin_window {
	IOMemoryDescriptor *md;
	IOMemoryMap *map;
};

extern "C" volatile co_u32 *co_darwin_window_open(co_u64 pa, co_u64 bytes, struct co_darwin_window **out)
{
	struct co_darwin_window *w = (struct co_darwin_window *)co_darwin_new(sizeof(*w));

	if (!w)
		return NULL;
	w->md = IOMemoryDescriptor::withAddressRange(pa, bytes, kIODirectionInOut | kIOMemoryMapperNone, NULL);
	if (w->md)
		w->map = w->md->createMappingInTask(kernel_task, 0, kIOMapAnywhere | kIOMapInhibitCache, 0, 0);
	if (!w->map) {
		co_darwin_window_close(w);
		return NULL;
	}
	*out = w;
	return (volatile co_u32 *)w->map->IOMemoryMap::getVirtualAddress();
}

extern "C" void co_darwin_window_close(struct co_darwin_window *w)
{
	if (!w)
		return;
	if (w->map)
		w->map->OSObject::release();
	if (w->md)
		w->md->OSObject::release();
	co_darwin_delete(w, sizeof(*w));
}
