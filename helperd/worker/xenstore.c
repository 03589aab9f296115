/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenstore.c: requests, watches and transactions over xs_tree.c.
 *
 * Called by xs_wire.c for the guest, whose every byte is hostile, and by the
 * worker's own backends.  A transaction is a copy of the tree that replaces it
 * at the end if nobody changed the tree meanwhile: else the guest tries again.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/include/xen/io/xs_wire.h"
#include "log.h"
#include "wk.h"
#include "xenstore.h"

#define XS_TX_CHANGES	128u
#define XS_TOKEN_MAX	256u

struct xs_watch {
	char *path;			/* absolute, or "@..." */
	char *token;			/* the guest's; NULL: ours */
	bool relative;			/* the guest named it below its home */
	wk_xs_fn fn;
	void *arg;
	bool dead;
	struct xs_watch *next;
};

struct xs_change {
	char *path;
	bool removed;
};

struct xs_tx {
	uint32_t id;			/* 0: free */
	uint64_t generation;
	struct xs_tree tree;
	struct xs_change changes[XS_TX_CHANGES];
	unsigned int nchanges;
};

struct wk_xs {
	struct wk *w;
	struct xs_tree tree;
	uint64_t generation;
	struct xs_watch *watches;
	unsigned int guest_watches, firing;
	struct xs_tx txs[XS_TXS_MAX];
	uint32_t next_tx;
	struct xs_wire *wire;
	const char *source;		/* path of the one node that fn answers for */
	wk_xs_source_fn source_fn;
	void *source_arg;
};

/* ---- watches ------------------------------------------------------------- */

static void xs_watch_free(struct xs_watch *watch)
{
	free(watch->path);
	free(watch->token);
	free(watch);
}

static void xs_watch_sweep(struct wk_xs *xs)
{
	for (struct xs_watch **p = &xs->watches; *p; ) {
		struct xs_watch *watch = *p;

		if (!watch->dead) {
			p = &watch->next;
			continue;
		}
		*p = watch->next;
		xs_watch_free(watch);
	}
}

static void xs_watch_fire(struct wk_xs *xs, struct xs_watch *watch, const char *path)
{
	const size_t home = sizeof(WK_HOME);	/* with its slash */

	if (!watch->token)
		watch->fn(watch->arg, path);
	else if (xs->wire)
		xs_wire_event(xs->wire, watch->relative && strlen(path) > home ? path + home : path,
			      watch->token);
}

static void xs_changed(struct wk_xs *xs, const char *path, bool removed)
{
	xs->generation++;
	xs->firing++;
	for (struct xs_watch *watch = xs->watches; watch; watch = watch->next) {
		if (watch->dead)
			continue;
		if (xs_path_below(path, watch->path))
			xs_watch_fire(xs, watch, path);
		else if (removed && xs_path_below(watch->path, path))
			xs_watch_fire(xs, watch, watch->path);
	}
	if (!--xs->firing)
		xs_watch_sweep(xs);
}

static struct xs_watch *xs_watch_add(struct wk_xs *xs, const char *path, const char *token)
{
	struct xs_watch *watch = calloc(1, sizeof(*watch));

	if (!watch)
		return NULL;
	watch->path = strdup(path);
	watch->token = token ? strdup(token) : NULL;
	if (!watch->path || (token && !watch->token)) {
		xs_watch_free(watch);
		return NULL;
	}
	watch->next = xs->watches;
	xs->watches = watch;
	return watch;
}

/* ---- the host's calls ------------------------------------------------------ */

int wk_xs_write(struct wk_xs *xs, uint32_t owner, const char *path, const char *format, ...)
{
	char value[XS_VALUE_MAX];
	va_list args;
	int n, err;

	va_start(args, format);
	n = vsnprintf(value, sizeof(value), format, args);
	va_end(args);
	if (n < 0 || n >= (int)sizeof(value))
		return -E2BIG;
	err = xs_tree_write(&xs->tree, path, value, (uint32_t)n, owner);
	/* A node that was there keeps its owner, unless the host decides otherwise. */
	if (!err) {
		xs_tree_find(&xs->tree, path)->owner = owner;
		xs_changed(xs, path, false);
	}
	return err;
}

int wk_xs_read(struct wk_xs *xs, const char *path, char *out, size_t size)
{
	const struct xs_node *n = xs_tree_find(&xs->tree, path);

	if (!n)
		return -ENOENT;
	if (n->len >= size)
		return -E2BIG;
	if (n->len)
		memcpy(out, n->value, n->len);
	out[n->len] = 0;
	return (int)n->len;
}

