/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenbus.c: the backend's half of the handshake in xenstore, for one device.
 *
 * Called by block.c, net and the second console, and by xenstore's watch on
 * the frontend's state.  Everything in the frontend's folder is the guest's
 * word, in any order and at any time; what is not understood is refused.
 *
 * We go Initialising, InitWait, Connected; when the frontend closes, Closing,
 * Closed.  Linux never binds a device again that its driver has closed: so a
 * closed one is taken out of the guest's folder and, a little later, plugged in
 * anew, like a disk that is pulled and put back.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/include/xen/io/xenbus.h"
#include "device.h"
#include "log.h"
#include "xenstore.h"

#define WK_XENBUS_PORTS		4u
#define WK_XENBUS_NODE		128u
#define WK_XENBUS_DRAIN_MS	10u
#define WK_XENBUS_REPLUG_MS	1000u
#define WK_XENBUS_WORDS		4u	/* refusals that are logged */

struct wk_xenbus {
	struct wk *w;
	const char *type;
	uint32_t id;
	const struct wk_xenbus_ops *ops;
	void *dev;
	char front[64], back[64];
	enum xenbus_state state;	/* ours, as in xenstore */
	bool served;			/* between connect and disconnect */
	bool draining;			/* disconnected, but still busy */
	bool unplugged;			/* its folder is gone for a while */
	struct xs_watch *watch;
	struct loop_timer timer;
	uint32_t ports[WK_XENBUS_PORTS], nports;
	unsigned int words;
};

/* ---- nodes --------------------------------------------------------------- */

static int wk_xenbus_write(struct wk_xenbus *x, uint32_t owner, const char *folder, const char *node,
			   const char *format, va_list args)
{
	char path[WK_XENBUS_NODE], value[WK_XENBUS_NODE];

	if (snprintf(path, sizeof(path), "%s/%s", folder, node) >= (int)sizeof(path) ||
	    vsnprintf(value, sizeof(value), format, args) >= (int)sizeof(value))
		return -E2BIG;
	return wk_xs_write(x->w->xs, owner, path, "%s", value);
}

int wk_xenbus_set(struct wk_xenbus *x, const char *node, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = wk_xenbus_write(x, XS_HOST, x->back, node, format, args);
	va_end(args);
	return err;
}

int wk_xenbus_front(struct wk_xenbus *x, const char *node, const char *format, ...)
{
	va_list args;
	int err;

	va_start(args, format);
	err = wk_xenbus_write(x, XS_GUEST, x->front, node, format, args);
	va_end(args);
	return err;
}

int wk_xenbus_text(const struct wk_xenbus *x, const char *node, char *out, size_t size)
{
	char path[WK_XENBUS_NODE];
	int n;

	if (snprintf(path, sizeof(path), "%s/%s", x->front, node) >= (int)sizeof(path))
		return -EINVAL;
	n = wk_xs_read(x->w->xs, path, out, size);
	if (n < 0)
		return n == -ENOENT ? -ENOENT : -EINVAL;
	return strlen(out) == (size_t)n ? 0 : -EINVAL;
}

int wk_xenbus_u32(const struct wk_xenbus *x, const char *node, uint32_t *value)
{
	char text[16];
	uint64_t v = 0;
	int err = wk_xenbus_text(x, node, text, sizeof(text));

	if (err)
		return err;
	if (!text[0] || strlen(text) > 10 || strspn(text, "0123456789") != strlen(text))
		return -EINVAL;
	for (const char *p = text; *p; p++)
		v = v * 10 + (uint64_t)(*p - '0');
	if (v > UINT32_MAX)
		return -EINVAL;
	*value = (uint32_t)v;
	return 0;
}

int wk_xenbus_page(const struct wk_xenbus *x, const char *node, void **page)
{
	uint32_t ref;
	int err = wk_xenbus_u32(x, node, &ref);

	if (err)
		return err;
	*page = wk_grant_frame(x->w, ref, true);
	return *page ? 0 : -EINVAL;
}

int wk_xenbus_port(struct wk_xenbus *x, const char *node, wk_port_fn fn, void *arg, uint32_t *port)
{
	int err = wk_xenbus_u32(x, node, port);

	if (err)
		return err;
	/* Not xenstore's, the console's or another device's: one port, one listener. */
	if (*port <= CO_PORT_CONSOLE || *port >= WK_PORTS || x->w->ports[*port].fn ||
	    x->nports == WK_XENBUS_PORTS)
		return -EINVAL;
	x->ports[x->nports++] = *port;
	wk_port_bind(x->w, *port, fn, arg);
	return 0;
}

int wk_xenbus_refuse(struct wk_xenbus *x, const char *format, ...)
{
	char why[160];
	va_list args;

	if (x->words++ >= WK_XENBUS_WORDS)
		return -1;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	log_clean(why);
	log_line(LOG_WARNING, "%s %u: the guest's driver: %s", x->type, x->id, why);
	return -1;
}

bool wk_xenbus_connected(const struct wk_xenbus *x)
{
	return x->served;
}

/* ---- states ---------------------------------------------------------------- */

static void wk_xenbus_state(struct wk_xenbus *x, enum xenbus_state state)
{
	/* Set first: the write wakes watches, one of which may be ours. */
	x->state = state;
	if (wk_xenbus_set(x, "state", "%d", state))
		log_line(LOG_WARNING, "%s %u: no room in xenstore for its state", x->type, x->id);
}

