/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet.c: the guest's network devices, as xenstore and colinuxd see them.
 *
 * Called by main.c (birth, port.* calls) and xenbus.c, in the main thread; the
 * frames themselves move in the network's own thread (conet_thread.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conet.h"
#include "loop.h"

/* ---- the frontend --------------------------------------------------------------- */

static void *conet_frame(void *arg, uint32_t ref, bool write)
{
	return wk_grant_frame(arg, ref, write);
}

static void conet_announce(void *dev, struct wk_xenbus *x)
{
	static const char *const features[] = {
		"feature-rx-copy", "feature-sg", "feature-gso-tcpv4", "feature-gso-tcpv6",
		"feature-ipv6-csum-offload",
	};
	const struct conet_net *n = dev;
	const uint8_t *m = n->mac;

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++)
		wk_xenbus_set(x, features[i], "1");
	wk_xenbus_set(x, "handle", "%u", n->index);
	wk_xenbus_front(x, "handle", "%u", n->index);
	wk_xenbus_front(x, "mac", "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
}

static int conet_attach(struct conet_net *n, void *ring, struct err *e)
{
	(void)e;
	n->ring = *(struct conet_ring *)ring;
	n->owed = false;
	if (n->link->offload)
		n->link->offload(n);
	return 0;
}

static int conet_detach(struct conet_net *n, void *arg, struct err *e)
{
	(void)arg;
	(void)e;
	n->ring.tx = n->ring.rx = NULL;
	n->owed = false;
	return 0;
}

static bool conet_feature(const struct wk_xenbus *x, const char *node)
{
	uint32_t value;

	return !wk_xenbus_u32(x, node, &value) && value == 1;
}

static int conet_connect(void *dev, struct wk_xenbus *x)
{
	struct conet_net *n = dev;
	struct conet_ring ring = { .frame = conet_frame, .arg = n->all->w };
	void *tx, *rx;

	if (wk_xenbus_page(x, "tx-ring-ref", &tx) || wk_xenbus_page(x, "rx-ring-ref", &rx))
		return wk_xenbus_refuse(x, "tx-ring-ref or rx-ring-ref names no page that it lends");
	if (!conet_feature(x, "request-rx-copy"))
		return wk_xenbus_refuse(x, "it does not ask for received frames to be copied (request-rx-copy)");
	ring.tx = tx;
	ring.rx = rx;
	ring.sg = conet_feature(x, "feature-sg");
	ring.gso4 = ring.sg && conet_feature(x, "feature-gso-tcpv4");
	ring.gso6 = ring.sg && conet_feature(x, "feature-gso-tcpv6");
	if (wk_xenbus_port(x, "event-channel", conet_wake, n->all, &n->port))
		return wk_xenbus_refuse(x, "event-channel is no port that can be used");
	conet_call(n->all, n, conet_attach, &ring, NULL);
	return 0;
}

static void conet_disconnect(void *dev)
{
	struct conet_net *n = dev;

	conet_call(n->all, n, conet_detach, NULL, NULL);
}

static const struct wk_xenbus_ops conet_ops = { conet_announce, conet_connect, conet_disconnect, NULL };

/* ---- birth ------------------------------------------------------------------------ */

static int conet_mac(const char *text, uint8_t mac[6])
{
	unsigned int m[6];
	char end;

	if (!text || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &m[0], &m[1], &m[2], &m[3], &m[4], &m[5], &end) != 6)
		return -1;
	for (int i = 0; i < 6; i++)
		mac[i] = (uint8_t)m[i];
	/* A group's address is nobody's own. */
	return m[0] & 1 ? -1 : 0;
}

static int conet_open_one(struct conet_net *n, const json_t *spec, struct err *e)
{
	const char *mode = json_string_value(json_object_get(spec, "mode"));
	const char *mac = json_string_value(json_object_get(spec, "mac"));

	n->last = &n->first;
	if (conet_mac(mac, n->mac))
		return err_set(e, CO_EINVAL, "nets: mac %.40s is not an address such as 52:54:00:12:34:56",
			       mac ? mac : "(none)");
	if (json_object_get(spec, "device"))
		return conet_nic_open(n, spec, e);
	if (mode && !strcmp(mode, "tap"))
		return conet_tap_open(n, spec, e);
	return conet_slirp_open(n, n->all->w->name, spec, e);
}

int wk_net_open(struct wk *w, struct err *e)
{
	const json_t *specs = json_object_get(w->setup, "nets");
	size_t count = json_array_size(specs);
	struct conet *c;
	int err = 0;

	if (!count)
		return 0;
	if (count > CONET_NETS_MAX)
		return err_set(e, CO_ELIMIT, "nets: %zu networks, a VM can have %u", count, CONET_NETS_MAX);
	c = calloc(1, sizeof(*c));
	if (c)
		c->buffer = malloc(CONET_FRAME_MAX);
	if (!c || !c->buffer) {
		free(c);
		return err_set(e, CO_ENOMEM, "out of memory");
	}
	w->net = c;
	c->w = w;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->done, NULL);
	if (pipe(c->pipe) || loop_nonblock(c->pipe[0]) || loop_nonblock(c->pipe[1]))
		return err_set(e, CO_ELIMIT, "no pipe for the network: %s", strerror(errno));
	for (size_t i = 0; i < count && !err; i++) {
		c->nets[i].all = c;
		c->nets[i].index = (uint32_t)i;
		err = conet_open_one(&c->nets[i], json_array_get(specs, i), e);
		c->count++;
	}
	return err;
}

int wk_net_serve(struct wk *w, struct err *e)
{
	struct conet *c = w->net;
	int err;

	if (!c)
		return 0;
	err = conet_thread_start(c, e);
	for (unsigned int i = 0; i < c->count && !err; i++) {
		c->nets[i].bus = wk_xenbus_new(w, "vif", i, &conet_ops, &c->nets[i]);
		if (!c->nets[i].bus)
			err = err_set(e, CO_ENOMEM, "out of memory");
	}
	return err;
}

/* ---- port.* -------------------------------------------------------------------------- */

/* The first network of mode nat, wherever its NAT is. */
static struct conet_net *conet_nat(struct wk *w)
{
	for (unsigned int i = 0; w->net && i < w->net->count; i++)
		if (conet_slirp_is(&w->net->nets[i]) || w->net->nets[i].link->outside)
			return &w->net->nets[i];
	return NULL;
}

void wk_net_call(struct wk *w, const char *method, json_int_t id, const json_t *params)
{
	json_t *forward = json_object_get(params, "forward"), *list = json_array();
	struct conet_net *n = conet_nat(w);
	bool lists = !strcmp(method, "port.list");
	struct err e = { 0 };
	int err;

	if (!n && !lists)
		err = err_set(&e, CO_ESTATE, "%s has no network of mode nat: nothing can be forwarded", w->name);
	else if (!n)
		err = 0;
	else if (n->link->outside)
		err = err_set(&e, CO_ESTATE, "%s: its forwards are made outside the virtual host", w->name);
	else if (!strcmp(method, "port.add"))
		err = conet_call(w->net, n, conet_forward_add, forward, &e);
	else if (!strcmp(method, "port.remove"))
		err = conet_call(w->net, n, conet_forward_remove, forward, &e);
	else
		err = conet_call(w->net, n, conet_forward_list, list, &e);
	if (err)
		wk_fail(w, id, &e);
	else
		wk_reply(w, id, lists ? json_pack("{s:O}", "forwards", list) : json_object());
	json_decref(list);
}