int wk_xs_mkdir(struct wk_xs *xs, uint32_t owner, const char *path)
{
	int err = xs_tree_mkdir(&xs->tree, path, owner);

	if (!err) {
		xs_tree_find(&xs->tree, path)->owner = owner;
		xs_changed(xs, path, false);
	}
	return err;
}

int wk_xs_rm(struct wk_xs *xs, const char *path)
{
	int err = xs_tree_rm(&xs->tree, path);

	if (!err)
		xs_changed(xs, path, true);
	return err;
}

struct xs_watch *wk_xs_watch(struct wk_xs *xs, const char *path, wk_xs_fn fn, void *arg)
{
	struct xs_watch *watch = xs_watch_add(xs, path, NULL);

	if (watch) {
		watch->fn = fn;
		watch->arg = arg;
	}
	return watch;
}

void wk_xs_unwatch(struct wk_xs *xs, struct xs_watch *watch)
{
	watch->dead = true;
	if (!xs->firing)
		xs_watch_sweep(xs);
}

void wk_xs_source(struct wk_xs *xs, const char *path, wk_xs_source_fn fn, void *arg)
{
	xs->source = path;
	xs->source_fn = fn;
	xs->source_arg = arg;
}

/* ---- transactions ----------------------------------------------------------- */

static struct xs_tx *xs_tx_find(struct wk_xs *xs, uint32_t id)
{
	for (unsigned int i = 0; id && i < XS_TXS_MAX; i++)
		if (xs->txs[i].id == id)
			return &xs->txs[i];
	return NULL;
}

static void xs_tx_drop(struct xs_tx *tx)
{
	for (unsigned int i = 0; i < tx->nchanges; i++)
		free(tx->changes[i].path);
	xs_tree_free(&tx->tree);
	tx->nchanges = 0;
	tx->id = 0;
}

static int xs_tx_start(struct wk_xs *xs, char *out)
{
	for (unsigned int i = 0; i < XS_TXS_MAX; i++) {
		struct xs_tx *tx = &xs->txs[i];

		if (tx->id)
			continue;
		if (xs_tree_copy(&tx->tree, &xs->tree))
			return -ENOMEM;
		tx->generation = xs->generation;
		if (!++xs->next_tx)
			xs->next_tx = 1;
		tx->id = xs->next_tx;
		return sprintf(out, "%u", tx->id) + 1;
	}
	return -ENOSPC;
}

static int xs_tx_end(struct wk_xs *xs, uint32_t id, const char *payload)
{
	struct xs_tx *tx = xs_tx_find(xs, id), done;
	struct xs_tree old;

	if (!tx)
		return -ENOENT;
	if (strcmp(payload, "T") && strcmp(payload, "F"))
		return -EINVAL;
	if (payload[0] == 'F' || !tx->nchanges || tx->generation != xs->generation) {
		bool again = payload[0] == 'T' && tx->nchanges && tx->generation != xs->generation;

		xs_tx_drop(tx);
		return again ? -EAGAIN : 0;
	}
	old = xs->tree;
	xs->tree = tx->tree;
	tx->tree = old;
	done = *tx;
	*tx = (struct xs_tx){ 0 };
	for (unsigned int i = 0; i < done.nchanges; i++)
		xs_changed(xs, done.changes[i].path, done.changes[i].removed);
	xs_tx_drop(&done);
	return 0;
}

/* A change is told now, or when its transaction ends. */
static int xs_note(struct wk_xs *xs, struct xs_tx *tx, const char *path, bool removed)
{
	if (!tx) {
		xs_changed(xs, path, removed);
		return 0;
	}
	if (tx->nchanges == XS_TX_CHANGES)
		return -ENOSPC;
	tx->changes[tx->nchanges].path = strdup(path);
	if (!tx->changes[tx->nchanges].path)
		return -ENOMEM;
	tx->changes[tx->nchanges++].removed = removed;
	return 0;
}

/* ---- the guest's requests ------------------------------------------------------ */

/* The absolute path of what the guest names; -EINVAL if it can be none. */
static int xs_guest_path(const char *given, char path[XS_PATH_MAX + 1])
{
	int n = snprintf(path, XS_PATH_MAX + 1, "%s%s", given[0] == '/' ? "" : WK_HOME "/", given);

	return *given && n > 0 && n <= (int)XS_PATH_MAX && xs_path_valid(path) ? 0 : -EINVAL;
}

static int xs_directory(const struct xs_tree *t, const char *path, char *out)
{
	const struct xs_node *n = xs_tree_find(t, path);
	size_t at = 0;

	if (!n)
		return -ENOENT;
	for (const struct xs_node *c = n->child; c; c = c->next) {
		size_t len = strlen(c->name) + 1;

		if (at + len > XENSTORE_PAYLOAD_MAX)
			return -E2BIG;
		memcpy(out + at, c->name, len);
		at += len;
	}
	return (int)at;
}

