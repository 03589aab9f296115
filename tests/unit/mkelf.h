/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes small kernel images for tests: ELF with Xen notes, and bzImages. */
#ifndef MKELF_H
#define MKELF_H

#include <stddef.h>
#include <stdint.h>

#define MK_VIRT_BASE	0xffffffff80000000ull
#define MK_LOAD		0x1000000ull		/* where the kernel lies, 16 MiB */
#define MK_INIT_P2M	0x8000000000ull

struct mkelf {
	uint64_t load_memsz;		/* of the first segment; default 4 pages */
	uint64_t entry, virt_base, init_p2m, hypercall_page;	/* 0: no note */
	uint64_t hv_start_low;
	const char *features;		/* 0: no note */
	const char *xen_version;
	int mod_start_pfn;
	int no_notes, no_entry;
};

/* What a Debian kernel looks like. */
struct mkelf mkelf_debian(void);

/* malloc()ed to the byte, so that ASan sees one byte too many. */
uint8_t *mkelf(const struct mkelf *spec, size_t *len);

enum mk_format { MK_XZ, MK_LZ4, MK_ZSTD, MK_GZIP, MK_FORMATS };

/* A bzImage around any payload; `version` is the kernel's name. */
uint8_t *mkbz(enum mk_format format, const uint8_t *elf, size_t elf_len,
	      const char *version, size_t *len);

/* Makes the trailing CRC right again after an edit. */
void mkbz_crc(uint8_t *image, size_t len);

#endif
