/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_darwin.c: what the worker gives up on macOS; sandbox_linux.c has the
 * order.  The profile denies what it does not name: no file is opened, no program
 * started, no other process seen.  What is open already stays so: the VM's handle,
 * disks, the socket to colinuxd.
 */
#ifdef __APPLE__
#include <errno.h>
#include <grp.h>
#include <sandbox.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"
#include "wk.h"

#define WK_NOFILE	64u
#define WK_NOFILE_NET	1024u		/* connections of the guest's */

static const char wk_sandbox_profile[] =
	"(version 1)(deny default)"
	"(allow file-ioctl (literal \"/dev/colinux\"))"
	"(allow signal (target self))(allow sysctl-read)";

/* slirp: the guest's connections in the owner's name, and where names are looked up. */
static const char wk_sandbox_nets[] =
	"(allow network-outbound (remote ip))(allow network-inbound (local ip))"
	"(allow network-bind (local ip))(allow system-socket)"
	"(allow file-read* (literal \"/etc/resolv.conf\") (literal \"/private/etc/resolv.conf\")"
	" (literal \"/private/var/run/resolv.conf\"))";

static int wk_sandbox_failed(struct err *e, const char *what, const char *why)
{
	return err_set(e, CO_EPERM, "the worker cannot give up its rights: %s: %s", what, why);
}

int wk_sandbox_drop(const json_t *setup, struct err *e)
{
	const json_t *list = json_object_get(setup, "groups");
	uid_t uid = (uid_t)json_integer_value(json_object_get(setup, "uid"));
	gid_t gid = (gid_t)json_integer_value(json_object_get(setup, "gid")), groups[16];
	size_t count = json_array_size(list);

	if (!json_is_integer(json_object_get(setup, "uid")) || count > sizeof(groups) / sizeof(groups[0]))
		return wk_sandbox_failed(e, "setup", strerror(EINVAL));
	for (size_t i = 0; i < count; i++)
		groups[i] = (gid_t)json_integer_value(json_array_get(list, i));
	if (geteuid() == 0) {
		/* There is no capability for ports below 1024: macOS lets anybody have 0.0.0.0's. */
		if (setgroups((int)count, groups) || setgid(gid) || setuid(uid))
			return wk_sandbox_failed(e, "setuid", strerror(errno));
		if (uid && !setuid(0))
			return wk_sandbox_failed(e, "setuid", "root comes back");
	} else if (geteuid() != uid) {
		return wk_sandbox_failed(e, "it is another user's", strerror(EPERM));
	}
	return 0;
}

int wk_sandbox_close(uint64_t memory, const json_t *nets, struct err *e)
{
	struct rlimit none = { 0, 0 }, files = { WK_NOFILE, WK_NOFILE };
	char profile[sizeof(wk_sandbox_profile) + sizeof(wk_sandbox_nets)], *why = NULL;

	(void)memory;			/* RLIMIT_AS binds nobody on macOS */
	if (json_array_size(nets))
		files.rlim_cur = files.rlim_max = WK_NOFILE_NET;
	if (setrlimit(RLIMIT_CORE, &none) || setrlimit(RLIMIT_NOFILE, &files))
		return wk_sandbox_failed(e, "setrlimit", strerror(errno));
	snprintf(profile, sizeof(profile), "%s%s", wk_sandbox_profile, json_array_size(nets) ? wk_sandbox_nets : "");
	if (sandbox_init(profile, 0, &why)) {
		wk_sandbox_failed(e, "sandbox", why ? why : "refused");
		sandbox_free_error(why);
		return -CO_EPERM;
	}
	return 0;
}
#endif
