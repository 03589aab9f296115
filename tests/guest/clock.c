// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * clock: prints "CLOCK realtime_ms monotonic_ms" ten times a second for ever,
 * and "CLOCK BACKWARDS" if MONOTONIC ever goes back.  Runs in guests while the
 * tests suspend or disturb the host.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static int64_t now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1000000000ll + t.tv_nsec;
}

int main(void)
{
	int64_t newest = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		struct timespec tenth = { 0, 100000000 };

		for (int i = 0; i < 1000; i++) {
			int64_t t = now(CLOCK_MONOTONIC);

			if (t < newest)
				printf("CLOCK BACKWARDS by %lld ns\n", (long long)(newest - t));
			newest = t;
		}
		printf("CLOCK %lld %lld\n", (long long)now(CLOCK_REALTIME) / 1000000,
		       (long long)newest / 1000000);
		nanosleep(&tenth, NULL);
	}
}
