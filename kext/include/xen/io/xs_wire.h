/* SPDX-License-Identifier: GPL-2.0-or-later */
/* xenstore messages and the page they travel in. */
#ifndef CO_XEN_IO_XS_WIRE_H
#define CO_XEN_IO_XS_WIRE_H

#include "../types.h"

enum xsd_sockmsg_type {
	XS_CONTROL = 0,
	XS_DIRECTORY = 1,
	XS_READ = 2,
	XS_GET_PERMS = 3,
	XS_WATCH = 4,
	XS_UNWATCH = 5,
	XS_TRANSACTION_START = 6,
	XS_TRANSACTION_END = 7,
	XS_INTRODUCE = 8,
	XS_RELEASE = 9,
	XS_GET_DOMAIN_PATH = 10,
	XS_WRITE = 11,
	XS_MKDIR = 12,
	XS_RM = 13,
	XS_SET_PERMS = 14,
	XS_WATCH_EVENT = 15,
	XS_ERROR = 16,
	XS_IS_DOMAIN_INTRODUCED = 17,
	XS_RESUME = 18,
	XS_SET_TARGET = 19,
	XS_RESET_WATCHES = 21,
	XS_DIRECTORY_PART = 22,
	XS_TYPE_COUNT = 23,
};

#define XENSTORE_RING_SIZE	1024
#define XENSTORE_PAYLOAD_MAX	4096
#define XENSTORE_ABS_PATH_MAX	3072
#define XENSTORE_REL_PATH_MAX	2048
#define MASK_XENSTORE_IDX(idx)	((idx) & (XENSTORE_RING_SIZE - 1))

#define XENSTORE_SERVER_FEATURE_RECONNECTION	1
#define XENSTORE_SERVER_FEATURE_ERROR		2
#define XENSTORE_CONNECTED	0
#define XENSTORE_RECONNECT	1

typedef co_u32 XENSTORE_RING_IDX;

struct xsd_sockmsg {
	co_u32 type;		/* XS_* */
	co_u32 req_id;		/* echoed */
	co_u32 tx_id;		/* 0: no transaction */
	co_u32 len;		/* bytes that follow */
};

struct xenstore_domain_interface {
	char req[XENSTORE_RING_SIZE];	/* from the guest */
	char rsp[XENSTORE_RING_SIZE];
	XENSTORE_RING_IDX req_cons, req_prod;
	XENSTORE_RING_IDX rsp_cons, rsp_prod;
	co_u32 server_features;
	co_u32 connection;
	co_u32 error;
};

XEN_ASSERT_SIZE(struct xsd_sockmsg, 16);
XEN_ASSERT_SIZE(struct xenstore_domain_interface, 2076);

#endif
