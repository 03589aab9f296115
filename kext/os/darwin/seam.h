/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the Darwin files of the seam share among themselves.  Every function of
 * XNU that they call is in kpi.txt, and nothing else is linked.
 */
#ifndef CO_DARWIN_SEAM_H
#define CO_DARWIN_SEAM_H

#ifdef CO_KERNEL_HEADERS	/* Apple's Kernel.framework */
#include <sys/types.h>
#include <sys/conf.h>
#include <sys/errno.h>
#include <sys/fcntl.h>
#include <sys/ioccom.h>
#include <sys/param.h>
#include <sys/proc.h>
#include <sys/select.h>
#include <sys/sysctl.h>
#include <sys/systm.h>
#include <miscfs/devfs/devfs.h>
#include <mach/kmod.h>
#include <mach/mach_time.h>
#include <mach/mach_types.h>
#include <mach/vm_statistics.h>
#include <kern/clock.h>
#include <kern/locks.h>
#include <kern/thread.h>
#include <kern/thread_call.h>
#include <libkern/copyio.h>
#include <libkern/libkern.h>
#include <machine/machine_routines.h>
#include <pexpert/pexpert.h>
#include <stdarg.h>
#include <string.h>
#include <IOKit/IOLib.h>
#ifdef __cplusplus
#include <IOKit/IOBufferMemoryDescriptor.h>
#endif
#else
#ifdef __cplusplus
#include "kpi/mach.h"
#else
#include "kpi/bsd.h"
#include "kpi/libkern.h"
#endif
#include "kpi/iokit.h"
#endif
#include "kpi/unsupported.h"

#ifdef __cplusplus
extern "C" {
#define _Static_assert static_assert
#endif
#include "co_os.h"

#define CO_DARWIN_MAX_CPUS	64u	/* XNU's own limit on x86-64 */

#ifndef __cplusplus
extern lck_grp_t *co_darwin_group;

int co_darwin_wait_select(struct co_os_wait *w, int (*done)(void *), void *arg, proc_t p, void *wql);
int co_darwin_timer_start(void);
void co_darwin_timer_stop(void);
int co_darwin_world_start(void);
void co_darwin_world_stop(void);
int co_darwin_apic_start(void);
void co_darwin_apic_stop(void);
int co_darwin_manager_start(void);
int co_darwin_manager_stop(void);	/* -CO_EBUSY: handles are open */
int co_darwin_time_start(void);
#endif

/* alloc.c: small or uncounted memory of the seam's own, zeroed. */
void *co_darwin_new(co_u64 bytes);
void co_darwin_delete(void *p, co_u64 bytes);
void *co_darwin_pages(co_u64 bytes);
void co_darwin_free_pages(void *p, co_u64 bytes);
void co_darwin_count(co_s64 pages);	/* into co_os_held_pages */

/* apic.c: the local APIC of this CPU sends one interrupt; interrupts are off. */
#define CO_APIC_FIXED	0u
#define CO_APIC_NMI	0x400u
void co_darwin_send(co_u32 cpu, co_u32 mode);

/* pages.cpp: device memory in the kernel's map. */
struct co_darwin_window;
volatile co_u32 *co_darwin_window_open(co_u64 pa, co_u64 bytes, struct co_darwin_window **out);
void co_darwin_window_close(struct co_darwin_window *w);

#ifdef __cplusplus
}
#endif
#endif
