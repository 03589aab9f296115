// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * workload: what a guest (or the bare kernel it is compared with) must
 * compute rightly.  Called by init as /workload [name...]; a name given must
 * run and pass, "skip" is then a failure.  Prints "ok name", "skip name why"
 * or "FAIL name detail", and at the end "WORKLOAD n passed, n failed".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workload.h"

#define EXIT_SKIP 77
#define EXIT_FAIL 78
#define SECONDS 300

static char *detail;		/* shared with the test's process */
#define DETAIL_LEN 512

static const struct test *const tables[] = {
	proc_tests, mem_tests, cpu_tests, trace_tests, time_tests, disk_tests, xen_tests,
};

_Noreturn void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, DETAIL_LEN, fmt, ap);
	va_end(ap);
	_exit(EXIT_FAIL);
}

_Noreturn void skip(const char *why)
{
	snprintf(detail, DETAIL_LEN, "%s", why);
	_exit(EXIT_SKIP);
}

uint64_t checksum(const void *data, size_t len)
{
	const unsigned char *p = data;
	uint64_t h = 0xcbf29ce484222325ull, w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		h = (h ^ w) * 0x100000001b3ull;
		h ^= h >> 29;
	}
	while (len--)
		h = (h ^ *p++) * 0x100000001b3ull;
	return h;
}

void fill(void *data, size_t len, uint64_t seed)
{
	unsigned char *p = data;
	uint64_t w;

	seed = seed * 2 + 1;
	for (; len >= 8; p += 8, len -= 8) {
		w = next_random(&seed);
		memcpy(p, &w, 8);
	}
}

void reap(int pid, int code, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR, "%s: waitpid: %m", what);
	if (WIFEXITED(status) && WEXITSTATUS(status) == code)
		return;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_FAIL)
		_exit(EXIT_FAIL);	/* it has written its detail itself */
	fail("%s: child ended with status %#x, not code %d", what, status, code);
}

/* Returns 0 passed, 1 failed, 2 skipped. */
static int run(const struct test *t)
{
	int status, pid;

	detail[0] = 0;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		printf("FAIL %s fork: %m\n", t->name);
		return 1;
	}
	if (pid == 0) {
		setpgid(0, 0);
		alarm(SECONDS);
		t->run();
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		printf("ok %s\n", t->name);
		return 0;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP) {
		printf("skip %s %s\n", t->name, detail);
		return 2;
	}
	if (WIFSIGNALED(status))
		printf("FAIL %s ended by signal %d (%s) %s\n", t->name, WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? "time-out" : "crash", detail);
	else
		printf("FAIL %s %s\n", t->name, detail);
	return 1;
}

static int wanted(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return 1;
	return argc < 2;
}

int main(int argc, char **argv)
{
	int passed = 0, failed = 0, found = 0;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	detail = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (detail == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < sizeof(tables) / sizeof(*tables); i++)
		for (const struct test *t = tables[i]; t->name; t++) {
			int result;

			if (!wanted(argc, argv, t->name))
				continue;
			found++;
			result = run(t);
			passed += result == 0;
			failed += result == 1 || (result == 2 && argc > 1);
		}
	if (argc > 1 && found != argc - 1) {
		printf("FAIL arguments only %d of %d names are tests\n", found, argc - 1);
		failed++;
	}
	printf("WORKLOAD %d passed, %d failed\n", passed, failed);
	return failed != 0;
}
