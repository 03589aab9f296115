/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * xs_tree.c: xenstore's nodes.  Called by xenstore.c with paths that a guest
 * may have chosen: count, bytes and depth are bounded here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore.h"

/* What a node costs besides its value, for the limit on bytes. */
static size_t xs_cost(const struct xs_node *n)
{
	return sizeof(*n) + strlen(n->name) + n->len;
}

static struct xs_node *xs_node_new(const char *name, size_t len, uint32_t owner)
{
	struct xs_node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->name = strndup(name, len);
	n->owner = owner;
	if (!n->name) {
		free(n);
		return NULL;
	}
	return n;
}

/* Depth is bounded by XS_DEPTH_MAX, so recursion is too. */
static void xs_node_free(struct xs_tree *t, struct xs_node *n)
{
	while (n->child) {
		struct xs_node *c = n->child;

		n->child = c->next;
		xs_node_free(t, c);
	}
	t->nodes--;
	t->bytes -= xs_cost(n);
	free(n->name);
	free(n->value);
	free(n);
}

int xs_tree_init(struct xs_tree *t)
{
	*t = (struct xs_tree){ .root = xs_node_new("", 0, XS_HOST) };
	if (!t->root)
		return -ENOMEM;
	t->nodes = 1;
	t->bytes = xs_cost(t->root);
	return 0;
}

void xs_tree_free(struct xs_tree *t)
{
	if (t->root)
		xs_node_free(t, t->root);
	t->root = NULL;
}

static struct xs_node *xs_node_copy(struct xs_tree *t, const struct xs_node *from)
{
	struct xs_node *n = xs_node_new(from->name, strlen(from->name), from->owner), **tail;

	if (!n)
		return NULL;
	if (from->len) {
		n->value = malloc(from->len);
		if (!n->value) {
			free(n->name);
			free(n);
			return NULL;
		}
		memcpy(n->value, from->value, from->len);
		n->len = from->len;
	}
	t->nodes++;
	t->bytes += xs_cost(n);
	tail = &n->child;
	for (const struct xs_node *c = from->child; c; c = c->next) {
		*tail = xs_node_copy(t, c);
		if (!*tail) {
			xs_node_free(t, n);
			return NULL;
		}
		tail = &(*tail)->next;
	}
	return n;
}

int xs_tree_copy(struct xs_tree *to, const struct xs_tree *from)
{
	*to = (struct xs_tree){ 0 };
	to->root = xs_node_copy(to, from->root);
	return to->root ? 0 : -ENOMEM;
}

bool xs_path_valid(const char *path)
{
	size_t len = strlen(path);
	unsigned int depth = 0;

	if (path[0] != '/' || len > XS_PATH_MAX || (len > 1 && path[len - 1] == '/'))
		return false;
	for (const char *p = path; *p; p++) {
		if (*p == '/') {
			if (p[1] == '/' || ++depth > XS_DEPTH_MAX)
				return false;
		} else if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("-_@.:+", *p))) {
			return false;
		}
	}
	return true;
}

bool xs_path_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	if (n == 1)
		return true;		/* the root */
	return !strncmp(path, top, n) && (!path[n] || path[n] == '/');
}

/*
 * Walks down path.  Returns the deepest node there is; *rest is what of the
 * path remains below it ("" if the node itself is there).
 */
static struct xs_node *xs_walk(const struct xs_tree *t, const char *path, const char **rest)
{
	struct xs_node *n = t->root;
	const char *p = path + 1;

	while (*p) {
		size_t len = strcspn(p, "/");
		struct xs_node *c = n->child;

		while (c && (strncmp(c->name, p, len) || c->name[len]))
			c = c->next;
		if (!c)
			break;
		n = c;
		p += len + (p[len] == '/');
	}
	*rest = p;
	return n;
}

struct xs_node *xs_tree_find(const struct xs_tree *t, const char *path)
{
	const char *rest;
	struct xs_node *n = xs_walk(t, path, &rest);

	return *rest ? NULL : n;
}

int xs_tree_may(const struct xs_tree *t, const char *path, uint32_t who)
{
	const char *rest;
	const struct xs_node *n = xs_walk(t, path, &rest);

	return who == XS_HOST || n->owner == who ? 0 : -EACCES;
}

/* Makes the node and its missing parents; what was made stays, as the limit allows it. */
static int xs_make(struct xs_tree *t, const char *path, uint32_t owner, struct xs_node **out)
{
	const char *rest;
	struct xs_node *n = xs_walk(t, path, &rest);

	while (*rest) {
		size_t len = strcspn(rest, "/");
		struct xs_node **tail = &n->child, *c;

		if (t->nodes >= XS_NODES_MAX || t->bytes + sizeof(*c) + len > XS_BYTES_MAX)
			return -ENOSPC;
		c = xs_node_new(rest, len, n->owner == XS_GUEST ? XS_GUEST : owner);
		if (!c)
			return -ENOMEM;
		while (*tail)
			tail = &(*tail)->next;
		*tail = c;
		t->nodes++;
		t->bytes += xs_cost(c);
		n = c;
		rest += len + (rest[len] == '/');
	}
	*out = n;
	return 0;
}

int xs_tree_write(struct xs_tree *t, const char *path, const char *value, uint32_t len, uint32_t owner)
{
	struct xs_node *n;
	char *copy = NULL;
	int err;

	if (len > XS_VALUE_MAX)
		return -ENOSPC;
	if (len && !(copy = malloc(len)))
		return -ENOMEM;
	err = xs_make(t, path, owner, &n);
	if (!err && t->bytes - n->len + len > XS_BYTES_MAX)
		err = -ENOSPC;
	if (err) {
		free(copy);
		return err;
	}
	if (len)
		memcpy(copy, value, len);
	free(n->value);
	t->bytes = t->bytes - n->len + len;
	n->value = copy;
	n->len = len;
	return 0;
}

int xs_tree_mkdir(struct xs_tree *t, const char *path, uint32_t owner)
{
	struct xs_node *n;

	return xs_make(t, path, owner, &n);
}

int xs_tree_rm(struct xs_tree *t, const char *path)
{
	char parent[XS_PATH_MAX + 1];
	struct xs_node *n = xs_tree_find(t, path), *p, **link;
	char *slash;

	if (!n)
		return -ENOENT;
	if (n == t->root)
		return -EINVAL;
	strcpy(parent, path);
	slash = strrchr(parent, '/');
	slash[slash == parent] = 0;
	p = xs_tree_find(t, parent);
	for (link = &p->child; *link != n; link = &(*link)->next)
		;
	*link = n->next;
	xs_node_free(t, n);
	return 0;
}
