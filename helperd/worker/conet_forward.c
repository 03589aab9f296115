/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_forward.c: ports of this host that lead into the guest.
 *
 * Called by conet_slirp.c for those of the definition, before the sandbox
 * closes, and through conet_call for port.add, port.remove and port.list.
 * libslirp accepts, and shows the guest the client's own address; clients on
 * loopback appear as the gateway.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conet_slirp.h"

#define CONET_BACKLOG	128
#define CONET_FDS	1024

static uint16_t conet_port(const json_t *o, const char *key)
{
	json_int_t port = json_integer_value(json_object_get(o, key));

	return port > 0 && port < 65536 ? (uint16_t)port : 0;
}

static int conet_forward_parse(const json_t *o, struct conet_forward *f, struct err *e)
{
	const char *address = json_string_value(json_object_get(o, "hostAddress"));
	const char *protocol = json_string_value(json_object_get(o, "protocol"));

	memset(f, 0, sizeof(*f));
	f->udp = protocol && !strcmp(protocol, "udp");
	f->host_port = conet_port(o, "hostPort");
	f->guest_port = conet_port(o, "guestPort");
	if (!f->host_port || !f->guest_port)
		return err_set(e, CO_EINVAL, "forward: ports are 1 to 65535");
	if (address && inet_pton(AF_INET, address, &f->host.v4.sin_addr) == 1) {
		f->host.v4.sin_family = AF_INET;
		f->host.v4.sin_port = htons(f->host_port);
		f->len = sizeof(f->host.v4);
	} else if (address && inet_pton(AF_INET6, address, &f->host.v6.sin6_addr) == 1) {
		f->host.v6.sin6_family = AF_INET6;
		f->host.v6.sin6_port = htons(f->host_port);
		f->len = sizeof(f->host.v6);
	} else {
		return err_set(e, CO_EINVAL, "forward: %.60s is not an address of this host",
			       address ? address : "(none)");
	}
	/* One spelling, for comparisons and lists. */
	inet_ntop(f->host.any.sa_family, f->host.any.sa_family == AF_INET ? (void *)&f->host.v4.sin_addr :
		  (void *)&f->host.v6.sin6_addr, f->address, sizeof(f->address));
	return 0;
}

static struct conet_forward *conet_forward_find(struct conet_slirp *s, const struct conet_forward *f)
{
	for (unsigned int i = 0; i < s->nforwards; i++)
		if (s->forwards[i].udp == f->udp && s->forwards[i].host_port == f->host_port &&
		    !strcmp(s->forwards[i].address, f->address))
			return &s->forwards[i];
	return NULL;
}

static int conet_forward_fail(const struct conet_forward *f, int why, struct err *e)
{
	const char *open = f->len == sizeof(f->host.v6) ? "[" : "", *close = *open ? "]" : "";
	const char *kind = f->udp ? "udp" : "tcp";
	unsigned int port = f->host_port;

	switch (why) {
	case EADDRINUSE:
		return err_set(e, CO_EBUSY, "port %s%s%s:%u/%s of the host is in use", open, f->address, close,
			       port, kind);
	case EACCES:
	case EPERM:
		return err_set(e, CO_EPERM, "port %s%s%s:%u/%s of the host: ports below 1024 are opened only when"
			       " the VM is made, if /etc/colinux/ports.conf allows it", open, f->address, close,
			       port, kind);
	case EADDRNOTAVAIL:
		return err_set(e, CO_EINVAL, "port %s%s%s:%u/%s: the host has no such address", open, f->address,
			       close, port, kind);
	default:
		return err_set(e, CO_EIO, "port %s%s%s:%u/%s of the host: %s", open, f->address, close, port,
			       kind, strerror(why));
	}
}

/*
 * libslirp listens with a backlog of 1: a burst of clients would wait for a second each.
 * The descriptor, or -1.
 */
