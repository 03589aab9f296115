/* SPDX-License-Identifier: GPL-2.0-or-later */
/* block.c: disks with a frontend that reads and writes, lies, and waits; hosts that fail. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "../../../kext/include/xen/grant_table.h"
#include "front.h"

#define DISK0		"[{\"name\":\"root\",\"path\":\"%s\",\"readOnly\":false}]"
#define DISKS		"[{\"name\":\"root\",\"path\":\"%s\",\"readOnly\":false}," \
			"{\"name\":\"data\",\"path\":\"%s\",\"readOnly\":true}]"
#define BACK0		"/local/domain/0/backend/vbd/1/51712"
#define BACK1		"/local/domain/0/backend/vbd/1/51728"
#define SIZE		(8u << 20)
#define OKAY		BLKIF_RSP_OKAY

static void fill(uint32_t page, uint32_t count, unsigned int seed)
{
	for (uint32_t i = 0; i < count * CO_PAGE_SIZE; i++)
		((uint8_t *)front_data(page))[i] = (uint8_t)(seed + i * 7 + (i >> 9));
}

static bool same(uint32_t a, uint32_t b, uint32_t count)
{
	return !memcmp(front_data(a), front_data(b), count * CO_PAGE_SIZE);
}

static void file_read(uint64_t at, void *to, size_t len)
{
	int fd = open(front_path[0], O_RDONLY | O_CLOEXEC);

	CHECK(pread(fd, to, len, (off_t)at) == (ssize_t)len);
	close(fd);
}

static void the_guest_is_told_about_its_disks(void)
{
	front_files(SIZE);
	front_up(DISKS, front_path[0], front_path[1]);
	CHECK(!strcmp(half_read("device/vbd/51712/virtual-device"), "51712"));
	CHECK(!strcmp(half_read("device/vbd/51728/virtual-device"), "51728"));
	CHECK(!strcmp(half_read("device/vbd/51728/device-type"), "disk"));
	CHECK(!strcmp(half_read(BACK0 "/state"), "4"));
	CHECK(!strcmp(half_read(BACK0 "/sectors"), "16384"));
	CHECK(!strcmp(half_read(BACK0 "/sector-size"), "512"));
	CHECK(!strcmp(half_read(BACK0 "/dev"), "xvda") && !strcmp(half_read(BACK1 "/dev"), "xvdb"));
	CHECK(!strcmp(half_read(BACK0 "/mode"), "w") && !strcmp(half_read(BACK1 "/mode"), "r"));
	CHECK(!strcmp(half_read(BACK0 "/info"), "0") && !strcmp(half_read(BACK1 "/info"), "4"));
	CHECK(!strcmp(half_read(BACK0 "/feature-flush-cache"), "1"));
	CHECK(!strcmp(half_read(BACK0 "/feature-barrier"), "1"));
	CHECK(!strcmp(half_read(BACK0 "/feature-max-indirect-segments"), "256"));
	CHECK(!strcmp(half_read(BACK0 "/feature-discard"), "1"));
	CHECK(!strcmp(half_read(BACK1 "/feature-discard"), "0"));
	front_down();
}

static void what_is_written_is_read_again(void)
{
	char sector[512];

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	fill(0, 11, 1);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 100, 0, 11, 0, 0, 0 }) == OKAY);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 100, 20, 11, 0, 0, 0 }) == OKAY);
	CHECK(same(0, 20, 11));
	/* Neighbours in one: 11 pages were one vector. */
	CHECK(host_writes == 1);
	/* Parts of pages: sectors 2 to 4 of three pages are 9 sectors of the disk. */
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 1000, 0, 3, 2, 4, 0 }) == OKAY);
	for (uint32_t i = 0; i < 9; i++) {
		file_read((1000 + i) * 512, sector, 512);
		CHECK(!memcmp(sector, (char *)front_data(i / 3) + (2 + i % 3) * 512, 512), "%u", i);
	}
	memset(front_data(30), 0xee, 2 * CO_PAGE_SIZE);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 1000, 30, 1, 5, 5, 0 }) == OKAY);
	CHECK(!memcmp((char *)front_data(30) + 5 * 512, (char *)front_data(0) + 2 * 512, 512));
	CHECK(*((uint8_t *)front_data(30) + 6 * 512) == 0xee && *((uint8_t *)front_data(30) + 4 * 512 + 511) == 0xee);
	/* Indirect: 1 MiB in one request. */
	fill(40, 256, 9);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 4096, 40, 256, 0, 0, 1 }) == OKAY);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 4096, 300, 256, 0, 0, 1 }) == OKAY);
	CHECK(same(40, 300, 256));
	front_down();
}

