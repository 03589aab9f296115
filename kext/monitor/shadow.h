/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What shadow.c and fault.c share: the pool of shadow pages, and how an entry of
 * one is made from an entry of the guest's.
 */
#ifndef CO_MON_SHADOW_H
#define CO_MON_SHADOW_H

#include "mon.h"

#define S(i)		((struct mon_shadow *)(MON_POOL + 4096) + (i))
#define SPT(i)		((u64 *)(MON_POOL + ((u64)(i) << 12)))
#define SHADOW_RESERVE	8u	/* free pages a fill can need: 4 levels, views, L5 */

/* For each n of the set bits of s->groups: entries first .. first + 7. */
#define for_each_group(i, bits, first) \
	for ((bits) = S(i)->groups; (bits) && ((first) = (u32)__builtin_ctzll(bits) * 8, 1); \
	     (bits) &= (bits) - 1)

static inline void touch(u32 i, u32 index)
{
	S(i)->groups |= 1ull << (index / 8);
}

static inline u64 pool_hfn(u32 i)
{
	return (((u64 *)MON_POOLPT)[i] & PTE_ADDR) >> 12;
}

/*
 * A non-leaf entry carries its child's pool index in the bits that the CPU
 * ignores: 52..62 (11 bits), 8..11 (4) and 6.
 */
static inline u64 index_bits(u32 i)
{
	return ((u64)(i & 0x7ff) << 52) | ((i & 0x7800) >> 3) | ((i & 0x8000) >> 9);
}

static inline u32 child_of(u64 spte)
{
	return (u32)((spte >> 52) & 0x7ff) | ((u32)spte & 0xf00) << 3 | ((u32)spte & 0x40) << 9;
}

/* TOUR 14: The shadow entry for a guest entry: their claim, our frame. */
static inline u64 leaf(u64 e)
{
	u64 gfn = mon_gfn(e), spte;

	if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || gfn >= VM->frames)
		return 0;
	spte = mon_frame_addr(gfn) | (e & (PTE_P | PTE_A | PTE_US | PTE_NX));
	if ((e & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D))
		spte |= PTE_RW | PTE_D;
	return spte;
}

static inline u64 nonleaf(u64 e, u32 child)
{
	return (pool_hfn(child) << 12) | PTE_P | PTE_A |
	       (e & (PTE_RW | PTE_US | PTE_NX)) | index_bits(child);
}

/* Entry `index` of last-level shadow i is made anew from the guest's e. */
static inline void set_leaf(u32 i, u32 index, u64 e)
{
	touch(i, index);
	SPT(i)[index] = leaf(e);
}

static inline int is_table(u64 gfn)
{
	return FINFO(gfn)->shadow || (FINFO(gfn)->flags & MON_F_PINNED);
}

void mon_shadow_write_all(u64 gfn, u32 index, u64 value);

/* The guest's entry `index` of table gfn is now value. */
static inline void mon_shadow_write(u64 gfn, u32 index, u64 value)
{
	u32 i = FINFO(gfn)->shadow;

	if (!i)
		return;
	if (mon_likely(S(i)->level == 1 && !S(i)->next))	/* nearly always */
		set_leaf(i, index, value);
	else
		mon_shadow_write_all(gfn, index, value);
}

u32 mon_shadow_child(u64 gfn, u8 level);	/* the shadow of a table, new if need be; 0: none left */
void mon_shadow_link(u32 i, u32 index, u64 e, u32 c);
void mon_shadow_update(u32 i, u32 index, u64 e);
void mon_shadow_reserve(void);

#endif
