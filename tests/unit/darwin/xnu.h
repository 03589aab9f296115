/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test can do with the XNU that these doubles pretend to be.  They keep to
 * its rules and abort the test that breaks one: sleeping with interrupts off or a
 * spin lock held, locks in two orders, freeing what is in use, unwired frames,
 * being rescheduled inside the guest world.  Threads are pthreads, and the doubles
 * dawdle where XNU may: what only works by luck fails here sooner or later.
 */
#ifndef XNU_H
#define XNU_H

#include "co_abi.h"

__attribute__((noreturn)) void xnu_die(const char *why);
void xnu_dawdle(void);			/* a random, short while */
void xnu_may_sleep(const char *what);	/* aborts where a thread may not */
int xnu_refuse(void);			/* counts an allocation; true: let it fail */
void xnu_count(int change);		/* of live objects */

/* The n-th allocation of any kind from now on fails; 0: none. */
void xnu_fail_nth(co_u64 n);
co_u64 xnu_allocations(void);
co_u64 xnu_live(void);			/* objects that exist now */

/* This thread. */
int xnu_interrupts(void);
int xnu_preemption_level(void);
void xnu_on_cpu(int n);			/* where it runs */
void xnu_signals_noted(void);		/* some other wait was ended for those that came */
void xnu_end_task(int yes);		/* task_terminate: no signal, no exit, but over */

/* Everybody. */
void xnu_signal(int pending);		/* a signal waits for every thread */
void xnu_exit(int yes);			/* the process is exiting */
void xnu_asleep(co_u64 ns);		/* the host has slept: one clock went on */
co_u64 xnu_sleepers(void);		/* threads in msleep */

/* User memory: only these ranges can be copied from and to. */
void xnu_user(void *p, co_u64 bytes);
void xnu_user_clear(void);

/* The device: as a process would, by minors; results are errnos or minors. */
int xnu_open(void);			/* -errno */
int xnu_look_up(void);			/* stat(2): a minor that nobody opens */
int xnu_open_minor(int minor);
int xnu_ioctl(int minor, unsigned long command, void *arg);	/* errno */
int xnu_close(int minor);
int xnu_select(int minor);		/* 1: readable; 0: recorded */
co_u64 xnu_select_wakes(void);
int xnu_device(void);			/* does /dev/colinux exist? */

/* Memory. */
void xnu_boot_arg(const char *name, const char *value);	/* NULL: none */
void xnu_no_tsc(int yes);
const char *xnu_log(void);		/* last line */
co_u64 xnu_maps(void);			/* mappings in tasks that exist */
void *xnu_frame(co_u64 hfn);		/* where a guest's frame can be looked at, if wired */
extern co_u64 xnu_root[512];		/* what CR3 points to */
void xnu_task_dies(void);		/* its mappings are gone before they are released */

/* The machine. */
extern __thread co_u64 xnu_cr0, xnu_xcr0;	/* xcr0: last xsetbv */
extern __thread int xnu_xsetbvs;
extern co_u32 xnu_apic[1024];
void xnu_x2apic(int yes);
co_u64 xnu_icr(void);			/* the last command by MSR */
unsigned int xnu_interrupt(void);	/* the vector raised again last */

#endif
