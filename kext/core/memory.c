/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM's memory as the CPU will see it: the monitor's slot in its three views,
 * and the transition root.
 *
 * Called once at creation, before any guest code; only co_memory_refresh runs
 * later.  All tables are ours; nothing here reads guest memory.
 *
 * TOUR 6: The guest world's address space is built here, by hand.
 */
#include "core.h"

#define P_P	1ull
#define P_RW	2ull
#define P_A	0x20ull
#define P_D	0x40ull
#define P_PWT	(1ull << 3)
#define P_PCD	(1ull << 4)
#define P_NX	(1ull << 63)
#define P_ADDR	0x000ffffffffff000ull
#define TABLE	(P_P | P_RW | P_A)

#define L3(va)	((u32)((va) >> 30) & 511)
#define L2(va)	((u32)((va) >> 21) & 511)
#define L1(va)	((u32)((va) >> 12) & 511)

enum { VIEW_TRANSITION, VIEW_GUEST, VIEW_USER, VIEW_USER_L2_GATE, VIEW_USER_L2_TEXT,
       VIEW_USER_L2_ENTRY, VIEW_PAGES };

int co_block_alloc(struct co_vm *vm, struct co_block *b, u64 bytes)
{
	b->bytes = (bytes + CO_PAGE_SIZE - 1) & ~(CO_PAGE_SIZE - 1);
	b->va = co_os_alloc(b->bytes);
	if (!b->va) {
		b->bytes = 0;
		return -CO_ENOMEM;
	}
	if (vm)
		vm->overhead_pages += b->bytes >> CO_PAGE_SHIFT;
	return 0;
}

void co_block_free(struct co_block *b)
{
	if (b->va)
		co_os_free(b->va, b->bytes);
	b->va = 0;
	b->bytes = 0;
}

static u64 *table_new(struct co_vm *vm)
{
	if ((vm->tables_used + 1) * CO_PAGE_SIZE > vm->tables.bytes)
		return 0;
	return (u64 *)vm->tables.va + 512 * vm->tables_used++;
}

static u64 block_hfn(const struct co_block *b, u64 page)
{
	return co_os_hfn((const char *)b->va + (page << CO_PAGE_SHIFT));
}

/* The leaf entry for va; tables come from vm->tables, or from l1s if given. */
static u64 *entry(struct co_vm *vm, u64 va, u64 *l1)
{
	u64 *l2 = vm->l2[L3(va)];
	u64 e;

	if (!l2) {
		l2 = vm->l2[L3(va)] = table_new(vm);
		if (!l2)
			return 0;
	}
	e = l2[L2(va)];
	if (!e) {
		if (!l1)
			l1 = table_new(vm);
		if (!l1)
			return 0;
		l2[L2(va)] = co_os_hfn(l1) << 12 | TABLE;
		return l1 + L1(va);
	}
	if (l1)
		return l1 + L1(va);
	if (vm->last_entry != e) {	/* our own table: find it again by its frame */
		u64 i;

		for (i = 0; i < vm->tables_used; i++) {
			vm->last_table = (u64 *)vm->tables.va + 512 * i;
			if (co_os_hfn(vm->last_table) == (e & P_ADDR) >> 12)
				break;
		}
		if (i == vm->tables_used)
			return 0;
		vm->last_entry = e;
	}
	return vm->last_table + L1(va);
}

static int map(struct co_vm *vm, u64 va, u64 hfn, u64 flags)
{
	u64 *e = entry(vm, va, 0);

	if (!e)
		return -CO_ENOMEM;
	*e = hfn << 12 | P_P | P_A | flags;
	return 0;
}

#define DATA	(P_RW | P_D | P_NX)

static int map_block(struct co_vm *vm, u64 va, const struct co_block *b, u64 first, u64 pages, u64 flags)
{
	u64 i;

	for (i = 0; i < pages; i++)
		if (map(vm, va + (i << 12), block_hfn(b, first + i), flags))
			return -CO_ENOMEM;
	return 0;
}

/*
 * A big linear region whose leaf tables lie in one block, so that the monitor can
 * read frame numbers out of them (MON_PHYSPT, MON_POOLPT).
 */
static int map_region(struct co_vm *vm, u64 va, u64 pages, struct co_block *l1s,
		      u64 (*hfn)(struct co_vm *, u64))
{
	u64 i;

	for (i = 0; i < pages; i++) {
		u64 *l1 = (u64 *)l1s->va + (i & ~511ull);
		u64 *e = entry(vm, va + (i << 12), l1);

		if (!e)
			return -CO_ENOMEM;
		*e = hfn(vm, i) << 12 | P_P | P_A | DATA;
	}
	return 0;
}

static u64 ram_hfn(struct co_vm *vm, u64 i)
{
	return co_os_ram_hfn(vm->ram, i);
}

static u64 pool_hfn(struct co_vm *vm, u64 i)
{
	return block_hfn(&vm->pool, i);
}

