/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lays out a Xen PV domain in guest memory.  See builder.h for who calls.
 *
 * TOUR 4: what a guest finds when its first instruction runs.  By ascending
 * frame: the kernel where its segments say, start_info, console, xenstore,
 * page tables (L4, L3s, L2s, L1s), one page of stack; all mapped at VIRT_BASE,
 * and no more than the ABI promises beyond it: a kernel counts what it finds
 * mapped writable and executable there against itself.  Then what has no place there: the pfn->mfn list with its own
 * tables, mapped at the kernel's INIT_P2M address, and the initrd, which the
 * kernel finds by frame.  Frames are their own machine frames (mfn == pfn).
 */
#include "internal.h"

#define MAP_MAX_PAGES	131072ull	/* Linux's own limit of 512 MB */
#define MAP_SLACK	128ull		/* the ABI promises 512 KB above the stack */
#define MAP_ROUND	1024ull		/* and a 4 MB boundary */

struct layout {
	co_u64 pages;			/* of RAM */
	struct wk_map map;		/* VIRT_BASE */
	struct wk_map p2m_map;		/* INIT_P2M; pages 0 if p2m lies in map */
	co_u64 start_info, console, xenstore, l4, tables_end, stack;
	co_u64 p2m, p2m_pages, p2m_tables, p2m_end;
	co_u64 initrd, initrd_pages;
	co_u64 end;			/* first free frame */
};

void wk_why_text(struct wk_why *why, const char *text)
{
	while (*text && why->used + 1 < WK_BUILDER_WHY_LEN)
		why->text[why->used++] = *text++;
	why->text[why->used] = '\0';
}

void wk_why_number(struct wk_why *why, co_u64 n)
{
	char digits[21];
	int at = 20;

	digits[at] = '\0';
	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	wk_why_text(why, digits + at);
}

/* Places everything but the image, for a map of `map_pages` at VIRT_BASE. */
static void place(struct layout *l, const struct wk_elf *elf, co_u64 map_pages)
{
	co_u64 at = WK_PAGES(elf->end);

	l->map.va = elf->virt_base;
	l->map.pages = map_pages;
	l->initrd = 0;
	if (l->initrd_pages && !elf->mod_start_pfn) {	/* must be mapped then */
		l->initrd = at;
		at += l->initrd_pages;
	}
	l->start_info = at++;
	l->console = at++;
	l->xenstore = at++;
	if (!elf->has_init_p2m) {
		l->p2m = at;
		at += l->p2m_pages;
	}
	l->l4 = at++;
	at += wk_pagetable_frames(&l->map);
	l->tables_end = at;
	l->stack = at++;
	l->end = at;
	if (elf->has_init_p2m) {
		l->p2m_map.va = elf->init_p2m;
		l->p2m_map.pages = l->p2m_pages;
		l->p2m = l->end;
		l->p2m_tables = l->p2m + l->p2m_pages;
		l->end = l->p2m_tables + wk_pagetable_frames(&l->p2m_map);
	}
	l->p2m_end = elf->has_init_p2m ? l->end : l->p2m + l->p2m_pages;
	if (l->initrd_pages && !l->initrd) {
		l->initrd = l->end;
		l->end += l->initrd_pages;
	}
}

static int no_room(const struct layout *l, const struct wk_builder_in *in,
		   struct wk_why *why)
{
	co_u64 mib = in->memory_bytes >> 20;
	co_u64 need = ((l->end << CO_PAGE_SHIFT) + (1u << 20) - 1) >> 20;

	if (l->initrd_pages && l->end - l->initrd_pages <= l->pages) {
		wk_why_text(why, "the initrd does not fit: the VM has ");
		wk_why_number(why, mib);
		wk_why_text(why, " MiB of memory, kernel and initrd together need ");
		wk_why_number(why, need);
		wk_why_text(why, " MiB before the kernel has run at all");
		return -CO_EINITRD;
	}
	wk_why_text(why, "the kernel does not fit in ");
	wk_why_number(why, mib);
	wk_why_text(why, " MiB: it needs ");
	wk_why_number(why, need);
	wk_why_text(why, " MiB to be loaded and some more to run");
	return -CO_EMEMORY;
}

static int plan(struct layout *l, const struct wk_elf *elf,
		const struct wk_builder_in *in, struct wk_why *why)
{
	co_u64 pages = MAP_ROUND, top;

	__builtin_memset(l, 0, sizeof(*l));
	l->pages = in->memory_bytes >> CO_PAGE_SHIFT;
	l->p2m_pages = WK_PAGES(l->pages * 8);
	l->initrd_pages = WK_PAGES(in->initrd_bytes);
	for (;;) {
		place(l, elf, pages);
		top = (l->stack + 1 + MAP_SLACK + MAP_ROUND - 1) & ~(MAP_ROUND - 1);
		if (l->end > l->pages)
			return no_room(l, in, why);
		if (top <= pages)
			return 0;
		if (top > MAP_MAX_PAGES) {
			wk_why_text(why, "the kernel is too large: it and what must lie beside it exceed 512 MiB");
			return -CO_EKERNEL;
		}
		pages = top;	/* more tables move the top: place again */
	}
}