static void many_at_once_and_in_any_order(void)
{
	uint8_t *mirror = calloc(1, SIZE);
	unsigned int seed = 1;
	uint32_t ids[24];

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	for (int round = 0; round < 300; round++) {
		uint32_t depth = 1 + round % 24, sectors[24], page = 0;

		host_in_pieces = round % 3 == 1;
		for (uint32_t i = 0; i < depth; i++) {
			seed = seed * 1103515245 + 12345;
			/* Each within its own part, so that their order does not matter. */
			sectors[i] = i * 512 + (seed >> 16) % 400;
			fill(page, 4, seed >> 8);
			memcpy(mirror + sectors[i] * 512, front_data(page), 4 * CO_PAGE_SIZE);
			ids[i] = front_ask(0, &(struct front_io){ BLKIF_OP_WRITE, sectors[i], page, 4, 0, 0, i & 1 });
			page += 4;
			if (i % 5 == 0)
				front_push(0);
		}
		front_push(0);
		for (uint32_t i = 0; i < depth; i++)
			CHECK(front_answer(0, ids[i]) == OKAY);
		for (uint32_t i = 0; i < depth; i++)
			ids[i] = front_ask(0, &(struct front_io){ BLKIF_OP_READ, sectors[i], 200 + i * 4, 4, 0, 0, i & 2 });
		front_push(0);
		for (uint32_t i = 0; i < depth; i++) {
			CHECK(front_answer(0, ids[i]) == OKAY);
			CHECK(!memcmp(mirror + sectors[i] * 512, front_data(200 + i * 4), 4 * CO_PAGE_SIZE));
		}
	}
	host_in_pieces = false;
	for (uint32_t at = 0; at < SIZE; at += 4096) {
		uint8_t got[4096];

		file_read(at, got, sizeof(got));
		CHECK(!memcmp(mirror + at, got, sizeof(got)), "%u", at);
	}
	free(mirror);
	front_down();
}

static void above_4_gib(void)
{
	const uint64_t last = (5ull << 30) / 512 + 7;
	char sector[512];

	front_files((last + 1) * 512);
	front_up(DISK0, front_path[0]);
	CHECK(!strcmp(half_read(BACK0 "/sectors"), "10485768"));
	fill(0, 1, 3);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, last - 7, 0, 1, 0, 0, 0 }) == OKAY);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, last - 7, 1, 1, 0, 0, 0 }) == OKAY);
	CHECK(same(0, 1, 1));
	file_read(last * 512, sector, 512);
	CHECK(!memcmp(sector, (char *)front_data(0) + 7 * 512, 512));
	/* 32 bits of it must not be enough. */
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, (last - 7) & 0x7fffff, 1, 1, 0, 0, 0 }) == OKAY);
	CHECK(!same(0, 1, 1));
	front_down();
}

