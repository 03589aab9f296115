/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must be true whenever the guest may run, whatever it did: the tables
 * that the CPU walks name only this VM's frames and this VM's tables; nobody's
 * cached walk leads through a table that has become something else; selectors,
 * descriptors and registers are harmless.
 */
#include "fuzz.h"
#include "monitor.h"

#define S(i)	((const struct mon_shadow *)(MON_POOL + 4096) + (i))
#define SPT(i)	((const u64 *)(MON_POOL + ((u64)(i) << 12)))
#define FIRST	(1 + (POOL_PAGES * sizeof(struct mon_shadow) + 4095) / 4096)

/* The tables that the CPU may have cached since CR3 was written last. */
static struct { u64 gfn; u32 level; } cached[POOL_PAGES];
static u64 cached_at;

void check_reset(void)
{
	memset(cached, 0, sizeof(cached));
	cached_at = 0;
}

static u32 level_below(u32 level)
{
	switch (level) {
	case MON_LEVEL_USER: return 3;
	case MON_LEVEL_TOP5: return 4;
	case MON_LEVEL_TOP5_USER: return MON_LEVEL_USER;
	default: return level - 1;
	}
}

static void check_slot(u32 level, u32 index, u64 e)
{
	MUST(index == MON_SLOT);
	MUST((e & PTE_ADDR) >> 12 == (level == 4 ? GUEST_L3 : USER_L3));
	MUST(!(e & PTE_US));
}

static void check_table(u32 i, u32 refs[])
{
	u32 level = S(i)->level;

	MUST(S(i)->gfn < RAM_PAGES);	/* no table among the frames that the worker shares */
	/* Without its slot the monitor could not be entered: a triple fault. */
	if (level == 4 || level == MON_LEVEL_USER)
		MUST(SPT(i)[MON_SLOT] & PTE_P);

	for (u32 k = 0; k < 512; k++) {
		u64 e = SPT(i)[k], hfn = (e & PTE_ADDR) >> 12, c = hfn - POOL_HFN;

		if (!e)
			continue;
		MUST(S(i)->groups >> (k / 8) & 1);	/* else release() would leave it */
		MUST(!(e & PTE_PS) || level > 1);
		if (level == 1) {
			MUST(!(e & PTE_P) || (hfn >= RAM_HFN && hfn < RAM_HFN + FRAMES));
			continue;
		}
		if ((level == 4 || level == MON_LEVEL_USER) &&
		    k >= MON_HOLE_FIRST && k <= MON_HOLE_LAST) {
			check_slot(level, k, e);
			continue;
		}
		MUST(e & PTE_P);
		MUST(c >= FIRST && c < POOL_PAGES && S(c)->level == level_below(level));
		if (level == MON_LEVEL_USER)
			MUST((e & PTE_US) && k < 256);
		else if (level <= 4)
			refs[c]++;
	}
}

static void check_lists(void)
{
	u8 seen[POOL_PAGES] = { 0 };
	u32 free_pages = 0, level_zero = 0;

	for (u32 i = VM->pool_free; i; i = S(i)->next) {
		MUST(i >= FIRST && i < POOL_PAGES && !seen[i] && !S(i)->level);
		seen[i] = 1;
		free_pages++;
	}
	MUST(free_pages == VM->pool_free_count);
	for (u32 i = FIRST; i < POOL_PAGES; i++) {
		level_zero += !S(i)->level;
		if (!S(i)->level)
			for (u32 k = 0; k < 512; k++)
				MUST(!SPT(i)[k]);
	}
	MUST(level_zero == free_pages);
	memset(seen, 0, sizeof(seen));
	for (u64 gfn = 0; gfn < FRAMES; gfn++)
		for (u32 i = FINFO(gfn)->shadow; i; i = S(i)->next) {
			MUST(i >= FIRST && i < POOL_PAGES && !seen[i] && S(i)->level && S(i)->gfn == gfn);
			seen[i] = 1;
		}
	for (u32 i = FIRST; i < POOL_PAGES; i++)
		MUST(!S(i)->level == !seen[i]);
}

/* Marks what the CPU can reach and cache from shadow i on. */
static void reach(u32 i, u8 *live)
{
	if (live[i])
		return;
	live[i] = 1;
	for (u32 k = 0; k < 512 && S(i)->level != 1; k++) {
		u64 c = ((SPT(i)[k] & PTE_ADDR) >> 12) - POOL_HFN;

		if ((SPT(i)[k] & PTE_P) && c < POOL_PAGES)
			reach((u32)c, live);
	}
}

static void check_caches(void)
{
	u8 live[POOL_PAGES] = { 0 };
	u32 top = (u32)((machine.cr3 >> 12) - POOL_HFN);

	MUST(top >= FIRST && top < POOL_PAGES);
	MUST(S(top)->level == (VM->la57 ? MON_LEVEL_TOP5 : 4) && machine.cr3 == GATE->kernel_cr3);
	MUST(S(top)->gfn == V->cr3_gfn);
	/* With a user view each system call and trap writes CR3: nothing stays cached. */
	if (machine.cr3_writes == cached_at)
		for (u32 i = FIRST; i < POOL_PAGES; i++)
			MUST(!cached[i].level || (S(i)->level == cached[i].level && S(i)->gfn == cached[i].gfn));
	else
		memset(cached, 0, sizeof(cached));
	cached_at = machine.cr3_writes;
	reach(top, live);
	if (GATE->user_cr3) {
		u32 user = (u32)((GATE->user_cr3 >> 12) - POOL_HFN);

		MUST(VM->user_view && user >= FIRST && user < POOL_PAGES);
		MUST(S(user)->level == (VM->la57 ? MON_LEVEL_TOP5_USER : MON_LEVEL_USER));
		MUST(S(user)->gfn == V->cr3_gfn);
	} else {
		MUST(!VM->user_view);
	}
	for (u32 i = FIRST; i < POOL_PAGES; i++)
		if (live[i]) {
			cached[i].gfn = S(i)->gfn;
			cached[i].level = S(i)->level;
		}
}

