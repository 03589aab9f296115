/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mkseed DIR: writes the corpora's binary seeds; `make seeds` calls it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit/mkelf.h"

static void save(const char *dir, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "wb");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f)) {
		perror(path);
		exit(1);
	}
}

/* Headers and notes only: segments have memory, but no bytes in the file. */
static uint8_t *small_elf(struct mkelf spec, size_t *len)
{
	uint8_t *elf = mkelf(&spec, len);

	for (int i = 0; i < 2; i++) {
		memset(elf + 64 + i * 56 + 8, 0, 8);
		memset(elf + 64 + i * 56 + 32, 0, 8);
	}
	*len = 0x540;
	return elf;
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "bzimage/xz", "bzimage/lz4", "bzimage/zstd", "bzimage/gzip" };
	const char *dir = argc > 1 ? argv[1] : ".";
	struct mkelf spec = mkelf_debian();
	uint8_t *elf, *image;
	size_t len, image_len;

	elf = small_elf(spec, &len);
	save(dir, "elf/debian", elf, len);
	for (int f = 0; f < MK_FORMATS; f++) {
		/* 6.16 has no CRC: an edit goes past it into the format. */
		image = mkbz(f, elf, len, f == MK_GZIP ? "6.1.0" : "6.16.0", &image_len);
		save(dir, names[f], image, image_len);
		free(image);
	}
	free(elf);
	spec.init_p2m = 0;
	spec.mod_start_pfn = 0;
	spec.hypercall_page = MK_VIRT_BASE + MK_LOAD + 0x3000;
	elf = small_elf(spec, &len);
	save(dir, "elf/old", elf, len);
	free(elf);
	return 0;
}
