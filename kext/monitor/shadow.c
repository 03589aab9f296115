/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Shadow page tables: what the CPU really walks while the guest runs.
 *
 * A shadow page is a cache of one guest table: filled on fault, updated by
 * hypercalls, thrown away at will.  Safety never rests on the guest's good
 * behaviour: every shadow entry is made from one fetched guest entry by leaf()
 * or nonleaf(), which name only frames of this VM.  What the guest owes us is only
 * its own coherence: page tables are read-only in its mappings (the Xen ABI), so
 * that its direct writes fault and we may let the table go *unsync*: writable
 * until the guest's next flush, when it is read again.
 *
 * A table page that leaves a tree may still sit in the CPU's paging-structure
 * caches, so dropping one always asks for a CR3 write before the guest runs.
 */
#include "shadow.h"

void mon_shadow_init(void)
{
	u32 i, first = 1 + (u32)((VM->pool_pages * sizeof(struct mon_shadow) + 4095) / 4096);

	V->path_generation = 1;		/* no path is of this generation yet */
	/* Page 0 is unused; the descriptors lie in the pool's first pages. */
	VM->pool_free = 0;
	VM->pool_free_count = 0;
	for (i = (u32)VM->pool_pages - 1; i >= first; i--, mon_work(2)) {
		S(i)->next = VM->pool_free;
		VM->pool_free = i;
		VM->pool_free_count++;
	}
	VM->pool_hand = first;
}

static u32 find(u64 gfn, u8 level)
{
	u32 i;

	for (i = FINFO(gfn)->shadow; i; i = S(i)->next)
		if (S(i)->level == level && (level < 4 || S(i)->vcpu == V->id))
			return i;
	return 0;
}

static u32 alloc(u64 gfn, u8 level)
{
	u32 i = VM->pool_free;		/* free pages are all zero */
	struct mon_shadow *s = S(i);

	if (!i) {
		mon_kill("the shadow pool is exhausted", gfn, level);
		return 0;
	}
	VM->pool_free = s->next;
	VM->pool_free_count--;
	COUNT(shadow_allocs);
	s->gfn = gfn;
	s->level = level;
	s->vcpu = (u8)V->id;
	s->parents = 0;
	s->present = 0;
	s->groups = 0;
	s->next = FINFO(gfn)->shadow;
	FINFO(gfn)->shadow = i;
	return i;
}

static void drop(u32 i);

/* The one entry of a top-level page that is not the guest's. */
#define MON_SLOT_OF(level)	((level) == 4 ? (u32)MON_SLOT : ~0u)

/* Entry `index` of shadow i leaves; its child goes too when nobody else has it. */
static void unlink_entry(u32 i, u32 index)
{
	u64 *p = &SPT(i)[index];
	u32 c = child_of(*p);

	mon_paths_forget();
	*p = 0;
	S(i)->present--;
	if (S(i)->level == 4 && index < 256) {
		u32 u = find(S(i)->gfn, MON_LEVEL_USER);

		if (u)
			SPT(u)[index] = 0;
	}
	if (c >= VM->pool_pages || !S(c)->level)
		return;
	if (--S(c)->parents == 0)
		drop(c);
}

void mon_shadow_link(u32 i, u32 index, u64 e, u32 c)
{
	u64 *p = &SPT(i)[index], want = nonleaf(e, c);

	if (*p == want)
		return;
	if (*p)
		mon_paths_forget();
	if (*p && child_of(*p) != c)
		unlink_entry(i, index);
	if (!*p) {
		touch(i, index);
		S(i)->present++;
		S(c)->parents++;
		S(c)->parent = i;
		S(c)->parent_index = (u16)index;
	}
	*p = want;
	if (S(i)->level == 4 && index < 256) {
		u32 u = find(S(i)->gfn, MON_LEVEL_USER);

		if (u) {
			touch(u, index);
			SPT(u)[index] = (e & PTE_US) ? want : 0;
		}
	}
}

