/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * rpc.c: one line from a client becomes one checked request, and one answer.
 * Distrusts the line in everything; what passes here has the contract's shape.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

json_t *hd_rpc_error(const json_t *id, const struct err *e)
{
	/* O?: an explicit null where no id could be read. */
	return json_pack("{s:s, s:O?, s:{s:i, s:o, s:{s:s, s:s}}}", "jsonrpc", "2.0", "id", id, "error",
			 "code", e->code, "message", msg_string(e->text),
			 "data", "name", err_name(e->code), "hint", err_hint(e->code));
}

static void hd_rpc_refuse(struct hd_client *c, const json_t *id, const struct err *e)
{
	json_t *answer = hd_rpc_error(id, e);

	hd_peer_send(c, answer);
	json_decref(answer);
}

static void hd_rpc_done(struct hd_req *r, json_t *answer)
{
	struct hd_client *c = r->client;

	hd_peer_send(c, answer);
	json_decref(answer);
	json_decref(r->id);
	json_decref(r->params);
	free(r);
	c->inflight--;
	hd_peer_flow(c);
	hd_peer_put(c);
}

void hd_rpc_reply(struct hd_req *r, json_t *result)
{
	struct err e;

	if (!result) {
		err_set(&e, CO_ENOMEM, "%s", err_text(CO_ENOMEM));
		hd_rpc_fail(r, &e);
		return;
	}
	hd_rpc_done(r, json_pack("{s:s, s:O, s:o}", "jsonrpc", "2.0", "id", r->id, "result", result));
}

void hd_rpc_fail(struct hd_req *r, const struct err *e)
{
	hd_rpc_done(r, hd_rpc_error(r->id, e));
}

void hd_rpc_drop(struct hd_req **list)
{
	while (*list) {
		struct hd_req *r = *list;

		*list = r->next;
		hd_rpc_done(r, NULL);
	}
}

static void hd_rpc_hello(struct hd_req *r)
{
	struct hd_client *c = r->client;
	json_int_t version = json_integer_value(json_object_get(r->params, "version"));
	struct err e;

	if (version != proto_version()) {
		err_set(&e, CO_EABI, "the client speaks version %lld of the protocol, this colinuxd %u (build %s)",
			(long long)version, proto_version(), HD_BUILD);
		hd_rpc_fail(r, &e);
		return;
	}
	c->hello = true;
	hd_rpc_reply(r, json_pack("{s:i, s:s, s:i, s:I, s:i}", "version", (int)proto_version(),
				  "build", HD_BUILD, "abi", (int)CO_ABI_VERSION,
				  "uid", (json_int_t)c->owner.uid, "pid", (int)getpid()));
}

static void hd_rpc_info(struct hd_req *r)
{
	json_t *result = NULL;
	struct err e;

	if (hd_host_info(r->client->hd, &result, &e))
		hd_rpc_fail(r, &e);
	else
		hd_rpc_reply(r, result);
}

static void hd_rpc_doctor(struct hd_req *r)
{
	hd_rpc_reply(r, hd_host_doctor(r->client->hd));
}

static void hd_rpc_subscribe(struct hd_req *r)
{
	r->client->events = true;
	r->client->lines = json_is_true(json_object_get(r->params, "console"));
	hd_rpc_reply(r, json_object());
}

static const struct {
	const char *name;
	void (*fn)(struct hd_req *r);
} hd_rpc_handlers[] = {
	{ "hello", hd_rpc_hello },
	{ "host.info", hd_rpc_info },
	{ "host.doctor", hd_rpc_doctor },
	{ "vm.create", hd_vm_create },
	{ "vm.start", hd_vm_start },
	{ "vm.stop", hd_vm_stop },
	{ "vm.restart", hd_vm_restart },
	{ "vm.delete", hd_vm_delete },
	{ "vm.list", hd_vm_list },
	{ "vm.get", hd_vm_get },
	{ "console.attach", hd_console_attach },
	{ "console.detach", hd_console_detach },
	{ "console.log", hd_console_log },
	{ "events.subscribe", hd_rpc_subscribe },
};