static void what_is_not_allowed_is_an_error(void)
{
	static const struct front_io rows[] = {
		{ BLKIF_OP_READ, 16384, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_READ, 16377, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_WRITE, 16384 - 87, 0, 11, 0, 0, 0 },
		{ BLKIF_OP_READ, ~0ull, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_WRITE, ~0ull - 6, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_READ, 1ull << 55, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_READ, 0, 0, 0, 0, 0, 0 },
		{ BLKIF_OP_READ, 0, 0, 12, 0, 0, 0 },
		{ BLKIF_OP_WRITE, 0, 0, 255, 0, 0, 0 },
		{ BLKIF_OP_READ, 0, 0, 1, 3, 2, 0 },
		{ BLKIF_OP_READ, 0, 0, 1, 0, 8, 0 },
		{ BLKIF_OP_READ, 0, 0, 1, 255, 255, 0 },
		{ BLKIF_OP_READ, 0, FRONT_PAGES, 1, 0, 0, 0 },
		{ BLKIF_OP_WRITE, 0, FRONT_PAGES - 1, 2, 0, 0, 0 },
		{ BLKIF_OP_READ, 0, 0xfffffff0u, 1, 0, 0, 0 },
		{ BLKIF_OP_READ, 0, 0, 0, 0, 0, 1 },
		{ BLKIF_OP_READ, 0, 0, 257, 0, 0, 1 },
		{ BLKIF_OP_WRITE, 0, 0, 65535, 0, 0, 1 },
		{ BLKIF_OP_WRITE, 16384 - 2047, 0, 256, 0, 0, 1 },
		{ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 1, 0, 0, 1 },
		{ BLKIF_OP_INDIRECT, 0, 0, 1, 0, 0, 1 },
		{ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 12, 0, 0, 0 },
		{ BLKIF_OP_WRITE_BARRIER, 16384, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_DISCARD, 16384, 0, 1, 0, 0, 0 },
		{ BLKIF_OP_DISCARD, 16383, 0, 2, 0, 0, 0 },
		{ BLKIF_OP_DISCARD, ~0ull, 0, 2, 0, 0, 0 },
		{ BLKIF_OP_DISCARD, 0, 0, 0, 0, 0, 0 },
		{ BLKIF_OP_DISCARD, 1, 0, 0xffffffffu, 0, 0, 0 },
	};
	char got[512], zero[512] = "";

	front_files(SIZE);
	front_up(DISKS, front_path[0], front_path[1]);
	fill(0, 300, 5);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK(front_do(0, rows[i]) == BLKIF_RSP_ERROR, "%zu", i);
	CHECK(front_do(0, (struct front_io){ 4, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_EOPNOTSUPP);
	CHECK(front_do(0, (struct front_io){ 77, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_EOPNOTSUPP);
	/* A read-only page may be written from, not read into; a page taken back neither. */
	half_grant(FRONT_REF + 50, FRONT_GFN + 50, GTF_readonly);
	half_take_back(FRONT_REF + 51);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 0, 50, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 0, 51, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 49, 3, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	file_read(0, got, 512);
	CHECK(!memcmp(got, zero, 512));
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 50, 1, 0, 0, 0 }) == OKAY);
	/* The read-only disk. */
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_READ, 0, 0, 1, 0, 0, 0 }) == OKAY);
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 16, 0, 0, 1 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_WRITE_BARRIER, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_DISCARD, 0, 0, 8, 0, 0, 0 }) == BLKIF_RSP_EOPNOTSUPP);
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, 0, 0 }) == OKAY);
	front_down();
}

static void flush_barrier_and_discard(void)
{
	struct stat before, after;
	uint32_t write, barrier, late;
	char sector[512], zero[512] = "";

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	fill(0, 256, 7);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 256, 0, 0, 1 }) == OKAY && !host_flushes);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, 0, 0 }) == OKAY);
	CHECK(host_flushes == 1);
	/* The barrier waits for what runs, and what comes after it for the barrier. */
	host_hang_at = 0;
	write = front_ask(0, &(struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 });
	barrier = front_ask(0, &(struct front_io){ BLKIF_OP_WRITE_BARRIER, 8, 1, 1, 0, 0, 0 });
	late = front_ask(0, &(struct front_io){ BLKIF_OP_READ, 64, 400, 1, 0, 0, 0 });
	front_push(0);
	half_run(50);
	CHECK(!front_answered(0, write) && !front_answered(0, barrier) && !front_answered(0, late));
	CHECK(host_flushes == 1);
	__atomic_store_n(&host_hang_at, -1, __ATOMIC_SEQ_CST);
	CHECK(front_answer(0, write) == OKAY && front_answer(0, barrier) == OKAY && front_answer(0, late) == OKAY);
	CHECK(host_flushes == 3);
	/* Discarded blocks are given back to the host, and read as nothing. */
	CHECK(!stat(front_path[0], &before));
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_DISCARD, 64, 0, 1024, 0, 0, 0 }) == OKAY);
	CHECK(!stat(front_path[0], &after) && after.st_size == before.st_size);
	CHECK(after.st_blocks < before.st_blocks, "%lld, were %lld", (long long)after.st_blocks,
	      (long long)before.st_blocks);
	file_read(64 * 512, sector, 512);
	CHECK(!memcmp(sector, zero, 512));
	file_read(1088 * 512, sector, 512);
	CHECK(memcmp(sector, zero, 512));
	front_down();
}