static void wk_xenbus_unbind(struct wk_xenbus *x)
{
	while (x->nports)
		wk_port_bind(x->w, x->ports[--x->nports], NULL, NULL);
}

static void wk_xenbus_connect(struct wk_xenbus *x)
{
	if (x->ops->connect(x->dev, x)) {
		wk_xenbus_unbind(x);
		wk_xenbus_state(x, XenbusStateClosing);
		return;
	}
	x->served = true;
	wk_xenbus_state(x, XenbusStateConnected);
}

/* true: nothing of the guest's is in use any more. */
static bool wk_xenbus_down(struct wk_xenbus *x)
{
	if (x->served) {
		x->served = false;
		wk_xenbus_unbind(x);
		x->ops->disconnect(x->dev);
		x->draining = true;
	}
	if (x->draining && x->ops->busy && x->ops->busy(x->dev)) {
		if (!x->timer.armed)
			loop_timer_start(x->w->loop, &x->timer, WK_XENBUS_DRAIN_MS);
		return false;
	}
	x->draining = false;
	return true;
}

static void wk_xenbus_look(struct wk_xenbus *x)
{
	uint32_t theirs;

	if (x->unplugged || x->state == XenbusStateUnknown)
		return;
	/* A folder that the guest removed, or filled with nonsense, is a closed frontend. */
	if (wk_xenbus_u32(x, "state", &theirs))
		theirs = XenbusStateClosed;
	switch (theirs) {
	case XenbusStateInitialising:
		/* At the first time, after a close, or a kernel that began anew. */
		if (x->state != XenbusStateInitWait && wk_xenbus_down(x))
			wk_xenbus_state(x, XenbusStateInitWait);
		break;
	case XenbusStateInitialised:
	case XenbusStateConnected:
		if (x->state == XenbusStateInitWait && !x->draining)
			wk_xenbus_connect(x);
		break;
	case XenbusStateClosing:
		if (wk_xenbus_down(x) && x->state != XenbusStateClosing)
			wk_xenbus_state(x, XenbusStateClosing);
		break;
	case XenbusStateClosed:
		if (!wk_xenbus_down(x) || x->state == XenbusStateClosed)
			break;
		wk_xenbus_state(x, XenbusStateClosed);
		loop_timer_stop(x->w->loop, &x->timer);
		loop_timer_start(x->w->loop, &x->timer, WK_XENBUS_REPLUG_MS);
		break;
	default:
		break;
	}
}

static void wk_xenbus_changed(void *arg, const char *path)
{
	(void)path;
	wk_xenbus_look(arg);
}

static void wk_xenbus_plug(struct wk_xenbus *x)
{
	int err = 0;

	x->unplugged = false;
	x->state = XenbusStateUnknown;	/* deaf, until both folders are complete */
	err |= wk_xenbus_set(x, "frontend", "%s", x->front);
	err |= wk_xenbus_set(x, "frontend-id", "%u", WK_DOMID);
	err |= wk_xenbus_set(x, "online", "1");
	err |= wk_xenbus_front(x, "backend", "%s", x->back);
	err |= wk_xenbus_front(x, "backend-id", "0");
	x->ops->announce(x->dev, x);
	wk_xenbus_state(x, XenbusStateInitWait);
	/* Last: Linux looks at the rest once it sees this. */
	err |= wk_xenbus_front(x, "state", "%d", XenbusStateInitialising);
	if (err)
		log_line(LOG_WARNING, "%s %u: no room in xenstore for it", x->type, x->id);
}

static void wk_xenbus_timer(void *arg)
{
	struct wk_xenbus *x = arg;

	if (x->unplugged) {
		wk_xenbus_plug(x);
	} else if (x->state == XenbusStateClosed && !x->draining) {
		/* The guest's own hands may have been here: it is gone either way. */
		x->unplugged = true;
		wk_xs_rm(x->w->xs, x->front);
		loop_timer_start(x->w->loop, &x->timer, WK_XENBUS_REPLUG_MS);
	} else {
		wk_xenbus_look(x);
	}
}

/* ---- life --------------------------------------------------------------------- */

struct wk_xenbus *wk_xenbus_new(struct wk *w, const char *type, uint32_t id,
				const struct wk_xenbus_ops *ops, void *dev)
{
	struct wk_xenbus *x = calloc(1, sizeof(*x));
	char path[WK_XENBUS_NODE];

	if (!x)
		return NULL;
	x->w = w;
	x->type = type;
	x->id = id;
	x->ops = ops;
	x->dev = dev;
	snprintf(x->front, sizeof(x->front), WK_HOME "/device/%s/%u", type, id);
	snprintf(x->back, sizeof(x->back), "/local/domain/0/backend/%s/%u/%u", type, WK_DOMID, id);
	loop_timer_init(&x->timer, wk_xenbus_timer, x);
	snprintf(path, sizeof(path), "%s/state", x->front);
	x->watch = wk_xs_watch(w->xs, path, wk_xenbus_changed, x);
	if (!x->watch) {
		free(x);
		return NULL;
	}
	wk_xenbus_plug(x);
	return x;
}

void wk_xenbus_free(struct wk_xenbus *x)
{
	if (!x)
		return;
	loop_timer_stop(x->w->loop, &x->timer);
	wk_xenbus_unbind(x);
	wk_xs_unwatch(x->w->xs, x->watch);
	free(x);
}
