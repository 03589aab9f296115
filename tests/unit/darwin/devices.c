/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * XNU's character devices, devfs and select, and a process's side of them: what
 * open(2), ioctl(2) and close(2) do on the way to a driver.
 */
#include <stdlib.h>
#include <string.h>

#include "kpi/bsd.h"
#include "kpi/libkern.h"
#include "xnu.h"

#define MAJOR	37

struct selinfo { int recorded, inited, pad[18]; };

static const struct cdevsw *device;
static int (*clone_fn)(dev_t dev, int action);
static co_u64 wakes;
static char node;

int cdevsw_add(int index, const struct cdevsw *csw)
{
	if (index != -1 || !csw->d_open || !csw->d_close || !csw->d_read || !csw->d_write || !csw->d_ioctl ||
	    !csw->d_stop || !csw->d_reset || !csw->d_select || !csw->d_mmap || !csw->d_strategy)
		xnu_die("a device with a hole in it");
	if (device || xnu_refuse())
		return -1;
	device = csw;
	xnu_count(1);
	return MAJOR;
}

int cdevsw_remove(int index, const struct cdevsw *csw)
{
	if (index != MAJOR || csw != device || clone_fn)
		xnu_die("a device removed that is not there, or still has a node");
	device = NULL;
	xnu_count(-1);
	return MAJOR;
}

void *devfs_make_node_clone(dev_t dev, int kind, uid_t uid, gid_t gid, int perms,
			    int (*clone)(dev_t dev, int action), const char *fmt, ...)
{
	if (major(dev) != MAJOR || kind != DEVFS_CHAR || uid || gid || perms != 0600 || strcmp(fmt, "colinux"))
		xnu_die("a node that everybody may open, or of another device");
	xnu_may_sleep("devfs");
	if (xnu_refuse())
		return NULL;
	clone_fn = clone;
	xnu_count(1);
	return &node;
}

void devfs_remove(void *handle)
{
	if (handle != &node || !clone_fn)
		xnu_die("a node removed that is not there");
	clone_fn = NULL;
	xnu_count(-1);
}

int xnu_device(void) { return device && clone_fn; }

/* ---- a process ------------------------------------------------------------------ */

int xnu_look_up(void)
{
	return clone_fn(makedev(MAJOR, 0), DEVFS_CLONE_ALLOC);
}

int xnu_open_minor(int m)
{
	return device->d_open(makedev(MAJOR, m), 3, 0020000, NULL);
}

int xnu_open(void)
{
	int m, err;

	if (!clone_fn)
		return -ENXIO;
	m = xnu_look_up();
	if (m < 0)
		return -ENOMEM;
	err = xnu_open_minor(m);
	return err ? -err : m;
}

/* The structure goes through a buffer of its exact size, as in ioctl(2). */
int xnu_ioctl(int m, unsigned long command, void *arg)
{
	unsigned long size = IOCPARM_LEN(command);
	char *data = malloc(size ? size : 1);
	int err;

	memcpy(data, arg, size);
	err = device->d_ioctl(makedev(MAJOR, m), command, data, 3, NULL);
	if (!err)
		memcpy(arg, data, size);
	free(data);
	return err;
}

int xnu_close(int m)
{
	return device->d_close(makedev(MAJOR, m), 3, 0020000, NULL);
}

int xnu_select(int m)
{
	unsigned long long link = 1;

	return device->d_select(makedev(MAJOR, m), FREAD, &link, NULL);
}

void selrecord(proc_t p, struct selinfo *s, void *wql)
{
	(void)p;
	if (!wql)
		xnu_die("a select of nobody");
	s->inited = 1;
	s->recorded = 1;
}

void selwakeup(struct selinfo *s)
{
	if (s->inited && s->recorded)
		__atomic_fetch_add(&wakes, 1, __ATOMIC_SEQ_CST);
	s->recorded = 0;
}

void selthreadclear(struct selinfo *s)
{
	selwakeup(s);
	s->inited = 0;
}

co_u64 xnu_select_wakes(void) { return __atomic_load_n(&wakes, __ATOMIC_SEQ_CST); }
