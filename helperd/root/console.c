/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * console.c: viewers of a VM's console log.  Each has a cursor into the log
 * that the worker writes; a slow one falls behind and is told how much it
 * missed, and slows down nobody else.
 */
#include <stdlib.h>
#include <string.h>

#include "hd.h"

#define HD_CONSOLE_CHUNK	24576u

/* Counts come from the worker's memory: keep them what JSON can carry. */
static json_int_t hd_console_count(uint64_t n)
{
	return n < 1ull << 53 ? (json_int_t)n : (json_int_t)(1ll << 53);
}

static bool hd_console_done(const struct hd_vm *vm)
{
	return !vm->live && (vm->state == HD_STOPPED || vm->state == HD_FAILED);
}

static void hd_console_drop(struct hd_viewer *v)
{
	HD_UNLINK(v->vm->viewers, v);
	free(v);
}

/* Sends what the client has room for; v may be gone afterwards. */
static void hd_console_feed(struct hd_viewer *v)
{
	struct hd_client *c = v->client;
	struct hd_vm *vm = v->vm;
	char data[HD_CONSOLE_CHUNK], text[HD_CONSOLE_CHUNK / 3 * 4 + 8];
	json_t *params;

	while (c->msg && msg_queued(c->msg) < HD_OUT_STREAM) {
		size_t n = conlog_read(vm->conlog, &v->cursor, data, sizeof(data), &v->dropped);

		if (!n) {
			if (!hd_console_done(vm))
				return;
			params = json_pack("{s:s}", "name", vm->name);
			hd_console_drop(v);
			if (params)
				hd_peer_event(c, "console.closed", params);
			return;
		}
		proto_base64_encode((unsigned char *)data, n, text);
		params = json_pack("{s:s, s:s}", "name", vm->name, "data", text);
		if (params && v->dropped)
			json_object_set_new(params, "dropped", json_integer(hd_console_count(v->dropped)));
		v->dropped = 0;
		if (params)
			hd_peer_event(c, "console.data", params);
	}
}

void hd_console_pump(struct hd_vm *vm)
{
	for (struct hd_viewer *v = vm->viewers, *next; v; v = next) {
		next = v->next;
		hd_console_feed(v);
	}
}

void hd_console_pump_client(struct hd_client *c)
{
	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next)
		for (struct hd_viewer *v = vm->viewers, *next; v; v = next) {
			next = v->next;
			if (v->client == c)
				hd_console_feed(v);
		}
}

void hd_console_forget(struct hd_client *c)
{
	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next)
		for (struct hd_viewer *v = vm->viewers, *next; v; v = next) {
			next = v->next;
			if (v->client == c)
				hd_console_drop(v);
		}
}

/* The VM itself goes: whoever still watches is told. */
void hd_console_close(struct hd_vm *vm)
{
	while (vm->viewers) {
		struct hd_client *c = vm->viewers->client;
		json_t *params = json_pack("{s:s}", "name", vm->name);

		hd_console_drop(vm->viewers);
		if (params)
			hd_peer_event(c, "console.closed", params);
	}
}

void hd_console_line(struct hd_vm *vm, const char *line)
{
	for (struct hd_client *c = vm->hd->clients; c; c = c->next) {
		json_t *params;

		if (!c->msg || !c->lines || !hd_peer_owns(c, vm) || msg_queued(c->msg) > HD_OUT_STREAM)
			continue;
		params = json_pack("{s:s, s:s}", "name", vm->name, "line", line);
		if (params)
			hd_peer_event(c, "console.line", params);
	}
}

static struct hd_viewer *hd_console_find(struct hd_vm *vm, const struct hd_client *c)
{
	struct hd_viewer *v = vm->viewers;

	while (v && v->client != c)
		v = v->next;
	return v;
}

/* Where the newest `bytes` of the log begin. */
static uint64_t hd_console_start(const struct hd_vm *vm, uint64_t bytes)
{
	uint64_t head = conlog_head(vm->conlog);

	if (bytes > CONLOG_BYTES)
		bytes = CONLOG_BYTES;
	return head > bytes ? head - bytes : 0;
}

/* What nobody can read any more. */
static uint64_t hd_console_lost(const struct hd_vm *vm)
{
	return hd_console_start(vm, CONLOG_BYTES);
}

void hd_console_attach(struct hd_req *r)
{
	uint64_t replay = (uint64_t)json_integer_value(json_object_get(r->params, "replay"));
	struct hd_vm *vm = hd_vm_of(r);
	struct hd_viewer *v;

	if (!vm)
		return;
	v = hd_console_find(vm, r->client);
	if (!v) {
		v = calloc(1, sizeof(*v));
		if (!v) {
			hd_rpc_reply(r, NULL);
			return;
		}
		v->vm = vm;
		v->client = r->client;
		v->next = vm->viewers;
		vm->viewers = v;
	}
	v->cursor = hd_console_start(vm, replay);
	v->dropped = 0;
	hd_rpc_reply(r, json_pack("{s:I}", "dropped", hd_console_count(hd_console_lost(vm))));
	/* The answer above may have been the end of this client: look again. */
	hd_console_pump(vm);
}

void hd_console_detach(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);
	struct hd_viewer *v;

	if (!vm)
		return;
	v = hd_console_find(vm, r->client);
	if (v)
		hd_console_drop(v);
	hd_rpc_reply(r, json_object());
}

void hd_console_log(struct hd_req *r)
{
	const json_t *max = json_object_get(r->params, "maxBytes");
	struct hd_vm *vm = hd_vm_of(r);
	uint64_t cursor, dropped;
	json_t *result = NULL;
	char *data, *text;
	size_t n;

	if (!vm)
		return;
	cursor = hd_console_start(vm, max ? (uint64_t)json_integer_value(max) : CONLOG_BYTES);
	dropped = hd_console_lost(vm);
	data = malloc(CONLOG_BYTES);
	text = malloc(CONLOG_BYTES / 3 * 4 + 8);
	if (data && text) {
		n = conlog_read(vm->conlog, &cursor, data, CONLOG_BYTES, &dropped);
		proto_base64_encode((unsigned char *)data, n, text);
		result = json_pack("{s:s, s:I}", "data", text, "dropped", hd_console_count(dropped));
	}
	free(data);
	free(text);
	hd_rpc_reply(r, result);
}
