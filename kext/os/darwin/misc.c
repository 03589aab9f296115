/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: misc.  Frames of kernel addresses, physical memory, what the
 * host has, and the calling thread: signals and giving way.
 */
#include "seam.h"

co_u64 co_os_hfn(const void *va)
{
	return pmap_find_phys(kernel_pmap, (co_u64)va);
}

/*
 * Through XNU's map of all memory, eight bytes at a time.  It panics on an address
 * beyond memory: the only ones that come here are page tables' own.
 */
int co_os_phys_read(co_u64 pa, void *to, co_u64 bytes)
{
	co_u64 i, *word = to;

	if (((pa | bytes) & 7) || (pa & (CO_PAGE_SIZE - 1)) + bytes > CO_PAGE_SIZE)
		return -CO_EFAULT;
	for (i = 0; i < bytes / 8; i++)
		word[i] = ml_phys_read_double_64(pa + 8 * i);
	return 0;
}

co_u64 co_os_memory_total(void)
{
	co_u64 bytes = 0;
	unsigned long size = sizeof(bytes);

	return sysctlbyname("hw.memsize", &bytes, &size, NULL, 0) ? 0 : bytes;
}

/* Free, purgeable, and pages of files that can be read again. */
co_u64 co_os_memory_free(void)
{
	struct vm_statistics64 s;
	unsigned int count = sizeof(s) / sizeof(natural_t);

	memset(&s, 0, sizeof(s));
	if (vm_stats(&s, &count) != KERN_SUCCESS)
		return 0;
	return ((co_u64)s.free_count + s.purgeable_count + s.external_page_count) << CO_PAGE_SHIFT;
}

co_u32 co_os_cpus(void)
{
	return real_ncpus;
}

/*
 * A thread whose task was ended by task_terminate has neither a signal nor an
 * exiting process, and XNU waits for it to come out: a wait that it may not begin
 * tells.  That costs as much as a passage, so only every 32nd question goes there.
 */
static int aborted(void)
{
	static volatile co_u32 asked;
	char event;

	if (++asked & 31)
		return 0;
	if (assert_wait(&event, THREAD_ABORTSAFE) != THREAD_WAITING)
		return 1;
	thread_wakeup_prim(&event, FALSE, THREAD_AWAKENED);
	return thread_block(THREAD_CONTINUE_NULL) == THREAD_INTERRUPTED;
}

int co_os_interrupted(void)
{
	proc_t p = current_proc();

	return thread_issignal(p, current_thread(), ~0u) || proc_exiting(p) || aborted();
}

void co_os_yield(void)
{
	thread_block(THREAD_CONTINUE_NULL);
}

co_u64 co_os_news(void)
{
	return mach_absolute_time();	/* XNU does not tell */
}

/* A kext has no business halting XNU's CPUs: threads wait as threads do. */
void co_os_nap(co_u64 since, int (*done)(void *), void *arg, volatile co_u32 *napping)
{
	(void)since;
	(void)done;
	(void)arg;
	(void)napping;
}

/* Nor can it keep XNU's threads from one. */
int co_os_alone(void)
{
	return 0;
}

void co_os_move(co_u32 cpu)
{
	(void)cpu;
}
