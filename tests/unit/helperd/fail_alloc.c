/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * fail_alloc.c: linked into a colinuxd whose COLINUX_FAIL_AT'th allocation
 * after SIGUSR2 fails (a second one ends that).  Then the file COLINUX_FAILED is made, so that the test
 * knows.  jansson's own are left alone: its parser does not survive them
 * (2.14 writes through a buffer that could not grow).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t armed;
static long left;
static const char *mark;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static int fails(void)
{
	if (!armed || left <= 0 || --left)
		return 0;
	close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	return 1;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *old, size_t size) { return fails() ? NULL : __real_realloc(old, size); }
char *__wrap_strdup(const char *text) { return fails() ? NULL : __real_strdup(text); }

static void arm(int signo)
{
	(void)signo;
	armed = !armed;
}

__attribute__((constructor)) static void fail_init(void)
{
	const char *at = getenv("COLINUX_FAIL_AT");

	left = at ? atol(at) : 0;
	mark = getenv("COLINUX_FAILED");
	signal(SIGUSR2, arm);
}
