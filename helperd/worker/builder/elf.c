/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads a kernel's ELF headers and Xen notes, and loads its segments.
 *
 * Called by builder.c.  Distrusts every byte of the image: a header is copied
 * before it is used, and every offset, size and sum is checked against what
 * there is, in a form that cannot overflow (a <= limit && b <= limit - a).
 */
#include "internal.h"
#include "../../../kext/include/xen/elfnote.h"
#include "../../../kext/include/xen/features.h"

#define MAX_PHDRS	64u		/* Linux has 5 */
#define MAX_NOTES	(64u << 10)	/* bytes of one note segment */
#define EM_X86_64	62
#define PT_LOAD		1
#define PT_NOTE		4

struct elf64_ehdr {
	co_u8 ident[16];
	co_u16 type, machine;
	co_u32 version;
	co_u64 entry, phoff, shoff;
	co_u32 flags;
	co_u16 ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_phdr {
	co_u32 type, flags;
	co_u64 offset, vaddr, paddr, filesz, memsz, align;
};

struct elf64_nhdr {
	co_u32 namesz, descsz, type;
};

_Static_assert(sizeof(struct elf64_ehdr) == 64, "elf64_ehdr");
_Static_assert(sizeof(struct elf64_phdr) == 56, "elf64_phdr");

/*
 * The features a kernel may insist on.  writable_page_tables counts as given:
 * a write to a live page table faults and is emulated.
 */

static const struct {
	const char *name;
	co_u32 bit;
} feature_names[] = {
	{ "writable_page_tables", XENFEAT_writable_page_tables },
	{ "pae_pgdir_above_4gb", XENFEAT_pae_pgdir_above_4gb },
	{ "mmu_pt_update_preserve_ad", XENFEAT_mmu_pt_update_preserve_ad },
	{ "gnttab_map_avail_bits", XENFEAT_gnttab_map_avail_bits },
};

/* What the notes said, before it is judged. */
struct notes {
	co_u32 seen;			/* bit per XEN_ELFNOTE_* */
	co_u64 value[XEN_ELFNOTE_MAX + 1];
	int any;
};

static int fail(struct wk_why *why, const char *text)
{
	wk_why_text(why, text);
	return -CO_EKERNEL;
}

static void get_phdr(const struct wk_elf *elf, co_u32 i, struct elf64_phdr *ph)
{
	__builtin_memcpy(ph, elf->bytes + elf->phoff + i * sizeof(*ph), sizeof(*ph));
}

static int parse_header(struct wk_elf *elf, struct wk_why *why)
{
	struct elf64_ehdr eh;

	if (elf->size < 4 || __builtin_memcmp(elf->bytes, "\177ELF", 4))
		return fail(why, "the kernel is not an ELF image");
	if (elf->size < sizeof(eh))
		return fail(why, "the kernel is truncated: its ELF header is incomplete");
	__builtin_memcpy(&eh, elf->bytes, sizeof(eh));
	if (eh.ident[4] != 2 || eh.ident[5] != 1 || eh.machine != EM_X86_64)
		return fail(why, "the kernel is not for x86-64: a 64-bit x86 kernel is needed");
	if (eh.type != 2 && eh.type != 3)
		return fail(why, "the kernel's ELF image is not an executable");
	if (eh.phentsize != sizeof(struct elf64_phdr) || !eh.phnum ||
	    eh.phnum > MAX_PHDRS)
		return fail(why, "the kernel's ELF program headers are malformed");
	if (eh.phoff > elf->size ||
	    eh.phnum * sizeof(struct elf64_phdr) > elf->size - eh.phoff)
		return fail(why, "the kernel is truncated: its program headers lie outside the file");
	elf->phoff = eh.phoff;
	elf->phnum = eh.phnum;
	return 0;
}

/* True if text[0..n) holds `word` as one whole item of a '|' list. */
static int item_is(const co_u8 *text, co_u32 n, const char *word)
{
	co_u32 i;

	for (i = 0; i < n && word[i]; i++)
		if (text[i] != (co_u8)word[i])
			return 0;
	return i == n && !word[i];
}

static int check_features(const co_u8 *text, co_u32 size, struct wk_why *why)
{
	co_u32 at = 0;

	while (at < size && text[at]) {
		co_u32 n = 0, f;

		while (at + n < size && text[at + n] && text[at + n] != '|')
			n++;
		if (n && text[at] == '!') {	/* '!' marks a requirement */
			for (f = 0; f < sizeof(feature_names) / sizeof(feature_names[0]); f++)
				if (item_is(text + at + 1, n - 1, feature_names[f].name))
					break;
			if (f == sizeof(feature_names) / sizeof(feature_names[0]))
				return fail(why, "the kernel requires a hypervisor feature that coLinux does not offer (its Xen FEATURES note)");
		}
		at += n;
		if (at < size && text[at] == '|')
			at++;
	}
	return 0;
}

static int read_note(struct notes *notes, co_u32 type, const co_u8 *desc,
		     co_u32 size, struct wk_why *why)
{
	co_u64 value = 0;
	co_u32 value32 = 0;

	notes->any = 1;
	if (type > XEN_ELFNOTE_MAX)
		return 0;
	switch (type) {
	case XEN_ELFNOTE_FEATURES:
		return check_features(desc, size, why);
	case XEN_ELFNOTE_XEN_VERSION:
		if (size < 7 || __builtin_memcmp(desc, "xen-3.0", 7))
			return fail(why, "the kernel's Xen notes ask for another interface than xen-3.0");
		return 0;
	case XEN_ELFNOTE_ENTRY:
	case XEN_ELFNOTE_HYPERCALL_PAGE:
	case XEN_ELFNOTE_VIRT_BASE:
	case XEN_ELFNOTE_PADDR_OFFSET:
	case XEN_ELFNOTE_HV_START_LOW:
	case XEN_ELFNOTE_INIT_P2M:
	case XEN_ELFNOTE_MOD_START_PFN:
		break;
	default:
		return 0;
	}
	if (size == 8) {
		__builtin_memcpy(&value, desc, 8);
	} else if (size == 4) {
		__builtin_memcpy(&value32, desc, 4);
		value = value32;
	} else {
		return fail(why, "the kernel's Xen notes are malformed: a number is neither 4 nor 8 bytes long");
	}
	notes->seen |= 1u << type;
	notes->value[type] = value;
	return 0;
}

static int walk_notes(const co_u8 *at, co_u64 left, co_u64 align,
		      struct notes *notes, struct wk_why *why)
{
	struct elf64_nhdr nh;
	int err;

