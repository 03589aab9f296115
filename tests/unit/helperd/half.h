/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * half.h: half a worker for tests of backends: guest memory, grant table,
 * xenstore and ports, and what a frontend does with them.
 */
#ifndef HALF_H
#define HALF_H

#include "device.h"
#include "xenstore.h"

#define HALF_PAGES	2048u

extern struct wk half;
extern char half_killed[160];
extern unsigned int half_raised[WK_PORTS];	/* atomic: notices to the guest */

void half_up(void);
void half_down(void);

/* Lends guest frame gfn as reference ref; flags besides GTF_permit_access. */
void half_grant(uint32_t ref, uint64_t gfn, uint16_t flags);
void half_take_back(uint32_t ref);
void *half_page(uint64_t gfn);

/* The frontend's nodes; path below device/. */
void half_write(const char *path, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Any node below the guest's home or absolute; "" if it is not there.  Static. */
const char *half_read(const char *path);
/* The guest notifies the port. */
void half_notify(uint32_t port);
/* Runs the loop until the node has the value; 0: it has. */
int half_until(const char *path, const char *value);
void half_run(unsigned int ms);

#endif