static co_u8 *frame(const struct wk_builder_in *in, co_u64 gfn)
{
	return (co_u8 *)in->memory + (gfn << CO_PAGE_SHIFT);
}

static co_u64 kernel_va(const struct layout *l, co_u64 gfn)
{
	return l->map.va + (gfn << CO_PAGE_SHIFT);
}

static void write_tables(const struct wk_builder_in *in, const struct layout *l)
{
	co_u8 *memory = in->memory;
	co_u64 gfn;

	wk_pagetable_write(memory, l->l4, l->l4 + 1, &l->map, 0, l->pages);
	if (l->p2m_tables)
		wk_pagetable_write(memory, l->l4, l->p2m_tables, &l->p2m_map,
				   l->p2m, l->p2m + l->p2m_pages);
	for (gfn = l->l4; gfn < l->tables_end; gfn++)
		wk_pagetable_protect(memory, l->l4, kernel_va(l, gfn));
	if (l->p2m_tables)
		for (gfn = l->p2m_tables; gfn < l->p2m_end && gfn < l->map.pages; gfn++)
			wk_pagetable_protect(memory, l->l4, kernel_va(l, gfn));
}

static void write_p2m(const struct wk_builder_in *in, const struct layout *l)
{
	co_u64 *list = (co_u64 *)(void *)frame(in, l->p2m);
	co_u64 pfn;

	for (pfn = 0; pfn < l->pages; pfn++)
		list[pfn] = pfn;
}

/*
 * Slot n of the hypercall page: push rcx; push r11; mov n,%eax; syscall;
 * pop r11; pop rcx; ret.  iret does not return: it leaves rcx, r11 and rax on
 * the stack for the monitor (struct iret_context).
 */
static void write_hypercall_page(co_u8 *page)
{
	static const co_u8 normal[] = {
		0x51, 0x41, 0x53, 0xb8, 0, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3,
	};
	static const co_u8 iret[] = {
		0x51, 0x41, 0x53, 0x50, 0xb8, __HYPERVISOR_iret, 0, 0, 0, 0x0f, 0x05,
		0x0f, 0x0b,
	};
	int n;

	__builtin_memset(page, 0xcc, CO_PAGE_SIZE);
	for (n = 0; n < XEN_HYPERCALL_SLOTS; n++) {
		co_u8 *slot = page + n * 32;

		if (n == __HYPERVISOR_iret) {
			__builtin_memcpy(slot, iret, sizeof(iret));
		} else {
			__builtin_memcpy(slot, normal, sizeof(normal));
			slot[4] = (co_u8)n;
		}
	}
}

static void write_start_info(const struct wk_builder_in *in,
			     const struct wk_elf *elf, const struct layout *l)
{
	struct start_info *si = (void *)frame(in, l->start_info);
	co_u32 i;

	__builtin_memcpy(si->magic, XEN_START_MAGIC_PREFIX,
			 sizeof(XEN_START_MAGIC_PREFIX));
	si->nr_pages = l->pages;
	si->shared_info = in->shared_info_gfn << CO_PAGE_SHIFT;
	si->console.domU.mfn = l->console;
	si->console.domU.evtchn = in->console_port;
	if (in->xenstore_port) {
		si->store_mfn = l->xenstore;
		si->store_evtchn = in->xenstore_port;
	}
	si->pt_base = kernel_va(l, l->l4);
	si->nr_pt_frames = l->tables_end - l->l4;
	if (elf->has_init_p2m) {
		si->mfn_list = elf->init_p2m;
		si->first_p2m_pfn = l->p2m;
		si->nr_p2m_frames = l->p2m_end - l->p2m;
	} else {
		si->mfn_list = kernel_va(l, l->p2m);
	}
	if (elf->mod_start_pfn)
		si->flags |= SIF_MOD_START_PFN;
	if (l->initrd_pages) {
		si->mod_start = elf->mod_start_pfn ? l->initrd :
				kernel_va(l, l->initrd);
		si->mod_len = in->initrd_bytes;
	}
	for (i = 0; in->cmdline && in->cmdline[i]; i++)
		si->cmd_line[i] = (xen_s8)in->cmdline[i];
}

