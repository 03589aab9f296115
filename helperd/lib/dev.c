/* SPDX-License-Identifier: GPL-2.0-or-later */
/* dev.c: the ioctls of co_abi.h.  Called by colinuxd (control) and workers (their VM). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "dev.h"

static int dev_errno(int error)
{
	switch (error) {
	case ENOENT: case ENODEV: case ENXIO:	return -CO_ENODEV;
	case EACCES: case EPERM:		return -CO_EPERM;
	case EBUSY:				return -CO_EBUSY;
	case ENOMEM:				return -CO_ENOMEM;
	case EFAULT:				return -CO_EFAULT;
	case EINTR:				return -CO_EINTR;
	/* The request's number holds the struct's size: an other build's call is unknown. */
	case ENOTTY: case EINVAL:		return -CO_EABI;
	default:				return -CO_EIO;
	}
}

#ifdef __APPLE__
static const char *dev_path;		/* of the control handle */
#endif

int dev_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

#ifdef __APPLE__
	dev_path = path;
#endif
	return fd < 0 ? dev_errno(errno) : fd;
}

void dev_close(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Every struct of the ABI starts with size and result. */
static int dev_call(int fd, unsigned long request, void *arg, co_u32 size)
{
	struct { co_u32 size; co_s32 result; } head = { size, 0 };

	memcpy(arg, &head, sizeof(head));
	if (ioctl(fd, request, arg) < 0)
		return dev_errno(errno);
	memcpy(&head, arg, sizeof(head));
	return head.result > 0 ? -CO_EIO : head.result;
}

int dev_hello(int control, struct co_hello *h)
{
	memset(h, 0, sizeof(*h));
	h->abi_version = CO_ABI_VERSION;
	return dev_call(control, CO_HELLO, h, sizeof(*h));
}

int dev_vm_create(int control, struct co_vm_create *c)
{
#ifdef __APPLE__
	/* The handle that makes a VM becomes the VM's: one of its own. */
	int fd = dev_open(dev_path), err = fd < 0 ? fd : dev_call(fd, CO_VM_CREATE, c, sizeof(*c));

	(void)control;
	if (err)
		dev_close(fd);
	c->handle = fd;
	return err;
#else
	return dev_call(control, CO_VM_CREATE, c, sizeof(*c));
#endif
}

int dev_vm_destroy(int control, co_u32 id)
{
	struct co_vm_destroy d = { .id = id };

	return dev_call(control, CO_VM_DESTROY, &d, sizeof(d));
}

int dev_vm_map(int vm, co_u64 gfn, co_u64 pages, void **at)
{
	struct co_vm_map m = { .gfn = gfn, .pages = pages, .writable = 1 };
	int err = dev_call(vm, CO_VM_MAP, &m, sizeof(m));

	*at = (void *)(unsigned long)m.address;
	return err;
}

int dev_vm_set(int vm, const struct co_vm_set *start)
{
	struct co_vm_set s = *start;

	return dev_call(vm, CO_VM_SET, &s, sizeof(s));
}

int dev_vcpu_run(int vm, struct co_vcpu_run *run)
{
	return dev_call(vm, CO_VCPU_RUN, run, sizeof(*run));
}

int dev_event(int vm, co_u32 port)
{
	struct co_event e = { .port = port };

	return dev_call(vm, CO_EVENT, &e, sizeof(e));
}

int dev_events(int vm, struct co_events *e)
{
	return dev_call(vm, CO_EVENTS, e, sizeof(*e));
}

int dev_events_fd(int vm)
{
	return vm;
}

int dev_vm_status(int vm, struct co_vm_status *s)
{
	memset(s, 0, sizeof(*s));
	return dev_call(vm, CO_VM_STATUS, s, sizeof(*s));
}

int dev_vm_kill(int vm, const char *why)
{
	struct co_vm_kill k = { .size = 0 };

	snprintf(k.why, sizeof(k.why), "%s", why);
	return dev_call(vm, CO_VM_KILL, &k, sizeof(k));
}
