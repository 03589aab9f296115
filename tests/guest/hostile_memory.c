// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks on memory: direct stores and reads of every region of the monitor,
 * page tables that claim what is not the guest's, descriptors that lead to
 * ring 0, frames given away while in use.
 */
#include "hostile.h"
#include "xen/memory.h"

static long load(u64 va)
{
	return *(volatile u64 *)va & 0xff;
}

static long store(u64 va)
{
	*(volatile u64 *)va = 0x4141414141414141ull;
	return 0;
}

static long store_byte(u64 va)
{
	asm volatile("lock xorb $0xff, (%0)" : : "r"(va) : "memory");
	return 0;
}

static long jump(u64 va)
{
	((void (*)(void))va)();
	return 0;
}

/* The pages that are ring 1's to write by design. */
static int may_write(u64 va)
{
	va &= ~(PAGE - 1);
	return (va >= MON_ENTRY && va < MON_ENTRY + MON_ENTRY_PAGES * PAGE) || va == MON_VINFO;
}

/* Tries a store in every `step` of [from, to); a store that works is a breach. */
static void sweep(u64 from, u64 to, u64 step)
{
	for (u64 va = from; va < to; va += step)
		if (!may_write(va) && attempt(store_byte, va) < TRAPPED) {
			store_byte(va);		/* put it back, in case we live on */
			say("at ");
			say_hex(va);
			breach(" a store into the hypervisor's hole worked");
		}
}

static long sweep_pages(u64 start_va)
{
	sweep(start_va, start_va + 512 * PAGE, PAGE);
	return 0;
}

static long sweep_gb(u64 arg)
{
	(void)arg;
	for (u64 va = MON_HOLE_START; va < MON_HOLE_END; va += 1ull << 30)
		sweep(va, va + 1, 1);
	return 0;
}

static long sweep_2mb(u64 arg)
{
	(void)arg;
	sweep(MON_BASE, MON_BASE + (80ull << 30), 8ull << 20);
	return 0;
}

static long host_unreadable(u64 va)
{
	for (u64 at = va; at < va + 16 * PAGE; at += PAGE)
		if (attempt(load, at) < TRAPPED)
			breach("host state can be read");
	return 0;
}

/* Fills the entry pages, then goes through every door and looks whether all works. */
static long scribble(u64 pattern)
{
	volatile u64 *p = (u64 *)MON_ENTRY;

	for (unsigned int i = 0; i < MON_ENTRY_PAGES * 512; i++)
		p[i] = pattern;
	hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	for (unsigned int i = 0; i < MON_ENTRY_PAGES * 512; i++)
		p[i] = pattern;
	return attempt(load, BAD_ADDRESS) >= TRAPPED ? 0 : -1;
}

/* user_mode says that ring 3 ran last; user_rsp where it stood. */
static long forge_mode(u64 mode)
{
	volatile struct mon_entry *e = (void *)MON_ENTRY;

	e->user_mode = mode;
	e->user_rsp = MON_STATE;
	hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	e->user_mode = mode;
	return attempt(load, BAD_ADDRESS) >= TRAPPED ? 0 : -1;
}

/* ---- page tables ---------------------------------------------------------- */

#define TARGET	((u64)spare[8])		/* whose last-level entry is played with */

static u64 own_entry(const void *page)
{
	return gfn_of(page) << 12 | PTE_P | PTE_W;
}

/* An entry that names what is not ours: setting or touching it must fail. */
static long bad_entry(u64 value)
{
	long r = map(TARGET, value), touched = 0;

	if (!r) {
		touched = attempt(load, TARGET);
		if (touched < TRAPPED)
			breach("a frame that is not ours could be read");
		if (attempt(store, TARGET) < TRAPPED)
			breach("a frame that is not ours could be written");
	}
	map(TARGET, own_entry((void *)TARGET));
	return r ? r : touched;
}

