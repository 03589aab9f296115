/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm.c: what clients ask of VMs.  Called by rpc.c with requests whose shape is
 * right; whether the values make sense, and whose VM it is, is checked here
 * (and in check.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev.h"
#include "hd.h"

#define HD_NEWS_MS	100u
#define HD_DATA_MAX	65536u		/* of one console.write, in base64 */

static const char *const hd_vm_states[] = { "created", "running", "ready", "stopped", "saved", "failed",
	"restarting",
};

static struct hd_vm *hd_vm_find(struct hd_client *c, const char *name, struct err *e)
{
	struct hd_vm *other = NULL;
	unsigned int count = 0;

	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next) {
		char full[CO_NAME_LEN + 16];

		snprintf(full, sizeof(full), "%u/%s", vm->uid, vm->name);
		if (!vm->made || !hd_peer_owns(c, vm) || (strcmp(vm->name, name) && strcmp(full, name)))
			continue;
		if (vm->uid == c->owner.uid || !strcmp(full, name))
			return vm;
		other = vm;
		count++;
	}
	if (count == 1)
		return other;
	if (count)
		err_set(e, CO_EINVAL, "%u users have a VM named %.40s: say UID/%.40s", count, name, name);
	else
		err_set(e, CO_ENOENT, "there is no VM named %.64s", name);
	return NULL;
}

struct hd_vm *hd_vm_of(struct hd_req *r)
{
	struct err e;
	struct hd_vm *vm = hd_vm_find(r->client, json_string_value(json_object_get(r->params, "name")), &e);

	if (!vm)
		hd_rpc_fail(r, &e);
	return vm;
}

static void hd_vm_status(struct hd_vm *vm)
{
	struct co_vm_status s;

	if (vm->handle < 0 || dev_vm_status(vm->handle, &s))
		return;
	vm->counters = s.counters;
	vm->overhead_pages = s.overhead_pages;
}

/* The member's text if there is one, for json_pack's s*. */
static const char *hd_vm_some(const char *text)
{
	return text[0] ? text : NULL;
}

json_t *hd_vm_json(struct hd_vm *vm)
{
	bool runs = vm->state == HD_RUNNING || vm->state == HD_READY;
	uint64_t now = loop_now();
	char again[64];
	const char *waiting = vm->state == HD_RUNNING ? hd_vm_some(vm->waiting) : NULL;

	hd_vm_status(vm);
	if (vm->again_timer.armed) {
		snprintf(again, sizeof(again), "it starts again in %u s", vm->again_timer.due <= now ? 0
			 : (unsigned int)((vm->again_timer.due - now + 999) / 1000));
		waiting = again;
	}
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:o*, s:s*, s:o*, s:s*, s:o*, s:o*, s:s*, s:o*, s:o*}",
			 "name", vm->name, "state", hd_vm_states[vm->state], "uid", (json_int_t)vm->uid,
			 "id", (json_int_t)vm->id, "memory", (json_int_t)vm->memory,
			 "pid", vm->pid ? json_integer(vm->pid) : NULL,
			 "reason", hd_vm_some(vm->ill[0] ? vm->ill : vm->reason),
			 "exit", vm->exit >= 0 ? json_integer(vm->exit) : NULL,
			 "lastLine", hd_vm_some(vm->last_line),
			 "uptimeMs", runs ? json_integer((json_int_t)(now - vm->started)) : NULL,
			 "overheadBytes", vm->handle < 0 ? NULL
			 : json_integer((json_int_t)(vm->overhead_pages * CO_PAGE_SIZE)),
			 "waiting", waiting, "restarts", vm->restarts ? json_integer(vm->restarts) : NULL,
			 "autostart", vm->autostart ? json_true() : NULL);
}

void hd_vm_changed(struct hd_vm *vm)
{
	json_t *o = vm->made ? hd_vm_json(vm) : NULL;

	for (struct hd_client *c = vm->hd->clients; o && c; c = c->next)
		if (c->events && hd_peer_owns(c, vm)) {
			json_t *params = json_pack("{s:O}", "vm", o);

			if (params)
				hd_peer_event(c, "vm.state", params);
		}
	json_decref(o);
}

static void hd_vm_told(void *arg)
{
	struct hd_vm *vm = arg;

	vm->told = loop_now();
	hd_vm_changed(vm);
}

/* A worker may say things as often as it likes: its owner hears of some of them. */
void hd_vm_news(struct hd_vm *vm)
{
	if (vm->news_timer.armed)
		return;
	loop_timer_init(&vm->news_timer, hd_vm_told, vm);
	if (loop_now() - vm->told >= HD_NEWS_MS)
		hd_vm_told(vm);
	else
		loop_timer_start(vm->hd->loop, &vm->news_timer, HD_NEWS_MS);
}

/* ---- vm.create ------------------------------------------------------- */

