// SPDX-License-Identifier: GPL-2.0-or-later
/* Clocks and timers; a part of the workload. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include "workload.h"

static int64_t now(clockid_t clock)
{
	struct timespec t;

	MUST(clock_gettime(clock, &t));
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

/*
 * Each process publishes the newest time it saw; nobody may read an older one
 * afterwards.  The clocks must agree over context switches and interrupts.
 */
static void clocks(void)
{
	enum { PROCS = 3, TURNS = 20000 };
	static const clockid_t ids[] = { CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_BOOTTIME };
	_Atomic int64_t *newest = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pids[PROCS];

	for (int i = 0; i < PROCS; i++) {
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		for (int t = 0; t < TURNS; t++) {
			int c = t % 3;
			int64_t before = newest[c], mine = now(ids[c]);

			CHECK(mine >= before, "clock %d went back by %ld ns", ids[c], before - mine);
			while (before < mine &&
			       !__atomic_compare_exchange_n((int64_t *)&newest[c], &before, mine, 0,
							    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
				;
			if (t % 1000 == 0)
				sched_yield();
		}
		_exit(0);
	}
	for (int i = 0; i < PROCS; i++)
		reap(pids[i], 0, "clock reader");
}

/* The vDSO serves the clocks: with the system calls forbidden they still work. */
static void vdso(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clock_gettime, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_gettimeofday, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 99),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { sizeof(code) / sizeof(*code), code };
	struct timespec t;
	struct timeval v;

	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t) == -1 && errno == 99,
	      "the filter does not work");
	for (int i = 0; i < 1000; i++) {
		CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0, "MONOTONIC is a system call");
		CHECK(clock_gettime(CLOCK_REALTIME, &t) == 0, "REALTIME is a system call");
		CHECK(gettimeofday(&v, NULL) == 0, "gettimeofday is a system call");
	}
}

static void realtime(void)
{
	int64_t t = now(CLOCK_REALTIME);

	/* Set from the host's clock, not 1970. */
	CHECK(t > 1600000000ll * 1000000000, "REALTIME is %ld s after 1970", t / 1000000000);
}

static volatile sig_atomic_t ticks;

static void on_tick(int sig)
{
	(void)sig;
	ticks++;
}

static void itimers(void)
{
	static const int kinds[] = { ITIMER_REAL, ITIMER_VIRTUAL, ITIMER_PROF };
	static const int signals[] = { SIGALRM, SIGVTALRM, SIGPROF };

	for (int k = 0; k < 3; k++) {
		struct itimerval it = { { 0, 4000 }, { 0, 4000 } }, off = { { 0, 0 }, { 0, 0 } };

		ticks = 0;
		signal(signals[k], on_tick);
		MUST(setitimer(kinds[k], &it, NULL));
		while (ticks < 10)
			;
		MUST(setitimer(kinds[k], &off, NULL));
	}
}

/* A timer never ends early by the clock it was set on. */
static void sleeps(void)
{
	for (int i = 0; i < 40; i++) {
		struct timespec want = { 0, (i % 8 + 1) * 700000 };
		int64_t from = now(CLOCK_MONOTONIC), took;

		while (nanosleep(&want, &want) < 0)
			CHECK(errno == EINTR, "nanosleep: %m");
		took = now(CLOCK_MONOTONIC) - from;
		CHECK(took >= (i % 8 + 1) * 700000, "slept only %ld ns", took);
	}
}

static void timer_fd(void)
{
	struct itimerspec its = { { 0, 3000000 }, { 0, 3000000 } };
	int fd = MUST(timerfd_create(CLOCK_MONOTONIC, 0));
	uint64_t sum = 0, n;
	int64_t from = now(CLOCK_MONOTONIC);

	MUST(timerfd_settime(fd, 0, &its, NULL));
	while (sum < 20) {
		CHECK(read(fd, &n, 8) == 8, "timerfd: %m");
		CHECK(n > 0, "timerfd woke without a tick");
		sum += n;
	}
	CHECK(now(CLOCK_MONOTONIC) - from >= (int64_t)sum * 3000000, "ticks came early");
}

const struct test time_tests[] = {
	{ "clocks", clocks }, { "vdso", vdso }, { "realtime", realtime },
	{ "itimers", itimers }, { "sleeps", sleeps }, { "timer_fd", timer_fd }, { NULL, NULL },
};
