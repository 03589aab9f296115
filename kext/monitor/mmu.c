/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's own page tables, and the one door to its memory.
 *
 * Called by every other file of the monitor.  Distrusts everything it reads:
 * entries are fetched once, frames go through mon_frame_ptr.  Nothing here
 * dereferences a guest virtual address: with WP off that would ignore the
 * guest's own protection, and inside the hole it would be ours.
 */
#include "mon.h"

/* One level: fetch the entry of va in the table that e names, or leave. */
#define STEP(level)								\
	do {									\
		u64 gfn = mon_gfn(e);						\
										\
		if (mon_unlikely(gfn >= ram)) {	/* a table lies in RAM */	\
			w->reached = (level) + 1;				\
			goto reserved;						\
		}								\
		e = mon_once((const u64 *)(MON_PHYS + (gfn << 12)) +		\
			     ((va >> (3 + 9 * (level))) & 511));		\
		w->entry[level] = e;						\
		if (!(e & PTE_P)) {						\
			w->reached = (level);					\
			return 0;						\
		}								\
		/* large pages are masked out of CPUID */			\
		if (((level) == 2 || (level) == 3) && mon_unlikely(e & PTE_PS)) { \
			w->reached = (level);					\
			goto reserved;						\
		}								\
	} while (0)

__attribute__((noinline)) int mon_walk(struct mon_walk *w, u64 va, u32 access)
{
	u64 e = V->cr3_gfn << 12, ram = VM->ram_pages;

	w->entry[5] = e;
	w->complete = 0;
	w->error = 0;
	if (mon_unlikely(!mon_guest_va(va))) {
		w->reached = 5;
		return 0;
	}
	STEP(4);
	STEP(3);
	STEP(2);
	STEP(1);
	w->reached = 1;
	w->complete = 1;
	w->error = PF_P;
	if (mon_gfn(e) >= VM->frames)
		goto reserved;
	/* PF_W and PF_U are the bits of RW and US. */
	if (access & (PF_W | PF_U) & ~(e & w->entry[2] & w->entry[3] & w->entry[4]))
		return 0;
	if ((access & PF_I) && ((e | w->entry[2] | w->entry[3] | w->entry[4]) & PTE_NX))
		return 0;
	return 1;
reserved:
	w->error = PF_P | PF_RSVD;
	return 0;
}

static int set_bits(u64 gfn, u64 index, u64 old, u64 bits)
{
	u64 *p = (u64 *)mon_frame_ptr(gfn) + index;
	u64 seen = old;

	__asm__ volatile("lock cmpxchgq %2, %1"
			 : "+a"(seen), "+m"(*p) : "r"(old | bits) : "memory", "cc");
	return seen == old;
}

int mon_walk_mark_slow(struct mon_walk *w, u64 va, u32 access)
{
	int level;

	for (level = 4; level >= 1; level--) {
		u64 want = PTE_A;

		if (level == 1 && (access & PF_W))
			want |= PTE_D;
		if ((w->entry[level] & want) == want)
			continue;
		if (!set_bits(mon_walk_table(w, level), (va >> (3 + 9 * level)) & 511,
			      w->entry[level], want))
			return 0;
		w->entry[level] |= want;
	}
	return 1;
}

void mon_path_remember(const struct mon_walk *w, u64 va, u32 shadow)
{
	const u64 *e = w->entry;
	struct mon_path *p = mon_path_slot(va);

	p->generation = V->path_generation;
	p->region = va >> 21;
	p->rights = (e[2] & e[3] & e[4] & (PTE_RW | PTE_US)) | ((e[2] | e[3] | e[4]) & PTE_NX);
	p->gfn = (u32)mon_walk_table(w, 1);
	p->shadow = shadow;
}

/* A pointer to guest memory at va, good to the end of its page; NULL: not accessible. */
static u8 *at_va(u64 va, u32 access)
{
	struct mon_walk w;
	int tries;

	for (tries = 0; tries < 4; tries++) {
		if (!mon_walk(&w, va, access))
			return 0;
		if (mon_walk_mark(&w, va, access))
			return (u8 *)mon_frame_ptr(mon_gfn(w.entry[1])) + (va & 4095);
	}
	return 0;
}

void *mon_at_slow(u64 va, u32 access)
{
	struct mon_tlb *t = mon_tlb_slot(va);
	u8 *p = at_va(va, access);

	if (p && (s64)va < 0) {
		t->tag = (va & ~4095ull) | (V->tlb_generation & ~(u64)MON_TLB_WRITE) |
			 (access & PF_W ? MON_TLB_WRITE : 0);
		t->offset = (u64)p - va;
	}
	return p;
}

void mon_tlb_init(void)
{
	u32 i;

	for (i = 0; i < MON_TLB_SIZE; i++)
		V->tlb[i].tag = 0;
	V->tlb_generation = MON_TLB_STEP | MON_TLB_WRITE;
}

void mon_tlb_flush(void)
{
	mon_paths_forget();
	V->tlb_generation += MON_TLB_STEP;
	if (V->tlb_generation > 4095)
		mon_tlb_init();
}

static void copy_bytes(void *to, const void *from, u64 n)
{
	u8 *t = to;
	const u8 *f = from;

	for (; n >= 8; n -= 8, t += 8, f += 8)
		*(volatile u64 *)t = *(const volatile u64 *)f;
	for (; n; n--)
		*(volatile u8 *)t++ = *(const volatile u8 *)f++;
}

u64 mon_copy_from(void *to, u64 va, u64 bytes, u32 access, u64 *fault_va)
{
	while (bytes) {
		u64 n = mon_min(bytes, 4096 - (va & 4095));
		u8 *p = access ? at_va(va, access) : mon_at(va, 0);

		if (!p) {
			if (fault_va)
				*fault_va = va;
			return bytes;
		}
		copy_bytes(to, p, n);
		to = (u8 *)to + n;
		va += n;
		bytes -= n;
	}
	return 0;
}

u64 mon_copy_to(u64 va, const void *from, u64 bytes, u32 access, u64 *fault_va)
{
	while (bytes) {
		u64 n = mon_min(bytes, 4096 - (va & 4095));
		u8 *p = access ? at_va(va, access | PF_W) : mon_at(va, PF_W);

		if (!p) {
			if (fault_va)
				*fault_va = va;
			return bytes;
		}
		copy_bytes(p, from, n);
		from = (const u8 *)from + n;
		va += n;
		bytes -= n;
	}
	return 0;
}

int mon_get(void *to, u64 va, u64 bytes)
{
	return mon_copy_from(to, va, bytes, 0, 0) ? -XEN_EFAULT : 0;
}

int mon_put(u64 va, const void *from, u64 bytes)
{
	return mon_copy_to(va, from, bytes, 0, 0) ? -XEN_EFAULT : 0;
}

/* The compiler may call these for structure copies. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n);
void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
	copy_bytes(to, from, n);
	return to;
}

void *memset(void *to, int c, __SIZE_TYPE__ n);
void *memset(void *to, int c, __SIZE_TYPE__ n)
{
	volatile u8 *t = to;

	while (n--)
		*t++ = (u8)c;
	return to;
}
