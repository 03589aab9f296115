/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the three files of the monitor's fuzz target share. */
#ifndef FUZZ_MONITOR_H
#define FUZZ_MONITOR_H

#include "mon.h"

#define RAM_PAGES	256ull
#define FRAMES		(RAM_PAGES + CO_SPECIAL_FRAMES)
#define POOL_PAGES	64ull		/* few: recycling is exercised too */
#define RAM_HFN		0x10000ull	/* host frame of guest frame 0 */
#define POOL_HFN	0x20000ull
#define GUEST_L3	0x30000ull	/* the slot's two views */
#define USER_L3		0x30001ull

#define KERNEL_VA	0xffffffff80000000ull
#define USER_VA		0x400000ull

/* The guest's frames with a meaning. */
#define GFN_ARGS	0ull
#define GFN_L4		1ull
#define GFN_L3K		2ull
#define GFN_L2K		3ull
#define GFN_L1K		4ull
#define GFN_L3U		5ull
#define GFN_L2U		6ull
#define GFN_L1U		7ull
#define GFN_STACK	8ull

struct machine {
	u64 cr2, cr3, cr3_writes;
};
extern struct machine machine;

void machine_reset(int user_view, int la57);
/* One access of the guest's; faults go to the monitor as the CPU would send them. */
void machine_access(u64 va, u32 access, u64 value);

void check_reset(void);
void check_world(void);				/* at each return to the guest */
void check_frame(const struct mon_frame *f);

#endif
