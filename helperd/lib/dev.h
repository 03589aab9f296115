/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dev: every call to /dev/colinux goes through this one file, so that a test
 * links a fake in its place.  All return 0 (or a descriptor) or -CO_E...
 */
#ifndef LIB_DEV_H
#define LIB_DEV_H

#include "co_abi.h"

#define DEV_PATH	"/dev/colinux"

int dev_open(const char *path);
void dev_close(int fd);
int dev_hello(int control, struct co_hello *h);
int dev_vm_create(int control, struct co_vm_create *c);
int dev_vm_destroy(int control, co_u32 id);

int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at);	/* writable, shared */
int dev_vm_set(int vm, const struct co_vm_set *start);
int dev_vcpu_run(int vm, struct co_vcpu_run *run);
int dev_event(int vm, co_u32 port);
int dev_events(int vm, struct co_events *e);	/* lazy in, ports out; never waits */
int dev_events_fd(int vm);			/* readable while there are some */
int dev_vm_status(int vm, struct co_vm_status *s);
int dev_vm_kill(int vm, const char *why);

#endif
