/* SPDX-License-Identifier: GPL-2.0-or-later */
/* callback_op: where events, failsafe, system calls enter the guest kernel. */
#ifndef CO_XEN_CALLBACK_H
#define CO_XEN_CALLBACK_H

#include "xen.h"

#define CALLBACKTYPE_event		0
#define CALLBACKTYPE_failsafe		1
#define CALLBACKTYPE_syscall		2
#define CALLBACKTYPE_nmi		4
#define CALLBACKTYPE_sysenter		5
#define CALLBACKTYPE_syscall32		7

#define CALLBACKF_mask_events		1u

#define CALLBACKOP_register		0
#define CALLBACKOP_unregister		1

struct callback_register {
	co_u16 type;		/* CALLBACKTYPE_* */
	co_u16 flags;		/* CALLBACKF_* */
	xen_callback_t address;
};

struct callback_unregister {
	co_u16 type;
	co_u16 _unused;
};

XEN_ASSERT_SIZE(struct callback_register, 16);
XEN_ASSERT_SIZE(struct callback_unregister, 4);

#endif