/* Give shadow page i back; its parents must not point to it any more. */
static void release(u32 i)
{
	struct mon_shadow *s = S(i);
	u32 *link = &FINFO(s->gfn)->shadow, first, k, work = 8;
	u64 bits, *p;

	for_each_group(i, bits, first)
		for (k = 0, p = SPT(i) + first, work += 4; k < 8; k++)
			p[k] = 0;
	while (*link && *link != i)
		link = &S(*link)->next;
	if (*link)
		*link = s->next;
	mon_paths_forget();
	s->level = 0;
	s->next = VM->pool_free;
	VM->pool_free = i;
	VM->pool_free_count++;
	V->reload = 1;
	mon_work(work);
}

/* Every shadow that points to i, when the one remembered parent is not all. */
static void unlink_parents(u32 i)
{
	struct mon_shadow *s = S(i);
	u32 p, k, first;
	u64 bits;

	if (s->parents == 1 && S(s->parent)->level == s->level + 1 &&
	    child_of(SPT(s->parent)[s->parent_index]) == i &&
	    (SPT(s->parent)[s->parent_index] & PTE_P)) {
		s->parents = 2;		/* unlink_entry must not drop it again */
		unlink_entry(s->parent, s->parent_index);
		return;
	}
	for (p = 1; p < VM->pool_pages && s->parents; p++) {
		mon_work(1);
		if (S(p)->level != s->level + 1)
			continue;
		for_each_group(p, bits, first) {
			for (k = first; k < first + 8; k++)
				if ((SPT(p)[k] & PTE_P) && child_of(SPT(p)[k]) == i &&
				    k != MON_SLOT_OF(S(p)->level)) {
					s->parents += 1;
					unlink_entry(p, k);
					s->parents -= 1;
				}
			mon_work(60);
		}
	}
}

static void drop(u32 i)
{
	struct mon_shadow *s = S(i);
	u32 first, k;
	u64 bits;

	if (!s->level)
		return;
	if (s->parents)
		unlink_parents(i);
	if (s->level > 1 && s->level <= 4)
		for_each_group(i, bits, first) {
			const u64 *p = SPT(i) + first;

			for (k = 0; k < 8; k++)
				if ((p[k] & PTE_P) && first + k != MON_SLOT_OF(s->level))
					unlink_entry(i, first + k);
			if (!s->present)
				break;
			mon_work(40);
		}
	release(i);
}

static int in_use(u32 i)
{
	return i == V->root || i == V->user_root || i == V->top5 || i == V->user_top5;
}

/* A root goes with its views. */
static void drop_root(u32 i)
{
	u64 gfn = S(i)->gfn;
	u32 k, next;

	drop(i);
	for (k = FINFO(gfn)->shadow; k; k = next) {
		next = S(k)->next;
		if (S(k)->level >= 5 && S(k)->vcpu == V->id && !in_use(k))
			release(k);
	}
}

/*
 * Make room: leaf tables first, oldest first; when they are not enough, roots
 * that nobody runs on, with all that hangs on them.  Never the live root, never
 * with a fill under way.  Far more than one fill's need is made free: else the
 * tables of sleeping processes fill the pool, the few leaves left are the
 * running one's own, and it loses them as fast as it faults them in.
 */
void mon_shadow_reserve(void)
{
	u32 enough = 4 * SHADOW_RESERVE + (u32)VM->pool_pages / 32;
	u32 pass, n;

	if (VM->pool_free_count >= SHADOW_RESERVE)
		return;
	for (pass = 0; pass < 2; pass++) {
		for (n = 0; n < VM->pool_pages && VM->pool_free_count < enough; n++) {
			u32 i = VM->pool_hand++;

			if (VM->pool_hand >= VM->pool_pages)
				VM->pool_hand = 1;
			mon_work(2);
			if (in_use(i) || !i)
				continue;
			if (pass == 0 && S(i)->level == 1 && S(i)->parents <= 1) {
				drop(i);
				COUNT(shadow_recycles);
			} else if (pass == 1 && S(i)->level == 4) {
				drop_root(i);
				COUNT(shadow_recycles);
			}
		}
	}
}

u32 mon_shadow_child(u64 gfn, u8 level)
{
	u32 i = find(gfn, level);

	return i ? i : alloc(gfn, level);
}

/* The guest's entry `index` of the table that i shadows is now e. */
void mon_shadow_update(u32 i, u32 index, u64 e)
{
	struct mon_shadow *s = S(i);
	u64 *p = &SPT(i)[index];

	if (s->level == 1) {
		set_leaf(i, index, e);
		return;
	}
	if (s->level > 4 || (s->level == 4 && index >= MON_HOLE_FIRST && index <= MON_HOLE_LAST))
		return;
	if (!*p)
		return;
	if ((e & PTE_P) && S(child_of(*p))->gfn == mon_gfn(e))
		mon_shadow_link(i, index, e, child_of(*p));
	else
		unlink_entry(i, index);
}

