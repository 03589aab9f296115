/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The same table as Debian's libxen-dev has it. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <xen/xen.h>
#include <xen/errno.h>
#include <xen/event_channel.h>
#include <xen/sched.h>
#include <xen/vcpu.h>
#include <xen/memory.h>
#include <xen/version.h>
#include <xen/callback.h>
#include <xen/grant_table.h>
#include <xen/physdev.h>
#include <xen/elfnote.h>
#include <xen/arch-x86/cpuid.h>
#include <xen/io/console.h>
#include <xen/io/xs_wire.h>
#include <xen/io/blkif.h>
#include <xen/io/netif.h>
#include <xen/io/xenbus.h>
#include <xen/io/protocols.h>
#include "row.h"

#define xen_sring blkif_sring

const struct row theirs[] = {
#include "rows.h"
	{ "sring header", offsetof(struct blkif_sring, ring), -1, 0 },
	{ "blkif entry", sizeof(union blkif_sring_entry), -1, 0 },
	{ "netif tx entry", sizeof(union netif_tx_sring_entry), -1, 0 },
	{ "netif rx entry", sizeof(union netif_rx_sring_entry), -1, 0 },
	F(struct xen_sring, req_prod)
	F(struct xen_sring, req_event)
	F(struct xen_sring, rsp_prod)
	F(struct xen_sring, rsp_event)
};
const int theirs_n = sizeof(theirs) / sizeof(theirs[0]);