/* What the worker has to know, from what the client asked and who it is. */
static json_t *hd_vm_setup(const struct hd_vm *vm, const struct hd_owner *owner, const json_t *params)
{
	static const char *const keys[] = {
		"kernel", "initrd", "cmdline", "readyConsole",
		"disks", "nets", "agent", "readyTcp", "health",
	};
	json_t *groups = json_array(), *o;

	for (int i = 0; i < owner->ngroups; i++)
		json_array_append_new(groups, json_integer(owner->groups[i]));
	o = json_pack("{s:s, s:I, s:I, s:I, s:o}", "name", vm->name, "memory", (json_int_t)vm->memory,
		      "uid", (json_int_t)owner->uid, "gid", (json_int_t)owner->gid, "groups", groups);
	for (size_t i = 0; o && i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(params, keys[i]))
			json_object_set(o, keys[i], json_object_get(params, keys[i]));
	return o;
}

static enum hd_policy hd_vm_policy(const char *name)
{
	if (!name || !strcmp(name, "never"))
		return HD_NEVER;
	return strcmp(name, "always") ? HD_ON_FAILURE : HD_ALWAYS;
}

struct hd_vm *hd_vm_new(struct hd *hd, const struct hd_owner *owner, const json_t *params, struct err *e)
{
	struct hd_vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		err_set(e, CO_ENOMEM, "out of memory");
		return NULL;
	}
	vm->hd = hd;
	strcpy(vm->name, json_string_value(json_object_get(params, "name")));
	vm->uid = owner->uid;
	vm->memory = (uint64_t)json_integer_value(json_object_get(params, "memory"));
	vm->policy = hd_vm_policy(json_string_value(json_object_get(params, "restart")));
	vm->autostart = json_is_true(json_object_get(params, "autostart"));
	vm->handle = vm->log_fd = vm->exit = -1;
	vm->conlog_fd = conlog_create();
	vm->conlog = vm->conlog_fd < 0 ? NULL : conlog_map(vm->conlog_fd, 0);
	vm->setup = hd_vm_setup(vm, owner, params);
	vm->next = hd->vms;
	hd->vms = vm;
	if (!vm->conlog || !vm->setup) {
		err_set(e, CO_ENOMEM, "no memory for the console's log: %s", strerror(errno));
		hd_life_free(vm);
		return NULL;
	}
	return vm;
}

void hd_vm_create(struct hd_req *r)
{
	const struct hd_owner *owner = &r->client->owner;
	struct hd *hd = r->client->hd;
	struct hd_vm *vm = NULL;
	struct err e;

	if (!hd_check_create(hd, owner->uid, r->params, &e))
		vm = hd_vm_new(hd, owner, r->params, &e);
	if (!vm) {
		hd_rpc_fail(r, &e);
		return;
	}
	vm->maker = r;
	if (hd_life_begin(vm, &e)) {
		hd_life_free(vm);
		hd_rpc_fail(r, &e);
	}
}

/* ---- the others ------------------------------------------------------- */

/* Answers r and returns true when the VM cannot be started now. */
static bool hd_vm_refuse_start(struct hd_vm *vm, struct hd_req *r)
{
	struct err e;

	if (!vm->maker && !vm->deleting && !(vm->live && (vm->state != HD_CREATED || vm->stopping)))
		return false;
	err_set(&e, CO_ESTATE, "%s is %s%s already", vm->name,
		vm->maker ? "starting" : hd_vm_states[vm->state],
		vm->stopping || vm->deleting ? " and ending" : "");
	hd_rpc_fail(r, &e);
	return true;
}

void hd_vm_start(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);
	struct err e;

	if (!vm || hd_vm_refuse_start(vm, r))
		return;
	vm->maker = r;
	if (vm->live) {
		hd_life_run(vm);
		return;
	}
	if (vm->state == HD_RESTARTING) {
		vm->asked = true;
		hd_restart_at(vm, 0);
		return;
	}
	vm->restarts = vm->row = 0;
	if (hd_life_begin(vm, &e)) {
		vm->maker = NULL;
		hd_rpc_fail(r, &e);
	}
}

static void hd_vm_stop_late(void *arg)
{
	struct hd_vm *vm = arg;

	hd_life_force(vm, "it did not power off in time and was forced to stop");
}

void hd_vm_ask_stop(struct hd_vm *vm, uint64_t ms)
{
	if (!vm->live)
		return;
	vm->stopping = true;
	if ((vm->state != HD_RUNNING && vm->state != HD_READY) || !vm->built || vm->starting) {
		/* No guest yet to be asked. */
		hd_spawn_kill(vm);
		return;
	}
	if (hd_spawn_call(vm, "stop", NULL, NULL))
		ms = 0;
	if (vm->stop_timer.armed && vm->stop_timer.due <= loop_now() + ms)
		return;
	loop_timer_stop(vm->hd->loop, &vm->stop_timer);
	loop_timer_init(&vm->stop_timer, hd_vm_stop_late, vm);
	loop_timer_start(vm->hd->loop, &vm->stop_timer, ms);
}

