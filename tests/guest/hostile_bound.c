// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks on the host's patience: the longest work that one entry into the monitor
 * can be made to do, while interrupts are off.  Nothing here must ever fail; what
 * machine/bound looks at is how long they were off.
 */
#include "hostile.h"
#include "xen/event_channel.h"
#include "xen/grant_table.h"

#define SLOT	310ull			/* a top-level slot of our own */
#define BASE	(0xffff000000000000ull | SLOT << 39)
#define PTE_AD	0x60ull

static u64 link(u64 gfn)
{
	return gfn << 12 | PTE_P | PTE_W | PTE_AD;
}

/* Frames that nothing lies in; the start's map ends soon, ours goes on for 64 MiB. */
static u64 next_frame, last_frame;
static u64 window[32][512] __attribute__((aligned(4096)));

/* Behind the tables of the start, and those of the p2m list. */
static u64 free_frames(void)
{
	u64 a = gfn_of((void *)start->pt_base) + start->nr_pt_frames;
	u64 b = start->first_p2m_pfn + start->nr_p2m_frames;

	return (a > b ? a : b) + 200;
}

static void open_window(void)
{
	u64 va = (u64)page_of(0), n = 0;

	for (; n < sizeof(window) / sizeof(window[0]); va += 512 * PAGE) {
		u64 *e = entry_of(va, 2);

		if (!e)
			die("no second-level table for the window");
		if (*e & PTE_P)
			continue;
		for (u64 i = 0; i < 512; i++)
			window[n][i] = link(gfn_of((void *)va) + i);
		if (update(e, link(gfn_of(window[n++]))))
			die("the window is refused");
	}
	last_frame = gfn_of((void *)va);
	if (last_frame > start->nr_pages)
		last_frame = start->nr_pages;
}

static u64 *new_table(void)
{
	u64 *t;

	if (!next_frame) {
		next_frame = free_frames();
		if (!last_frame)
			open_window();
	}
	if (next_frame >= last_frame)
		return 0;
	t = page_of(next_frame++);
	for (int i = 0; i < 512; i++)
		t[i] = 0;
	return t;
}

static void read_at(u64 va)
{
	(void)*(volatile u8 *)va;
}

/* `tables` last-level tables in a tree of our own; each touched in `groups` places. */
static u64 *forest(u64 tables, u64 groups)
{
	u64 *l4 = page_of(root_gfn()), *l3 = new_table(), *l2 = 0, target = gfn_of(spare[0]);

	if (!l3)
		return 0;
	update(&l4[SLOT], link(gfn_of(l3)));
	for (u64 n = 0; n < tables; n++) {
		u64 *l1 = new_table();

		if (!l1)
			break;
		if (!(n & 511)) {
			l2 = new_table();
			if (!l2)
				break;
			l3[n >> 9] = link(gfn_of(l2));
		}
		for (int i = 0; i < 512; i++)
			l1[i] = link(target);
		l2[n & 511] = link(gfn_of(l1));
		for (u64 g = 0; g < groups; g++)
			read_at(BASE + (n << 21) + (g << 15));
	}
	return l4;
}

static void again(void)
{
	next_frame = 0;
}

/* A whole tree of tables gone with one entry. */
static long fell(u64 how)
{
	u64 *l4 = forest(how & 0xffff, how >> 16);

	if (!l4)
		return -1;
	if (update(&l4[SLOT], 0))
		return -2;
	again();
	return 0;
}

/* The same by one unpin, by a flush after a direct store, and by a new root. */
static long fell_by_unpin(u64 tables)
{
	u64 *l4 = forest(tables, 64), l3;
	long r;

	if (!l4)
		return -1;
	l3 = (l4[SLOT] & 0x000ffffffffff000ull) >> 12;
	r = mmuext(MMUEXT_UNPIN_TABLE, l3, 0);
	update(&l4[SLOT], 0);
	again();
	return r;
}

