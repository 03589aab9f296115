/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every real kernel that the build has fetched goes through loader and
 * builder.  The Makefile names the folder that holds VERSION/vmlinuz.
 */
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"
#include "../../helperd/worker/builder/builder.h"
#include "../../helperd/worker/loader.h"

static void build(const char *path, const uint8_t *elf, size_t len, uint64_t mib)
{
	struct wk_builder_out out;
	struct wk_builder_in in = {
		.memory_bytes = mib << 20, .kernel = elf, .kernel_bytes = len,
		.initrd = elf, .initrd_bytes = 1 << 20, .cmdline = "quiet",
		.shared_info_gfn = mib << 8, .console_port = 2, .xenstore_port = 1,
	};
	int rc;

	in.memory = mmap(NULL, in.memory_bytes, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	rc = wk_builder_build(&in, &out);
	CHECK(rc == 0 && out.rip > out.regions[1].start, "%s in %llu MiB: %s", path,
	      (unsigned long long)mib, out.why);
	munmap(in.memory, in.memory_bytes);
}

static void kernel(const char *path)
{
	char err[WK_LOADER_ERR_LEN] = "";
	int fd = open(path, O_RDONLY);
	uint8_t *elf = NULL;
	size_t len = 0;

	CHECK(wk_loader_open(fd, 0, &elf, &len, err) == 0, "%s: %s", path, err);
	if (elf) {
		build(path, elf, len, 96);
		build(path, elf, len, 1024);
	}
	free(elf);
	close(fd);
}

int main(void)
{
	char pattern[4096];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "%s/*/vmlinuz", KERNELS);
	if (glob(pattern, 0, NULL, &found)) {
		printf("not ok kernels: none in %s: run `make test-kernels`\n", pattern);
		return 1;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		unit_bad = 0;
		kernel(found.gl_pathv[i]);
		printf("%s %s\n", unit_bad ? "not ok" : "ok", found.gl_pathv[i]);
		unit_failed += unit_bad != 0;
	}
	globfree(&found);
	UNIT_END();
}