/* As a stop's parameters say: by asking, or by force. */
static void hd_vm_end(struct hd_vm *vm, const struct hd_req *r, const char *why)
{
	const json_t *ms = json_object_get(r->params, "timeoutMs");

	if (vm->state == HD_RESTARTING && !vm->live)
		hd_restart_cancel(vm);
	else if (json_is_true(json_object_get(r->params, "force")))
		hd_life_force(vm, why);
	else
		hd_vm_ask_stop(vm, ms ? (uint64_t)json_integer_value(ms) : HD_STOP_MS);
}

void hd_vm_stop(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);

	if (!vm)
		return;
	if (!vm->live && vm->state != HD_RESTARTING) {
		hd_rpc_reply(r, json_pack("{s:o, s:b}", "vm", hd_vm_json(vm), "forced", 0));
		return;
	}
	r->next = vm->stops;
	vm->stops = r;
	vm->wanted = false;
	hd_vm_end(vm, r, "it was forced to stop");
}

void hd_vm_restart(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);

	if (!vm)
		return;
	if (!vm->wanted || !vm->live || vm->maker || vm->deleting) {
		hd_vm_start(r);
		return;
	}
	vm->maker = r;
	vm->asked = true;
	hd_vm_end(vm, r, "it was forced to restart");
}

void hd_vm_delete(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);
	bool over = vm && !vm->live && vm->state != HD_RESTARTING;
	struct err e;

	if (!vm)
		return;
	if (!over && vm->state != HD_CREATED && !json_is_true(json_object_get(r->params, "force"))) {
		err_set(&e, CO_ESTATE, "%s is %s: stop it first, or force", vm->name, hd_vm_states[vm->state]);
		hd_rpc_fail(r, &e);
		return;
	}
	hd_auto_forget(vm);
	r->next = vm->deletes;
	vm->deletes = r;
	vm->deleting = true;
	vm->wanted = false;
	if (over)
		hd_life_free(vm);
	else
		hd_vm_end(vm, r, "it was removed");
}

void hd_vm_list(struct hd_req *r)
{
	json_t *list = json_array();

	for (struct hd_vm *vm = r->client->hd->vms; list && vm; vm = vm->next)
		if (vm->made && hd_peer_owns(r->client, vm))
			json_array_insert_new(list, 0, hd_vm_json(vm));
	hd_rpc_reply(r, json_pack("{s:o}", "vms", list));
}

void hd_vm_get(struct hd_req *r)
{
	static const char *const names[] = {
		"passages", "interrupts", "nmis", "nmis_in_monitor", "slow_paths", "page_faults", "fills",
		"injected", "hypercalls", "cr3_writes", "wp_toggles", "shadow_allocs", "shadow_recycles",
		"unsyncs", "resyncs", "emulated", "timer_exits", "blocks", "run_ns", "notices",
		"longest_off",
	};
	struct hd_vm *vm = hd_vm_of(r);
	json_t *list = json_array(), *o;
	co_u64 values[sizeof(names) / sizeof(names[0])];

	_Static_assert(sizeof(values) == sizeof(struct co_counters), "a counter without a name");
	if (!vm) {
		json_decref(list);
		return;
	}
	o = hd_vm_json(vm);
	memcpy(values, &vm->counters, sizeof(values));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		json_array_append_new(list, json_pack("{s:s, s:I}", "name", names[i], "value",
						      (json_int_t)(values[i] & ((1ull << 53) - 1))));
	hd_rpc_reply(r, json_pack("{s:o, s:o}", "vm", o, "counters", list));
}

void hd_vm_forward(struct hd_req *r)
{
	const json_t *data = json_object_get(r->params, "data");
	struct hd_vm *vm = hd_vm_of(r);
	struct err e = { 0 };

	if (!vm)
		return;
	if (!vm->live || !vm->built || !vm->msg)
		err_set(&e, CO_ESTATE, "%s is %s", vm->name, hd_vm_states[vm->state]);
	else if (hd_exec_check(vm, r, &e))
		;			/* e says why not */
	else if (json_string_length(data) > HD_DATA_MAX)
		err_set(&e, CO_ETOOBIG, "data: more than %u bytes at once", HD_DATA_MAX);
	else if (msg_queued(vm->msg) > HD_OUT_STREAM)
		err_set(&e, CO_EBUSY, "%s's worker does not keep up", vm->name);
	else if (hd_spawn_call(vm, r->method->name, json_deep_copy(r->params), r))
		err_set(&e, CO_EWORKER, "%s's worker does not answer any more", vm->name);
	if (e.code)
		hd_rpc_fail(r, &e);
}
