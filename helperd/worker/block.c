/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block.c: the backend of xen-blkfront: which disks there are, and what the
 * frontend is told about each.  Called by main.c; the work is block_io.c's.
 *
 * The disks are setup's, in order: the first is xvda.  A worker that ends does
 * not wait for requests that still run: none of them was answered, so to the
 * guest they are writes that a power cut has caught, while all that was answered
 * is in the host's page cache, which outlives us.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../kext/include/xen/io/protocols.h"
#include "block.h"

#define WK_DISK_MAJOR_XVD	202u

static void wk_disk_announce(void *dev, struct wk_xenbus *x)
{
	const struct wk_disk *d = dev;
	const struct wk_disk_file *f = &d->file;

	wk_xenbus_set(x, "dev", "xvd%c", (char)('a' + d->number));
	wk_xenbus_set(x, "mode", f->read_only ? "r" : "w");
	wk_xenbus_set(x, "info", "%u", f->read_only ? VDISK_READONLY : 0);
	wk_xenbus_set(x, "sectors", "%llu", (unsigned long long)f->sectors);
	wk_xenbus_set(x, "sector-size", "%u", WK_DISK_SECTOR);
	wk_xenbus_set(x, "physical-sector-size", "4096");
	wk_xenbus_set(x, "feature-flush-cache", "1");
	wk_xenbus_set(x, "feature-barrier", "1");
	wk_xenbus_set(x, "feature-max-indirect-segments", "%u", WK_DISK_SEGMENTS);
	/*
	 * To lend a page costs the guest a store here, not a mapping.  Persistent
	 * grants save nothing and make it copy every byte: for those who ask for them.
	 */
	wk_xenbus_set(x, "feature-persistent", "%d", d->persistent);
	wk_xenbus_set(x, "feature-discard", "%d", f->discard != 0);
	if (f->discard) {
		wk_xenbus_set(x, "discard-granularity", "%u", f->discard);
		wk_xenbus_set(x, "discard-alignment", "0");
		wk_xenbus_set(x, "discard-secure", "0");
	}
	wk_xenbus_front(x, "virtual-device", "%u", (WK_DISK_MAJOR_XVD << 8) + 16 * d->number);
	wk_xenbus_front(x, "device-type", "disk");
}

static int wk_disk_connect(void *dev, struct wk_xenbus *x)
{
	struct wk_disk *d = dev;
	char protocol[32] = XEN_IO_PROTO_ABI_X86_64;
	uint32_t port, persistent;
	void *ring;
	int err;

	/* Absent is native: a 64-bit guest's own. */
	err = wk_xenbus_text(x, "protocol", protocol, sizeof(protocol));
	if ((err && err != -ENOENT) || strcmp(protocol, XEN_IO_PROTO_ABI_X86_64))
		return wk_xenbus_refuse(x, "protocol is not " XEN_IO_PROTO_ABI_X86_64);
	if (wk_xenbus_page(x, "ring-ref", &ring))
		return wk_xenbus_refuse(x, "ring-ref is no page that it lends");
	if (wk_xenbus_port(x, "event-channel", wk_disk_kick, d, &port))
		return wk_xenbus_refuse(x, "event-channel is no free port");
	d->keeps = d->persistent && !wk_xenbus_u32(x, "feature-persistent", &persistent) && persistent == 1;
	err = wk_disk_start(d, ring, port);
	return err ? wk_xenbus_refuse(x, "no thread for it: %s", strerror(err)) : 0;
}

static void wk_disk_disconnect(void *dev)
{
	wk_disk_stop(dev);
}

static bool wk_disk_is_busy(void *dev)
{
	struct wk_disk *d = dev;

	if (wk_disk_busy(d))
		return true;
	wk_grant_release(d->w, d->kept);
	return false;
}

static const struct wk_xenbus_ops wk_disk_ops = {
	.announce = wk_disk_announce,
	.connect = wk_disk_connect,
	.disconnect = wk_disk_disconnect,
	.busy = wk_disk_is_busy,
};

int wk_disks_open(struct wk *w, struct err *e)
{
	const json_t *specs = json_object_get(w->setup, "disks");
	size_t count = json_array_size(specs);
	int err = 0;

	if (count > WK_DISKS_MAX)
		return err_set(e, CO_ELIMIT, "%zu disks, a VM can have %u", count, WK_DISKS_MAX);
	w->disks = calloc(1, sizeof(*w->disks) + count * sizeof(w->disks->disk[0]));
	if (!w->disks)
		return err_set(e, CO_ENOMEM, "no memory for %zu disks", count);
	w->disks->event = -1;
	if (count)
		wk_aio_open(w->disks);
	/* A file-size limit of the owner's is an error for the guest, not our death. */
	signal(SIGXFSZ, SIG_IGN);
	for (uint32_t i = 0; i < count && !err; i++) {
		struct wk_disk *d = &w->disks->disk[i];

		d->w = w;
		d->number = i;
		d->persistent = json_is_true(json_object_get(json_array_get(specs, i), "persistentGrants"));
		wk_disk_init(d);
		err = wk_disk_open(&d->file, json_array_get(specs, i), w->disks->event >= 0, e);
		w->disks->count++;
	}
	return err;
}

int wk_disks_serve(struct wk *w, struct err *e)
{
	struct wk_disks *l = w->disks;

	if (l->event >= 0) {
		l->watch = loop_add(w->loop, l->event, POLLIN, wk_aio_ready, l);
		if (!l->watch)
			return err_set(e, CO_ENOMEM, "out of memory");
	}
	for (uint32_t i = 0; i < w->disks->count; i++) {
		struct wk_disk *d = &w->disks->disk[i];

		d->bus = wk_xenbus_new(w, "vbd", (WK_DISK_MAJOR_XVD << 8) + 16 * i, &wk_disk_ops, d);
		if (!d->bus)
			return err_set(e, CO_ENOMEM, "out of memory");
	}
	return 0;
}

void wk_disks_look(struct wk *w)
{
	if (w->disks && w->disks->event >= 0)
		wk_aio_take(w->disks);
}

void wk_disks_free(struct wk *w)
{
	if (!w->disks)
		return;
	loop_del(w->disks->watch);
	wk_aio_close(w->disks);
	for (uint32_t i = 0; i < w->disks->count; i++) {
		struct wk_disk *d = &w->disks->disk[i];

		wk_xenbus_free(d->bus);
		wk_disk_end(d);
		if (d->file.fd >= 0)
			close(d->file.fd);
		if (d->file.direct >= 0)
			close(d->file.direct);
	}
	free(w->disks);
	w->disks = NULL;
}
