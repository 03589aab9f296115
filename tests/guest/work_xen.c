// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The stock frontends are loaded (init has done that), and the kernel has no
 * complaint about us so far.  Part of the workload.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <unistd.h>
#include "workload.h"

static void frontends(void)
{
	static const char *const bad[] = {
		"WARNING: CPU", "BUG:", "Call Trace", "Oops", "Error ", "error:", "refused",
		"gnttab: ", "ailed to ", "xenbus: ",
	};
	enum { LEN = 1 << 18, READ_ALL = 3 };
	char *log = calloc(1, LEN + 1);

	if (access("/sys/hypervisor/type", R_OK) || access("/modules/order", R_OK))
		skip("not a guest with modules");
	CHECK(!access("/sys/module/xen_blkfront", F_OK), "xen-blkfront is not loaded");
	CHECK(!access("/sys/module/xen_netfront", F_OK), "xen-netfront is not loaded");
	MUST(klogctl(READ_ALL, log, LEN));
	CHECK(strstr(log, "Grant tables using version 1 layout") &&
	      strstr(log, "Grant table initialized"), "the grant table is not in use");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char *at = strstr(log, bad[i]);

		if (at)
			fail("the kernel says: %.100s", at);
	}
}

const struct test xen_tests[] = {
	{ "frontends", frontends },
	{ NULL, NULL },
};