static long bad_entry_above_ram(u64 pages)
{
	return bad_entry((start->nr_pages + CO_SPECIAL_FRAMES + pages) << 12 | PTE_P | PTE_W);
}

long mmuext(u32 cmd, u64 mfn, u64 arg2)
{
	struct mmuext_op op = { .cmd = cmd };
	u32 done = 0;

	op.arg1.mfn = mfn;
	op.arg2.src_mfn = arg2;
	return hyper(__HYPERVISOR_mmuext_op, (u64)&op, 1, (u64)&done, DOMID_SELF, 0);
}

/* The same by a plain store to the (write-protected or unsynchronised) table. */
static long bad_entry_stored(u64 value)
{
	volatile u64 *e = entry_of(TARGET, 1);
	long r;

	*e = value;
	mmuext(MMUEXT_TLB_FLUSH_LOCAL, 0, 0);
	r = attempt(load, TARGET);
	if (r < TRAPPED)
		breach("a frame that is not ours could be read");
	*e = own_entry((void *)TARGET);
	return r;
}

static u64 *upper_entry(int level)
{
	return entry_of(USER_CODE, level);
}

/* Large pages and junk in upper levels, seen through the user half. */
static long bad_upper(u64 arg)
{
	int level = arg & 7;
	u64 value = arg & ~7ull, *e = upper_entry(level), old;
	long r, touched = 0;

	if (!e)
		return -2;
	old = *e;
	r = update(e, value | PTE_P | PTE_W | PTE_U);
	if (!r) {
		touched = attempt(load, USER_CODE);
		attempt(store, USER_CODE);
	}
	update(e, old);
	return r ? r : touched;
}

/* Top-level slots of the hole: refused, ignored or fatal, never in force. */
static long hole_slot(u64 slot)
{
	u64 *root = page_of(root_gfn()), magic;
	long r = update(&root[slot], own_entry(spare[0]) | PTE_U);

	root[slot] = own_entry(spare[0]) | PTE_U;
	magic = *(volatile u64 *)MON_TEXT;
	if (magic == *(u64 *)spare[0])
		breach("our page stands where the monitor's text is");
	if (attempt(store, MON_TEXT) < TRAPPED)
		breach("the monitor's text could be written");
	return r;
}

static long hole_slot_zero(u64 slot)
{
	u64 *root = page_of(root_gfn());
	long r = update(&root[slot], 0);

	root[slot] = 0;
	return r;
}

/* A table that contains itself: through it only the guest's own entries may show. */
static long recursive(u64 level)
{
	u64 *root = page_of(root_gfn()), seen, va;
	long r, got;

	(void)level;
	r = update(&root[300], root_gfn() << 12 | PTE_P | (level & 1 ? PTE_W : 0));
	if (r)
		return r;
	/* slot 300 four times: the root as its own last level */
	va = 0xffff000000000000ull | 300ull << 39 | 300ull << 30 | 300ull << 21 | 300ull << 12;
	got = attempt(load, va);
	if (got < TRAPPED) {
		seen = ((volatile u64 *)va)[300];
		if ((seen ^ root[300]) & 0x000ffffffffff000ull)
			breach("a shadow entry shows through a recursive table");
		if (level & 1) {
			attempt(store, va + 8 * 260);
			if (attempt(store, MON_TEXT) < TRAPPED)
				breach("the monitor's text could be written");
		}
	}
	update(&root[300], 0);
	return got;
}

