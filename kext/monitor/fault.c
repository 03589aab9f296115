/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page faults of the guest's against the shadow tables, and tables that are unsync.
 *
 * Called by trap.c, and by the hypercalls for the guest's flushes.  A table that the
 * guest writes directly becomes writable for it until its next flush, when it is read
 * again: see shadow.c.
 */
#include "shadow.h"

#define FAULT_AROUND	8u	/* leaf entries filled by one fault: a cache line of the guest's */

/* Eight entries of a last-level shadow again, where there were any; 0: none is left. */
static inline u64 resync_leaves(u64 *p, const u64 *table)
{
	u64 left = 0;
	u32 k;

	for (k = 0; k < 8; k++)
		if (p[k])
			left |= p[k] = leaf(mon_once(&table[k]));
	return left;
}

static void resync_frame(u64 gfn)
{
	const u64 *table = mon_frame_ptr(gfn);
	u32 i, next, first, k;
	u64 bits;

	COUNT(resyncs);
	for (i = FINFO(gfn)->shadow; i; i = next) {
		u64 *p = SPT(i);

		next = S(i)->next;
		for_each_group(i, bits, first) {
			mon_work(40);
			if (S(i)->level == 1) {
				if (!resync_leaves(p + first, table + first))
					S(i)->groups &= ~(1ull << (first / 8));
				continue;
			}
			for (k = first; k < first + 8; k++)
				if (p[k])
					mon_shadow_update(i, k, mon_once(&table[k]));
		}
	}
}

void mon_shadow_sync(void)
{
	u32 n;

	for (n = 0; n < VM->unsync_count; n++) {
		u64 gfn = VM->unsync[n].gfn;
		u32 i = VM->unsync[n].shadow, k = VM->unsync[n].index;

		if (FINFO(gfn)->flags & MON_F_UNSYNC) {
			FINFO(gfn)->flags &= (u8)~MON_F_UNSYNC;
			resync_frame(gfn);
		}
		if (S(i)->level == 1 && (SPT(i)[k] & PTE_ADDR) == mon_frame_addr(gfn)) {
			SPT(i)[k] &= ~PTE_RW;
			V->reload = 1;
		}
	}
	VM->unsync_count = 0;
}

/* As INVLPG: only what translates va has to be true again. */
void mon_shadow_sync_va(u64 va)
{
	struct mon_walk w;
	int level;

	if (!mon_guest_va(va))
		return;
	mon_paths_forget();
	mon_tlb_slot(va)->tag = 0;
	if (VM->unsync_count) {
		mon_walk(&w, va, 0);
		for (level = 4; level >= w.reached; level--) {
			u64 gfn = mon_walk_table(&w, level);

			if (FINFO(gfn)->flags & MON_F_UNSYNC)
				mon_shadow_write(gfn, (u32)(va >> (3 + 9 * level)) & 511, w.entry[level]);
		}
	}
	mon_invlpg(va);
}

static inline int unsync_full(void)
{
	return VM->unsync_count == sizeof(VM->unsync) / sizeof(VM->unsync[0]);
}

/*
 * Let the guest write its table gfn until its next flush, by the entry e that shadow i
 * has at index.  There is room: to make some here could take i away.
 */
static void make_unsync(u64 gfn, u32 i, u32 index, u64 e)
{
	u32 n = VM->unsync_count++;

	VM->unsync[n].gfn = gfn;
	VM->unsync[n].shadow = i;
	VM->unsync[n].index = index;
	FINFO(gfn)->flags |= MON_F_UNSYNC;
	touch(i, index);
	SPT(i)[index] = leaf(e) | PTE_RW | PTE_D;
	COUNT(unsyncs);
}

/* Does shadow entry s say what the guest's entry e says? */
static inline int same(u64 s, u64 e)
{
	return (s & PTE_P) && !((s ^ e) & (PTE_RW | PTE_US | PTE_NX)) &&
	       S(child_of(s))->gfn == mon_gfn(e);
}

/*
 * Link the tables of a complete walk under the live root, and remember the way;
 * returns the last one's shadow, 0: none is left.
 */