/* More tables than the pool has pages: it is recycled while we look. */
static long crowd(u64 tables)
{
	u64 *l4 = forest(tables, 2);

	if (!l4)
		return -1;
	for (int pass = 0; pass < 3; pass++)
		for (u64 n = 0; n < tables; n += 3)
			read_at(BASE + (n << 21) + (5ull << 15));
	update(&l4[SLOT], 0);
	again();
	return 0;
}

/* One table hung in at every place there is, then thrown out by its frame. */
static long many_parents(u64 places)
{
	u64 *l4 = page_of(root_gfn()), *l3 = new_table(), *l1 = new_table(), *l2 = 0;
	long r;

	if (!l3 || !l1)
		return -1;
	for (int i = 0; i < 512; i++)
		l1[i] = link(gfn_of(spare[0]));
	update(&l4[SLOT], link(gfn_of(l3)));
	for (u64 n = 0; n < places; n++) {
		if (!(n & 511)) {
			l2 = new_table();
			if (!l2)
				break;
			l3[n >> 9] = link(gfn_of(l2));
		}
		l2[n & 511] = link(gfn_of(l1));
		read_at(BASE + (n << 21));
	}
	r = mmuext(MMUEXT_UNPIN_TABLE, gfn_of(l1), 0);
	update(&l4[SLOT], 0);
	again();
	return r;
}

/* Sixty-four full tables written behind the monitor's back, then one flush. */
static long unsync(u64 tables)
{
	u64 *l4 = forest(tables, 64), *l3, *l2;

	if (!l4)
		return -1;
	l3 = page_of((l4[SLOT] & 0x000ffffffffff000ull) >> 12);
	l2 = page_of((l3[0] & 0x000ffffffffff000ull) >> 12);
	for (int round = 0; round < 3; round++) {
		for (u64 n = 0; n < tables; n++) {
			u64 gfn = (l2[n] & 0x000ffffffffff000ull) >> 12;
			u64 *l1 = page_of(gfn);

			/* read-only in our map, as the ABI says: a store then goes unsync */
			map((u64)l1, gfn << 12 | PTE_P | 0x20);
			for (int i = 0; i < 512; i += 8)
				((volatile u64 *)l1)[i] = link(gfn_of(spare[i & 7]));
		}
		mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	}
	for (u64 n = 0; n < tables; n++) {
		u64 gfn = (l2[n] & 0x000ffffffffff000ull) >> 12;

		map((u64)page_of(gfn), gfn << 12 | PTE_P | PTE_W);
	}
	update(&l4[SLOT], 0);
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	again();
	return 0;
}

static struct multicall_entry calls[64];

static long multicall(u32 n, u64 nr, u64 a, u64 b, u64 c)
{
	for (u32 i = 0; i < n; i++) {
		calls[i] = (struct multicall_entry){ .op = nr, .args = { a, b, c, DOMID_SELF } };
	}
	return hyper(__HYPERVISOR_multicall, (u64)calls, n, 0, 0, 0);
}

static struct mmu_update updates[64];

/* Thirty-two calls of sixty-four entries in one; each entry hangs a table elsewhere. */
static long updates_in_multicalls(u64 tables)
{
	u64 *l4 = forest(tables, 8), *l3, *l2;
	long r;

	if (!l4)
		return -1;
	l3 = page_of((l4[SLOT] & 0x000ffffffffff000ull) >> 12);
	l2 = page_of((l3[0] & 0x000ffffffffff000ull) >> 12);
	for (int i = 0; i < 64; i++)
		updates[i] = (struct mmu_update){ gfn_of(l2) << 12 | (u64)(i % tables) << 3,
						  i & 1 ? l2[i % tables] : 0 };
	r = multicall(64, __HYPERVISOR_mmu_update, (u64)updates, 64, 0);
	update(&l4[SLOT], 0);
	again();
	return r;
}

static struct mmuext_op ops[64];

static long ldt_in_batches(u64 entries)
{
	u64 va = (u64)page_of(free_frames());
	long r;

	for (int i = 0; i < 64; i++) {
		ops[i] = (struct mmuext_op){ .cmd = MMUEXT_SET_LDT };
		ops[i].arg1.linear_addr = va;
		ops[i].arg2.nr_ents = (u32)entries;
	}
	r = multicall(64, __HYPERVISOR_mmuext_op, (u64)ops, 64, 0);
	return r | mmuext(MMUEXT_SET_LDT, 0, 0);
}