/* One page as last-level and as second-level table at once, then changed. */
static long two_levels(u64 arg)
{
	u64 *table = (u64 *)spare[0], *l3 = (u64 *)spare[1], *l4 = page_of(root_gfn());
	long r;

	(void)arg;
	table[0] = own_entry(spare[0]);		/* as L2: itself as L1; as L1: itself as a page */
	table[1] = own_entry(spare[2]);
	l3[0] = own_entry(spare[0]);
	r = update(&l4[301], own_entry(spare[1]));
	if (r)
		return r;
	for (int i = 0; i < 4; i++) {
		u64 va = 0xffff000000000000ull | 301ull << 39 | (u64)i << 12;

		attempt(store, va);
		attempt(store, va | 8 << 3);
		table[2 + i] = ((start->nr_pages + 5000 + i) << 12) | PTE_P | PTE_W;
		if (attempt(load, va + (2ull << 12)) < TRAPPED)
			breach("a frame that is not ours could be read");
	}
	update(&l4[301], 0);
	return 0;
}

static long unpin_live_root(u64 arg)
{
	(void)arg;
	for (int i = 0; i < 3; i++)
		mmuext(MMUEXT_UNPIN_TABLE, root_gfn(), 0);
	return 0;
}

static long pin_then_reuse(u64 level)
{
	long r = 0;

	for (int i = 0; i < 16; i++)
		r |= mmuext(level, gfn_of(spare[i % 4]), 0);
	memset(spare[0], 0xff, PAGE);
	r |= mmuext(MMUEXT_UNPIN_TABLE, gfn_of(spare[0]), 0);
	return r;
}

static long release(u64 gfn)
{
	struct xen_memory_reservation res = {
		.extent_start = (u64)&gfn, .nr_extents = 1, .domid = DOMID_SELF,
	};

	return hyper(__HYPERVISOR_memory_op, XENMEM_decrease_reservation, (u64)&res, 0, 0, 0);
}

static long release_root(u64 arg)
{
	(void)arg;
	return release(root_gfn());
}

static long release_page(u64 arg)
{
	long r;

	(void)arg;
	store(TARGET);
	r = release(gfn_of((void *)TARGET));
	attempt(load, TARGET);
	return r < 0 ? r : 0;
}

static long baseptr(u64 gfn)
{
	return mmuext(MMUEXT_NEW_BASEPTR, gfn, 0);
}

static long baseptr_empty(u64 arg)
{
	(void)arg;
	return baseptr(gfn_of(spare[0]));
}

static long empty_live_root(u64 arg)
{
	u64 *root = page_of(root_gfn());

	(void)arg;
	for (int i = 511; i >= 0; i--)
		update(&root[i], 0);
	return 0;
}

#define REGION(name, va) \
	{ "store_" name, store, va, FAULT }, { "jump_" name, jump, va, FAULT | KILL }
#define PAGES(name, va) { "sweep_" name, sweep_pages, va, OK }

