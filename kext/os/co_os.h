/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam: everything that the portable core asks of a host kernel, in the
 * groups that coLinux's port had to write.  One implementation a host
 * (os/linux, os/darwin) and a double in user space for tests (os/fake).
 *
 * Functions return 0 or -CO_E..., or NULL; they may sleep unless they say not.
 */
#ifndef CO_OS_H
#define CO_OS_H

#include "co_abi.h"

/* alloc: kernel memory, page-aligned, wired, zeroed; contiguous only in its address. */
void *co_os_alloc(co_u64 bytes);
void co_os_free(void *p, co_u64 bytes);

/* pages: guest memory as host frames.  The object is counted: a user mapping
 * keeps the pages alive after the VM has let go. */
struct co_os_ram;
int co_os_ram_create(co_u64 pages, struct co_os_ram **out);
void co_os_ram_release(struct co_os_ram *ram);
co_u64 co_os_ram_hfn(struct co_os_ram *ram, co_u64 index);
/* Map [first, first + pages) into the calling process, shared; os_file is the
 * host's own idea of the handle that the call came through. */
int co_os_ram_map(struct co_os_ram *ram, void *os_file, co_u64 first, co_u64 pages,
		  int writable, co_u64 *address);

/* misc */
co_u64 co_os_hfn(const void *va);		/* frame of a co_os_alloc'ed address */
int co_os_phys_read(co_u64 pa, void *to, co_u64 bytes);	/* one page at most; never sleeps */
co_u64 co_os_memory_total(void);		/* bytes */
co_u64 co_os_memory_free(void);
co_u64 co_os_held_pages(void);			/* all that this layer gave out and did not get back */
co_u32 co_os_cpus(void);

/* manager: a handle in the calling process for a VM.  Linux makes a new descriptor;
 * on Darwin the control handle that made the VM, os_file, becomes its handle.  poll(2)
 * on it says readable when co_event_ready(vm) does, and sleeps on vm->notified. */
struct co_vm;
int co_os_handle_create(struct co_vm *vm, void *os_file, co_s32 *handle);

/* user: copies to and from the calling process, checked. */
int co_os_copy_in(void *to, co_u64 from, co_u64 bytes);
int co_os_copy_out(co_u64 to, const void *from, co_u64 bytes);

/* mutex */
struct co_os_mutex;
struct co_os_mutex *co_os_mutex_new(void);
void co_os_mutex_free(struct co_os_mutex *m);
void co_os_mutex_lock(struct co_os_mutex *m);
int co_os_mutex_trylock(struct co_os_mutex *m);	/* 1: taken */
void co_os_mutex_unlock(struct co_os_mutex *m);

/* wait: sleep until done(arg) is true; 0, or -CO_EINTR on a signal.  A wake-up
 * between the test and the sleep is not lost.  wake may be called anywhere, and also
 * wakes who polls a handle that sleeps there. */
struct co_os_wait;
struct co_os_wait *co_os_wait_new(void);
void co_os_wait_free(struct co_os_wait *w);
int co_os_wait_until(struct co_os_wait *w, int (*done)(void *), void *arg);
void co_os_wait_wake(struct co_os_wait *w);

/* timer: one shot.  fn runs in any context and must not sleep; after cancel
 * returns it neither runs nor will run. */
struct co_os_timer;
struct co_os_timer *co_os_timer_new(void (*fn)(void *), void *arg);
void co_os_timer_free(struct co_os_timer *t);	/* cancels */
void co_os_timer_arm(struct co_os_timer *t, co_u64 ns_from_now);
void co_os_timer_cancel(struct co_os_timer *t);

/* time */
co_u64 co_os_now_ns(void);			/* monotonic, counts through suspend */
void co_os_wall(co_u64 *sec, co_u32 *nsec);
co_u64 co_os_tsc_khz(void);
int co_os_tsc_stable(void);

/* world: the part of a passage that only the host can do.  Between enter and
 * leave: this CPU, interrupts off, the FPU free to use, no sleeping. */
void co_os_world_enter(void);
void co_os_world_leave(void);
co_u32 co_os_cpu(void);
int co_os_interrupted(void);			/* does a signal wait for this thread? */
void co_os_yield(void);

/* A count that has changed whenever this thread's descriptors may have: by a device's
 * interrupt, or another thread's turn.  Where a host cannot tell, every look is news. */
co_u64 co_os_news(void);

/* Halt this CPU until an interrupt, if there were no news `since`; not at all when
 * done(arg) is true, where another thread wants the CPU, or where an interrupt on another
 * one could be what is waited for.  *napping is 1 from before the last look at done. */
void co_os_nap(co_u64 since, int (*done)(void *), void *arg, volatile co_u32 *napping);
void co_os_kick(co_u32 cpu);			/* make that CPU take an interrupt; never sleeps */

/* Where guests have a CPU to themselves (core.h, guest_cpu): */
int co_os_alone(void);				/* does no other thread want this CPU?  never sleeps */
void co_os_move(co_u32 cpu);			/* run this thread there from now on */

/* Make this CPU take an NMI: one that the monitor met and could only note.  `int 2`
 * would not do, because it does not block the next one. */
void co_os_nmi(void);

/* debug: a line in the host's log. */
void co_os_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
