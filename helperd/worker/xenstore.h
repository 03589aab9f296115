/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xenstore: the VM's small tree of settings, and the guest's wire to it.
 *
 * Backends (disks, network) use the wk_xs_* calls: they write nodes, and watch
 * the guest's, with absolute paths.  They act as the host: everything is
 * allowed to them but the limits.  All results are 0 or a negative errno.
 */
#ifndef WK_XENSTORE_H
#define WK_XENSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XS_HOST		0u		/* owners of nodes */
#define XS_GUEST	1u

#define XS_PATH_MAX	1024u
#define XS_VALUE_MAX	2048u
#define XS_NODES_MAX	2048u
#define XS_BYTES_MAX	(256u << 10)
#define XS_DEPTH_MAX	24u
#define XS_WATCHES_MAX	128u
#define XS_TXS_MAX	8u

/* ---- xs_tree.c: nodes -------------------------------------------------- */

struct xs_node {
	char *name;
	char *value;
	uint32_t len, owner;
	struct xs_node *child, *next;	/* first child, next sibling; in order of making */
};

struct xs_tree {
	struct xs_node *root;
	uint32_t nodes;
	size_t bytes;
};

int xs_tree_init(struct xs_tree *t);
void xs_tree_free(struct xs_tree *t);
int xs_tree_copy(struct xs_tree *to, const struct xs_tree *from);
struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path);
/* May who change the node, or make it below its nearest ancestor?  0, -EACCES or -ENOENT. */
int xs_tree_may(const struct xs_tree *t, const char *path, uint32_t who);
/* New nodes belong to owner, or to their parent's owner if that is the guest. */
int xs_tree_write(struct xs_tree *t, const char *path, const char *value, uint32_t len, uint32_t owner);
int xs_tree_mkdir(struct xs_tree *t, const char *path, uint32_t owner);
int xs_tree_rm(struct xs_tree *t, const char *path);
/* Is it a path that may exist?  Absolute, no empty parts, the usual characters. */
bool xs_path_valid(const char *path);
/* Is path at or below top? */
bool xs_path_below(const char *path, const char *top);

/* ---- xenstore.c: watches, transactions, the host's calls ---------------- */

struct wk;
struct wk_xs;
struct xs_watch;
typedef void (*wk_xs_fn)(void *arg, const char *path);

struct wk_xs *wk_xs_new(struct wk *w);
void wk_xs_free(struct wk_xs *xs);

int wk_xs_write(struct wk_xs *xs, uint32_t owner, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The value with a NUL behind it; its length, -ENOENT, or -E2BIG if it does not fit. */
int wk_xs_read(struct wk_xs *xs, const char *path, char *out, size_t size);
int wk_xs_mkdir(struct wk_xs *xs, uint32_t owner, const char *path);
int wk_xs_rm(struct wk_xs *xs, const char *path);
/* fn runs for each change at or below path, from the loop; NULL: too many. */
struct xs_watch *wk_xs_watch(struct wk_xs *xs, const char *path, wk_xs_fn fn, void *arg);
void wk_xs_unwatch(struct wk_xs *xs, struct xs_watch *watch);

/*
 * A node of the guest's home that is no node: each read of it is answered by
 * fn, with up to `most` bytes (whose number it returns).  There is one.
 */
typedef int (*wk_xs_source_fn)(void *arg, char *out, uint32_t most);
void wk_xs_source(struct wk_xs *xs, const char *path, wk_xs_source_fn fn, void *arg);

/* The nodes that every domain has. */
int wk_xs_populate(struct wk_xs *xs, const char *name, uint64_t memory, uint64_t console_gfn);
int wk_xs_ask_poweroff(struct wk_xs *xs);

/* ---- for xs_wire.c ------------------------------------------------------- */

/* One guest's request; payload is private memory with a NUL behind len. */
struct xs_request {
	uint32_t type, tx;
	char *payload;
	uint32_t len;
};

/* Answers into out (XENSTORE_PAYLOAD_MAX bytes): length, or a negative errno. */
int wk_xs_request(struct wk_xs *xs, const struct xs_request *r, char *out);
/* After the answer to XS_WATCH: Linux counts on a first event for each new watch. */
void xs_watch_first(struct wk_xs *xs, const struct xs_request *r);

/* ---- xs_wire.c: the ring page --------------------------------------------- */

struct xs_wire;
struct xs_wire *xs_wire_new(struct wk *w, struct wk_xs *xs, void *page);
void xs_wire_serve(void *wire);		/* the port's handler */
void xs_wire_event(struct xs_wire *x, const char *path, const char *token);
void xs_wire_free(struct xs_wire *x);
void wk_xs_connect(struct wk_xs *xs, struct xs_wire *x);

#endif