/* About 1.75 % of the guest's memory and 1 MiB; the fixed parts bring it below 3 % + 2 MiB. */
static u64 pool_size(u64 ram_pages)
{
	u64 n = 256 + ram_pages * 7 / 400;

	return n > 65535 ? 65535 : n;	/* what an entry's spare bits can number */
}

static int build_views(struct co_vm *vm, struct co_vcpu *v)
{
	u64 *trans = (u64 *)v->views.va + 512 * VIEW_TRANSITION;
	u64 *guest = (u64 *)v->views.va + 512 * VIEW_GUEST;
	u64 *user = (u64 *)v->views.va + 512 * VIEW_USER;
	u64 guest_rw = co_host.protect == CO_PROTECT_WP ? 0 : P_RW;
	u32 i;

	for (i = 0; i < 512; i++) {
		u64 e;

		if (!vm->l2[i])
			continue;
		e = co_os_hfn(vm->l2[i]) << 12 | P_P | P_A;
		trans[i] = e | P_RW;
		if (i == L3(MON_HOST))
			continue;
		guest[i] = e | (i == L3(MON_ENTRY) ? P_RW : guest_rw);
	}
	/* Of the user view's three regions only the first 2 MiB each. */
	{
		static const u64 at[3] = { MON_GATE, MON_TEXT, MON_ENTRY };

		for (i = 0; i < 3; i++) {
			u64 *l2 = (u64 *)v->views.va + 512 * (VIEW_USER_L2_GATE + i);

			l2[0] = vm->l2[L3(at[i])][0];
			user[L3(at[i])] = co_os_hfn(l2) << 12 | P_P | P_A |
				(at[i] == MON_ENTRY ? P_RW : guest_rw);
		}
	}
	v->mon->guest_l3 = co_os_hfn(guest);
	v->mon->user_l3 = co_os_hfn(user);
	return 0;
}

/* A page whose frame number is even: PTI hosts test bit 12 of CR3. */
static int even_page(struct co_vm *vm, struct co_block *b)
{
	struct co_block odd[32];
	int n = 0, ret = -CO_ENOMEM;

	while (n < 32) {
		if (co_block_alloc(0, &odd[n], CO_PAGE_SIZE))
			break;
		if (!(co_os_hfn(odd[n].va) & 1)) {
			*b = odd[n];
			vm->overhead_pages++;
			ret = 0;
			break;
		}
		n++;
	}
	while (n-- > 0)
		co_block_free(&odd[n]);
	return ret;
}

static int build_vcpu(struct co_vm *vm, struct co_vcpu *v)
{
	int ret;

	ret = map_block(vm, MON_GATE, &v->gate, 0, MON_GATE_PAGES, DATA);
	if (!ret && co_host.guest_cpu != CO_NO_CPU)
		ret = map(vm, MON_APIC, co_host.bell.hfn, DATA | P_PCD | P_PWT);
	if (!ret)
		ret = map_block(vm, MON_VCPU, &v->state, 0, MON_VCPU_PAGES, DATA);
	if (!ret)
		ret = map_block(vm, MON_ENTRY, &v->entry, 0, MON_ENTRY_PAGES, DATA);
	if (!ret)
		ret = map_block(vm, MON_HOST, &v->host, 0, 2, DATA);
	if (!ret)	/* page 14 of the transition GDT is the monitor's own */
		ret = map(vm, MON_HOST_GDT + MON_GDT_GUEST_PAGES * 0x1000,
			  block_hfn(&v->gate, 2 + MON_GDT_GUEST_PAGES), DATA);
	if (ret)
		return ret;
	/* The leaf table of MON_VINFO is a page of the vCPU's, for the monitor to write. */
	vm->l2[L3(MON_VINFO)][L2(MON_VINFO)] = block_hfn(&v->state, MON_VCPU_PAGES - 1) << 12 | TABLE;
	if (co_block_alloc(vm, &v->views, VIEW_PAGES * CO_PAGE_SIZE) ||
	    even_page(vm, &v->root) ||
	    (co_host.la57 && co_block_alloc(vm, &v->root4, CO_PAGE_SIZE)))
		return -CO_ENOMEM;
	return build_views(vm, v);
}

static int alloc_blocks(struct co_vm *vm)
{
	u64 frames = vm->frames, pool = pool_size(vm->ram_pages);
	u64 phys_l1 = (frames + 511) / 512, pool_l1 = (pool + 511) / 512;
	u64 tables = 16 + (frames * 8 / CO_PAGE_SIZE + 511) / 512 * 2 + phys_l1 / 512 +
		     (phys_l1 + 511) / 512 * 2 + frames / (512 * 512) + pool_l1 / 512 + 16;

	if (co_block_alloc(vm, &vm->mon_pages, MON_VM_PAGES * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &vm->trace, MON_TRACE_PAGES * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &vm->finfo, frames * sizeof(struct mon_finfo)) ||
	    co_block_alloc(vm, &vm->m2p, vm->ram_pages * 8) ||
	    co_block_alloc(vm, &vm->pool, pool * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &vm->phys_l1, phys_l1 * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &vm->pool_l1, pool_l1 * CO_PAGE_SIZE) ||
	    co_block_alloc(vm, &vm->tables, tables * CO_PAGE_SIZE))
		return -CO_ENOMEM;
	vm->mon = vm->mon_pages.va;
	vm->ring = vm->trace.va;
	return 0;
}

