/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event channels, 2-level ABI; the FIFO calls are named to be refused. */
#ifndef CO_XEN_EVENT_CHANNEL_H
#define CO_XEN_EVENT_CHANNEL_H

#include "xen.h"

#define EVTCHNOP_bind_interdomain	0
#define EVTCHNOP_bind_virq		1
#define EVTCHNOP_bind_pirq		2
#define EVTCHNOP_close			3
#define EVTCHNOP_send			4
#define EVTCHNOP_status			5
#define EVTCHNOP_alloc_unbound		6
#define EVTCHNOP_bind_ipi		7
#define EVTCHNOP_bind_vcpu		8
#define EVTCHNOP_unmask			9
#define EVTCHNOP_reset			10
#define EVTCHNOP_init_control		11
#define EVTCHNOP_expand_array		12
#define EVTCHNOP_set_priority		13

#define EVTCHNSTAT_closed	0
#define EVTCHNSTAT_unbound	1
#define EVTCHNSTAT_interdomain	2
#define EVTCHNSTAT_pirq		3
#define EVTCHNSTAT_virq		4
#define EVTCHNSTAT_ipi		5

#define EVTCHN_2L_NR_CHANNELS	4096

struct evtchn_bind_interdomain {
	domid_t remote_dom;
	evtchn_port_t remote_port;
	evtchn_port_t local_port;	/* out */
};

struct evtchn_bind_virq {
	co_u32 virq;
	co_u32 vcpu;
	evtchn_port_t port;		/* out */
};

struct evtchn_bind_pirq {
	co_u32 pirq;
	co_u32 flags;
	evtchn_port_t port;		/* out */
};

struct evtchn_close {
	evtchn_port_t port;
};

struct evtchn_send {
	evtchn_port_t port;
};

struct evtchn_status {
	domid_t dom;
	evtchn_port_t port;
	co_u32 status;			/* out: EVTCHNSTAT_* */
	co_u32 vcpu;			/* out */
	union {
		struct {
			domid_t dom;
		} unbound;
		struct {
			domid_t dom;
			evtchn_port_t port;
		} interdomain;
		co_u32 pirq;
		co_u32 virq;
	} u;
};

struct evtchn_alloc_unbound {
	domid_t dom, remote_dom;
	evtchn_port_t port;		/* out */
};

struct evtchn_bind_ipi {
	co_u32 vcpu;
	evtchn_port_t port;		/* out */
};

struct evtchn_bind_vcpu {
	evtchn_port_t port;
	co_u32 vcpu;
};

struct evtchn_unmask {
	evtchn_port_t port;
};

struct evtchn_reset {
	domid_t dom;
};

struct evtchn_set_priority {
	evtchn_port_t port;
	co_u32 priority;
};

XEN_ASSERT_SIZE(struct evtchn_bind_interdomain, 12);
XEN_ASSERT_SIZE(struct evtchn_bind_virq, 12);
XEN_ASSERT_SIZE(struct evtchn_status, 24);
XEN_ASSERT_SIZE(struct evtchn_alloc_unbound, 8);

#endif
