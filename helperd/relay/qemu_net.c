/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qemu_net.c: QEMU's user network as the virtual host's guests need it.
 *
 * Preloaded into the virtual host's QEMU (cli/host/vhost/machine.ts), not part
 * of colinux-relay.  Two things that QEMU has no option for:
 *
 * listen: it forwards ports with a backlog of 1.  Of twenty mail clients that come
 * at once the kernel drops most, and they try again after 1, 3, 7 ... seconds.
 *
 * slirp_new: it leaves libslirp's MTU at 1500, and so a guest's stream would be cut
 * into frames of 1460 bytes, each of which costs work in the emulated machine; the
 * NICs of guests take whole ones.  A QEMU that has libslirp inside itself does not
 * come by here: then all works with small frames.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <slirp/libslirp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BACKLOG_LEAST	128
#define MTU_MOST	65521u	/* that libslirp takes */

int listen(int fd, int backlog)
{
	return (int)syscall(SYS_listen, fd, backlog < BACKLOG_LEAST ? BACKLOG_LEAST : backlog);
}

/*
 * How long the caller's structure is depends on its version: it is not copied but
 * changed for the call.  It lies on QEMU's stack, and libslirp only reads it.
 */
Slirp *slirp_new(const SlirpConfig *config, const SlirpCb *calls, void *opaque)
{
	Slirp *(*real)(const SlirpConfig *, const SlirpCb *, void *);
	SlirpConfig *c = (SlirpConfig *)(uintptr_t)config;
	size_t mtu, mru;
	Slirp *slirp;

	*(void **)&real = dlsym(RTLD_NEXT, "slirp_new");
	if (!real)
		return NULL;
	/* Before version 1 there were no such fields; what QEMU does set is its choice. */
	if (!config || config->version < 1)
		return real(config, calls, opaque);
	mtu = config->if_mtu;
	mru = config->if_mru;
	if (!mtu)
		c->if_mtu = MTU_MOST;
	if (!mru)
		c->if_mru = MTU_MOST;
	slirp = real(config, calls, opaque);
	c->if_mtu = mtu;
	c->if_mru = mru;
	return slirp;
}
