/* SPDX-License-Identifier: GPL-2.0-or-later */
/* macOS's own functions, so that its helper and worker can be linked: never relied on here. */
#include <mach-o/dyld.h>
#include <sandbox.h>
#include <stdlib.h>

int getpeereid(int fd, uid_t *uid, gid_t *gid)
{
	(void)fd, (void)uid, (void)gid;
	abort();
}

int _NSGetExecutablePath(char *path, uint32_t *size)
{
	(void)path, (void)size;
	return -1;
}

int sandbox_init(const char *profile, uint64_t flags, char **error)
{
	(void)profile, (void)flags, (void)error;
	abort();
}

void sandbox_free_error(char *error)
{
	(void)error;
	abort();
}
