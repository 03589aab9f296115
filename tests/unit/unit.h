/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole C test harness: one line for each case, and the exit status. */
#ifndef UNIT_H
#define UNIT_H

#include <stdio.h>

static int unit_bad;		/* checks that failed in the running case */
static int unit_failed;		/* cases that failed */

/* Fails the running case and says where; the case goes on. */
#define CHECK(cond, ...)						\
	do {								\
		if (!(cond)) {						\
			printf("# %s:%d: %s", __FILE__, __LINE__, #cond); \
			printf(" " __VA_ARGS__);			\
			printf("\n");					\
			unit_bad++;					\
		}							\
	} while (0)

#define RUN(function)							\
	do {								\
		unit_bad = 0;						\
		function();						\
		printf("%s %s\n", unit_bad ? "not ok" : "ok", #function); \
		fflush(stdout);						\
		unit_failed += unit_bad != 0;				\
	} while (0)

#define UNIT_END()	return unit_failed != 0

#endif