int co_memory_build(struct co_vm *vm)
{
	u64 i, *m2p;
	int ret;

	ret = co_os_ram_create(vm->frames, &vm->ram);
	if (ret)
		return ret;
	vm->overhead_pages += CO_SPECIAL_FRAMES;
	ret = alloc_blocks(vm);
	if (ret)
		return ret;
	m2p = vm->m2p.va;
	for (i = 0; i < vm->ram_pages; i++)
		m2p[i] = i;

	ret = map_block(vm, MON_TEXT, &co_host.text, 0, co_host.text.bytes >> 12, 0);
	if (!ret)
		ret = map_block(vm, MON_VM, &vm->mon_pages, 0, MON_VM_PAGES, DATA);
	if (!ret)
		ret = map_block(vm, MON_TRACE, &vm->trace, 0, MON_TRACE_PAGES, DATA);
	if (!ret)
		ret = map_block(vm, MON_FRAMES, &vm->finfo, 0, vm->finfo.bytes >> 12, DATA);
	if (!ret)
		ret = map_block(vm, MON_M2P, &vm->m2p, 0, vm->m2p.bytes >> 12, DATA);
	if (!ret)
		ret = map_block(vm, MON_PHYSPT, &vm->phys_l1, 0, vm->phys_l1.bytes >> 12, DATA);
	if (!ret)
		ret = map_block(vm, MON_POOLPT, &vm->pool_l1, 0, vm->pool_l1.bytes >> 12, DATA);
	if (!ret)
		ret = map_region(vm, MON_PHYS, vm->frames, &vm->phys_l1, ram_hfn);
	if (!ret)
		ret = map_region(vm, MON_POOL, vm->pool.bytes >> 12, &vm->pool_l1, pool_hfn);
	if (ret)
		return ret;

	vm->mon->ram_pages = vm->ram_pages;
	vm->mon->frames = vm->frames;
	vm->mon->pool_pages = vm->pool.bytes >> CO_PAGE_SHIFT;
	vm->mon->protect = co_host.protect;
	vm->mon->user_view = co_host.user_view;
	vm->mon->la57 = co_host.la57;
	vm->mon->vcpus = 1;
	vm->mon->has_xsave = co_host.has_xsave;
	vm->mon->bell_to = co_host.bell.to;
	vm->mon->bell_how = co_host.bell.how;
	vm->mon->xcr0_mask = co_host.xcr0_mask;
	return build_vcpu(vm, &vm->vcpu);
}

void co_memory_free(struct co_vm *vm)
{
	struct co_vcpu *v = &vm->vcpu;

	co_block_free(&v->root4);
	co_block_free(&v->root);
	co_block_free(&v->views);
	co_block_free(&vm->tables);
	co_block_free(&vm->pool_l1);
	co_block_free(&vm->phys_l1);
	co_block_free(&vm->pool);
	co_block_free(&vm->m2p);
	co_block_free(&vm->finfo);
	co_block_free(&vm->trace);
	co_block_free(&vm->mon_pages);
	if (vm->ram)
		co_os_ram_release(vm->ram);
	vm->ram = 0;
}

static u64 read_cr3(void)
{
	u64 v;

	__asm__ volatile("mov %%cr3, %0" : "=r"(v));
	return v;
}

/*
 * Copy the host's upper half, as the calling task has it now, into the transition
 * root.  Once a call from user space: the entries above a task do not move while
 * it is in here.
 */
int co_memory_refresh(struct co_vcpu *v)
{
	u64 *root = v->root.va, *l4 = root, top = read_cr3() & P_ADDR;
	u64 slot = co_os_hfn((u64 *)v->views.va + 512 * VIEW_TRANSITION) << 12 | TABLE;
	int ret;

	if (co_host.la57) {
		ret = co_os_phys_read(top + 256 * 8, root + 256, 256 * 8);
		if (ret)
			return ret;
		l4 = v->root4.va;
		top = root[511] & P_ADDR;
		ret = co_os_phys_read(top, l4, 512 * 8);
		if (!ret)
			root[511] = co_os_hfn(l4) << 12 | TABLE;
	} else {
		ret = co_os_phys_read(top + 256 * 8, l4 + 256, 256 * 8);
	}
	if (ret)
		return ret;
	if (l4[MON_SLOT])
		return -CO_ECPU;	/* somebody else's: checked at load, must not change */
	l4[MON_SLOT] = slot;
	return 0;
}
