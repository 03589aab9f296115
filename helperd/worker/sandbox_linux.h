/* SPDX-License-Identifier: GPL-2.0-or-later */
/* sandbox_linux.h: between sandbox_linux.c and sandbox_net_linux.c. */
#ifndef WK_SANDBOX_LINUX_H
#define WK_SANDBOX_LINUX_H

#include <jansson.h>
#include <seccomp.h>
#include <stdbool.h>

/* What the VM's networks need on top; 0 or a negative errno. */
int wk_sandbox_network(scmp_filter_ctx f, const json_t *nets);

#endif
