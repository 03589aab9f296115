/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel file as the loader reads it: boot header, payload formats. */
#include "fuzz.h"
#include "../../helperd/worker/loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char err[WK_LOADER_ERR_LEN];
	uint8_t *copy = fuzz_copy(data, size), *elf = NULL;
	size_t len = 0;
	int rc = wk_loader_unpack(copy, size, &elf, &len, err);

	MUST(!rc == !err[0]);
	if (!rc) {
		MUST(elf && len && len <= WK_LOADER_MAX_ELF);
		free(elf);
	}
	free(copy);
	return 0;
}
