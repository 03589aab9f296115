/* SPDX-License-Identifier: GPL-2.0-or-later */
/* com.apple.kpi.bsd: what this kext uses of it, and the types behind it. */
#ifndef CO_KPI_BSD_H
#define CO_KPI_BSD_H

#include "mach.h"

typedef int dev_t;
typedef char *caddr_t;
typedef unsigned long u_long;
typedef unsigned int sigset_t;
typedef unsigned int uid_t, gid_t;
typedef struct proc *proc_t;
struct timespec;

#define major(x)	((int)((unsigned int)(x) >> 24 & 0xff))
#define minor(x)	((int)((x) & 0xffffff))
#define makedev(x, y)	((dev_t)((x) << 24 | (y)))

#define ENXIO	6
#define ENOMEM	12
#define EFAULT	14
#define EBUSY	16
#define ENODEV	19
#define EMFILE	24
#define ENOTTY	25

#define FREAD	1
#define PWAIT	32
#define PCATCH	0x100
#define IOCPARM_LEN(x)	((x) >> 16 & 0x1fff)

struct buf;
struct selinfo;
struct tty;
struct uio;

typedef int open_close_fcn_t(dev_t dev, int flags, int devtype, struct proc *p);
typedef int read_write_fcn_t(dev_t dev, struct uio *uio, int ioflag);
typedef int ioctl_fcn_t(dev_t dev, u_long cmd, caddr_t data, int fflag, struct proc *p);
typedef int stop_fcn_t(struct tty *tp, int rw);
typedef int reset_fcn_t(int uban);
typedef int select_fcn_t(dev_t dev, int which, void *wql, struct proc *p);
typedef int mmap_fcn_t(void);
typedef void strategy_fcn_t(struct buf *bp);

struct cdevsw {
	open_close_fcn_t *d_open;
	open_close_fcn_t *d_close;
	read_write_fcn_t *d_read;
	read_write_fcn_t *d_write;
	ioctl_fcn_t *d_ioctl;
	stop_fcn_t *d_stop;
	reset_fcn_t *d_reset;
	struct tty **d_ttys;
	select_fcn_t *d_select;
	mmap_fcn_t *d_mmap;
	strategy_fcn_t *d_strategy;
	void *d_reserved_1;
	void *d_reserved_2;
	int d_type;
};

#define DEVFS_CHAR		0
#define DEVFS_CLONE_FREE	0
#define DEVFS_CLONE_ALLOC	1

int cdevsw_add(int index, const struct cdevsw *csw);
int cdevsw_remove(int index, const struct cdevsw *csw);
void *devfs_make_node_clone(dev_t dev, int chrblk, uid_t uid, gid_t gid, int perms,
			    int (*clone)(dev_t dev, int action), const char *fmt, ...);
void devfs_remove(void *handle);

proc_t current_proc(void);
int proc_exiting(proc_t p);
int msleep(void *chan, lck_mtx_t *mtx, int pri, const char *wmesg, struct timespec *ts);
void wakeup(void *chan);
void selrecord(proc_t selector, struct selinfo *sip, void *wql);
void selwakeup(struct selinfo *sip);
void selthreadclear(struct selinfo *sip);

#endif
