/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Network requests: a transmit and a receive ring for each queue. */
#ifndef CO_XEN_IO_NETIF_H
#define CO_XEN_IO_NETIF_H

#include "ring.h"

#define XEN_NETIF_NR_SLOTS_MIN	18
#define XEN_NETIF_MAX_TX_SIZE	0xffff

#define NETTXF_csum_blank	0x1u
#define NETTXF_data_validated	0x2u
#define NETTXF_more_data	0x4u
#define NETTXF_extra_info	0x8u

#define NETRXF_data_validated	0x1u
#define NETRXF_csum_blank	0x2u
#define NETRXF_more_data	0x4u
#define NETRXF_extra_info	0x8u
#define NETRXF_gso_prefix	0x10u

#define NETIF_RSP_DROPPED	(-2)
#define NETIF_RSP_ERROR		(-1)
#define NETIF_RSP_OKAY		0
#define NETIF_RSP_NULL		1

#define XEN_NETIF_EXTRA_TYPE_NONE	0
#define XEN_NETIF_EXTRA_TYPE_GSO	1
#define XEN_NETIF_EXTRA_TYPE_MCAST_ADD	2
#define XEN_NETIF_EXTRA_TYPE_MCAST_DEL	3
#define XEN_NETIF_EXTRA_TYPE_HASH	4
#define XEN_NETIF_EXTRA_FLAG_MORE	1u
#define XEN_NETIF_GSO_TYPE_TCPV4	1
#define XEN_NETIF_GSO_TYPE_TCPV6	2

struct netif_tx_request {
	grant_ref_t gref;
	co_u16 offset;
	co_u16 flags;		/* NETTXF_* */
	co_u16 id;
	co_u16 size;		/* of the whole packet in its first slot */
};

struct netif_extra_info {
	co_u8 type;		/* XEN_NETIF_EXTRA_TYPE_* */
	co_u8 flags;
	union {
		struct {
			co_u16 size;
			co_u8 type;
			co_u8 pad;
			co_u16 features;
		} gso;
		struct {
			co_u8 addr[6];
		} mcast;
		co_u16 pad[3];
	} u;
};

struct netif_tx_response {
	co_u16 id;
	xen_s16 status;		/* NETIF_RSP_* */
};

struct netif_rx_request {
	co_u16 id;
	co_u16 pad;
	grant_ref_t gref;
};

struct netif_rx_response {
	co_u16 id;
	co_u16 offset;
	co_u16 flags;		/* NETRXF_* */
	xen_s16 status;		/* bytes, or NETIF_RSP_* */
};

union netif_tx_sring_entry {
	struct netif_tx_request req;
	struct netif_tx_response rsp;
};

union netif_rx_sring_entry {
	struct netif_rx_request req;
	struct netif_rx_response rsp;
};

XEN_ASSERT_SIZE(struct netif_tx_request, 12);
XEN_ASSERT_SIZE(struct netif_extra_info, 8);
XEN_ASSERT_SIZE(struct netif_tx_response, 4);
XEN_ASSERT_SIZE(struct netif_rx_request, 8);
XEN_ASSERT_SIZE(struct netif_rx_response, 8);

#endif
