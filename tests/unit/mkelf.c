/* SPDX-License-Identifier: GPL-2.0-or-later */
/* See mkelf.h. */
#include <lz4.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "mkelf.h"
#include "../../kext/include/xen/elfnote.h"

#define NOTES_AT	0x400
#define TEXT_AT		0x1000
#define TEXT_LEN	0x2000

struct buf {
	uint8_t *at;
	size_t len;
};

static void put(struct buf *b, const void *data, size_t n)
{
	memcpy(b->at + b->len, data, n);
	b->len += n;
}

static void put_le(struct buf *b, uint64_t v, size_t n)
{
	put(b, &v, n);
}

static void note(struct buf *b, uint32_t type, const void *desc, uint32_t n)
{
	put_le(b, 4, 4);
	put_le(b, n, 4);
	put_le(b, type, 4);
	put(b, "Xen", 4);
	put(b, desc, n);
	while (b->len % 4)
		put_le(b, 0, 1);
}

static void note_number(struct buf *b, uint32_t type, uint64_t v)
{
	note(b, type, &v, 8);
}

static void phdr(struct buf *b, uint32_t type, uint64_t offset, uint64_t vaddr,
		 uint64_t paddr, uint64_t filesz, uint64_t memsz)
{
	put_le(b, type, 4);
	put_le(b, 7, 4);
	put_le(b, offset, 8);
	put_le(b, vaddr, 8);
	put_le(b, paddr, 8);
	put_le(b, filesz, 8);
	put_le(b, memsz, 8);
	put_le(b, 4, 8);
}

struct mkelf mkelf_debian(void)
{
	return (struct mkelf){
		.load_memsz = 4 * 4096,
		.entry = MK_VIRT_BASE + MK_LOAD + 0x40,
		.virt_base = MK_VIRT_BASE,
		.init_p2m = MK_INIT_P2M,
		.hv_start_low = 0xffff800000000000ull,
		.features = "!writable_page_tables|pae_pgdir_above_4gb",
		.xen_version = "xen-3.0",
		.mod_start_pfn = 1,
	};
}

uint8_t *mkelf(const struct mkelf *spec, size_t *len)
{
	static const uint8_t ident[16] = { 0x7f, 'E', 'L', 'F', 2, 1, 1 };
	struct buf b = { calloc(1, TEXT_AT + TEXT_LEN), 0 };
	struct buf n = { b.at + NOTES_AT, 0 };
	int phnum = spec->no_notes ? 2 : 3;
	uint64_t paddr = MK_LOAD;

	note(&n, XEN_ELFNOTE_GUEST_OS, "linux", 6);
	if (spec->xen_version)
		note(&n, XEN_ELFNOTE_XEN_VERSION, spec->xen_version,
		     (uint32_t)strlen(spec->xen_version) + 1);
	if (spec->virt_base)
		note_number(&n, XEN_ELFNOTE_VIRT_BASE, spec->virt_base);
	if (!spec->no_entry)
		note_number(&n, XEN_ELFNOTE_ENTRY, spec->entry);
	if (spec->init_p2m)
		note_number(&n, XEN_ELFNOTE_INIT_P2M, spec->init_p2m);
	if (spec->hypercall_page)
		note_number(&n, XEN_ELFNOTE_HYPERCALL_PAGE, spec->hypercall_page);
	if (spec->hv_start_low)
		note_number(&n, XEN_ELFNOTE_HV_START_LOW, spec->hv_start_low);
	if (spec->mod_start_pfn)
		note(&n, XEN_ELFNOTE_MOD_START_PFN, "\1\0\0\0", 4);
	note_number(&n, XEN_ELFNOTE_PADDR_OFFSET, 0);
	if (spec->features)
		note(&n, XEN_ELFNOTE_FEATURES, spec->features,
		     (uint32_t)strlen(spec->features));

	put(&b, ident, sizeof(ident));
	put_le(&b, 2, 2);		/* ET_EXEC */
	put_le(&b, 62, 2);		/* x86-64 */
	put_le(&b, 1, 4);
	put_le(&b, MK_LOAD, 8);
	put_le(&b, 64, 8);		/* phoff */
	put_le(&b, 0, 8);
	put_le(&b, 0, 4);
	put_le(&b, 64, 2);
	put_le(&b, 56, 2);
	put_le(&b, (uint64_t)phnum, 2);
	put_le(&b, 0, 6);
	phdr(&b, 1, TEXT_AT, MK_VIRT_BASE + paddr, paddr, TEXT_LEN - 0x1000,
	     spec->load_memsz);
	/* Like .data..percpu: linked at 0, loaded where paddr says. */
	phdr(&b, 1, TEXT_AT + 0x1000, 0, paddr + 0x2000, 0x1000, 0x1000);
	if (!spec->no_notes)
		phdr(&b, 4, NOTES_AT, 0, 0, n.len, n.len);
	for (int i = 0; i < TEXT_LEN; i++)
		b.at[TEXT_AT + i] = (uint8_t)(i * 7 + i / 256 + 1);
	*len = TEXT_AT + TEXT_LEN;
	return b.at;
}

