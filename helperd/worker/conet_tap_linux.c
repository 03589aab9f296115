/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet_tap_linux.c: a tap device of the owner's, for guests that are part of
 * a real network.  The administrator makes it (`ip tuntap add`), gives it to
 * the user, and joins it to a bridge or not; here it is only opened.
 *
 * And a NIC's device (a macvtap), for guests of the virtual host: behind it is
 * QEMU's user network, a NAT as good as ours but outside the emulated machine.
 *
 * Called by conet.c before the sandbox closes, as the owner, then by
 * conet_thread.c.  Checksums and large segments pass as they are, described in
 * a header in front of each frame: the kernel completes or splits them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conet.h"
#include "conet_filter.h"
#include "log.h"

#define CONET_TAP_BURST	64

struct conet_tap {
	int fd;
	int index;			/* in this round's polls */
	bool gone;			/* the administrator has removed it */
	bool nat;			/* a NIC's: what may go there is filtered */
	struct conet_filter filter;
	uint8_t frame[sizeof(struct virtio_net_hdr) + CONET_FRAME_MAX];
};

/* ---- from the guest -------------------------------------------------------------- */

static void conet_tap_input(struct conet_net *n, uint8_t *buffer, struct conet_packet *p)
{
	struct conet_tap *t = n->priv;
	struct virtio_net_hdr v = { 0 };
	struct iovec iov[2] = { { &v, sizeof(v) }, { buffer, p->len } };
	struct conet_headers h;
	bool found = (p->blank || p->gso) && conet_headers(buffer, p->len, &h);

	if ((p->blank || p->gso) && !found)
		return;		/* nobody could complete it */
	if (p->blank) {
		v.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		v.csum_start = (uint16_t)h.l4;
		v.csum_offset = h.protocol == PROTO_TCP ? 16 : 6;
	}
	if (p->gso) {
		if (h.protocol != PROTO_TCP || h.v6 != (p->gso == XEN_NETIF_GSO_TYPE_TCPV6))
			return;
		v.gso_type = h.v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		v.gso_size = p->gso_size;
		v.hdr_len = (uint16_t)(h.l4 + (uint32_t)(buffer[h.l4 + 12] >> 4) * 4);
	}
	/* Full, down, or refused: a wire loses frames. */
	if (writev(t->fd, iov, 2) < 0)
		return;
}

/*
 * Whole, however large: QEMU's libslirp takes it so, and the emulated kernel, whose
 * NIC takes it as well, would be slow to cut it.
 */
static void conet_nic_input(struct conet_net *n, uint8_t *buffer, struct conet_packet *p)
{
	struct conet_tap *t = n->priv;
	struct virtio_net_hdr v = { 0 };
	struct iovec iov[2] = { { &v, sizeof(v) }, { buffer, 0 } };

	if (!conet_nat_takes(n, &t->filter, buffer, p))
		return;
	iov[1].iov_len = p->len;
	if (writev(t->fd, iov, 2) < 0)
		return;		/* as above */
}

/* ---- to the guest ------------------------------------------------------------------- */

static bool conet_tap_room(const struct conet_net *n)
{
	return n->waiting < CONET_QUEUE_MAX / 2;
}

static void conet_tap_fill(struct conet_net *n, struct conet_polls *p)
{
	struct conet_tap *t = n->priv;

	t->index = t->gone ? -1 : conet_poll_add(p, t->fd, conet_tap_room(n) ? POLLIN : 0);
}

