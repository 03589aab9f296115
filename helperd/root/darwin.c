/* SPDX-License-Identifier: GPL-2.0-or-later */
/* darwin.c: what colinuxd must ask macOS: who connected, and where it lies itself. */
#ifdef __APPLE__
#include <errno.h>
#include <mach-o/dyld.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/ucred.h>
#include <sys/un.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

/*
 * LOCAL_PEERCRED has the groups, but at most 16 and the first of them for a gid;
 * getpeereid has the effective gid itself.  Both are of the moment of connect(2).
 */
int hd_peer_identity(int fd, struct hd_client *c)
{
	struct xucred cred;
	socklen_t len = sizeof(cred);

	memset(&cred, 0, sizeof(cred));
	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERCRED, &cred, &len) ||
	    getpeereid(fd, &c->owner.uid, &c->owner.gid))
		return -1;
	if (cred.cr_version != XUCRED_VERSION || cred.cr_uid != c->owner.uid || cred.cr_ngroups < 0 ||
	    cred.cr_ngroups > NGROUPS) {
		errno = EPROTO;
		return -1;
	}
	for (int i = 0; i < cred.cr_ngroups && i < (int)HD_GROUPS_MAX; i++)
		c->owner.groups[c->owner.ngroups++] = cred.cr_groups[i];
	len = sizeof(c->pid);
	if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &c->pid, &len))
		c->pid = 0;		/* only for the log */
	return 0;
}

int hd_self(char *path, size_t size)
{
	uint32_t room = (uint32_t)size;

	return _NSGetExecutablePath(path, &room);
}
#endif