static void errors_of_the_host_reach_the_guest(void)
{
	struct rlimit all, few = { 4 << 20, RLIM_INFINITY };

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	host_error = EIO;
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	host_error = ENOSPC;
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	host_error = 0;
	/* A limit on the file's size: a part is written, the rest is refused by a signal. */
	getrlimit(RLIMIT_FSIZE, &all);
	setrlimit(RLIMIT_FSIZE, &few);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 8192 - 8, 0, 2, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	setrlimit(RLIMIT_FSIZE, &all);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 8192 - 8, 0, 2, 0, 0, 0 }) == OKAY);
	/* Somebody cuts the file. */
	CHECK(!truncate(front_path[0], 4096));
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 8, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 4, 0, 1, 0, 0, 0 }) == BLKIF_RSP_ERROR);
	front_down();
}

/* Linux must not believe that a flush which failed is none that is needed. */
static void a_flush_that_fails_makes_every_write_a_flush(void)
{
	unsigned int flushes;

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 }) == OKAY && !host_flushes);
	host_error = EIO;
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, 0, 0 }) == WK_DISK_RSP_LOST);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE_BARRIER, 0, 0, 1, 0, 0, 0 }) == WK_DISK_RSP_LOST);
	host_error = 0;
	flushes = host_flushes;
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 1, 0, 0, 0 }) == OKAY);
	CHECK(host_flushes == flushes + 1);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 64, 0, 20, 0, 0, 1 }) == OKAY);
	CHECK(host_flushes == flushes + 2);
	front_down();
}

/*
 * The guest does not flush any more once it has heard of one that failed: what was answered
 * before without a flush, and what ends just then, must have had one all the same.
 */
static void no_write_escapes_the_flush_that_fails(void)
{
	struct wk_disk *d;
	uint32_t write;
	int fd;

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	d = &half.disks->disk[0];
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 8, 0, 0, 0 }) == OKAY && !host_flushes);
	host_flush_errors = 1;
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_FLUSH_DISKCACHE, 0, 0, 0, 0, 0, 0 }) == WK_DISK_RSP_LOST);
	CHECK(host_flushes == 2, "%u", host_flushes);
	/* One that is with the kernel when the flush fails; its end is seen only after that. */
	fd = open(front_path[0], O_RDONLY | O_CLOEXEC);
	CHECK(!posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED));
	close(fd);
	__atomic_store_n(&host_hang_at, 0, __ATOMIC_SEQ_CST);	/* a thread, where the kernel refuses it */
	__atomic_store_n(&d->write_through, false, __ATOMIC_SEQ_CST);
	write = front_ask(0, &(struct front_io){ BLKIF_OP_WRITE, 0, 0, 8, 0, 0, 0 });
	front_push(0);
	CHECK(wk_disk_busy(d));
	__atomic_store_n(&d->write_through, true, __ATOMIC_SEQ_CST);
	__atomic_store_n(&host_hang_at, -1, __ATOMIC_SEQ_CST);
	CHECK(front_answer(0, write) == OKAY && host_flushes == 3, "%u", host_flushes);
	front_down();
}