static long pages_in_batches(u64 cmd)
{
	for (int i = 0; i < 64; i++) {
		ops[i] = (struct mmuext_op){ .cmd = (u32)cmd };
		ops[i].arg1.mfn = gfn_of(spare[i & 7]);
		ops[i].arg2.src_mfn = gfn_of(spare[8]);
	}
	return multicall(64, __HYPERVISOR_mmuext_op, (u64)ops, 64, 0);
}

static long gdts(u64 entries)
{
	static u64 frames[14], none[1];

	for (int i = 0; i < 14; i++)
		frames[i] = gfn_of(spare[i]);
	multicall(64, __HYPERVISOR_set_gdt, (u64)frames, entries, 0);
	return hyper(__HYPERVISOR_set_gdt, (u64)none, 0, 0, 0, 0);
}

static long trap_tables(u64 arg)
{
	struct trap_info *t = (void *)spare[0];

	(void)arg;
	for (int i = 0; i < 256; i++)		/* a vector of ours, over and over */
		t[i] = (struct trap_info){ .vector = 77, .address = (u64)in_user };
	multicall(64, __HYPERVISOR_set_trap_table, (u64)t, 0, 0);
	return 0;
}

static long descriptors(u64 arg)
{
	u64 va = (u64)page_of(free_frames());

	(void)arg;
	mmuext(MMUEXT_SET_LDT, va, 8192);
	multicall(64, __HYPERVISOR_update_descriptor, gfn_of(spare[3]) << 12, 0x00affb000000ffffull, 0);
	return mmuext(MMUEXT_SET_LDT, 0, 0);
}

static long ports(u64 arg)
{
	static struct evtchn_alloc_unbound un = { .dom = DOMID_SELF };
	u32 port = CO_MAX_PORTS - 1;

	(void)arg;
	for (int i = 0; i < 80; i++)
		multicall(64, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&un, 0);
	for (; port > CO_PORT_CONSOLE; port--)
		hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (u64)&port, 0, 0, 0);
	return 0;
}

static long grants(u64 arg)
{
	static u64 frames[CO_GRANT_FRAMES];
	static struct gnttab_setup_table t = { .dom = DOMID_SELF, .nr_frames = CO_GRANT_FRAMES };

	(void)arg;
	t.frame_list = (u64)frames;
	return multicall(64, __HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (u64)&t, 1);
}

/* Debug registers, segment bases, timers: many small calls in one. */
static long small_calls(u64 nr)
{
	return multicall(64, nr, 0, 0, 0);
}

const struct attack bound_attacks[] = {
	{ "fell_one", fell, 1 | 64 << 16, OK }, { "fell_wide", fell, 400 | 64 << 16, OK },
	{ "fell_many", fell, 6000 | 1 << 16, OK }, { "fell_unpin", fell_by_unpin, 400, OK },
	{ "crowd", crowd, 6000, OK }, { "parents_few", many_parents, 3, OK },
	{ "parents_many", many_parents, 2000, OK }, { "unsync", unsync, 60, OK },
	{ "multi_updates", updates_in_multicalls, 64, OK },
	{ "multi_updates_few", updates_in_multicalls, 2, OK },
	{ "multi_ldt", ldt_in_batches, 8192, OK },
	{ "multi_clear", pages_in_batches, MMUEXT_CLEAR_PAGE, OK },
	{ "multi_copy", pages_in_batches, MMUEXT_COPY_PAGE, OK },
	{ "multi_gdt", gdts, 7168, OK }, { "multi_trap_table", trap_tables, 0, OK },
	{ "multi_descriptors", descriptors, 0, OK }, { "multi_ports", ports, 0, OK },
	{ "multi_grants", grants, 0, OK },
	{ "multi_debugreg", small_calls, __HYPERVISOR_set_debugreg, OK },
	{ "multi_version", small_calls, __HYPERVISOR_xen_version, OK },
	{ 0, 0, 0, 0 },
};