	while (left >= sizeof(nh)) {
		co_u64 name, desc;	/* padded sizes; 32-bit inputs, no overflow */

		__builtin_memcpy(&nh, at, sizeof(nh));
		at += sizeof(nh);
		left -= sizeof(nh);
		name = ((co_u64)nh.namesz + 3) & ~3ull;
		if (align == 8)		/* pads the descriptor's start to 8 */
			name += (sizeof(nh) + name) & 4;
		desc = ((co_u64)nh.descsz + align - 1) & ~(align - 1);
		if (name > left || nh.descsz > left - name)
			return fail(why, "the kernel's ELF notes run past their end");
		if (nh.namesz == 4 && !__builtin_memcmp(at, "Xen", 4)) {
			err = read_note(notes, nh.type, at + name, nh.descsz, why);
			if (err)
				return err;
		}
		if (desc > left - name)	/* the last one need not be padded */
			break;
		at += name + desc;
		left -= name + desc;
	}
	return 0;
}

static int parse_notes(struct wk_elf *elf, struct notes *notes, struct wk_why *why)
{
	struct elf64_phdr ph;
	co_u32 i;
	int err;

	for (i = 0; i < elf->phnum; i++) {
		get_phdr(elf, i, &ph);
		if (ph.type != PT_NOTE)
			continue;
		if (ph.offset > elf->size || ph.filesz > elf->size - ph.offset)
			return fail(why, "the kernel is truncated: its notes lie outside the file");
		if (ph.filesz > MAX_NOTES)
			return fail(why, "the kernel's ELF notes are implausibly large");
		err = walk_notes(elf->bytes + ph.offset, ph.filesz,
				 ph.align == 8 ? 8 : 4, notes, why);
		if (err)
			return err;
	}
	if (!notes->any)
		return fail(why, "the kernel has no Xen notes: it was built without Xen guest support (its config must say CONFIG_XEN_PV=y; see /boot/config-VERSION)");
	if (!(notes->seen & 1u << XEN_ELFNOTE_ENTRY))
		return fail(why, "the kernel is not a Xen PV kernel: it has Xen notes but no PV entry (its config must say CONFIG_XEN_PV=y; see /boot/config-VERSION)");
	if (!(notes->seen & 1u << XEN_ELFNOTE_VIRT_BASE))
		return fail(why, "the kernel's Xen notes lack VIRT_BASE");
	return 0;
}

/* Finds the image's extent in guest-physical memory. */
static int parse_segments(struct wk_elf *elf, struct wk_why *why)
{
	struct elf64_phdr ph;
	co_u64 start;
	co_u32 i;

	elf->start = ~0ull;
	elf->end = 0;
	for (i = 0; i < elf->phnum; i++) {
		get_phdr(elf, i, &ph);
		if (ph.type != PT_LOAD || !ph.memsz)
			continue;
		if (ph.offset > elf->size || ph.filesz > elf->size - ph.offset)
			return fail(why, "the kernel is truncated: a segment lies outside the file");
		if (ph.filesz > ph.memsz || ph.paddr < elf->paddr_offset)
			return fail(why, "the kernel's ELF segments are malformed");
		start = ph.paddr - elf->paddr_offset;
		if (start > CO_MAX_MEMORY || ph.memsz > CO_MAX_MEMORY - start)
			return fail(why, "the kernel's ELF segments lie outside any possible memory");
		if (start < elf->start)
			elf->start = start;
		if (start + ph.memsz > elf->end)
			elf->end = start + ph.memsz;
	}
	if (!elf->end)
		return fail(why, "the kernel's ELF image has nothing to load");
	return 0;
}

static int inside(const struct wk_elf *elf, co_u64 va, co_u64 bytes)
{
	co_u64 at = va - elf->virt_base;

	return va >= elf->virt_base && at >= elf->start && at <= elf->end &&
	       bytes <= elf->end - at;
}

static int judge_notes(struct wk_elf *elf, const struct notes *notes,
		       struct wk_why *why)
{
	elf->entry = notes->value[XEN_ELFNOTE_ENTRY];
	/* The image and its tables need 1 GiB of the upper half, above the hole. */
	if (elf->virt_base & (CO_PAGE_SIZE - 1) ||
	    elf->virt_base < HYPERVISOR_VIRT_END ||
	    elf->virt_base > 0ull - (1ull << 30))
		return fail(why, "the kernel's Xen notes give a VIRT_BASE out of range");
	if (!inside(elf, elf->entry, 1))
		return fail(why, "the kernel's Xen notes give an entry outside the image");
	if (notes->seen & 1u << XEN_ELFNOTE_HV_START_LOW &&
	    notes->value[XEN_ELFNOTE_HV_START_LOW] > HYPERVISOR_VIRT_START)
		return fail(why, "the kernel does not leave the hypervisor its address hole (its HV_START_LOW note)");