const struct attack memory_attacks[] = {
	{ "store_text", store, MON_TEXT, FAULT }, REGION("vm", MON_VM), REGION("idt", MON_GATE_IDT),
	REGION("tss", MON_GATE_TSS), { "store_vars", store, MON_GATE_VARS, FAULT },
	REGION("gdt", MON_GATE_GDT), { "store_own_gdt", store, MON_GATE_GDT + 14 * PAGE, FAULT },
	REGION("ldt", MON_GATE_LDT), REGION("stack", MON_STACK), REGION("state", MON_STATE),
	REGION("frames", MON_FRAMES), REGION("m2p", MON_M2P), REGION("physpt", MON_PHYSPT),
	REGION("poolpt", MON_POOLPT), REGION("pool", MON_POOL + PAGE), REGION("phys", MON_PHYS),
	REGION("host", MON_HOST), REGION("host_gdt", MON_HOST_GDT),
	{ "jump_entry", jump, MON_ENTRY + 64, FAULT | KILL },
	{ "host_unreadable", host_unreadable, MON_HOST, OK },
	PAGES("text", MON_TEXT), PAGES("vm", MON_VM), PAGES("gate", MON_GATE), PAGES("vcpu", MON_VCPU),
	PAGES("entry", MON_ENTRY), PAGES("vinfo", MON_VINFO), PAGES("host", MON_HOST),
	PAGES("frames", MON_FRAMES), PAGES("m2p", MON_M2P), PAGES("physpt", MON_PHYSPT),
	PAGES("poolpt", MON_POOLPT), PAGES("pool", MON_POOL), PAGES("phys", MON_PHYS),
	{ "sweep_gb", sweep_gb, 0, OK }, { "sweep_2mb", sweep_2mb, 0, OK },
	{ "scribble_0", scribble, 0, OK | KILL }, { "scribble_ones", scribble, ~0ull, OK | KILL },
	{ "scribble_state", scribble, MON_STATE, OK | KILL },
	{ "scribble_host", scribble, MON_HOST, OK | KILL },
	{ "scribble_kernel", scribble, (u64)in_user, OK | KILL },
	{ "forge_user", forge_mode, 1, OK | KILL }, { "forge_kernel", forge_mode, 0, OK | KILL },
	{ "forge_junk", forge_mode, ~0ull, OK | KILL },
	{ "pte_above_ram", bad_entry_above_ram, 0, FAULT | ERROR | KILL },
	{ "pte_far", bad_entry_above_ram, 1 << 20, FAULT | ERROR | KILL },
	{ "pte_max", bad_entry, 0x000ffffffffff003ull, FAULT | ERROR | KILL },
	{ "pte_reserved", bad_entry, 0x7ff0000000000003ull | 1ull << 51, FAULT | ERROR | KILL },
	{ "pte_apic", bad_entry, 0xfee00003ull, FAULT | ERROR | KILL },
	{ "pte_stored_apic", bad_entry_stored, 0xfee00003ull, FAULT | ERROR | KILL },
	{ "pte_stored_max", bad_entry_stored, 0x000ffffffffff003ull, FAULT | ERROR | KILL },
	{ "pte_stored_2mib", bad_entry_stored, 0x40000000003ull, FAULT | ERROR | KILL },
	{ "l2_large", bad_upper, PTE_PS | 2, ANY }, { "l3_large", bad_upper, PTE_PS | 3, ANY },
	{ "l4_large", bad_upper, PTE_PS | 4, ANY },
	{ "l2_beyond", bad_upper, 0x000ffffffffff000ull | 2, ANY },
	{ "l3_beyond", bad_upper, 0x000ffffffffff000ull | 3, ANY },
	{ "l4_beyond", bad_upper, 0x000ffffffffff000ull | 4, ANY },
	{ "l4_reserved", bad_upper, 0x7ff8000000000000ull | 4, ANY },
	{ "l2_zero_frame", bad_upper, 0 | 2, ANY }, { "l3_zero_frame", bad_upper, 0 | 3, ANY },
	{ "hole_first", hole_slot, 256, ANY }, { "hole_monitor", hole_slot, MON_SLOT, ANY },
	{ "hole_last", hole_slot, 271, ANY }, { "hole_zero", hole_slot_zero, MON_SLOT, ANY },
	{ "recursive", recursive, 0, ANY }, { "recursive_writable", recursive, 1, ANY },
	{ "two_levels", two_levels, 0, ANY }, { "unpin_live_root", unpin_live_root, 0, ANY },
	{ "pin_l1_reuse", pin_then_reuse, MMUEXT_PIN_L1_TABLE, ANY },
	{ "pin_l2_reuse", pin_then_reuse, MMUEXT_PIN_L2_TABLE, ANY },
	{ "pin_l4_reuse", pin_then_reuse, MMUEXT_PIN_L4_TABLE, ANY },
	{ "baseptr_beyond", baseptr, 1ull << 40, ERROR | KILL }, { "baseptr_max", baseptr, ~0ull, ERROR | KILL },
	{ "baseptr_empty", baseptr_empty, 0, ERROR | KILL },
	{ "release_page", release_page, 0, ANY }, { "release_root", release_root, 0, ANY },
	{ "empty_live_root", empty_live_root, 0, ANY },
	{ 0, 0, 0, 0 },
};
