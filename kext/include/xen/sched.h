/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sched_op: yield, block, poll, shutdown. */
#ifndef CO_XEN_SCHED_H
#define CO_XEN_SCHED_H

#include "event_channel.h"

#define SCHEDOP_yield		0
#define SCHEDOP_block		1
#define SCHEDOP_shutdown	2
#define SCHEDOP_poll		3
#define SCHEDOP_remote_shutdown	4
#define SCHEDOP_shutdown_code	5
#define SCHEDOP_watchdog	6
#define SCHEDOP_pin_override	7

#define SHUTDOWN_poweroff	0
#define SHUTDOWN_reboot		1
#define SHUTDOWN_suspend	2
#define SHUTDOWN_crash		3
#define SHUTDOWN_watchdog	4
#define SHUTDOWN_soft_reset	5

struct sched_shutdown {
	co_u32 reason;		/* SHUTDOWN_* */
};

struct sched_poll {
	xen_handle_t ports;	/* evtchn_port_t[nr_ports] */
	co_u32 nr_ports;
	co_u64 timeout;		/* absolute system time, ns; 0: none */
};

struct sched_watchdog {
	co_u32 id;
	co_u32 timeout;		/* seconds */
};

XEN_ASSERT_SIZE(struct sched_shutdown, 4);
XEN_ASSERT_SIZE(struct sched_poll, 24);
XEN_ASSERT_SIZE(struct sched_watchdog, 8);

#endif
