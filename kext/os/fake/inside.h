/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fake host's own files share. */
#ifndef FAKE_INSIDE_H
#define FAKE_INSIDE_H

#include "fake.h"

__attribute__((noreturn)) void fake_die(const char *why);
int fake_refuse(void);			/* counts an allocation; true: let it fail */
void fake_count(int change);		/* of live objects */
int fake_in_world(void);		/* this thread is between enter and leave */
void fake_sync_reset(void);

extern co_u64 fake_host_root[512];	/* what CR3 points to */

#endif
