/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What both Darwin tests share: the kext loaded and gone, calls, a guest. */
#ifndef DARWIN_TEST_H
#define DARWIN_TEST_H

#include <string.h>
#include "kpi/mach.h"
#include "../../../kext/core/core.h"
#include "../unit.h"
#include "xnu.h"

extern kmod_info_t kmod_info;

static inline int load(void) { return kmod_info.start(&kmod_info, 0) == KERN_SUCCESS; }
static inline int unload(void) { return kmod_info.stop(&kmod_info, 0) == KERN_SUCCESS; }

/* What a passage comes back with. */
extern u32 (*guest)(struct co_vcpu *v);

#define CALL(minor, command, s)								\
	({ (s)->size = sizeof(*(s)); (s)->result = 99;					\
	   int err_ = xnu_ioctl(minor, command, s); err_ ? 1000 + err_ : (s)->result; })

#endif