static int xs_perms(const struct xs_tree *t, const char *path, char *out)
{
	const struct xs_node *n = xs_tree_find(t, path);

	if (!n)
		return -ENOENT;
	if (n->owner == XS_GUEST)
		return sprintf(out, "n%u", WK_DOMID) + 1;
	/* "n0", "r1": the host's, and the guest may read it. */
	memcpy(out, "n0\0r1", 6);
	return 6;
}

static int xs_ok(char *out)
{
	memcpy(out, "OK", 3);
	return 3;
}

/* WRITE, MKDIR, RM, SET_PERMS: path\0 and what belongs to it. */
static int xs_change(struct wk_xs *xs, const struct xs_request *r, struct xs_tx *tx, char *out)
{
	struct xs_tree *t = tx ? &tx->tree : &xs->tree;
	uint32_t used = (uint32_t)strlen(r->payload) + 1;
	char path[XS_PATH_MAX + 1];
	bool there;
	int err = xs_guest_path(r->payload, path);

	if (err || used > r->len + (r->type != XS_WRITE))
		return -EINVAL;
	err = xs_tree_may(t, path, XS_GUEST);
	if (err)
		return err;
	there = xs_tree_find(t, path);
	switch (r->type) {
	case XS_WRITE:
		err = xs_tree_write(t, path, r->payload + used, r->len - used, XS_GUEST);
		break;
	case XS_MKDIR:
		if (there)
			return xs_ok(out);
		err = xs_tree_mkdir(t, path, XS_GUEST);
		break;
	case XS_RM:
		/* Like Xen: removing what is not there works, if its parent is. */
		if (!there)
			return xs_ok(out);
		err = xs_tree_rm(t, path);
		break;
	default:
		/* The guest's own nodes stay its own; who else may read is one guest's affair. */
		return there ? xs_ok(out) : -ENOENT;
	}
	if (!err)
		err = xs_note(xs, tx, path, r->type == XS_RM);
	return err ? err : xs_ok(out);
}

static int xs_guest_watch(struct wk_xs *xs, const struct xs_request *r, char *out)
{
	size_t first = strlen(r->payload) + 1;
	const char *token = r->payload + first;
	char path[XS_PATH_MAX + 1];
	struct xs_watch *watch;
	bool special = r->payload[0] == '@';

	if (first >= r->len || strlen(token) + first + 1 != r->len || strlen(token) > XS_TOKEN_MAX)
		return -EINVAL;
	if (special ? first > 64 : xs_guest_path(r->payload, path))
		return -EINVAL;
	if (special)
		strcpy(path, r->payload);
	for (watch = xs->watches; watch; watch = watch->next)
		if (watch->token && !watch->dead && !strcmp(watch->path, path) && !strcmp(watch->token, token))
			break;
	if (r->type == XS_UNWATCH) {
		if (!watch)
			return -ENOENT;
		xs->guest_watches--;
		wk_xs_unwatch(xs, watch);
		return xs_ok(out);
	}
	if (watch)
		return -EEXIST;
	if (xs->guest_watches >= XS_WATCHES_MAX)
		return -ENOSPC;
	watch = xs_watch_add(xs, path, token);
	if (!watch)
		return -ENOMEM;
	xs->guest_watches++;
	watch->relative = !special && r->payload[0] != '/';
	return xs_ok(out);
}

static void xs_reset_watches(struct wk_xs *xs)
{
	for (struct xs_watch *watch = xs->watches; watch; watch = watch->next)
		if (watch->token)
			watch->dead = true;
	xs->guest_watches = 0;
	if (!xs->firing)
		xs_watch_sweep(xs);
	for (unsigned int i = 0; i < XS_TXS_MAX; i++)
		if (xs->txs[i].id)
			xs_tx_drop(&xs->txs[i]);
}

static int xs_read(struct wk_xs *xs, const struct xs_request *r, struct xs_tx *tx, char *out)
{
	const struct xs_tree *t = tx ? &tx->tree : &xs->tree;
	const struct xs_node *n;
	char path[XS_PATH_MAX + 1];

	if (xs_guest_path(r->payload, path))
		return -EINVAL;
	if (r->type == XS_READ && !tx && xs->source && !strcmp(path, xs->source))
		return xs->source_fn(xs->source_arg, out, XENSTORE_PAYLOAD_MAX);
	if (r->type == XS_DIRECTORY)
		return xs_directory(t, path, out);
	if (r->type == XS_GET_PERMS)
		return xs_perms(t, path, out);
	n = xs_tree_find(t, path);
	if (!n)
		return -ENOENT;
	if (n->len)
		memcpy(out, n->value, n->len);
	return (int)n->len;
}

