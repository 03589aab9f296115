/* SPDX-License-Identifier: GPL-2.0-or-later */
/* vcpu_op: bringing vCPUs up, their timers and registered areas. */
#ifndef CO_XEN_VCPU_H
#define CO_XEN_VCPU_H

#include "xen.h"

#define VCPUOP_initialise			0
#define VCPUOP_up				1
#define VCPUOP_down				2
#define VCPUOP_is_up				3
#define VCPUOP_get_runstate_info		4
#define VCPUOP_register_runstate_memory_area	5
#define VCPUOP_set_periodic_timer		6
#define VCPUOP_stop_periodic_timer		7
#define VCPUOP_set_singleshot_timer		8
#define VCPUOP_stop_singleshot_timer		9
#define VCPUOP_register_vcpu_info		10
#define VCPUOP_send_nmi				11
#define VCPUOP_get_physid			12
#define VCPUOP_register_vcpu_time_memory_area	13

#define RUNSTATE_running	0
#define RUNSTATE_runnable	1
#define RUNSTATE_blocked	2
#define RUNSTATE_offline	3

#define XEN_RUNSTATE_UPDATE	(1ull << 63)	/* in state_entry_time */
#define VCPU_SSHOTTMR_future	1u

struct vcpu_runstate_info {
	co_s32 state;			/* RUNSTATE_* */
	co_u64 state_entry_time;
	co_u64 time[4];
};

struct vcpu_register_runstate_memory_area {
	union {
		xen_handle_t h;
		co_u64 p;
	} addr;
};

struct vcpu_set_periodic_timer {
	co_u64 period_ns;
};

struct vcpu_set_singleshot_timer {
	co_u64 timeout_abs_ns;
	co_u32 flags;			/* VCPU_SSHOTTMR_* */
};

struct vcpu_register_vcpu_info {
	co_u64 mfn;
	co_u32 offset;			/* inside that frame */
	co_u32 rsvd;
};

struct vcpu_get_physid {
	co_u64 phys_id;
};

struct vcpu_register_time_memory_area {
	union {
		xen_handle_t h;
		co_u64 p;
	} addr;
};

XEN_ASSERT_SIZE(struct vcpu_runstate_info, 48);
XEN_ASSERT_SIZE(struct vcpu_register_runstate_memory_area, 8);
XEN_ASSERT_SIZE(struct vcpu_set_singleshot_timer, 16);
XEN_ASSERT_SIZE(struct vcpu_register_vcpu_info, 16);
XEN_ASSERT_SIZE(struct vcpu_register_time_memory_area, 8);

#endif
