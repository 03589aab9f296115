/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * backlog.c: a room for clients who wait, where QEMU forwards a port.
 *
 * Preloaded into the virtual host's QEMU (cli/host/vhost/machine.ts), not part
 * of colinux-relay.  QEMU's user network listens with a backlog of 1: of twenty
 * mail clients that come at once the kernel drops most, and they try again after
 * 1, 3, 7 ... seconds.
 */
#define _GNU_SOURCE
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BACKLOG_LEAST	128

int listen(int fd, int backlog)
{
	return (int)syscall(SYS_listen, fd, backlog < BACKLOG_LEAST ? BACKLOG_LEAST : backlog);
}
