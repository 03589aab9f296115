/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: time.  XNU keeps its own time by the TSC, as one clock of all
 * CPUs, so what is stable enough for it is for a guest; that a sleep sets the TSC
 * back, core sees by itself.
 */
#include "seam.h"

static co_u64 khz;

int co_darwin_time_start(void)
{
	co_u64 hz = 0;
	unsigned long size = sizeof(hz);

	if (sysctlbyname("machdep.tsc.frequency", &hz, &size, NULL, 0) || hz < 1000000)
		return -CO_ECPU;
	khz = hz / 1000;
	return 0;
}

co_u64 co_os_now_ns(void)
{
	unsigned long long ns;

	absolutetime_to_nanoseconds(mach_continuous_time(), &ns);
	return ns;
}

void co_os_wall(co_u64 *sec, co_u32 *nsec)
{
	clock_sec_t s;
	clock_nsec_t n;

	clock_get_calendar_nanotime(&s, &n);
	*sec = s;
	*nsec = n;
}

co_u64 co_os_tsc_khz(void)
{
	return khz;
}

int co_os_tsc_stable(void)
{
	return 1;
}