static void a_disk_that_hangs_is_alone_in_it(void)
{
	uint32_t stuck[3], id;

	front_files(SIZE);
	front_up(DISKS, front_path[0], front_path[1]);
	host_hang_at = 512 * 512;
	for (int i = 0; i < 3; i++) {
		stuck[i] = front_ask(0, &(struct front_io){ i ? BLKIF_OP_READ : BLKIF_OP_WRITE, 512, 10 + i, 1, 0, 0, 0 });
		front_push(0);
	}
	half_run(30);
	/* Others of the same disk pass it, and the other disk knows nothing of it. */
	for (int i = 0; i < 50; i++) {
		CHECK(front_do(0, (struct front_io){ i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE, 8, 1, 1, 0, 0, 0 }) == OKAY);
		CHECK(front_do(1, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
	}
	CHECK(!front_answered(0, stuck[0]) && !front_answered(0, stuck[1]));
	/* More than there are threads: they wait, and so does the guest's driver when it closes. */
	id = front_ask(0, &(struct front_io){ BLKIF_OP_READ, 512, 3, 1, 0, 0, 0 });
	front_ask(0, &(struct front_io){ BLKIF_OP_READ, 8, 4, 1, 0, 0, 0 });
	front_push(0);
	half_write("vbd/51712/state", "5");
	half_run(50);
	CHECK(!strcmp(half_read(BACK0 "/state"), "4"));
	CHECK(front_do(1, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
	__atomic_store_n(&host_hang_at, -1, __ATOMIC_SEQ_CST);
	CHECK(!half_until(BACK0 "/state", "5"));
	CHECK(!front_answered(0, id) && !front_answered(0, stuck[0]));
	/* The next driver is served. */
	half_write("vbd/51712/state", "6");
	CHECK(!half_until("device/vbd/51712/state", ""));
	CHECK(!half_until("device/vbd/51712/state", "1"));
	front_connect(0);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 8, 1, 1, 0, 0, 0 }) == OKAY);
	front_down();
}

static void a_broken_ring_is_served_no_more(void)
{
	static const uint32_t wild[] = { 33, 0xffffffffu, 0x80000000u, 1000 };

	front_files(SIZE);
	front_up(DISKS, front_path[0], front_path[1]);
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
		CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
		__atomic_store_n(&front_ring(0)->req_prod, 2 + wild[i], __ATOMIC_SEQ_CST);
		half_notify(FRONT_PORT(0));
		half_run(20);
		CHECK(front_ring(0)->rsp_prod == 2, "%zu", i);
		CHECK(front_do(1, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
		half_write("vbd/51712/state", "1");
		CHECK(!half_until(BACK0 "/state", "2"));
		front_connect(0);
	}
	CHECK(!half_killed[0]);
	front_down();
}

static void notices_come_only_when_asked_for(void)
{
	unsigned int before;
	uint32_t id = 0;

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 8, 2, 1, 0, 0, 0 }) == OKAY);
	half_run(20);
	before = __atomic_load_n(&half_raised[FRONT_PORT(0)], __ATOMIC_SEQ_CST);
	CHECK(before == 1, "%u", before);
	front_answered(0, 0);
	__atomic_store_n(&front_ring(0)->rsp_event, 1000, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 10; i++)
		id = front_ask(0, &(struct front_io){ BLKIF_OP_READ, 8, 2 + i, 1, 0, 0, 0 });
	front_push(0);
	half_run(100);
	CHECK(__atomic_load_n(&front_ring(0)->rsp_prod, __ATOMIC_SEQ_CST) == 11);
	CHECK(__atomic_load_n(&half_raised[FRONT_PORT(0)], __ATOMIC_SEQ_CST) == before);
	CHECK(front_answer(0, id) == OKAY);
	front_down();
}

static void a_protocol_of_others_is_refused(void)
{
	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	half_write("vbd/51712/state", "1");
	half_write("vbd/51712/protocol", "x86_32-abi");
	half_write("vbd/51712/state", "3");
	CHECK(!strcmp(half_read(BACK0 "/state"), "5"));
	half_write("vbd/51712/state", "1");
	wk_xs_rm(half.xs, WK_HOME "/device/vbd/51712/protocol");
	half_write("vbd/51712/state", "3");
	CHECK(!strcmp(half_read(BACK0 "/state"), "4"));
	front_down();
}

static void many_at_once_in_threads(void)
{
	host_direct = false;
	many_at_once_and_in_any_order();
	host_direct = true;
}

/* Barriers among reads and writes that no thread does. */
static void barriers_and_flushes_with_aio(void)
{
	uint32_t ids[20];

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	fill(0, 200, 3);
	for (int round = 0; round < 100; round++) {
		for (uint32_t i = 0; i < 20; i++) {
			uint8_t op = i % 7 == 3 ? BLKIF_OP_WRITE_BARRIER : i % 7 == 5 ? BLKIF_OP_FLUSH_DISKCACHE
				     : i & 1 ? BLKIF_OP_READ : BLKIF_OP_WRITE;
			bool empty = op == BLKIF_OP_FLUSH_DISKCACHE;

			/* Some end in holes, some are odd: those the kernel refuses to start. */
			ids[i] = front_ask(0, &(struct front_io){ op, empty ? 0 : i * 8 + round % 3, i * 4, !empty,
								  0, 0, 0 });
			if (i % 6 == 0)
				front_push(0);
		}
		front_push(0);
		for (uint32_t i = 0; i < 20; i++)
			CHECK(front_answer(0, ids[i]) == OKAY, "%d %u", round, i);
	}
	CHECK(host_flushes > 400 && half.disks->disk[0].file.direct >= 0, "%u", host_flushes);
	front_down();
}

