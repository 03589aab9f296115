/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device: what every backend of the worker stands on: pages that the guest
 * lends (grant.c), and the handshake with its frontend in xenstore (xenbus.c).
 *
 * All but wk_grant_frame, wk_grant_keep and wk_port_raise belong to the main thread.
 */
#ifndef WK_DEVICE_H
#define WK_DEVICE_H

#include "wk.h"

/* ---- grant.c ------------------------------------------------------------- */

/* Before the sandbox closes: the grant table, beside the guest's RAM. */
int wk_grant_map(struct wk *w, struct err *e);
/*
 * The page that the guest lends under this reference, for as long as the VM
 * lives; NULL: it does not lend it (or not for writing).  Any thread.
 */
void *wk_grant_frame(struct wk *w, uint32_t ref, bool write);

#define WK_GRANTS	16384u		/* entries of the table */

/*
 * The same, and the guest sees it in use from then on: a persistent grant, to be used
 * again, until wk_grant_release gives back all of `kept` (a bit for each entry).
 */
void *wk_grant_keep(struct wk *w, uint64_t *kept, uint32_t ref, bool write);
void wk_grant_release(struct wk *w, uint64_t *kept);

/* ---- xenbus.c ------------------------------------------------------------- */

/*
 * One device: WK_HOME/device/TYPE/ID is its frontend's folder, which the guest
 * owns; /local/domain/0/backend/TYPE/1/ID is ours, which it can only read.
 * The device (`dev`) is the backend's own object.  It lives as long as the VM.
 */
struct wk_xenbus;

struct wk_xenbus_ops {
	/*
	 * Writes the device's own nodes, by wk_xenbus_set and wk_xenbus_front:
	 * before the guest hears of it, and again each time it is plugged in anew.
	 */
	void (*announce)(void *dev, struct wk_xenbus *x);
	/*
	 * The frontend has written its nodes: read them, and serve from now on.
	 * Not 0: they are unusable (wk_xenbus_refuse says why), nothing is held.
	 */
	int (*connect)(void *dev, struct wk_xenbus *x);
	/* Serve no more: the ports are no longer bound already. */
	void (*disconnect)(void *dev);
	/* After disconnect: does it still touch the guest's memory?  NULL: never. */
	bool (*busy)(void *dev);
};

/* Announces the device and waits for its frontend; type must stay.  NULL: out of memory. */
struct wk_xenbus *wk_xenbus_new(struct wk *w, const char *type, uint32_t id,
				const struct wk_xenbus_ops *ops, void *dev);
void wk_xenbus_free(struct wk_xenbus *x);
bool wk_xenbus_connected(const struct wk_xenbus *x);

/* A node of ours, or of the frontend's folder (only in announce). */
int wk_xenbus_set(struct wk_xenbus *x, const char *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int wk_xenbus_front(struct wk_xenbus *x, const char *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What the frontend wrote, for connect: 0, -ENOENT, or -EINVAL for what cannot
 * be.  A page is one that it lends for writing.  A port is unbound again by itself
 * before disconnect; fn runs in the loop for each notice of the guest's.
 */
int wk_xenbus_text(const struct wk_xenbus *x, const char *node, char *out, size_t size);
int wk_xenbus_u32(const struct wk_xenbus *x, const char *node, uint32_t *value);
int wk_xenbus_page(const struct wk_xenbus *x, const char *node, void **page);
int wk_xenbus_port(struct wk_xenbus *x, const char *node, wk_port_fn fn, void *arg, uint32_t *port);
/* Logs why the frontend's nodes cannot be used, a few times a device; returns -1. */
int wk_xenbus_refuse(struct wk_xenbus *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
