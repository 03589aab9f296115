/* SPDX-License-Identifier: GPL-2.0-or-later */
/* fake.h: between fake_dev.c (the machine) and fake_guest.c (what runs on it). */
#ifndef FAKE_H
#define FAKE_H

#include <stddef.h>

#include "co_abi.h"

void fake_guest(co_u8 *memory, co_u64 start_info);	/* the guest: returns to idle for good */

extern co_u64 *fake_grants;		/* the guest's grant table */
/* A xenstore call: the answer's type and payload (4097 bytes). */
co_u32 fake_xs_call(co_u32 type, const char *data, size_t len, char *payload);
const char *fake_disk(co_u8 *memory);	/* fake_disk.c: "" or what went wrong */
const char *fake_net(co_u8 *memory, int rounds);	/* fake_net.c: the same */
void fake_net_break(void);		/* after it: an index that cannot be */

void fake_exit(const struct co_vcpu_run *run);
void fake_notify(co_u32 port);
void fake_hold(co_u32 port);		/* notifies; the worker then stays in dev_events until let go */
void fake_let_go(void);
void fake_wait(void);			/* until the host raises a port */
void fake_killed(const char *why);

#endif
