/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake.h: between fake_dev.c (the machine) and fake_guest.c (what runs on it). */
#ifndef FAKE_H
#define FAKE_H

#include "co_abi.h"

void fake_guest(co_u8 *memory, co_u64 start_info);	/* the guest: returns to idle for good */

void fake_exit(const struct co_vcpu_run *run);
void fake_notify(co_u32 port);
void fake_wait(void);			/* until the host raises a port */
void fake_killed(const char *why);

#endif
