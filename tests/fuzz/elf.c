/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel image as the domain builder reads it: ELF headers, Xen notes. */
#include "fuzz.h"
#include "../../helperd/worker/builder/builder.h"

#define PAGES	5120u		/* 20 MiB */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *memory;
	static struct wk_builder_out out;
	struct wk_builder_in in = {
		.memory_bytes = (uint64_t)PAGES * 4096, .cmdline = "x",
		.initrd = "initrd", .initrd_bytes = 7,
		.shared_info_gfn = PAGES, .console_port = 2, .xenstore_port = 1,
	};
	uint8_t *copy = fuzz_copy(data, size);
	int rc;

	if (!memory)
		memory = malloc((size_t)PAGES * 4096);
	in.memory = memory;
	in.kernel = copy;
	in.kernel_bytes = size;
	rc = wk_builder_build(&in, &out);
	MUST(!rc == !out.why[0]);
	MUST(memchr(out.why, 0, sizeof(out.why)));
	if (!rc) {
		uint64_t end = 0;

		MUST(out.cr3_gfn < PAGES && out.console_gfn < PAGES && out.xenstore_gfn < PAGES);
		MUST(out.rip >> 47 == 0x1ffff && out.rsp >> 47 == 0x1ffff);
		for (uint32_t i = 0; i < out.nregions; i++) {
			MUST(out.regions[i].start >= end);
			MUST(out.regions[i].end > out.regions[i].start);
			end = out.regions[i].end;
		}
	}
	free(copy);
	return 0;
}
