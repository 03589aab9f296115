// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * blk: what a guest does with its disks.  The same binary runs on the bare
 * kernel of the virtual host, for comparison.
 *
 *   blk bench DEVICE       sequential and random requests, past the page cache, on
 *                          256 MiB; prints "BENCH name nanoseconds" lines
 *   blk fio DEVICE JOB...  mounts the device with Debian's fio, runs it on jobs there
 *   blk fill DEVICE        writes and flushes to the end, until an error; tells which
 *   blk append DEVICE      mounts it, and appends numbers to a file for good; after
 *                          each fsync it says so
 *   blk count DEVICE       mounts it, and tells how many numbers are there, in order
 *   blk again DEVICE       takes its driver away and puts it back
 *   blk stamp DEVICE WHO   writes all of it with words that only WHO writes, reads
 *                          them back and compares, again and again until a line is typed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BIG (256u << 10)
#define MOST (1u << 20)
#define PART (32u << 20)
#define RANDOM 1000

static void die(const char *what)
{
	printf("blk: %s: %m\n", what);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static void *buffer(void)
{
	char *p = mmap(NULL, MOST, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("memory");
	for (uint32_t i = 0; i < MOST; i++)
		p[i] = i * 31 >> 3;
	return p;
}

static int open_disk(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

static void report(const char *name, uint64_t start, uint64_t ops)
{
	printf("BENCH %s %llu\n", name, (unsigned long long)((now() - start) / ops));
	fflush(stdout);
}

/* Each test has its own part of the disk, so that nobody's page cache knows it. */
static void sequential(int fd, char *p, const char *name, int part, uint32_t size, int write)
{
	uint64_t start = now();

	for (uint32_t at = 0; at < PART; at += size) {
		off_t where = (off_t)part * PART + at;
		ssize_t n = write ? pwrite(fd, p, size, where) : pread(fd, p, size, where);

		if (n != (ssize_t)size)
			die(name);
	}
	if (write && fdatasync(fd))
		die(name);
	report(name, start, PART >> 20);
}

/* In images udev does this, in the virtual host its own script. */
static void no_scheduler(const char *path)
{
	char queue[128];
	int fd;

	snprintf(queue, sizeof(queue), "/sys/block/%s/queue/scheduler", strrchr(path, '/') + 1);
	fd = open(queue, O_WRONLY);
	if (fd < 0)
		return;
	if (write(fd, "none", 4) != 4)
		die(queue);
	close(fd);
}

static void bench(const char *path)
{
	int fd = open_disk(path, O_RDWR | O_DIRECT);
	uint64_t start, seed = 1;
	char *p = buffer();

	no_scheduler(path);
	sequential(fd, p, "disk-read", 0, MOST, 0);
	sequential(fd, p, "disk-read-256k", 1, 256 << 10, 0);
	sequential(fd, p, "disk-read-64k", 2, 64 << 10, 0);
	sequential(fd, p, "disk-write", 3, MOST, 1);
	sequential(fd, p, "disk-write-256k", 4, 256 << 10, 1);
	sequential(fd, p, "disk-write-64k", 5, 64 << 10, 1);
	start = now();
	for (int i = 0; i < RANDOM; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		if (pread(fd, p, 4096, 6 * PART + (off_t)(seed >> 33) % (2 * PART / 4096) * 4096) != 4096)
			die("disk-latency");
	}
	report("disk-latency", start, RANDOM);
	close(fd);
}

static void mount_at(const char *device, const char *at, unsigned long flags)
{
	mkdir(at, 0755);
	if (mount(device, at, "ext4", flags, NULL))
		die(device);
}

static void fio(const char *device, char **jobs)
{
	int bad = 0;

	mount_at(device, "/tools", MS_RDONLY);
	if (mount("/dev", "/tools/dev", NULL, MS_BIND, NULL) ||
	    mount("proc", "/tools/proc", "proc", 0, NULL) ||
	    mount("sys", "/tools/sys", "sysfs", 0, NULL) ||
	    mount("tmpfs", "/tools/tmp", "tmpfs", 0, NULL))
		die("/tools");
	for (; *jobs; jobs++) {
		int status, pid = fork();

		if (!pid) {
			char job[64];

			snprintf(job, sizeof(job), "/jobs/%s.fio", *jobs);
			if (chroot("/tools") || chdir("/tmp"))
				die("chroot");
			execl("/usr/bin/fio", "fio", "--output-format=terse", "--terse-version=3", job,
			      NULL);
			die("/usr/bin/fio");
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0)
			die("fork");
		printf("fio: %s ended with %d\n", *jobs, status);
		bad |= status;
	}
	printf("fio: %s\n", bad ? "bad" : "good");
}

static void fill(const char *path)
{
	int fd = open_disk(path, O_RDWR | O_DIRECT);
	uint64_t at = 0;
	char *p = buffer();
	ssize_t n;

	while ((n = pwrite(fd, p, BIG, at)) == BIG) {
		at += BIG;
		if (fsync(fd))
			break;
	}
	printf("fill: ended at %llu KiB: %s\n", (unsigned long long)at >> 10,
	       n == 0 ? "the end" : strerror(errno));
	/* What was written before is there, and the disk still answers. */
	memset(p, 0, BIG);
	if (at && (pread(fd, p, BIG, at - BIG) != BIG || p[4096] != (char)(4096 * 31 >> 3)))
		die("fill: reading");
	printf("fill: good\n");
}

static void append(const char *device)
{
	FILE *f;

	mount_at(device, "/disk", 0);
	f = fopen("/disk/numbers", "a");
	if (!f)
		die("/disk/numbers");
	for (unsigned int i = 1;; i++) {
		fprintf(f, "%u\n", i);
		if (fflush(f) || fsync(fileno(f)))
			die("fsync");
		printf("append: %u is safe\n", i);
		fflush(stdout);
	}
}

static void count(const char *device)
{
	unsigned int n, last = 0;
	FILE *f;

	mount_at(device, "/disk", 0);
	f = fopen("/disk/numbers", "r");
	if (!f)
		die("/disk/numbers");
	while (fscanf(f, "%u\n", &n) == 1 && n == last + 1)
		last = n;
	printf("count: %u\n", last);
	fclose(f);
	if (umount("/disk"))
		die("umount");
}

static void say(const char *path, const char *text)
{
	int fd = open_disk(path, O_WRONLY);

	if (write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static void again(const char *device)
{
	char path[128], link[128] = "", *id, sector[512];
	struct stat before, s;
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/class/block/%s/device", strrchr(device, '/') + 1);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0 || stat(device, &before))
		die(path);
	id = strrchr(link, '/') + 1;
	say("/sys/bus/xen/drivers/vbd/unbind", id);
	while (!stat(device, &s))
		usleep(10000);
	printf("again: it is gone\n");
	/* Plugged in anew, it is bound by itself. */
	while (stat(device, &s))
		usleep(10000);
	fd = open_disk(device, O_RDONLY);
	if (read(fd, sector, sizeof(sector)) != sizeof(sector))
		die(device);
	printf("again: good\n");
}

/* Word i of a disk: whose it is, where it is, when it was written. */
static uint64_t stamp_word(uint32_t who, uint32_t round, uint64_t i)
{
	return (uint64_t)who << 48 | (uint64_t)(round & 0xffff) << 32 | (uint32_t)i;
}

static void stamp(const char *device, uint32_t who)
{
	struct pollfd in = { .fd = 0, .events = POLLIN };
	int fd = open_disk(device, O_RDWR | O_DIRECT);
	uint64_t *p = (uint64_t *)buffer();
	const uint64_t words = BIG / sizeof(*p);
	off_t size = lseek(fd, 0, SEEK_END);
	uint32_t round = 0;

	do {
		round++;
		for (off_t at = 0; at + BIG <= size; at += BIG) {
			for (uint64_t i = 0; i < words; i++)
				p[i] = stamp_word(who, round, at / sizeof(*p) + i);
			if (pwrite(fd, p, BIG, at) != BIG)
				die("stamp: writing");
		}
		if (fsync(fd))
			die("stamp: fsync");
		for (off_t at = 0; at + BIG <= size; at += BIG) {
			if (pread(fd, p, BIG, at) != BIG)
				die("stamp: reading");
			for (uint64_t i = 0; i < words; i++)
				if (p[i] != stamp_word(who, round, at / sizeof(*p) + i)) {
					printf("stamp: %llx is at word %llu\n", (unsigned long long)p[i],
					       (unsigned long long)(at / sizeof(*p) + i));
					exit(1);
				}
		}
		printf("stamp: round %u is good\n", round);
		fflush(stdout);
	} while (poll(&in, 1, 200) == 0);
	printf("stamp: %u rounds were good\n", round);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return 64;
	if (!strcmp(argv[1], "bench"))
		bench(argv[2]);
	else if (!strcmp(argv[1], "fio"))
		fio(argv[2], argv + 3);
	else if (!strcmp(argv[1], "fill"))
		fill(argv[2]);
	else if (!strcmp(argv[1], "append"))
		append(argv[2]);
	else if (!strcmp(argv[1], "count"))
		count(argv[2]);
	else if (!strcmp(argv[1], "again"))
		again(argv[2]);
	else if (!strcmp(argv[1], "stamp") && argc > 3)
		stamp(argv[2], (uint32_t)atoi(argv[3]));
	else
		return 64;
	return 0;
}