/* ---- bzImage ---------------------------------------------------------------- */

static size_t pack(enum mk_format format, const uint8_t *in, size_t len,
		   uint8_t *out, size_t room)
{
	z_stream z = { .next_in = (uint8_t *)(uintptr_t)in, .avail_in = (uInt)len,
		       .next_out = out, .avail_out = (uInt)room };
	size_t used = 0, at = 0;

	switch (format) {
	case MK_XZ:
		if (lzma_easy_buffer_encode(6, LZMA_CHECK_CRC32, NULL, in, len,
					    out, &used, room) != LZMA_OK)
			abort();
		return used;
	case MK_LZ4:
		memcpy(out, "\x02\x21\x4c\x18", 4);
		used = 4;
		while (at < len) {
			size_t part = len - at < 8u << 20 ? len - at : 8u << 20;
			int n = LZ4_compress_default((const char *)in + at,
						     (char *)out + used + 4, (int)part,
						     (int)(room - used - 4));
			if (n <= 0)
				abort();
			memcpy(out + used, &n, 4);
			used += 4 + (size_t)n;
			at += part;
		}
		return used;
	case MK_ZSTD:
		used = ZSTD_compress(out, room, in, len, 3);
		if (ZSTD_isError(used))
			abort();
		return used;
	default:
		if (deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8,
				 Z_DEFAULT_STRATEGY) != Z_OK ||
		    deflate(&z, Z_FINISH) != Z_STREAM_END)
			abort();
		used = room - z.avail_out;
		deflateEnd(&z);
		return used;
	}
}

void mkbz_crc(uint8_t *image, size_t len)
{
	uint32_t crc = (uint32_t)~crc32(crc32(0, NULL, 0), image, (uInt)len - 4);

	memcpy(image + len - 4, &crc, 4);
}

uint8_t *mkbz(enum mk_format format, const uint8_t *elf, size_t elf_len,
	      const char *version, size_t *len)
{
	size_t setup = 2 * 512, room = elf_len + elf_len / 8 + 4096, n, kernel;
	uint8_t *image = calloc(1, setup + 64 + room + 32);
	uint32_t v;

	n = pack(format, elf, elf_len, image + setup + 64, room);
	if (format != MK_GZIP) {		/* gzip has its own */
		v = (uint32_t)elf_len;
		memcpy(image + setup + 64 + n, &v, 4);
		n += 4;
	}
	kernel = (64 + n + 4 + 15) / 16 * 16;
	memcpy(image, "MZ", 2);
	image[0x1f1] = 1;
	v = (uint32_t)(kernel / 16);
	memcpy(image + 0x1f4, &v, 4);
	image[0x1fe] = 0x55;
	image[0x1ff] = 0xaa;
	memcpy(image + 0x202, "HdrS\x0f\x02", 6);
	v = 0x300 - 0x200;
	memcpy(image + 0x20e, &v, 2);
	v = 64;
	memcpy(image + 0x248, &v, 4);
	v = (uint32_t)n;
	memcpy(image + 0x24c, &v, 4);
	memcpy(image + 0x300, version, strlen(version) + 1);
	*len = setup + kernel;
	mkbz_crc(image, *len);
	image = realloc(image, *len);
	return image;
}
