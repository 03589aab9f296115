/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the builder's own files share; nobody else includes it. */
#ifndef WK_BUILDER_INTERNAL_H
#define WK_BUILDER_INTERNAL_H

#include "builder.h"
#include "../../../kext/include/xen/xen.h"

#define WK_PAGES(bytes)	(((bytes) >> CO_PAGE_SHIFT) + (((bytes) & (CO_PAGE_SIZE - 1)) != 0))

/* A kernel image that passed every check of elf.c. */
struct wk_elf {
	const co_u8 *bytes;
	co_u64 size;
	co_u64 phoff;
	co_u32 phnum;
	co_u64 start, end;		/* guest-physical bytes, end exclusive */
	co_u64 virt_base;		/* page aligned, upper half */
	co_u64 paddr_offset;
	co_u64 entry;
	co_u64 hypercall_page;		/* guest-physical; valid if has_hypercall_page */
	co_u64 init_p2m;		/* valid if has_init_p2m */
	int has_hypercall_page, has_init_p2m, mod_start_pfn;
};

/* One virtual range whose tables the builder writes. */
struct wk_map {
	co_u64 va;			/* page aligned */
	co_u64 pages;
};

/* The answer's text; every error path sets it exactly once. */
struct wk_why {
	char *text;			/* WK_BUILDER_WHY_LEN bytes */
	co_u32 used;
};

void wk_why_text(struct wk_why *why, const char *text);
void wk_why_number(struct wk_why *why, co_u64 n);

int wk_elf_parse(struct wk_elf *elf, const void *bytes, co_u64 size,
		 struct wk_why *why);
void wk_elf_load(const struct wk_elf *elf, co_u8 *memory);

co_u64 wk_pagetable_frames(const struct wk_map *map);
co_u64 wk_pagetable_write(co_u8 *memory, co_u64 l4, co_u64 next,
			  const struct wk_map *map, co_u64 first_gfn,
			  co_u64 end_gfn);
void wk_pagetable_protect(co_u8 *memory, co_u64 l4, co_u64 va);

#endif