int wk_xs_request(struct wk_xs *xs, const struct xs_request *r, char *out)
{
	struct xs_tx *tx = xs_tx_find(xs, r->tx);

	if (r->tx && !tx)
		return -ENOENT;
	switch (r->type) {
	case XS_READ:
	case XS_DIRECTORY:
	case XS_GET_PERMS:
		return xs_read(xs, r, tx, out);
	case XS_WRITE:
	case XS_MKDIR:
	case XS_RM:
	case XS_SET_PERMS:
		return xs_change(xs, r, tx, out);
	case XS_WATCH:
	case XS_UNWATCH:
		return xs_guest_watch(xs, r, out);
	case XS_RESET_WATCHES:
		xs_reset_watches(xs);
		return xs_ok(out);
	case XS_TRANSACTION_START:
		return r->tx ? -EBUSY : xs_tx_start(xs, out);
	case XS_TRANSACTION_END: {
		int err = xs_tx_end(xs, r->tx, r->payload);

		return err ? err : xs_ok(out);
	}
	case XS_GET_DOMAIN_PATH:
		return snprintf(out, XENSTORE_PAYLOAD_MAX, "/local/domain/%lu",
				strtoul(r->payload, NULL, 10) & 0x7fff) + 1;
	case XS_IS_DOMAIN_INTRODUCED:
		memcpy(out, strtoul(r->payload, NULL, 10) <= WK_DOMID ? "T" : "F", 2);
		return 2;
	case XS_INTRODUCE:
	case XS_RELEASE:
	case XS_RESUME:
	case XS_SET_TARGET:
		return -EACCES;		/* for privileged domains */
	default:
		return -ENOSYS;
	}
}

void xs_watch_first(struct wk_xs *xs, const struct xs_request *r)
{
	if (xs->wire)
		xs_wire_event(xs->wire, r->payload, r->payload + strlen(r->payload) + 1);
}

/* ---- life ----------------------------------------------------------------------- */

struct wk_xs *wk_xs_new(struct wk *w)
{
	struct wk_xs *xs = calloc(1, sizeof(*xs));

	if (!xs)
		return NULL;
	xs->w = w;
	if (xs_tree_init(&xs->tree)) {
		free(xs);
		return NULL;
	}
	return xs;
}

void wk_xs_free(struct wk_xs *xs)
{
	if (!xs)
		return;
	for (unsigned int i = 0; i < XS_TXS_MAX; i++)
		if (xs->txs[i].id)
			xs_tx_drop(&xs->txs[i]);
	for (struct xs_watch *watch = xs->watches; watch; watch = watch->next)
		watch->dead = true;
	xs_watch_sweep(xs);
	xs_tree_free(&xs->tree);
	free(xs);
}

void wk_xs_connect(struct wk_xs *xs, struct xs_wire *x)
{
	xs->wire = x;
}

int wk_xs_populate(struct wk_xs *xs, const char *name, uint64_t memory, uint64_t console_gfn)
{
	static const char *const theirs[] = { "control", "control/shutdown", "device", "data", "error",
					      "drivers", "attr", "feature" };
	unsigned long long kib = memory >> 10;
	int err = 0;

	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/name", "%s", name);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/domid", "%u", WK_DOMID);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/vm", "/vm/00000000-0000-0000-0000-000000000001");
	err |= wk_xs_write(xs, XS_HOST, "/vm/00000000-0000-0000-0000-000000000001/name", "%s", name);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/memory/static-max", "%llu", kib);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/memory/target", "%llu", kib);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/cpu/0/availability", "online");
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/console/ring-ref", "%llu", (unsigned long long)console_gfn);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/console/port", "%u", CO_PORT_CONSOLE);
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/console/type", "colinux");
	err |= wk_xs_write(xs, XS_HOST, WK_HOME "/console/limit", "%u", CONLOG_BYTES);
	for (size_t i = 0; i < sizeof(theirs) / sizeof(theirs[0]); i++) {
		char path[64];

		snprintf(path, sizeof(path), WK_HOME "/%s", theirs[i]);
		err |= wk_xs_mkdir(xs, XS_GUEST, path);
	}
	err |= wk_xs_mkdir(xs, XS_HOST, "/local/domain/0/backend");
	return err ? -ENOMEM : 0;
}

int wk_xs_ask_poweroff(struct wk_xs *xs)
{
	return wk_xs_write(xs, XS_GUEST, WK_HOME "/control/shutdown", "poweroff");
}
