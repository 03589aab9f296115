/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * exec.c: commands in guests: whose each is, and how much of its output is
 * under way.  Called by vm.c, spawn.c and peer.c.
 *
 * The worker may send HD_EXEC_WINDOW bytes of a stream; more only as its client
 * takes them.  So a slow client holds up its own command and nothing else.  What
 * it has no room for waits here as bytes, however small the pieces in which they
 * came; as lines of JSON single bytes would be a hundred times as much.  A
 * client that goes takes its commands with it.  A worker that tells of a
 * command which nobody started, or sends more than it may, is ended.
 */
#include <stdlib.h>
#include <string.h>

#include "hd.h"

#define HD_EXEC_WINDOW		65536u	/* FRAME_WINDOW of the agent's protocol */
#define HD_EXEC_CREDIT		16384u	/* given back in such pieces */
#define HD_EXEC_DATA		16384u	/* in one event */
#define HD_EXEC_RUNS		32u	/* turns of the two streams that are kept in order */
#define HD_EXEC_REQUEST		(128u << 10)	/* of an exec.start, as text */
#define HD_EXECS_PER_CLIENT	16u
#define HD_EXECS_PER_VM		64u	/* those that do not want to end included */

struct hd_exec {
	struct hd_vm *vm;
	struct hd_client *client;	/* NULL: gone */
	uint32_t id;
	uint32_t left[2];		/* bytes that the worker may still send */
	uint32_t owed[2];		/* bytes that it may send again, once the client has read */
	struct {			/* output that waits for room, HD_EXEC_WINDOW at most */
		unsigned char *data;	/* NULL: none */
		uint32_t at, len;
	} held[2];
	struct { uint32_t which, len; } runs[HD_EXEC_RUNS];	/* in what order; neighbours differ */
	unsigned int nruns;
	json_t *exit;			/* it is over: what the client is told behind its output */
	struct hd_exec *next;
};

static struct hd_exec *hd_exec_find(const struct hd_vm *vm, json_int_t id)
{
	struct hd_exec *x = vm->execs;

	while (x && x->id != id)
		x = x->next;
	return x;
}

static void hd_exec_free(struct hd_exec *x)
{
	HD_UNLINK(x->vm->execs, x);
	free(x->held[0].data);
	free(x->held[1].data);
	json_decref(x->exit);
	free(x);
}

static void hd_exec_end(struct hd_vm *vm, uint32_t id)
{
	/* If it cannot be told, the worker is about to end, and its commands with it. */
	hd_spawn_call(vm, "exec.end", json_pack("{s:I}", "exec", (json_int_t)id), NULL);
}

/* ---- requests ------------------------------------------------------------- */

int hd_exec_check(struct hd_vm *vm, const struct hd_req *r, struct err *e)
{
	const json_t *id = json_object_get(r->params, "exec");
	unsigned int mine = 0, all = 0;
	struct hd_exec *x;

	if (strncmp(r->method->name, "exec.", 5))
		return 0;
	if (id) {
		x = hd_exec_find(vm, json_integer_value(id));
		return x && x->client == r->client ? 0 :
			err_set(e, CO_ESTATE, "no command of this connection in %s has the number %lld: it has ended",
				vm->name, (long long)json_integer_value(id));
	}
	for (struct hd_vm *v = vm->hd->vms; v; v = v->next) {
		for (x = v->execs; x; x = x->next) {
			mine += x->client == r->client;
			all += v == vm;
		}
		for (const struct hd_req *asked = v->calls; asked; asked = asked->next)
			if (asked->method == r->method) {
				mine += asked->client == r->client;
				all += v == vm;
			}
	}
	if (mine >= HD_EXECS_PER_CLIENT)
		return err_set(e, CO_ELIMIT, "%u commands run over this connection already", mine);
	if (all >= HD_EXECS_PER_VM)
		return err_set(e, CO_ELIMIT, "%u commands run in %s already", all, vm->name);
	if (json_dumpb(r->params, NULL, 0, JSON_COMPACT) > HD_EXEC_REQUEST)
		return err_set(e, CO_ETOOBIG, "the command is longer than %u bytes", HD_EXEC_REQUEST);
	return 0;
}

