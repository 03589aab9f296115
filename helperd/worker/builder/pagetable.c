/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a domain's first page tables: 4 levels, 4 KB pages.
 *
 * Called by builder.c, which has reserved the frames that wk_pagetable_frames
 * asked for.  Entries hold guest frame numbers (mfn == pfn).  No entry carries
 * the U bit: the guest kernel runs in ring 1, which counts as supervisor.
 */
#include "internal.h"

#define P_PRESENT	0x01ull
#define P_RW		0x02ull
#define P_ACCESSED	0x20ull
#define P_DIRTY		0x40ull
#define P_FLAGS		(P_PRESENT | P_RW | P_ACCESSED | P_DIRTY)
#define P_FRAME		0x000ffffffffff000ull

/* How many tables whose entries span 2^shift bytes the range touches. */
static co_u64 tables(const struct wk_map *map, int shift)
{
	co_u64 last = map->va + (map->pages << CO_PAGE_SHIFT) - 1;

	return (last >> shift) - (map->va >> shift) + 1;
}

/* Frames for L3, L2 and L1 of a range inside one top-level slot. */
co_u64 wk_pagetable_frames(const struct wk_map *map)
{
	return tables(map, 39) + tables(map, 30) + tables(map, 21);
}

static co_u64 *table(co_u8 *memory, co_u64 gfn)
{
	return (co_u64 *)(void *)(memory + (gfn << CO_PAGE_SHIFT));
}

static co_u64 *entry(co_u8 *memory, co_u64 gfn, co_u64 va, int shift)
{
	return &table(memory, gfn)[va >> shift & 511];
}

/*
 * Maps map->va onward to first_gfn.. (those below end_gfn; the rest stays
 * empty).  Tables are taken from `next` in the order L3s, L2s, L1s.  Returns
 * the first frame it did not take.
 */
co_u64 wk_pagetable_write(co_u8 *memory, co_u64 l4, co_u64 next,
			  const struct wk_map *map, co_u64 first_gfn,
			  co_u64 end_gfn)
{
	co_u64 base[4] = { 0 };		/* first table of each level, by depth */
	co_u64 i;
	int level;

	base[0] = l4;
	for (level = 1; level < 4; level++) {
		int shift = 48 - 9 * level;	/* bytes a table of this level spans */
		co_u64 n = tables(map, shift), first = map->va >> shift;

		base[level] = next;
		for (i = 0; i < n; i++) {
			co_u64 va = (first + i) << shift;
			co_u64 up = level == 1 ? l4 : base[level - 1] +
				(va >> (shift + 9)) - (map->va >> (shift + 9));

			*entry(memory, up, va, shift) =
				(next + i) << CO_PAGE_SHIFT | P_FLAGS;
		}
		next += n;
	}
	for (i = 0; i < map->pages && first_gfn + i < end_gfn; i++) {
		co_u64 va = map->va + (i << CO_PAGE_SHIFT);
		co_u64 l1 = base[3] + (va >> 21) - (map->va >> 21);

		*entry(memory, l1, va, 12) =
			(first_gfn + i) << CO_PAGE_SHIFT | P_FLAGS;
	}
	return next;
}

/* Makes one page that wk_pagetable_write mapped read-only. */
void wk_pagetable_protect(co_u8 *memory, co_u64 l4, co_u64 va)
{
	co_u64 gfn = l4;
	int shift;

	for (shift = 39; shift > 12; shift -= 9)
		gfn = (*entry(memory, gfn, va, shift) & P_FRAME) >> CO_PAGE_SHIFT;
	*entry(memory, gfn, va, 12) &= ~P_RW;
}