static void add_region(struct wk_builder_out *out, const char *name,
		       co_u64 start_gfn, co_u64 end_gfn)
{
	struct wk_builder_region *r = &out->regions[out->nregions];

	if (start_gfn == end_gfn || out->nregions == WK_BUILDER_REGIONS)
		return;
	r->name = name;
	r->start = start_gfn << CO_PAGE_SHIFT;
	r->end = end_gfn << CO_PAGE_SHIFT;
	out->nregions++;
}

static void list_regions(const struct wk_builder_in *in, const struct wk_elf *elf,
			 const struct layout *l, struct wk_builder_out *out)
{
	add_region(out, "low", 0, elf->start >> CO_PAGE_SHIFT);
	add_region(out, "kernel", elf->start >> CO_PAGE_SHIFT, WK_PAGES(elf->end));
	if (!elf->mod_start_pfn)
		add_region(out, "initrd", l->initrd, l->initrd + l->initrd_pages);
	add_region(out, "start_info", l->start_info, l->start_info + 1);
	add_region(out, "console", l->console, l->console + 1);
	add_region(out, "xenstore", l->xenstore, l->xenstore + 1);
	if (!elf->has_init_p2m)
		add_region(out, "p2m", l->p2m, l->p2m_end);
	add_region(out, "page tables", l->l4, l->tables_end);
	add_region(out, "stack", l->stack, l->stack + 1);
	if (elf->has_init_p2m) {
		add_region(out, "p2m", l->p2m, l->p2m_tables);
		add_region(out, "p2m tables", l->p2m_tables, l->p2m_end);
	}
	if (elf->mod_start_pfn)
		add_region(out, "initrd", l->initrd, l->initrd + l->initrd_pages);
	add_region(out, "free", l->end, l->pages);
	add_region(out, "shared_info", in->shared_info_gfn, in->shared_info_gfn + 1);
	add_region(out, "grant table", CO_GRANT_GFN(l->pages),
		   CO_GRANT_GFN(l->pages) + CO_GRANT_FRAMES);
}

static int check_input(const struct wk_builder_in *in, struct wk_why *why)
{
	co_u64 n;

	if (!in->memory || !in->memory_bytes ||
	    in->memory_bytes & (CO_PAGE_SIZE - 1) ||
	    in->memory_bytes > CO_MAX_MEMORY) {
		wk_why_text(why, "the VM's memory must be a multiple of 4 KiB, up to 64 GiB");
		return -CO_EMEMORY;
	}
	/* Between the frames of RAM and the 52-bit limit, or no claim on RAM. */
	if (in->shared_info_gfn < in->memory_bytes >> CO_PAGE_SHIFT ||
	    in->shared_info_gfn >> 40) {
		wk_why_text(why, "shared_info must lie above the VM's memory");
		return -CO_EINVAL;
	}
	if (in->initrd_bytes && (!in->initrd || in->initrd_bytes > CO_MAX_MEMORY)) {
		wk_why_text(why, "the initrd is larger than any possible memory");
		return -CO_EINITRD;
	}
	for (n = 0; in->cmdline && in->cmdline[n]; n++) {
		if (n + 1 < MAX_GUEST_CMDLINE)
			continue;
		wk_why_text(why, "the kernel command line is longer than 1023 bytes");
		return -CO_ETOOBIG;
	}
	return 0;
}

int wk_builder_build(const struct wk_builder_in *in, struct wk_builder_out *out)
{
	struct wk_why why = { out->why, 0 };
	struct wk_elf elf;
	struct layout l;
	int err;

	__builtin_memset(out, 0, sizeof(*out));
	err = check_input(in, &why);
	if (!err)
		err = wk_elf_parse(&elf, in->kernel, in->kernel_bytes, &why);
	if (!err)
		err = plan(&l, &elf, in, &why);
	if (err)
		return err;

	wk_elf_load(&elf, in->memory);
	if (elf.has_hypercall_page)
		write_hypercall_page((co_u8 *)in->memory + elf.hypercall_page);
	if (l.initrd_pages)
		__builtin_memcpy(frame(in, l.initrd), in->initrd, in->initrd_bytes);
	write_p2m(in, &l);
	write_tables(in, &l);
	write_start_info(in, &elf, &l);
	list_regions(in, &elf, &l, out);

	out->rip = elf.entry;
	out->rsp = kernel_va(&l, l.stack + 1);
	out->rsi = kernel_va(&l, l.start_info);
	out->cr3_gfn = l.l4;
	out->console_gfn = l.console;
	out->xenstore_gfn = in->xenstore_port ? l.xenstore : 0;
	return 0;
}

int wk_builder_check(const void *kernel, co_u64 kernel_bytes,
		     char text[WK_BUILDER_WHY_LEN])
{
	struct wk_why why = { text, 0 };
	struct wk_elf elf;

	text[0] = '\0';
	return wk_elf_parse(&elf, kernel, kernel_bytes, &why);
}
