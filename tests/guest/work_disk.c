// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Dirty pages must reach the disk: lost Dirty bits show as stale content once
 * the page cache is dropped.  Part of the workload; init has loaded brd (two
 * RAM disks, whose store is not the page cache) and made the file systems.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>
#include "workload.h"

#define PAGE 4096
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif

static void drop_caches(void)
{
	int fd = MUST(open("/proc/sys/vm/drop_caches", O_WRONLY));

	MUST(write(fd, "3", 1));
	close(fd);
}

static void dirty_file(void)
{
	enum { PAGES = 512, LEN = PAGES * PAGE };
	struct stat st, root;
	unsigned char *map, *want = malloc(LEN), *got;
	uint64_t seed = 77;

	MUST(stat("/", &root));
	MUST(stat("/disk", &st));
	CHECK(st.st_dev != root.st_dev, "no file system is mounted on /disk");
	int fd = MUST(open("/disk/file", O_RDWR | O_CREAT | O_TRUNC, 0600));
	fill(want, LEN, 1);
	for (size_t at = 0; at < LEN;)
		at += MUST(write(fd, want + at, LEN - at));
	map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	got = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(map != MAP_FAILED && got != MAP_FAILED, "mmap: %m");
	for (int round = 0; round < 12; round++) {
		/* Pages become dirty, are cleaned by msync, become dirty again. */
		for (int i = 0; i < 200; i++) {
			int page = next_random(&seed) % PAGES;
			size_t at = page * PAGE + next_random(&seed) % PAGE;

			want[at] = map[at] = round * 16 + i;
		}
		if (round % 3 == 0)
			MUST(msync(map, LEN, MS_SYNC));
		else if (round % 3 == 1)
			MUST(fsync(fd));
		else
			sync();
		MUST(madvise(map, LEN, MADV_DONTNEED));
		drop_caches();
		for (size_t at = 0; at < LEN;)
			at += MUST(pread(fd, got + at, LEN - at, at));
		for (int i = 0; i < PAGES; i++)
			CHECK(!memcmp(want + i * PAGE, got + i * PAGE, PAGE),
			      "round %d: page %d lost its stores", round, i);
		CHECK(!memcmp(map, want, LEN), "round %d: the mapping lost stores", round);
	}
	/* Dirty at exit, by a child, without any msync. */
	int pid = MUST(fork());
	if (!pid) {
		for (int i = 0; i < PAGES; i += 7)
			map[i * PAGE + 9] = 0xc3;
		_exit(0);
	}
	reap(pid, 0, "writer");
	for (int i = 0; i < PAGES; i += 7)
		want[i * PAGE + 9] = 0xc3;
	MUST(munmap(map, LEN));
	MUST(fsync(fd));
	drop_caches();
	for (size_t at = 0; at < LEN;)
		at += MUST(pread(fd, got + at, LEN - at, at));
	CHECK(!memcmp(got, want, LEN), "stores of a child that exited are lost");
	close(fd);
	unlink("/disk/file");
}

/* Anonymous pages go to swap and come back; a clean one may be dropped. */
static void swapping(void)
{
	enum { PAGES = 1024, LEN = PAGES * PAGE };
	unsigned char *a = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
	unsigned char *want = malloc(LEN);
	uint64_t seed = 99;

	MUST(swapon("/dev/ram1", 0));
	fill(a, LEN, 4);
	memcpy(want, a, LEN);
	for (int round = 0; round < 10; round++) {
		if (madvise(a, LEN, MADV_PAGEOUT) < 0)
			CHECK(errno == EINVAL, "MADV_PAGEOUT: %m");
		for (int i = 0; i < 300; i++) {
			size_t at = next_random(&seed) % LEN;

			CHECK(a[at] == want[at], "round %d: wrong byte back from swap", round);
			if (i % 3 == 0)
				want[at] = a[at] = seed >> 8;
		}
	}
	CHECK(!memcmp(a, want, LEN), "wrong content after swapping");
	MUST(swapoff("/dev/ram1"));
	CHECK(!memcmp(a, want, LEN), "wrong content after swapoff");
}

const struct test disk_tests[] = {
	{ "dirty_file", dirty_file }, { "swapping", swapping }, { NULL, NULL },
};
