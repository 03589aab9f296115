// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bench: the cost of what programs ask most.  The same binary runs in the
 * guest and on the bare kernel of the virtual host; under -icount shift=0 an
 * instruction is a nanosecond, so the figures are exact and repeat.  Prints
 * "BENCH name nanoseconds_per_op" lines; the "BENCHMARK name begin|end ops" lines
 * around each tell a reader of the monitor's counters when to look.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static void getppid_(long n)
{
	while (n--)
		syscall(SYS_getppid);
}

static void clock_(long n)
{
	struct timespec t;

	while (n--)
		clock_gettime(CLOCK_MONOTONIC, &t);
}

static void on_signal(int sig)
{
	(void)sig;
}

static void signal_(long n)
{
	pid_t pid = getpid(), tid = gettid();

	signal(SIGUSR1, on_signal);
	while (n--)
		syscall(SYS_tgkill, pid, tid, SIGUSR1);
}

static char *area;
static long area_pages;

static void prepare_area(long n)
{
	area_pages = n;
	area = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(area, n * PAGE, MADV_NOHUGEPAGE);
}

static void touch_area(long n)
{
	for (long i = 0; i < n; i++)
		((volatile char *)area)[i * PAGE] = 1;
}

static void prepare_touched(long n)
{
	prepare_area(n);
	touch_area(n);
}

static void unmap_area(long n)
{
	munmap(area, n * PAGE);
}

static void after_touch(void)
{
	munmap(area, area_pages * PAGE);
}

/* A page's whole life: mapped, touched, given back. */
static void anon_(long n)
{
	prepare_area(n);
	touch_area(n);
	after_touch();
}

/* One page alone, so that no mapping is split or merged. */
static void prepare_mprotect(long n)
{
	(void)n;
	prepare_area(3);
	mprotect(area, PAGE, PROT_NONE);
	mprotect(area + 2 * PAGE, PAGE, PROT_NONE);
	area += PAGE;
	*area = 1;
}

static void after_mprotect(void)
{
	munmap(area - PAGE, 3 * PAGE);
}

static void mprotect_(long n)
{
	while (n--) {
		mprotect(area, PAGE, PROT_READ);
		mprotect(area, PAGE, PROT_READ | PROT_WRITE);
		*(volatile char *)area = 1;
	}
}

static int to_child[2], from_child[2], partner;

static void prepare_pipe(long n)
{
	char c;

	(void)n;
	if (pipe(to_child) || pipe(from_child))
		_exit(1);
	partner = fork();
	if (!partner) {
		close(to_child[1]);
		while (read(to_child[0], &c, 1) == 1)
			if (write(from_child[1], &c, 1) != 1)
				break;
		_exit(0);
	}
	close(to_child[0]);
}

static void pipe_(long n)
{
	char c = 0;

	while (n--)
		if (write(to_child[1], &c, 1) != 1 || read(from_child[0], &c, 1) != 1)
			_exit(1);
}

static void after_pipe(void)
{
	close(to_child[1]);
	waitpid(partner, NULL, 0);
}

static void fork_(long n)
{
	while (n--) {
		int pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* Of a program that people run. */
static void exec_(long n)
{
	char *argv[] = { "true", NULL }, *envp[] = { NULL };

	while (n--) {
		int pid = fork();

		if (!pid) {
			execve("/bin/busybox", argv, envp);
			_exit(127);
		}
		waitpid(pid, NULL, 0);
	}
}

static volatile uint64_t sink;

static void cpu_(long n)
{
	uint64_t x = 88172645463325252ull;

	while (n--) {
		for (int i = 0; i < 1000; i++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		sink = x;
	}
}

static const struct bench {
	const char *name;
	long warm, ops;
	void (*prepare)(long), (*op)(long);
	void (*after)(void);
} benches[] = {
	{ "getppid", 200, 20000, NULL, getppid_, NULL },
	{ "clock_gettime", 200, 50000, NULL, clock_, NULL },
	{ "signal", 50, 3000, NULL, signal_, NULL },
	{ "anon", 0, 4096, NULL, anon_, NULL },
	{ "touch", 0, 4096, prepare_area, touch_area, after_touch },
	{ "munmap", 0, 4096, prepare_touched, unmap_area, NULL },
	{ "mprotect", 20, 2000, prepare_mprotect, mprotect_, after_mprotect },
	{ "pipe", 20, 2000, prepare_pipe, pipe_, after_pipe },
	{ "fork", 5, 200, NULL, fork_, NULL },
	{ "exec", 5, 200, NULL, exec_, NULL },
	{ "cpu", 10, 5000, NULL, cpu_, NULL },
};

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/* Keep to names given; all without. */
static int wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 2;
}

/*
 * The same addresses on both sides and in every run: where the kernel puts stack and
 * mappings decides how many page tables a fork has to copy (by one, 6,000 instructions).
 */
static void fix_addresses(char **argv)
{
	if (personality(0xffffffff) & ADDR_NO_RANDOMIZE)
		return;
	personality(ADDR_NO_RANDOMIZE);
	execv("/proc/self/exe", argv);
}

int main(int argc, char **argv)
{
	fix_addresses(argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (size_t i = 0; i < sizeof(benches) / sizeof(*benches); i++) {
		const struct bench *b = &benches[i];
		int64_t from, took;

		if (!wanted(argc, argv, b->name))
			continue;
		if (b->prepare)
			b->prepare(b->ops);
		if (b->warm)
			b->op(b->warm);
		printf("BENCHMARK %s begin\n", b->name);
		from = now();
		b->op(b->ops);
		took = now() - from;
		printf("BENCHMARK %s end %ld\n", b->name, b->ops);
		if (b->after)
			b->after();
		printf("BENCH %s %.1f\n", b->name, (double)took / b->ops);
	}
	return 0;
}
