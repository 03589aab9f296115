/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's descriptor tables.
 *
 * The CPU reads only our copies (MON_GATE_GDT, MON_GATE_LDT), made here: system
 * descriptors become null (a call gate would be ring 0), the privilege level is
 * forced to 1 or 3, Accessed is preset because the CPU could not write it.
 */
#include "mon.h"

#define GDT		((u64 *)MON_GATE_GDT)
#define LDT		((u64 *)MON_GATE_LDT)
#define LDT_MAX		8192u

u64 mon_desc_sanitize(u64 d)
{
	u64 dpl = (d >> 45) & 3;

	if (!(d & (1ull << 44)) || !(d & (1ull << 47)))
		return 0;			/* system, or not present */
	if ((d & (1ull << 43)) && (d & (1ull << 42)))
		d &= ~(1ull << 42);		/* conforming code: no */
	d |= 1ull << 40;			/* Accessed */
	d &= ~(3ull << 45);
	return d | (dpl == 3 ? 3ull : 1ull) << 45;
}

s64 mon_hc_set_gdt(u64 va, u32 entries)
{
	u64 gfns[MON_GDT_GUEST_PAGES];
	u32 pages = (entries + 511) / 512, i, k;

	if (entries > FIRST_RESERVED_GDT_ENTRY)
		return -XEN_EINVAL;
	if (mon_get(gfns, va, pages * 8))
		return -XEN_EFAULT;
	for (i = 0; i < pages; i++)
		if (!mon_frame_ptr(gfns[i]))
			return -XEN_EINVAL;
	for (i = 0; i < MON_GDT_GUEST_PAGES; i++) {
		const u64 *p = i < pages ? mon_frame_ptr(gfns[i]) : 0;

		if (!p && i * 512 >= V->gdt_entries)
			break;
		V->gdt_gfn[i] = p ? gfns[i] : ~0ull;
		for (k = 0; k < 512; k++) {
			if (!(k & 63))
				mon_work(200);
			GDT[i * 512 + k] = p && i * 512 + k < entries ?
				mon_desc_sanitize(mon_once(&p[k])) : 0;
		}
	}
	V->gdt_entries = entries;
	return 0;
}

static void load_ldt(u32 bytes)
{
	u64 base = MON_GATE_LDT, limit = bytes ? bytes - 1 : 0;
	u64 *d = &GDT[MON_LDT_SEL >> 3];

	d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | 0x82ull << 40 |
	       (limit >> 16 & 15) << 48 | (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
	__asm__ volatile("lldt %w0" : : "r"(MON_LDT_SEL));
}

s64 mon_set_ldt(u64 va, u32 entries)
{
	u32 i;
	s64 ret = 0;

	if (entries > LDT_MAX || (va & 7) || (entries && (!mon_guest_va(va) ||
	    !mon_guest_va(va + entries * 8ull))))
		return -XEN_EINVAL;
	for (i = 0; i < entries; i += 64) {
		u64 d[64];
		u32 k, n = mon_min(entries - i, 64u);

		mon_work(250);
		if (mon_get(d, va + i * 8, n * 8)) {
			entries = 0;
			ret = -XEN_EFAULT;
			break;
		}
		for (k = 0; k < n; k++)
			LDT[i + k] = mon_desc_sanitize(d[k]);
	}
	V->ldt_va = va;
	V->ldt_entries = entries;
	load_ldt(entries * 8);
	return ret;
}

s64 mon_hc_update_descriptor(u64 ma, u64 desc)
{
	u64 gfn = ma >> 12, *p = mon_frame_ptr(gfn);
	u32 index = (u32)(ma & 4095) >> 3, i;

	if (!p || (ma & 7) || FINFO(gfn)->shadow)
		return -XEN_EINVAL;
	mon_work(150);
	p[index] = desc;
	for (i = 0; i < MON_GDT_GUEST_PAGES && i * 512 < V->gdt_entries; i++)
		if (V->gdt_gfn[i] == gfn && i * 512 + index < V->gdt_entries)
			GDT[i * 512 + index] = mon_desc_sanitize(desc);
	for (i = 0; i < V->ldt_entries; i += 512) {
		struct mon_walk w;
		u64 va = V->ldt_va + i * 8;

		/* an LDT need not start on a page boundary */
		if (mon_walk(&w, va, 0) && (w.entry[1] & PTE_ADDR) >> 12 == gfn) {
			s64 n = (s64)index - (s64)((va & 4095) >> 3) + i;

			if (n >= 0 && n < V->ldt_entries)
				LDT[n] = mon_desc_sanitize(desc);
		}
	}
	return 0;
}
