/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the workload share: each test is a function that returns
 * when all is well and calls fail() otherwise; it runs in a child of its own,
 * with a time-out, so that a crash or a hang is one failed test.
 */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

struct test {
	const char *name;
	void (*run)(void);
};

/* Each file's table; ends with a name of NULL. */
extern const struct test proc_tests[], mem_tests[], cpu_tests[], trace_tests[],
	time_tests[], disk_tests[], xen_tests[];

_Noreturn void fail(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Ends the test as skipped: the CPU or kernel itself lacks the feature. */
_Noreturn void skip(const char *why);

#define CHECK(cond, ...) do { if (!(cond)) fail(__VA_ARGS__); } while (0)
#define MUST(expr) must((long)(expr), __FILE__ ":" MUST_LINE(__LINE__) ": " #expr)
#define MUST_LINE(line) MUST_TEXT(line)
#define MUST_TEXT(line) #line

static inline long must(long result, const char *what)
{
	if (result == -1)
		fail("%s: %m", what);
	return result;
}

/* xorshift: the same numbers on every run. */
static inline uint64_t next_random(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

uint64_t checksum(const void *data, size_t len);
void fill(void *data, size_t len, uint64_t seed);

/* Waits for a child that must exit with that code. */
void reap(int pid, int code, const char *what);

#endif
