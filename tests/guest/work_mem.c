// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory as processes see it; a part of the workload.  The random test keeps
 * its own model of every page (mapped? protection? content?) and compares,
 * which is what finds a stale shadow entry.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workload.h"

#define PAGE 4096

static sigjmp_buf jump;

static void on_segv(int sig)
{
	siglongjmp(jump, sig);
}

static int can_read(volatile uint64_t *p, uint64_t *value)
{
	if (sigsetjmp(jump, 1))
		return 0;
	*value = *p;
	return 1;
}

static int can_write(volatile uint64_t *p, uint64_t value)
{
	if (sigsetjmp(jump, 1))
		return 0;
	*p = value;
	return 1;
}

enum { ARENA = 1024, OPS = 2500 };
struct page_model {
	int mapped, prot;
	uint64_t value;
};

static void check_page(unsigned char *arena, struct page_model *m, int i, uint64_t *seed)
{
	volatile uint64_t *p = (uint64_t *)(arena + (size_t)i * PAGE + 8 * (i % 512));
	uint64_t got = 0, put = next_random(seed);
	int readable = m[i].mapped && m[i].prot != PROT_NONE;
	int writable = m[i].mapped && (m[i].prot & PROT_WRITE);

	CHECK(can_read(p, &got) == readable, "page %d: readable should be %d", i, readable);
	if (readable)
		CHECK(got == m[i].value, "page %d holds %lx, not %lx", i, got, m[i].value);
	CHECK(can_write(p, put) == writable, "page %d: writable should be %d", i, writable);
	if (writable)
		m[i].value = put;
}

static void mappings(void)
{
	static struct page_model m[ARENA];
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE };
	uint64_t seed = 0x9e3779b97f4a7c15ull;
	unsigned char *arena = mmap(NULL, ARENA * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
				    -1, 0);

	signal(SIGSEGV, on_segv);
	MUST(munmap(arena, ARENA * PAGE));
	for (int op = 0; op < OPS; op++) {
		int first = next_random(&seed) % ARENA, len = 1 + next_random(&seed) % 24;
		int what = next_random(&seed) % 8, prot = prots[next_random(&seed) % 4];

		if (first + len > ARENA)
			len = ARENA - first;
		unsigned char *at = arena + (size_t)first * PAGE;
		if (what == 0) {
			MUST(munmap(at, (size_t)len * PAGE));
		} else if (what <= 2) {
			CHECK(mmap(at, (size_t)len * PAGE, prot,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at, "mmap: %m");
		} else if (what == 3) {
			int all = 1;

			for (int i = first; i < first + len; i++)
				all &= m[i].mapped;
			int r = mprotect(at, (size_t)len * PAGE, prot);
			CHECK(all == (r == 0), "mprotect of %s pages: %d", all ? "mapped" : "some", r);
			if (!all)	/* the part before the hole has changed */
				for (int i = first; i < first + len && m[i].mapped; i++)
					m[i].prot = prot;
			else
				for (int i = first; i < first + len; i++)
					m[i].prot = prot;
			continue;
		} else if (what == 4) {
			for (int i = first; i < first + len; i++)
				if (m[i].mapped)
					m[i].value = 0;
			int r = madvise(at, (size_t)len * PAGE, MADV_DONTNEED);
			CHECK(r == 0 || errno == ENOMEM, "madvise: %m");
			continue;
		} else {
			for (int i = first; i < first + len; i++)
				check_page(arena, m, i, &seed);
			continue;
		}
		for (int i = first; i < first + len; i++)
			m[i] = (struct page_model){ what != 0, prot, 0 };
	}
	for (int i = 0; i < ARENA; i++)
		check_page(arena, m, i, &seed);
}

static void remap(void)
{
	enum { LEN = 64 * PAGE };
	unsigned char *a = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);
	uint64_t old;

	signal(SIGSEGV, on_segv);
	for (int i = 0; i < 40; i++) {
		fill(a, LEN, i);
		uint64_t sum = checksum(a, LEN);
		unsigned char *to = mmap(NULL, LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		unsigned char *b = mremap(a, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, to);

		CHECK(b == to, "mremap: %m");
		CHECK(checksum(b, LEN) == sum, "mremap lost content");
		CHECK(!can_read((uint64_t *)a, &old), "the old place is still mapped after mremap");
		a = b;
	}
}

static void cow(void)
{
	enum { PAGES = 1024, LEN = PAGES * PAGE };
	unsigned char *a = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	fill(a, LEN, 3);
	for (int round = 0; round < 4; round++) {
		unsigned char tag = 0x10 + round;
		uint64_t before = checksum(a, LEN);
		int go[2], pid;
		char c;

		MUST(pipe(go));
		pid = MUST(fork());
		if (!pid) {
			/* The parent writes first, then we: each has its own pages. */
			MUST(read(go[0], &c, 1));
			CHECK(checksum(a, LEN) == before, "the parent's stores reached its child");
			for (int i = 0; i < PAGES; i += 2)
				a[i * PAGE + 5] = tag + 1;
			for (int i = 0; i < PAGES; i += 2)
				CHECK(a[i * PAGE + 5] == tag + 1, "page %d lost a child's store", i);
			_exit(0);
		}
		for (int i = 0; i < PAGES; i += 3)
			a[i * PAGE + 7] = tag;
		uint64_t after = checksum(a, LEN);
		MUST(write(go[1], "x", 1));
		reap(pid, 0, "cow child");
		CHECK(checksum(a, LEN) == after, "the child's stores reached its parent");
		close(go[0]);
		close(go[1]);
	}
}

