/* SPDX-License-Identifier: GPL-2.0-or-later */
/* unbz IN OUT: writes the ELF inside a bzImage; a thin shell on the loader. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../helperd/worker/loader.h"

int main(int argc, char **argv)
{
	char err[WK_LOADER_ERR_LEN];
	uint8_t *elf;
	size_t len;
	FILE *out;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: unbz KERNEL ELF\n");
		return 64;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0) {
		fprintf(stderr, "unbz: %s: %s\n", argv[1], strerror(errno));
		return 66;
	}
	if (wk_loader_open(fd, 0, &elf, &len, err)) {
		fprintf(stderr, "unbz: %s: %s\n", argv[1], err);
		return 65;
	}
	out = fopen(argv[2], "wb");
	if (!out || fwrite(elf, 1, len, out) != len || fclose(out)) {
		fprintf(stderr, "unbz: %s: %s\n", argv[2], strerror(errno));
		return 74;
	}
	free(elf);
	return 0;
}
