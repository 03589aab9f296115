/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of ring layouts as frontends write them to xenstore. */
#ifndef CO_XEN_IO_PROTOCOLS_H
#define CO_XEN_IO_PROTOCOLS_H

#define XEN_IO_PROTO_ABI_X86_32	"x86_32-abi"
#define XEN_IO_PROTO_ABI_X86_64	"x86_64-abi"

#endif
