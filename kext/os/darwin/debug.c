/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seam on Darwin: debug.  A line in the kernel's log: `log show`, dmesg. */
#include "seam.h"

void co_os_log(const char *format, ...)
{
	char line[256];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	printf("colinux: %s\n", line);
}