void mon_shadow_write_all(u64 gfn, u32 index, u64 value)
{
	u32 i, next;

	for (i = FINFO(gfn)->shadow; i; i = next) {
		next = S(i)->next;
		mon_shadow_update(i, index, value);
	}
}

void mon_shadow_drop_frame(u64 gfn)
{
	u32 i;

again:	/* every round frees a shadow, and may free others of this frame with it */
	for (i = FINFO(gfn)->shadow; i; i = S(i)->next) {
		if (in_use(i) || S(i)->level >= MON_LEVEL_USER)
			continue;
		if (S(i)->level == 4)
			drop_root(i);
		else
			drop(i);
		goto again;
	}
}

void mon_shadow_new_base(u64 gfn)
{
	mon_paths_forget();
	V->cr3_gfn = gfn;
	V->new_root = 1;
}

/* A new root starts with our slot, and with the kernel tables that are shadowed already. */
static u32 new_root(u64 gfn)
{
	u64 *table = mon_frame_ptr(gfn), bits;
	u32 i, u = 0, t, k, n;

	mon_shadow_reserve();
	i = alloc(gfn, 4);
	if (!i)
		return 0;
	if (VM->user_view) {
		u = alloc(gfn, MON_LEVEL_USER);
		touch(u, MON_SLOT);
		SPT(u)[MON_SLOT] = (V->user_l3 << 12) | PTE_P | PTE_RW | PTE_A;
	}
	if (VM->la57) {
		t = alloc(gfn, MON_LEVEL_TOP5);
		touch(t, 0);
		touch(t, 511);
		SPT(t)[0] = SPT(t)[511] = (pool_hfn(i) << 12) | PTE_P | PTE_RW | PTE_US | PTE_A;
		if (u) {
			t = alloc(gfn, MON_LEVEL_TOP5_USER);
			touch(t, 0);
			touch(t, 511);
			SPT(t)[0] = SPT(t)[511] = (pool_hfn(u) << 12) | PTE_P | PTE_RW | PTE_US | PTE_A;
		}
	}
	touch(i, MON_SLOT);
	SPT(i)[MON_SLOT] = (V->guest_l3 << 12) | PTE_P | PTE_RW | PTE_A;
	/* What the root before it had in the kernel's half, this one has too, as a rule. */
	for_each_group(V->root, bits, k) {
		mon_work(40);
		for (n = k; n < k + 8; n++) {
			u64 e = mon_once(&table[n]), child_gfn = mon_gfn(e);
			u32 c;

			if (n <= MON_HOLE_LAST || !(e & PTE_P) || child_gfn >= VM->ram_pages)
				continue;
			c = find(child_gfn, 3);
			if (c)
				mon_shadow_link(i, n, e, c);
		}
	}
	return i;
}

/* The last step before the guest runs: the right root in CR3, flushed if it must be. */
void mon_shadow_load_slow(void)
{
	if (V->new_root) {
		u64 gfn = V->cr3_gfn;
		u32 i;

		V->new_root = 0;
		mon_shadow_sync();
		i = find(gfn, 4);
		if (!i)
			i = new_root(gfn);
		if (!i)
			return;
		if (i != V->root) {
			V->root = i;
			V->user_root = VM->user_view ? find(gfn, MON_LEVEL_USER) : 0;
			V->top5 = VM->la57 ? find(gfn, MON_LEVEL_TOP5) : 0;
			V->user_top5 = VM->la57 && VM->user_view ? find(gfn, MON_LEVEL_TOP5_USER) : 0;
			GATE->kernel_cr3 = pool_hfn(VM->la57 ? V->top5 : V->root) << 12;
			GATE->user_cr3 = !VM->user_view ? 0 :
				pool_hfn(VM->la57 ? V->user_top5 : V->user_root) << 12;
		}
		V->reload = 1;
	}
	if (V->reload) {
		V->reload = 0;
		mon_write_cr3(GATE->kernel_cr3);
	}
}