int hd_exec_started(struct hd_vm *vm, struct hd_req *r, const json_t *result, struct err *e)
{
	json_int_t id = json_integer_value(json_object_get(result, "exec"));
	struct hd_exec *x;

	if (hd_exec_find(vm, id))
		return err_set(e, CO_EWORKER, "the worker gave a command's number twice");
	x = calloc(1, sizeof(*x));
	if (!x)
		return err_set(e, CO_EWORKER, "no memory for a command that runs already");
	/* A client that went meanwhile needs no answer, but its command an end. */
	x->client = r->client->msg ? r->client : NULL;
	x->vm = vm;
	x->id = (uint32_t)id;
	x->left[0] = x->left[1] = HD_EXEC_WINDOW;
	x->next = vm->execs;
	vm->execs = x;
	if (!x->client)
		hd_exec_end(vm, x->id);
	return 0;
}

/* ---- output ------------------------------------------------------------------ */

/* Steals params; NULL: a lost piece would be a lie about what the command said. */
static void hd_exec_tell(struct hd_exec *x, const char *event, json_t *params)
{
	if (params)
		hd_peer_event(x->client, event, params);
	else
		msg_cut(x->client->msg, "out of memory");
}

static bool hd_exec_room(const struct hd_exec *x)
{
	return msg_queued(x->client->msg) <= HD_OUT_STREAM;
}

/* Steals data. */
static void hd_exec_send(struct hd_exec *x, unsigned int which, uint32_t n, json_t *data)
{
	x->owed[which] += n;
	hd_exec_tell(x, "exec.data", json_pack("{s:s, s:I, s:s, s:o}", "name", x->vm->name,
					       "exec", (json_int_t)x->id,
					       "stream", which ? "stderr" : "stdout", "data", data));
}

/* What was left of the window is n or more: it fits. */
static void hd_exec_hold(struct hd_exec *x, unsigned int which, const unsigned char *raw, uint32_t n)
{
	unsigned int last = x->nruns - 1;

	if (!x->held[which].data)
		x->held[which].data = malloc(HD_EXEC_WINDOW);
	if (!x->held[which].data) {
		msg_cut(x->client->msg, "out of memory");
		return;
	}
	if (x->held[which].at + x->held[which].len + n > HD_EXEC_WINDOW) {
		memmove(x->held[which].data, x->held[which].data + x->held[which].at, x->held[which].len);
		x->held[which].at = 0;
	}
	memcpy(x->held[which].data + x->held[which].at + x->held[which].len, raw, n);
	x->held[which].len += n;
	if (x->nruns && x->runs[last].which == which) {
		x->runs[last].len += n;
	} else if (x->nruns < HD_EXEC_RUNS) {
		x->runs[x->nruns].which = which;
		x->runs[x->nruns++].len = n;
	} else {
		/* The last turns of each stream take all that comes. */
		x->runs[last - 1].len += n;
	}
}

/* The beginning of what is held, as one event. */
static void hd_exec_send_held(struct hd_exec *x)
{
	unsigned int which = x->runs[0].which;
	uint32_t n = x->runs[0].len < HD_EXEC_DATA ? x->runs[0].len : HD_EXEC_DATA;
	char text[(HD_EXEC_DATA + 2) / 3 * 4 + 1];

	proto_base64_encode(x->held[which].data + x->held[which].at, n, text);
	x->held[which].at += n;
	x->held[which].len -= n;
	if (!x->held[which].len) {
		free(x->held[which].data);
		x->held[which].data = NULL;
		x->held[which].at = 0;
	}
	x->runs[0].len -= n;
	if (!x->runs[0].len)
		memmove(x->runs, x->runs + 1, --x->nruns * sizeof(x->runs[0]));
	hd_exec_send(x, which, n, json_string(text));
}

/* What there is room for, or all; it has a client.  false: that was the end of it. */
static bool hd_exec_pump(struct hd_exec *x, bool all)
{
	while (x->nruns && (all || hd_exec_room(x)))
		hd_exec_send_held(x);
	if (x->nruns || !x->exit)
		return true;
	hd_exec_tell(x, "exec.exit", json_incref(x->exit));
	hd_exec_free(x);
	return false;
}