	elf->has_hypercall_page = !!(notes->seen & 1u << XEN_ELFNOTE_HYPERCALL_PAGE);
	if (elf->has_hypercall_page) {
		co_u64 va = notes->value[XEN_ELFNOTE_HYPERCALL_PAGE];

		if (va & (CO_PAGE_SIZE - 1) || !inside(elf, va, CO_PAGE_SIZE))
			return fail(why, "the kernel's Xen notes give a hypercall page outside the image");
		elf->hypercall_page = va - elf->virt_base;
	}
	/* The list gets a top-level slot of its own: lower half, not slot 0. */
	elf->has_init_p2m = !!(notes->seen & 1u << XEN_ELFNOTE_INIT_P2M);
	elf->init_p2m = notes->value[XEN_ELFNOTE_INIT_P2M];
	if (elf->has_init_p2m && (!elf->init_p2m || elf->init_p2m >= 1ull << 47 ||
				  elf->init_p2m & ((1ull << 39) - 1)))
		return fail(why, "the kernel's Xen notes give an INIT_P2M address out of range");
	elf->mod_start_pfn = notes->seen & 1u << XEN_ELFNOTE_MOD_START_PFN &&
			     notes->value[XEN_ELFNOTE_MOD_START_PFN];
	return 0;
}

int wk_elf_parse(struct wk_elf *elf, const void *bytes, co_u64 size,
		 struct wk_why *why)
{
	struct notes notes;
	int err;

	__builtin_memset(elf, 0, sizeof(*elf));
	__builtin_memset(&notes, 0, sizeof(notes));
	elf->bytes = bytes;
	elf->size = size;
	err = parse_header(elf, why);
	if (!err)
		err = parse_notes(elf, &notes, why);
	if (err)
		return err;
	elf->virt_base = notes.value[XEN_ELFNOTE_VIRT_BASE];
	elf->paddr_offset = notes.value[XEN_ELFNOTE_PADDR_OFFSET];
	err = parse_segments(elf, why);
	return err ? err : judge_notes(elf, &notes, why);
}

/* The caller has checked elf->end against the memory it gives. */
void wk_elf_load(const struct wk_elf *elf, co_u8 *memory)
{
	struct elf64_phdr ph;
	co_u32 i;

	for (i = 0; i < elf->phnum; i++) {
		get_phdr(elf, i, &ph);
		if (ph.type != PT_LOAD || !ph.memsz)
			continue;
		__builtin_memcpy(memory + (ph.paddr - elf->paddr_offset),
				 elf->bytes + ph.offset, ph.filesz);
	}
}
