/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Turns a kernel file (bzImage or plain ELF) into an uncompressed ELF.
 *
 * The worker calls it once with a file opened by its owner's rights; what it
 * yields goes to builder/.  The file is hostile.
 */
#ifndef WK_LOADER_H
#define WK_LOADER_H

#include <stddef.h>
#include <stdint.h>

#define WK_LOADER_MAX_FILE	(256u << 20)	/* bytes read from the file */
#define WK_LOADER_MAX_ELF	(256u << 20)	/* bytes a payload may unpack to */
#define WK_LOADER_ERR_LEN	256

/*
 * Reads `size` bytes (0: to the end) from fd's start.  Returns 0 with *elf
 * (free() it) and *elf_len, or -CO_EKERNEL, -CO_EIO, -CO_ENOMEM, -CO_ETOOBIG
 * with one sentence in err; it says "the kernel", the caller names the file.
 */
int wk_loader_open(int fd, uint64_t size, uint8_t **elf, size_t *elf_len,
		   char err[WK_LOADER_ERR_LEN]);

/* The same for an image in memory; *elf is always a fresh copy. */
int wk_loader_unpack(const uint8_t *image, size_t len, uint8_t **elf,
		     size_t *elf_len, char err[WK_LOADER_ERR_LEN]);

#endif