/* The zero page must stay zero whoever reads it first. */
static void zero_page(void)
{
	enum { LEN = 256 * PAGE };
	unsigned char *a = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
				-1, 0);

	for (int i = 0; i < 256; i++)
		CHECK(a[i * PAGE] == 0, "a fresh page is not zero");
	for (int i = 0; i < 256; i += 2)
		memset(a + i * PAGE, 0xaa, PAGE);
	for (int i = 1; i < 256; i += 2)
		for (int at = 0; at < PAGE; at += 64)
			CHECK(a[i * PAGE + at] == 0, "the zero page was written");
}

static void shared_file(void)
{
	enum { PAGES = 256, LEN = PAGES * PAGE };
	int fd = MUST(open("/tmp/shared", O_RDWR | O_CREAT | O_TRUNC, 0600)), pid;
	unsigned char *a, *b, *buf = malloc(LEN);

	MUST(ftruncate(fd, LEN));
	a = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	b = mmap(NULL, LEN, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(a != MAP_FAILED && b != MAP_FAILED, "mmap: %m");
	for (int round = 0; round < 6; round++) {
		fill(a, LEN, round + 50);
		pid = MUST(fork());
		if (!pid) {
			for (int i = round; i < PAGES; i += 5)
				a[i * PAGE] ^= 0x77;
			_exit(0);
		}
		reap(pid, 0, "writer");
		MUST(pread(fd, buf, LEN, 0));
		CHECK(!memcmp(a, buf, LEN), "read() and the mapping differ");
		CHECK(!memcmp(b, buf, LEN), "the second mapping differs");
		memset(buf, round, PAGE);
		MUST(pwrite(fd, buf, PAGE, round * PAGE));
		CHECK(!memcmp(b + round * PAGE, buf, PAGE), "write() did not reach the mapping");
	}
	MUST(ftruncate(fd, LEN / 2));
	signal(SIGBUS, on_segv);
	CHECK(!can_write((uint64_t *)(a + LEN / 2), 1), "a store behind the file's end worked");
	CHECK(can_write((uint64_t *)a, 1), "a store into the file failed");
	unlink("/tmp/shared");
}

/* Code written, run, rewritten and run again; W^X by mprotect. */
static void self_modifying(void)
{
	unsigned char *code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (int i = 0; i < 200; i++) {
		int (*f)(void) = (int (*)(void))code;

		MUST(mprotect(code, PAGE, PROT_READ | PROT_WRITE));
		code[0] = 0xb8;			/* mov $i, %eax; ret */
		memcpy(code + 1, &i, 4);
		code[5] = 0xc3;
		MUST(mprotect(code, PAGE, PROT_READ | PROT_EXEC));
		CHECK(f() == i, "old code ran");
	}
	MUST(mprotect(code, PAGE, PROT_READ));
	signal(SIGSEGV, on_segv);
	if (!sigsetjmp(jump, 1)) {
		((void (*)(void))code)();
		fail("a page without PROT_EXEC ran");
	}
}

/* Every process sees its own page at one address, over many switches. */
static void address_spaces(void)
{
	enum { PROCS = 5, TURNS = 400 };
	volatile uint64_t *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pids[PROCS];

	for (int i = 0; i < PROCS; i++) {
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		for (uint64_t t = 0; t < TURNS; t++) {
			*p = t << 8 | i;
			sched_yield();
			CHECK(*p == (t << 8 | i), "process %d read %lx in turn %lu", i, *p, t);
		}
		_exit(i);
	}
	for (int i = 0; i < PROCS; i++)
		reap(pids[i], i, "process");
}

/* Large sparse areas: all levels of page tables come and go. */
static void sparse(void)
{
	static const uint64_t at[] = { 0x100000000, 0x7f0000000, 0x40000000000, 0x100000000000,
				       0x600000000000 };

	for (int round = 0; round < 20; round++) {
		for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
			uint64_t *p = mmap((void *)(at[i] + round * 0x40000000ull), PAGE,
					   PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
			CHECK(p != MAP_FAILED, "mmap: %m");
			*p = at[i];
		}
		for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++) {
			uint64_t *p = (uint64_t *)(at[i] + round * 0x40000000ull);

			CHECK(*p == at[i], "lost a sparse page");
			MUST(munmap(p, PAGE));
		}
	}
}

const struct test mem_tests[] = {
	{ "mappings", mappings }, { "remap", remap }, { "cow", cow },
	{ "zero_page", zero_page }, { "shared_file", shared_file },
	{ "self_modifying", self_modifying }, { "address_spaces", address_spaces },
	{ "sparse", sparse }, { NULL, NULL },
};