static int conet_forward_backlog(const struct conet_forward *f)
{
	for (int fd = 3; fd < CONET_FDS; fd++) {
		union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } a;
		socklen_t len = sizeof(a);
		int listens = 0;
		socklen_t size = sizeof(listens);

		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) || !listens ||
		    getsockname(fd, &a.any, &len) || a.any.sa_family != f->host.any.sa_family)
			continue;
		if (a.any.sa_family == AF_INET ?
		    a.v4.sin_port == f->host.v4.sin_port &&
		    a.v4.sin_addr.s_addr == f->host.v4.sin_addr.s_addr :
		    a.v6.sin6_port == f->host.v6.sin6_port &&
		    !memcmp(&a.v6.sin6_addr, &f->host.v6.sin6_addr, sizeof(a.v6.sin6_addr))) {
			listen(fd, CONET_BACKLOG);
			return fd;
		}
	}
	return -1;
}

static int conet_forward_open(struct conet_slirp *s, struct conet_forward *f)
{
	union { struct sockaddr any; struct sockaddr_in v4; struct sockaddr_in6 v6; } guest;
	int flags = (f->udp ? SLIRP_HOSTFWD_UDP : 0) | SLIRP_HOSTFWD_V6ONLY;

	/* No address: whom slirp's DHCP, or IPv6's neighbour discovery, knows as the guest. */
	memset(&guest, 0, sizeof(guest));
	guest.any.sa_family = f->host.any.sa_family;
	if (guest.any.sa_family == AF_INET)
		guest.v4.sin_port = htons(f->guest_port);
	else
		guest.v6.sin6_port = htons(f->guest_port);
	if (slirp_add_hostxfwd(s->slirp, &f->host.any, f->len, &guest.any, f->len, flags))
		return errno ? errno : EIO;
	f->fd = f->udp ? -1 : conet_forward_backlog(f);
	return 0;
}

int conet_forward_add(struct conet_net *n, void *forward, struct err *e)
{
	struct conet_slirp *s = n->priv;
	struct conet_forward f;
	int err = conet_forward_parse(forward, &f, e);

	if (err)
		return err;
	if (conet_forward_find(s, &f))
		return err_set(e, CO_EBUSY, "port %s:%u/%s of the host is forwarded to this VM already", f.address,
			       f.host_port, f.udp ? "udp" : "tcp");
	if (s->nforwards == CONET_FORWARDS_MAX)
		return err_set(e, CO_ELIMIT, "the VM has %u forwards already, more cannot be", s->nforwards);
	errno = 0;
	err = conet_forward_open(s, &f);
	if (err)
		return conet_forward_fail(&f, err, e);
	s->forwards[s->nforwards++] = f;
	return 0;
}

int conet_forward_remove(struct conet_net *n, void *forward, struct err *e)
{
	struct conet_slirp *s = n->priv;
	struct conet_forward f, *found;
	int err = conet_forward_parse(forward, &f, e);

	if (err)
		return err;
	found = conet_forward_find(s, &f);
	if (!found || found->guest_port != f.guest_port)
		return err_set(e, CO_ENOENT, "%s:%u/%s is not forwarded to port %u of this VM", f.address,
			       f.host_port, f.udp ? "udp" : "tcp", f.guest_port);
	if (slirp_remove_hostxfwd(s->slirp, &f.host.any, f.len, f.udp ? SLIRP_HOSTFWD_UDP : 0))
		return err_set(e, CO_EIO, "libslirp did not close %s:%u/%s: it may be open until this VM ends",
			       f.address, f.host_port, f.udp ? "udp" : "tcp");
	*found = s->forwards[--s->nforwards];
	return 0;
}

int conet_forward_list(struct conet_net *n, void *list, struct err *e)
{
	struct conet_slirp *s = n->priv;

	for (unsigned int i = 0; i < s->nforwards; i++) {
		const struct conet_forward *f = &s->forwards[i];

		if (json_array_append_new(list, json_pack("{s:s, s:s, s:i, s:i}", "protocol", f->udp ? "udp" : "tcp",
							  "hostAddress", f->address, "hostPort", f->host_port,
							  "guestPort", f->guest_port)))
			return err_set(e, CO_ENOMEM, "out of memory");
	}
	return 0;
}
