/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table as our own headers have it. */
#include "../../../kext/include/xen/xen.h"
#include "../../../kext/include/xen/errno.h"
#include "../../../kext/include/xen/event_channel.h"
#include "../../../kext/include/xen/sched.h"
#include "../../../kext/include/xen/vcpu.h"
#include "../../../kext/include/xen/memory.h"
#include "../../../kext/include/xen/version.h"
#include "../../../kext/include/xen/callback.h"
#include "../../../kext/include/xen/grant_table.h"
#include "../../../kext/include/xen/physdev.h"
#include "../../../kext/include/xen/elfnote.h"
#include "../../../kext/include/xen/io/console.h"
#include "../../../kext/include/xen/io/xs_wire.h"
#include "../../../kext/include/xen/io/blkif.h"
#include "../../../kext/include/xen/io/netif.h"
#include "../../../kext/include/xen/io/xenbus.h"
#include "../../../kext/include/xen/io/protocols.h"
#include "row.h"

const struct row ours[] = {
#include "rows.h"
	/* Rings: libxen-dev has them as macros only; see theirs.c. */
	{ "sring header", sizeof(struct xen_sring), -1, 0 },
	{ "blkif entry", sizeof(union blkif_sring_entry), -1, 0 },
	{ "netif tx entry", sizeof(union netif_tx_sring_entry), -1, 0 },
	{ "netif rx entry", sizeof(union netif_rx_sring_entry), -1, 0 },
	F(struct xen_sring, req_prod)
	F(struct xen_sring, req_event)
	F(struct xen_sring, rsp_prod)
	F(struct xen_sring, rsp_event)
};
const int ours_n = sizeof(ours) / sizeof(ours[0]);