static u32 fill(struct mon_walk *w, u64 va)
{
	u32 i = V->root;
	int level;

	for (level = 4; level > 1; level--) {
		u32 index = (u32)(va >> (3 + 9 * level)) & 511, c;
		u64 e = w->entry[level], s = SPT(i)[index];

		if (mon_likely(same(s, e))) {
			i = child_of(s);
			continue;
		}
		c = mon_shadow_child(mon_gfn(e), (u8)(level - 1));
		if (!c)
			return 0;
		mon_shadow_link(i, index, e, c);
		i = c;
	}
	mon_path_remember(w, va, i);
	return i;
}

/* The leaf that faulted, and its neighbours as far as the guest's entries allow. */
static inline void fill_leaves(u32 i, u64 gfn, u32 index, u64 e)
{
	u32 k, first = index & ~(FAULT_AROUND - 1);
	const u64 *table = (const u64 *)mon_frame_ptr(gfn) + first;
	u64 *p = SPT(i) + first;

	touch(i, index);
	SPT(i)[index] = leaf(e);
	for (k = 0; k < FAULT_AROUND; k++)
		if (!p[k])
			p[k] = leaf(mon_once(&table[k]));
	COUNT(fills);
}

/*
 * TOUR 12: A page fault of the guest's.  Walk its tables; if they allow the
 * access, the fault was only ours.
 */
static __attribute__((noinline)) int walk_and_fill(u64 va, u32 access)
{
	struct mon_walk w;
	int tries;

	if (!mon_guest_va(va))
		return 0;
	if (VM->pool_free_count < SHADOW_RESERVE)
		mon_shadow_reserve();
	for (tries = 0; tries < 4; tries++) {
		u32 i, index = (u32)(va >> 12) & 511;
		u64 gfn;

		if (mon_walk(&w, va, access)) {
			if (!mon_walk_mark(&w, va, access))
				continue;
			i = fill(&w, va);
			if (i)
				fill_leaves(i, mon_walk_table(&w, 1), index, w.entry[1]);
			return -1;
		}
		if (!w.complete || w.error != PF_P || (access & (PF_W | PF_U)) != PF_W)
			return (int)w.error;
		gfn = mon_gfn(w.entry[1]);
		if ((w.entry[1] & PTE_RW) || !(w.entry[2] & w.entry[3] & w.entry[4] & PTE_RW) ||
		    !is_table(gfn))
			return (int)w.error;
		if (!mon_walk_mark(&w, va, 0))
			continue;
		if (unsync_full())
			mon_shadow_sync();
		i = fill(&w, va);
		if (i)
			make_unsync(gfn, i, index, w.entry[1]);
		return -1;
	}
	return -1;	/* the guest races with itself: let it fault again */
}

/*
 * On a way that is remembered one entry tells all.  When it is the way itself that does
 * not allow the access, or A and D are to be set, walk: the guest may have changed it.
 */
int mon_shadow_fault(u64 va, u32 access)
{
	const struct mon_path *path = mon_path(va);
	u32 need = access & (PF_W | PF_U), index = (u32)(va >> 12) & 511;	/* as RW and US */
	u64 e, gfn, nx = access & PF_I ? PTE_NX : 0;

	if (!path || !path->shadow || (need & ~path->rights) || (nx & path->rights))
		return walk_and_fill(va, access);
	e = mon_once((const u64 *)mon_frame_ptr(path->gfn) + index);
	if (!(e & PTE_P))
		return 0;
	gfn = mon_gfn(e);
	if (!(e & PTE_A) || gfn >= VM->frames)
		return walk_and_fill(va, access);
	if ((need & ~e) || (nx & e)) {
		if (need != PF_W || !is_table(gfn))
			return PF_P;
		if (unsync_full())
			return walk_and_fill(va, access);
		make_unsync(gfn, path->shadow, index, e);
		return -1;
	}
	if ((access & PF_W) && !(e & PTE_D))
		return walk_and_fill(va, access);
	fill_leaves(path->shadow, path->gfn, index, e);
	return -1;
}