static void hd_rpc_dispatch(struct hd_req *r)
{
	struct err e;

	if (r->method->route == PROTO_WORKER) {
		hd_vm_forward(r);
		return;
	}
	for (size_t i = 0; i < sizeof(hd_rpc_handlers) / sizeof(hd_rpc_handlers[0]); i++)
		if (!strcmp(hd_rpc_handlers[i].name, r->method->name)) {
			hd_rpc_handlers[i].fn(r);
			return;
		}
	err_set(&e, CO_ENOSYS, "%s is not implemented in this build", r->method->name);
	hd_rpc_fail(r, &e);
}

/* Checks the envelope; *id is borrowed from root. */
static int hd_rpc_envelope(const json_t *root, const json_t **id, const char **name, struct err *e)
{
	const json_t *version = json_object_get(root, "jsonrpc"), *method, *key;
	const char *k;
	json_t *v;

	*id = NULL;
	if (!json_is_object(root))
		return err_set(e, -32600, "a request must be one object (batches are not supported)");
	key = json_object_get(root, "id");
	if (json_is_string(key) ? json_string_length(key) <= 128 : json_is_integer(key))
		*id = key;
	else if (key)
		return err_set(e, -32600, "id must be an integer or a string of up to 128 bytes");
	else
		return err_set(e, -32600, "id is missing: notifications are not part of this protocol");
	json_object_foreach((json_t *)(uintptr_t)root, k, v)
		if (strcmp(k, "jsonrpc") && strcmp(k, "id") && strcmp(k, "method") && strcmp(k, "params"))
			return err_set(e, -32600, "%.64s is not a key of a JSON-RPC request", k);
	if (!json_is_string(version) || strcmp(json_string_value(version), "2.0"))
		return err_set(e, -32600, "jsonrpc must be \"2.0\"");
	method = json_object_get(root, "method");
	if (!json_is_string(method))
		return err_set(e, -32600, "method must be a string");
	*name = json_string_value(method);
	return 0;
}

/* Makes the request if everything about it is in order. */
static struct hd_req *hd_rpc_request(struct hd_client *c, const json_t *root, const json_t **id,
				     struct err *e)
{
	const struct proto_method *method;
	const char *name = NULL;
	struct hd_req *r;
	json_t *params;
	int bad;

	if (hd_rpc_envelope(root, id, &name, e))
		return NULL;
	method = proto_find(name);
	if (!method) {
		err_set(e, -32601, "there is no method %.64s", name);
		return NULL;
	}
	if (!c->hello && strcmp(name, "hello")) {
		err_set(e, -32600, "hello must be a connection's first call, not %s", name);
		return NULL;
	}
	params = json_object_get(root, "params");
	params = params ? json_incref(params) : json_object();
	bad = !params ? err_set(e, CO_ENOMEM, "out of memory")
		      : proto_check(params, method->params, method->nparams, e);
	r = bad ? NULL : calloc(1, sizeof(*r));
	if (!r) {
		if (!bad)
			err_set(e, CO_ENOMEM, "out of memory");
		json_decref(params);
		return NULL;
	}
	r->client = c;
	r->method = method;
	r->params = params;
	r->id = json_incref((json_t *)(uintptr_t)*id);
	c->inflight++;
	return r;
}

/* TOUR 1: A line from the CLI becomes a request that has the contract's shape, or an error. */
void hd_rpc_line(struct hd_client *c, char *line, size_t len)
{
	const json_t *id = NULL;
	json_error_t where;
	struct hd_req *r;
	struct err e;
	json_t *root = json_loadb(line, len, MSG_JSON_FLAGS, &where);

	if (!root) {
		err_set(&e, -32700, "column %d: %s", where.column, where.text);
		log_clean(e.text);
		hd_rpc_refuse(c, NULL, &e);
		return;
	}
	r = hd_rpc_request(c, root, &id, &e);
	if (r)
		hd_rpc_dispatch(r);
	else
		hd_rpc_refuse(c, id, &e);
	json_decref(root);
}
