/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sandbox_net_linux.c: what a VM with a network needs beyond the sandbox of
 * one without: sockets of the Internet families, and the host's resolv.conf,
 * which libslirp reads again when it has changed.  Files are kept shut by
 * Landlock: where the kernel has none, none is opened at all.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <linux/if_tun.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "sandbox_linux.h"

#define WK_RESOLV	"/etc/resolv.conf"
#define WK_LANDLOCK_FS	0x1fffull	/* every right that its first version knows */

static int wk_landlock_allow(int rules, const char *folder)
{
	struct landlock_path_beneath_attr a = { .allowed_access = LANDLOCK_ACCESS_FS_READ_FILE };
	int err;

	/* The root folder would mean everything. */
	if (!strcmp(folder, "/"))
		return 0;
	a.parent_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a.parent_fd < 0)
		return 0;
	err = (int)syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0);
	close(a.parent_fd);
	return err;
}

/* From now on this process opens nothing but what lies beside resolv.conf. */
static int wk_landlock(void)
{
	struct landlock_ruleset_attr a = { .handled_access_fs = WK_LANDLOCK_FS };
	int rules = (int)syscall(SYS_landlock_create_ruleset, &a, sizeof(a), 0), err;
	char *target = realpath(WK_RESOLV, NULL);

	if (rules < 0) {
		free(target);
		return -1;
	}
	err = wk_landlock_allow(rules, "/etc");
	/* It is replaced, not rewritten: so its folder, and the one that a link leads to. */
	if (!err && target)
		err = wk_landlock_allow(rules, dirname(target));
	if (!err)
		err = (int)syscall(SYS_landlock_restrict_self, rules, 0);
	close(rules);
	free(target);
	return err;
}

static int wk_sandbox_resolver(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp reads = { 2, SCMP_CMP_MASKED_EQ, O_ACCMODE | O_CREAT | O_TRUNC | O_PATH, O_RDONLY };

	if (!wk_landlock())
		return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, &reads);
	log_line(LOG_WARNING, "this kernel has no Landlock: the guest's DNS server cannot read " WK_RESOLV
		 " and will not answer");
	return seccomp_rule_add(f, SCMP_ACT_ERRNO(EACCES), SCMP_SYS(openat), 0);
}

static int wk_sandbox_socket(scmp_filter_ctx f)
{
	static const int families[] = { AF_INET, AF_INET6 }, types[] = { SOCK_STREAM, SOCK_DGRAM };
	const struct scmp_arg_cmp raw = { 1, SCMP_CMP_MASKED_EQ, 0xf, SOCK_RAW };
	int err = 0;

	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 2 && !err; j++) {
			const struct scmp_arg_cmp those[] = {
				{ 0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)families[i] },
				{ 1, SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)types[j] },
			};

			err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, those);
		}
	/* What libslirp tries for a ping where datagram sockets may not. */
	if (!err)
		err = seccomp_rule_add_array(f, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(socket), 1, &raw);
	return err;
}

static int wk_sandbox_nat(scmp_filter_ctx f)
{
	static const int calls[] = {
		SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(listen), SCMP_SYS(accept), SCMP_SYS(accept4),
		SCMP_SYS(recvfrom), SCMP_SYS(sendmsg), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
		SCMP_SYS(setsockopt), SCMP_SYS(getsockopt),
	};
	static const int flags[] = { F_GETFD, F_SETFD, F_GETFL, F_SETFL };
	const struct scmp_arg_cmp unread = { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, FIONREAD };
	int err = wk_sandbox_socket(f);

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !err; i++)
		err = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]) && !err; i++) {
		const struct scmp_arg_cmp command = { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)flags[i] };

		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, &command);
	}
	if (!err)
		err = seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &unread);
	return err ? err : wk_sandbox_resolver(f);
}

static int wk_sandbox_tap(scmp_filter_ctx f)
{
	const struct scmp_arg_cmp offload = { 1, SCMP_CMP_MASKED_EQ, UINT32_MAX, TUNSETOFFLOAD };
	int err = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(writev), 0);

	return err ? err : seccomp_rule_add_array(f, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, &offload);
}

int wk_sandbox_network(scmp_filter_ctx f, const json_t *nets)
{
	bool nat = false, tap = false;
	int err;

	for (size_t i = 0; i < json_array_size(nets); i++) {
		const json_t *net = json_array_get(nets, i);
		const char *mode = json_string_value(json_object_get(net, "mode"));

		/* A device of nat's is a tap to us: its NAT is another process's. */
		if ((mode && !strcmp(mode, "tap")) || json_object_get(net, "device"))
			tap = true;
		else
			nat = true;
	}
	err = nat ? wk_sandbox_nat(f) : 0;
	return err || !tap ? err : wk_sandbox_tap(f);
}
