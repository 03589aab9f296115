/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a test can do with the host that os/fake pretends to be.  The clock and
 * the timers move only when the test says so; every object is counted; any
 * allocation can be made to fail.  Misuse of the seam aborts the test.
 */
#ifndef FAKE_H
#define FAKE_H

#include "../co_os.h"

void fake_reset(void);			/* clock, signals, failures, logs; live objects stay */

/* The n-th allocation of any kind from now on fails; 0: none. */
void fake_fail_nth(co_u64 n);
co_u64 fake_allocations(void);		/* asked for since fake_reset or fake_fail_nth */
co_u64 fake_live(void);			/* objects that exist now */

/* User memory: only these ranges can be copied from and to. */
void fake_user(void *p, co_u64 bytes, int writable);
void fake_user_clear(void);
co_u64 fake_mappings(void);		/* mappings of guest memory that exist */
void fake_unmap(co_u64 address);	/* what munmap or exit does */

/* One page of a guest's memory. */
void *fake_ram_va(struct co_os_ram *ram, co_u64 index);

/* Handles: closing one is what the last close of a descriptor does. */
struct co_vm *fake_handle(co_s32 handle);
co_u64 fake_handles(void);
void fake_close(co_s32 handle, void (*destroy)(struct co_vm *));

void fake_memory(co_u64 total, co_u64 free);
void fake_clock(co_u64 ns);		/* moves on; runs the timers that come due */
void fake_tsc_stable(int stable);
void fake_cpus(co_u32 n);		/* the host has so many; 2 after fake_reset */
void fake_signal(int pending);		/* a signal waits for every thread */
void fake_nap(void (*fn)(void));	/* what a nap's interrupt does; NULL: nobody naps */
co_u64 fake_naps(void);
void fake_device(void);			/* interrupts */
void fake_alone(int yes);		/* nobody else wants this CPU; 0 after fake_reset */
co_u32 fake_moved(void);		/* the CPU that a thread was moved to last */
co_u64 fake_kicks(void);
co_u64 fake_nmis(void);			/* sent to the CPU itself */
unsigned int fake_interrupt(void);	/* the vector that was raised again last; 0: none */
const char *fake_log(void);		/* last line */

#endif