/* As a solo worker finds them; often enough for the kernel's ring to begin anew. */
static void answers_are_found_without_the_loop(void)
{
	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	fill(0, 4, 5);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_WRITE, 0, 0, 4, 0, 0, 0 }) == OKAY);
	for (int round = 0; round < 6000; round++) {
		uint32_t id = front_ask(0, &(struct front_io){ BLKIF_OP_READ, 0, 20, 4, 0, 0, 0 });
		uint64_t end = loop_now() + 20000;

		front_push(0);
		while (!front_answered(0, id) && loop_now() < end)
			wk_disks_look(&half);
		if (front_answer(0, id) != OKAY || !same(0, 20, 4)) {
			CHECK(0, "%d", round);
			break;
		}
		memset(front_data(20), 0, CO_PAGE_SIZE);
	}
	CHECK(!host_reads, "%u by threads", host_reads);
	/* The loop comes late, and finds nothing. */
	loop_once(half.loop, 0);
	CHECK(!wk_disk_busy(&half.disks->disk[0]));
	front_down();
}

/* A read that ends short when its frontend has closed: no thread does it again. */
static void what_ends_late_is_not_done_again(void)
{
	struct wk_disk *d;
	unsigned int count = 0;

	front_files(SIZE);
	front_up(DISK0, front_path[0]);
	d = &half.disks->disk[0];
	CHECK(d->file.direct >= 0 && !truncate(front_path[0], 0));
	front_ask(0, &(struct front_io){ BLKIF_OP_READ, 0, 0, 4, 0, 0, 0 });
	front_push(0);
	half_write("vbd/51712/state", "6");
	while (wk_disk_busy(d))
		loop_once(half.loop, 1);
	pthread_mutex_lock(&d->lock);
	for (struct wk_disk_request *r = d->free; r; r = r->next)
		count++;
	pthread_mutex_unlock(&d->lock);
	CHECK(count == WK_DISK_ENTRIES && !host_reads, "%u %u", count, host_reads);
	CHECK(!truncate(front_path[0], SIZE));
	half_write("vbd/51712/state", "1");
	while (strcmp(half_read(BACK0 "/state"), "2"))
		loop_once(half.loop, 1);
	front_connect(0);
	CHECK(front_do(0, (struct front_io){ BLKIF_OP_READ, 0, 0, 4, 0, 0, 0 }) == OKAY);
	front_down();
}

#define RUN_IN_THREADS(test)		\
	do {				\
		host_direct = false;	\
		RUN(test);		\
		host_direct = true;	\
	} while (0)

int main(void)
{
	alarm(300);
	RUN(the_guest_is_told_about_its_disks);
	RUN_IN_THREADS(what_is_written_is_read_again);
	RUN(many_at_once_and_in_any_order);
	RUN(many_at_once_in_threads);
	RUN(barriers_and_flushes_with_aio);
	RUN(answers_are_found_without_the_loop);
	RUN(what_ends_late_is_not_done_again);
	RUN(above_4_gib);
	RUN(what_is_not_allowed_is_an_error);
	RUN_IN_THREADS(flush_barrier_and_discard);
	RUN_IN_THREADS(errors_of_the_host_reach_the_guest);
	RUN(a_flush_that_fails_makes_every_write_a_flush);
	RUN_IN_THREADS(a_flush_that_fails_makes_every_write_a_flush);
	RUN(no_write_escapes_the_flush_that_fails);
	RUN_IN_THREADS(a_disk_that_hangs_is_alone_in_it);
	RUN(a_broken_ring_is_served_no_more);
	RUN(notices_come_only_when_asked_for);
	RUN(a_protocol_of_others_is_refused);
	unlink(front_path[0]);
	unlink(front_path[1]);
	rmdir(front_dir);
	UNIT_END();
}
