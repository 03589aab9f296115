/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Page-table hypercalls: mmu_update, mmuext_op, update_va_mapping.
 *
 * Called by hypercall.c.  A guest may write any frame of its own by these; what
 * keeps the host safe is that a shadow entry is made from each value by
 * shadow.c, never taken from it.
 */
#include "shadow.h"

/* Would the guest's entry name a frame it does not have? */
static inline int bad_entry(u64 e)
{
	return (e & PTE_P) && mon_gfn(e) >= VM->frames;
}

static inline void write_entry(u64 gfn, u32 index, u64 value)
{
	u64 *p = (u64 *)mon_frame_ptr(gfn) + index;

	__asm__ volatile("movq %1, %0" : "=m"(*p) : "r"(value) : "memory");
	mon_shadow_write(gfn, index, value);
}

static inline s64 update_one(u64 ptr, u64 value)
{
	u64 gfn = ptr >> 12;
	u32 index = (u32)(ptr & 4095) >> 3, kind = ptr & 7;
	const u64 *p = mon_frame_ptr(gfn);

	if (mon_unlikely(kind == MMU_MACHPHYS_UPDATE))	/* mfn == pfn: only the identity is right */
		return p && value == gfn ? 0 : -XEN_EINVAL;
	if (mon_unlikely(kind != MMU_NORMAL_PT_UPDATE && kind != MMU_PT_UPDATE_PRESERVE_AD))
		return -XEN_ENOSYS;
	if (!p || bad_entry(value))
		return -XEN_EINVAL;
	if (kind == MMU_PT_UPDATE_PRESERVE_AD)
		value |= mon_once(&p[index]) & (PTE_A | PTE_D);
	write_entry(gfn, index, value);
	return 0;
}

static __attribute__((noinline)) s64 update_slow(u64 va)
{
	struct mmu_update u;

	if (mon_get(&u, va, sizeof(u)))
		return -XEN_EFAULT;
	return update_one(u.ptr, u.val);
}

s64 mon_hc_mmu_update(u64 va)
{
	const struct mmu_update *p = (va & 4095) <= 4096 - sizeof(*p) ? mon_at_known(va, 0) : 0;

	if (mon_unlikely(!p))
		return update_slow(va);
	return update_one(mon_once(&p->ptr), mon_once(&p->val));
}

static void flush_all(void)
{
	mon_tlb_flush();
	if (VM->unsync_count)
		mon_shadow_sync();
	V->reload = 1;
}

static __attribute__((noinline)) s64 update_va_slow(u64 va, u64 value)
{
	struct mon_walk w;

	mon_walk(&w, va, 0);
	if (w.reached != 1)
		return -XEN_EINVAL;
	mon_path_remember(&w, va, 0);
	write_entry(mon_walk_table(&w, 1), (u32)(va >> 12) & 511, value);
	return 0;
}

s64 mon_hc_update_va(u64 va, u64 value, u64 flags)
{
	const struct mon_path *path = mon_path(va);
	s64 ret = 0;

	if (bad_entry(value))
		return -XEN_EINVAL;
	if (mon_likely(path))
		write_entry(path->gfn, (u32)(va >> 12) & 511, value);
	else
		ret = update_va_slow(va, value);
	if (ret)
		return ret;
	switch (flags & UVMF_FLUSHTYPE_MASK) {
	case UVMF_TLB_FLUSH:
		flush_all();
		break;
	case UVMF_INVLPG:
		mon_shadow_sync_va(va);
		break;
	}
	return 0;
}

static s64 clear_page(u64 gfn)
{
	u64 *p = mon_frame_ptr(gfn), n = 512;

	if (!p || FINFO(gfn)->shadow)
		return -XEN_EINVAL;
	__asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(0ull) : "memory");
	return 0;
}

static s64 copy_page(u64 to, u64 from)
{
	u64 *t = mon_frame_ptr(to), *f = mon_frame_ptr(from), n = 512;

	if (!t || !f || FINFO(to)->shadow)
		return -XEN_EINVAL;
	__asm__ volatile("rep movsq" : "+D"(t), "+S"(f), "+c"(n) : : "memory");
	return 0;
}

/* arg1 is a frame or an address; frames above RAM are shared: never a table. */
static s64 ext_one(u32 cmd, u64 gfn, u64 arg2)
{
	switch (cmd) {
	case MMUEXT_PIN_L1_TABLE:
	case MMUEXT_PIN_L2_TABLE:
	case MMUEXT_PIN_L3_TABLE:
	case MMUEXT_PIN_L4_TABLE:
		if (gfn >= VM->ram_pages)
			return -XEN_EINVAL;
		FINFO(gfn)->flags |= MON_F_PINNED;
		return 0;
	case MMUEXT_UNPIN_TABLE:
		if (!mon_frame_ptr(gfn))
			return -XEN_EINVAL;
		FINFO(gfn)->flags &= (u8)~MON_F_PINNED;
		mon_shadow_drop_frame(gfn);
		return 0;
	case MMUEXT_NEW_BASEPTR:
		if (gfn >= VM->ram_pages)
			return -XEN_EINVAL;
		mon_shadow_new_base(gfn);
		return 0;
	case MMUEXT_NEW_USER_BASEPTR:
		/* Users run on the kernel's root: the U bit separates them (user view apart). */
		if (gfn && !mon_frame_ptr(gfn))
			return -XEN_EINVAL;
		V->user_gfn = gfn;
		return 0;
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_TLB_FLUSH_ALL:
		flush_all();
		return 0;
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_INVLPG_MULTI:
	case MMUEXT_INVLPG_ALL:
		mon_shadow_sync_va(gfn);
		return 0;
	case MMUEXT_FLUSH_CACHE:
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return 0;		/* guests have no devices that bypass the cache */
	case MMUEXT_SET_LDT:
		return mon_set_ldt(gfn, (u32)arg2);
	case MMUEXT_CLEAR_PAGE:
		return clear_page(gfn);
	case MMUEXT_COPY_PAGE:
		return copy_page(gfn, arg2);
	default:
		return -XEN_ENOSYS;
	}
}

s64 mon_hc_mmuext(u64 va)
{
	const volatile struct mmuext_op *p = mon_at_whole(va, sizeof(*p), 0);
	struct mmuext_op op;

	if (mon_likely(p))
		return ext_one(p->cmd, p->arg1.mfn, p->arg2.src_mfn);
	if (mon_get(&op, va, sizeof(op)))
		return -XEN_EFAULT;
	return ext_one(op.cmd, op.arg1.mfn, op.arg2.src_mfn);
}
