/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What macOS has beyond POSIX and the helper uses: for compiling its macOS files, and
 * the portable ones as if there, on Linux in strict POSIX mode.  Included before all.
 */
#ifndef MACOS_H
#define MACOS_H

#include <sys/types.h>
#include <sys/uio.h>

#define NSIG		32
#define NGROUPS		16
#define SOL_LOCAL	0
#define LOCAL_PEERCRED	1
#define LOCAL_PEERPID	2
#define F_FULLFSYNC	51
#define F_PUNCHHOLE	99

struct fpunchhole {
	unsigned int fp_flags, reserved;
	off_t fp_offset, fp_length;
};

int getgrouplist(const char *name, int base, int *groups, int *count);
int getpeereid(int fd, uid_t *uid, gid_t *gid);
int setgroups(int count, const gid_t *groups);
ssize_t preadv(int fd, const struct iovec *iov, int count, off_t at);
ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t at);

#endif