static void hd_exec_give(struct hd_exec *x)
{
	for (int k = 0; k < 2; k++) {
		uint32_t bytes = x->owed[k];

		if (bytes < HD_EXEC_CREDIT || !hd_exec_room(x))
			continue;
		if (hd_spawn_call(x->vm, "exec.credit", json_pack("{s:I, s:b, s:I}", "exec", (json_int_t)x->id,
								  "stderr", k, "bytes", (json_int_t)bytes), NULL))
			return;
		x->owed[k] = 0;
		x->left[k] += bytes;
	}
}

void hd_exec_pump_client(struct hd_client *c)
{
	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next)
		for (struct hd_exec *x = vm->execs, *next; x; x = next) {
			next = x->next;
			if (x->client == c && hd_exec_pump(x, false) && !x->exit)
				hd_exec_give(x);
		}
}

static const char *hd_exec_data(struct hd_exec *x, const json_t *root)
{
	const char *stream = json_string_value(json_object_get(root, "stream"));
	json_t *data = json_object_get(root, "data");
	unsigned char raw[HD_EXEC_DATA + 8];
	unsigned int which;
	long n = -1;

	if (json_is_string(data) && json_string_length(data) <= (HD_EXEC_DATA + 2) / 3 * 4)
		n = proto_base64_decode(json_string_value(data), json_string_length(data), raw);
	which = stream && !strcmp(stream, "stderr");
	if (n <= 0 || !stream || (!which && strcmp(stream, "stdout")) || n > x->left[which])
		return "output that no command may have";
	x->left[which] -= (uint32_t)n;
	if (!x->client)
		return NULL;
	if (x->nruns || !hd_exec_room(x)) {
		hd_exec_hold(x, which, raw, (uint32_t)n);
		return NULL;
	}
	hd_exec_send(x, which, (uint32_t)n, json_incref(data));
	hd_exec_give(x);
	return NULL;
}

static const char *hd_exec_exit(struct hd_exec *x, const json_t *root)
{
	static const char *const keys[] = { "code", "signal" };
	const char *error = json_string_value(json_object_get(root, "error"));
	json_t *params = json_pack("{s:s, s:I}", "name", x->vm->name, "exec", (json_int_t)x->id);
	unsigned int told = 0;
	char why[ERR_TEXT];

	for (int k = 0; k < 2; k++) {
		const json_t *value = json_object_get(root, keys[k]);
		json_int_t n = json_integer_value(value);

		if (!json_is_integer(value) || n < 0 || n > 255)
			continue;
		json_object_set_new(params, keys[k], json_integer(n));
		told++;
	}
	if (error) {
		hd_spawn_text(why, sizeof(why), error);
		json_object_set_new(params, "error", json_string(why));
		told++;
	}
	if (!params && x->client)
		msg_cut(x->client->msg, "out of memory");
	x->exit = params;
	if (params && x->client && told == 1)
		hd_exec_pump(x, false);
	else
		hd_exec_free(x);
	return told == 1 ? NULL : "a command's end without a code";
}

const char *hd_exec_event(struct hd_vm *vm, const char *name, const json_t *root)
{
	const json_t *id = json_object_get(root, "exec");
	struct hd_exec *x = json_is_integer(id) ? hd_exec_find(vm, json_integer_value(id)) : NULL;

	if (!x || x->exit)
		return "news of a command that nobody started";
	return !strcmp(name, "exec.data") ? hd_exec_data(x, root) : hd_exec_exit(x, root);
}

/* ---- ends ---------------------------------------------------------------------- */

void hd_exec_forget(struct hd_client *c)
{
	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next)
		for (struct hd_exec *x = vm->execs, *next; x; x = next) {
			next = x->next;
			if (x->client != c)
				continue;
			x->client = NULL;
			if (x->exit)
				hd_exec_free(x);
			else
				hd_exec_end(vm, x->id);
		}
}

void hd_exec_ended(struct hd_vm *vm)
{
	char why[ERR_TEXT];

	snprintf(why, sizeof(why), "%s has ended: %.180s", vm->name, vm->reason);
	while (vm->execs) {
		struct hd_exec *x = vm->execs;

		if (!x->exit)
			x->exit = json_pack("{s:s, s:I, s:s}", "name", vm->name, "exec", (json_int_t)x->id, "error", why);
		if (!x->client || hd_exec_pump(x, true))
			hd_exec_free(x);
	}
}