/* A remembered way leads where it says, now, from the live root. */
static void check_paths(void)
{
	for (u32 n = 0; n < MON_PATHS; n++) {
		const struct mon_path *p = &V->paths[n];
		u64 va = p->region << 21;
		u32 i = V->root;

		if (p->generation != V->path_generation)
			continue;
		MUST(mon_guest_va(va) && p->region % MON_PATHS == n && p->gfn < VM->ram_pages);
		if (!p->shadow)
			continue;
		for (int level = 4; level > 1; level--) {
			u64 s = SPT(i)[va >> (3 + 9 * level) & 511];

			MUST((s & PTE_P) && (~p->rights & PTE_RW || s & PTE_RW) &&
			     (~p->rights & PTE_US || s & PTE_US));
			i = (u32)(((s & PTE_ADDR) >> 12) - POOL_HFN);
			MUST(i >= FIRST && i < POOL_PAGES && S(i)->level == level - 1);
		}
		MUST(i == p->shadow && S(i)->gfn == p->gfn);
	}
}

static void check_descriptor(u64 d)
{
	u64 dpl = d >> 45 & 3;

	if (!d)
		return;
	MUST((d >> 44 & 1) && (d >> 47 & 1));			/* no gate, no TSS, no LDT */
	MUST(dpl == 1 || dpl == 3);
	MUST(d >> 40 & 1);					/* the CPU need not write it */
	MUST(!((d >> 43 & 1) && (d >> 42 & 1)));		/* not conforming */
}

static void check_registers(void)
{
	const u64 *gdt = (const u64 *)MON_GATE_GDT, *ldt = (const u64 *)MON_GATE_LDT;
	u64 d, base;

	for (u32 i = 0; i < MON_GDT_GUEST_PAGES * 512; i++)
		check_descriptor(gdt[i]);
	for (u32 i = 0; i < MON_LDT_PAGES * 512; i++)
		check_descriptor(ldt[i]);
	d = gdt[MON_LDT_SEL >> 3];
	base = (d >> 16 & 0xffffff) | (d >> 56 & 0xff) << 24 | gdt[(MON_LDT_SEL >> 3) + 1] << 32;
	MUST(!d || (base == MON_GATE_LDT && (d >> 40 & 0x9f) == 0x82));
	for (u32 i = 0; i < 256; i++)
		MUST(!V->traps[i].address || mon_guest_va(V->traps[i].address));
	MUST(mon_guest_va(GATE->kernel_sp) && !(GATE->kernel_sp & 15));
	MUST(!GATE->syscall_rip || mon_guest_va(GATE->syscall_rip));
	MUST(!V->event_rip || mon_guest_va(V->event_rip));
	MUST(GATE->vinfo >= MON_VINFO && GATE->vinfo + sizeof(struct vcpu_info) <= MON_VINFO + 4096);
	MUST((V->tlb_generation & MON_TLB_WRITE) && V->tlb_generation > MON_TLB_WRITE &&
	     V->tlb_generation < 4096);
	for (u32 i = 0; i < MON_TLB_SIZE; i++) {	/* the guest's addresses, as pointers */
		u64 tag = V->tlb[i].tag, page = tag & ~4095ull, at = page + V->tlb[i].offset;

		MUST(!tag || (tag & 4095) > MON_TLB_WRITE);
		if (((tag | MON_TLB_WRITE) & 4095) == V->tlb_generation)
			MUST(mon_guest_va(page) && at >= MON_PHYS && at < MON_PHYS + (FRAMES << 12));
	}
	for (u32 i = 0; i < 4; i++)
		MUST(mon_guest_va(V->dr[i]) && mon_guest_va(V->dr[i] + 7));
	MUST(!(V->dr[7] & 0xffffffff00002000ull) && V->iopl < 4);
	MUST((V->xcr0 & ~VM->xcr0_mask) == 0);
	MUST(VM->unsync_count <= sizeof(VM->unsync) / sizeof(VM->unsync[0]));
}

void check_world(void)
{
	u32 refs[POOL_PAGES] = { 0 };

	if (V->dead)
		return;
	check_lists();
	for (u32 i = FIRST; i < POOL_PAGES; i++)
		if (S(i)->level)
			check_table(i, refs);
	for (u32 i = FIRST; i < POOL_PAGES; i++)
		if (S(i)->level >= 1 && S(i)->level <= 3)
			MUST(refs[i] == S(i)->parents);
	check_caches();
	check_paths();
	check_registers();
}

/* What iretq will load. */
void check_frame(const struct mon_frame *f)
{
	if (V->dead)
		return;
	MUST((f->cs & 3) == 1 || (f->cs & 3) == 3);
	MUST((f->cs & 3) == 3 || f->cs == MON_KERNEL_CS);
	MUST((f->ss & 3) == (f->cs & 3));
	MUST(f->rflags & FLAG_IF);
	MUST(!(f->rflags & (FLAG_IOPL | FLAG_NT | FLAG_VM)) && !(f->rflags >> 22));
}