static bool conet_tap_frame(struct conet_net *n, struct conet_tap *t)
{
	struct virtio_net_hdr v;
	struct conet_packet p = { .data = t->frame + sizeof(v) };
	ssize_t len = read(t->fd, t->frame, sizeof(t->frame));

	if (len <= (ssize_t)sizeof(v))
		return false;
	memcpy(&v, t->frame, sizeof(v));
	p.len = (uint32_t)len - sizeof(v);
	p.blank = v.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	p.good = v.flags & VIRTIO_NET_HDR_F_DATA_VALID;
	if ((v.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV4)
		p.gso = XEN_NETIF_GSO_TYPE_TCPV4;
	else if ((v.gso_type & ~VIRTIO_NET_HDR_GSO_ECN) == VIRTIO_NET_HDR_GSO_TCPV6)
		p.gso = XEN_NETIF_GSO_TYPE_TCPV6;
	p.gso_size = p.gso ? v.gso_size : 0;
	if (t->nat)
		conet_nat_gives(n, &t->filter, &p);
	else
		conet_to_guest(n, &p);
	return true;
}

static bool conet_tap_look(struct conet_net *n)
{
	struct conet_tap *t = n->priv;
	int got = 0;

	while (!t->gone && got < CONET_TAP_BURST && conet_tap_room(n) && conet_tap_frame(n, t))
		got++;
	return got;
}

static void conet_tap_polled(struct conet_net *n, const struct conet_polls *p)
{
	struct conet_tap *t = n->priv;

	if (t->index < 0 || !p->fds[t->index].revents)
		return;
	if (p->fds[t->index].revents & (POLLERR | POLLHUP | POLLNVAL)) {
		log_line(LOG_WARNING, t->nat ? "the network's NIC is gone" : "the tap device is gone");
		t->gone = true;
		return;
	}
	conet_tap_look(n);
}

/* The host may send large segments, and leave checksums blank, where the guest takes them. */
static void conet_tap_offload(struct conet_net *n)
{
	struct conet_tap *t = n->priv;
	unsigned long flags = TUN_F_CSUM | (n->ring.gso4 ? TUN_F_TSO4 : 0) | (n->ring.gso6 ? TUN_F_TSO6 : 0);

	if (ioctl(t->fd, TUNSETOFFLOAD, flags))
		log_line(LOG_WARNING, "the tap device has no offloads: %s", strerror(errno));
}

static void conet_tap_free(struct conet_net *n)
{
	struct conet_tap *t = n->priv;

	close(t->fd);
	free(t);
}

static const struct conet_link conet_tap_link = {
	.input = conet_tap_input,
	.fill = conet_tap_fill,
	.polled = conet_tap_polled,
	.look = conet_tap_look,
	.offload = conet_tap_offload,
	.free = conet_tap_free,
};

static const struct conet_link conet_nic_link = {
	.input = conet_nic_input,
	.fill = conet_tap_fill,
	.polled = conet_tap_polled,
	.look = conet_tap_look,
	.offload = conet_tap_offload,
	.free = conet_tap_free,
	.outside = true,
	.late = true,
};

/* ---- birth ------------------------------------------------------------------------------ */

static int conet_tap_fail(const char *name, int why, struct err *e)
{
	switch (why) {
	case EPERM:
		return err_set(e, CO_EPERM, "tap %s is not this user's: as root, ip tuntap add %s mode tap user NAME",
			       name, name);
	case EBUSY:
		return err_set(e, CO_EBUSY, "tap %s is in use by another program or VM", name);
	case ENOENT:
	case ENODEV:
		return err_set(e, CO_EIO, "tap %s: this host has no tap devices (as root: modprobe tun)", name);
	default:
		return err_set(e, CO_EIO, "tap %s: %s", name, strerror(why));
	}
}

/* On a descriptor of either kind: 0, or why not (errno). */
static int conet_tap_attach(struct conet_net *n, const struct conet_link *link, struct conet_tap *t, const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int size = sizeof(struct virtio_net_hdr), why = 0;

	strcpy(r.ifr_name, name);
	if (t->fd < 0 || ioctl(t->fd, TUNSETIFF, &r) || ioctl(t->fd, TUNSETVNETHDRSZ, &size))
		why = errno;
	if (why) {
		if (t->fd >= 0)
			close(t->fd);
		free(t);
		return why;
	}
	n->priv = t;
	n->link = link;
	return 0;
}

int conet_tap_open(struct conet_net *n, const json_t *spec, struct err *e)
{
	const char *name = json_string_value(json_object_get(spec, "tap"));
	struct conet_tap *t;
	int why;

	if (!name || !*name || strlen(name) >= IFNAMSIZ || strchr(name, '%'))
		return err_set(e, CO_EINVAL, "nets: mode tap needs the name of a tap device, not %.40s",
			       name ? name : "(none)");
	if (json_array_size(json_object_get(spec, "forwards")))
		return err_set(e, CO_EINVAL, "tap %s: forwards are of mode nat; here the guest has an address"
			       " of its own", name);
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, CO_ENOMEM, "out of memory");
	t->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	why = conet_tap_attach(n, &conet_tap_link, t, name);
	return why ? conet_tap_fail(name, why, e) : 0;
}

static int conet_nic_fail(const char *path, int why, struct err *e)
{
	switch (why) {
	case EACCES:
	case EPERM:
		return err_set(e, CO_EPERM, "device %.100s is not this user's", path);
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return err_set(e, CO_ENOENT, "device %.100s: there is no such NIC", path);
	case EINVAL:
	case ENOTTY:
		return err_set(e, CO_EINVAL, "device %.100s is not a macvtap device", path);
	default:
		return err_set(e, CO_EIO, "device %.100s: %s", path, strerror(why));
	}
}

int conet_nic_open(struct conet_net *n, const json_t *spec, struct err *e)
{
	const char *path = json_string_value(json_object_get(spec, "device"));
	const char *mode = json_string_value(json_object_get(spec, "mode"));
	struct conet_tap *t;
	struct stat s;
	int why;

	if (!mode || strcmp(mode, "nat") || !path || path[0] != '/')
		return err_set(e, CO_EINVAL, "nets: a device is for mode nat, by its whole path: not %.40s of mode %.10s",
			       path ? path : "(none)", mode ? mode : "(none)");
	if (json_array_size(json_object_get(spec, "forwards")))
		return err_set(e, CO_EINVAL, "device %.100s: forwards are made where its NAT is, not here", path);
	t = calloc(1, sizeof(*t));
	if (!t)
		return err_set(e, CO_ENOMEM, "out of memory");
	t->nat = true;
	conet_filter_network(&t->filter, n->index);
	t->fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (t->fd >= 0 && (fstat(t->fd, &s) || !S_ISCHR(s.st_mode))) {
		close(t->fd);
		free(t);
		return conet_nic_fail(path, ENOTTY, e);
	}
	why = conet_tap_attach(n, &conet_nic_link, t, "");
	return why ? conet_nic_fail(path, why, e) : 0;
}
