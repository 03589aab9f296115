/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vm.c: what clients ask of VMs.  Called by rpc.c with requests whose shape is
 * right; whether the values make sense, and whose VM it is, is checked here.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev.h"
#include "hd.h"

#define HD_PATH_MAX	4096u
#define HD_DATA_MAX	65536u		/* of one console.write, in base64 */

static const char *const hd_vm_states[] = { "created", "running", "ready", "stopped", "saved", "failed" };

static const char *hd_vm_param(const struct hd_req *r, const char *key)
{
	return json_string_value(json_object_get(r->params, key));
}

struct hd_vm *hd_vm_find(struct hd_client *c, const char *name, struct err *e)
{
	struct hd_vm *other = NULL;
	unsigned int count = 0;

	for (struct hd_vm *vm = c->hd->vms; vm; vm = vm->next) {
		char full[CO_NAME_LEN + 16];

		snprintf(full, sizeof(full), "%u/%s", vm->uid, vm->name);
		if (!vm->made || !hd_peer_owns(c, vm) || (strcmp(vm->name, name) && strcmp(full, name)))
			continue;
		if (vm->uid == c->uid || !strcmp(full, name))
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

static struct hd_vm *hd_vm_of(struct hd_req *r)
{
	struct err e;
	struct hd_vm *vm = hd_vm_find(r->client, hd_vm_param(r, "name"), &e);

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

json_t *hd_vm_json(struct hd_vm *vm)
{
	json_t *o;

	hd_vm_status(vm);
	o = json_pack("{s:s, s:s, s:I, s:I, s:I}", "name", vm->name, "state", hd_vm_states[vm->state],
		      "uid", (json_int_t)vm->uid, "id", (json_int_t)vm->id,
		      "memory", (json_int_t)vm->memory);
	if (!o)
		return NULL;
	if (vm->pid)
		json_object_set_new(o, "pid", json_integer(vm->pid));
	if (vm->reason[0])
		json_object_set_new(o, "reason", json_string(vm->reason));
	if (vm->exit >= 0)
		json_object_set_new(o, "exit", json_integer(vm->exit));
	if (vm->last_line[0])
		json_object_set_new(o, "lastLine", json_string(vm->last_line));
	if (vm->state == HD_RUNNING || vm->state == HD_READY)
		json_object_set_new(o, "uptimeMs", json_integer((json_int_t)(loop_now() - vm->started)));
	if (vm->handle >= 0)
		json_object_set_new(o, "overheadBytes",
				    json_integer((json_int_t)(vm->overhead_pages * CO_PAGE_SIZE)));
	return o;
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

/* ---- vm.create ------------------------------------------------------- */

static int hd_vm_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len && len < CO_NAME_LEN && name[0] != '.' && name[0] != '-' &&
	    len == strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"))
		return 0;
	return err_set(e, CO_EINVAL, "name %.40s: up to %u letters, digits and . _ - (the first one a letter,"
		       " digit or _)", name, CO_NAME_LEN - 1);
}

/* Guests' memory is wired: all of it together has to fit. */
static int hd_vm_check_memory(const struct hd *hd, uint64_t bytes, const struct co_hello *h, struct err *e)
{
	uint64_t all = bytes;

	if (bytes < CO_MIN_MEMORY)
		return err_set(e, CO_EMEMORY, "memory: %llu bytes are too little, a VM needs at least %llu MiB",
			       (unsigned long long)bytes, CO_MIN_MEMORY >> 20);
	if (bytes > CO_MAX_MEMORY)
		return err_set(e, CO_EMEMORY, "memory: %llu MiB are too much, a VM can have %llu GiB at most",
			       (unsigned long long)bytes >> 20, CO_MAX_MEMORY >> 30);
	if (bytes % CO_PAGE_SIZE)
		return err_set(e, CO_EMEMORY, "memory: %llu bytes are not a multiple of %llu",
			       (unsigned long long)bytes, CO_PAGE_SIZE);
	if (bytes > h->memory_total)
		return err_set(e, CO_EMEMORY, "memory: %llu MiB are more than the host's %llu MiB",
			       (unsigned long long)bytes >> 20, h->memory_total >> 20);
	for (const struct hd_vm *vm = hd->vms; vm; vm = vm->next)
		all += vm->live ? vm->memory : 0;
	if (all > h->memory_total)
		return err_set(e, CO_EMEMORY, "memory: with the VMs that live it would be %llu MiB, the host"
			       " has %llu MiB", (unsigned long long)all >> 20, h->memory_total >> 20);
	return 0;
}

static int hd_vm_check_file(const json_t *file, const char *key, struct err *e)
{
	const char *path = json_string_value(json_object_get(file, "path"));

	if (!file || (path[0] == '/' && strlen(path) < HD_PATH_MAX))
		return 0;
	return err_set(e, CO_EINVAL, "%s: %.100s must be an absolute path of less than %u bytes", key, path,
		       HD_PATH_MAX);
}

static int hd_vm_check_text(const struct hd_req *r, const char *key, size_t most, struct err *e)
{
	const json_t *text = json_object_get(r->params, key);
	size_t len = json_string_length(text);

	if (!text || (len <= most && (len || strcmp(key, "readyConsole"))))
		return 0;
	return err_set(e, CO_ETOOBIG, "%s: %zu bytes, allowed are %d to %zu", key, len,
		       !strcmp(key, "readyConsole"), most);
}

static int hd_vm_check_limits(const struct hd_req *r, const char *name, struct err *e)
{
	uid_t uid = r->client->uid;
	unsigned int mine = 0, all = 0;

	for (struct hd_vm *vm = r->client->hd->vms; vm; vm = vm->next) {
		all++;
		mine += vm->uid == uid;
		if (vm->uid == uid && !strcmp(vm->name, name))
			return err_set(e, CO_EEXISTS, "a VM named %s exists already", name);
	}
	if (all >= CO_MAX_VMS)
		return err_set(e, CO_ELIMIT, "there are %u VMs already, more cannot be", all);
	if (uid && mine >= HD_VMS_PER_UID)
		return err_set(e, CO_ELIMIT, "you have %u VMs already, more are not allowed", mine);
	return 0;
}

static int hd_vm_check(const struct hd_req *r, struct err *e)
{
	const json_t *vcpus = json_object_get(r->params, "vcpus");
	struct co_hello h;
	int err;

	if ((err = hd_vm_check_name(hd_vm_param(r, "name"), e)) ||
	    (err = hd_vm_check_limits(r, hd_vm_param(r, "name"), e)) ||
	    (err = hd_vm_check_file(json_object_get(r->params, "kernel"), "kernel", e)) ||
	    (err = hd_vm_check_file(json_object_get(r->params, "initrd"), "initrd", e)) ||
	    (err = hd_vm_check_text(r, "cmdline", HD_CMDLINE_MAX, e)) ||
	    (err = hd_vm_check_text(r, "readyConsole", HD_READY_MAX, e)))
		return err;
	if (vcpus && (json_integer_value(vcpus) < 1 || json_integer_value(vcpus) > CO_MAX_VCPUS))
		return err_set(e, CO_EINVAL, "vcpus: this build runs 1 to %u, not %lld", CO_MAX_VCPUS,
			       (long long)json_integer_value(vcpus));
	err = hd_host_hello(r->client->hd, &h, e);
	if (err)
		return err;
	return hd_vm_check_memory(r->client->hd, (uint64_t)json_integer_value(json_object_get(r->params, "memory")),
				  &h, e);
}

/* What the worker has to know, from what the client asked and who it is. */
static json_t *hd_vm_setup(const struct hd_vm *vm, const struct hd_req *r)
{
	static const char *const keys[] = {
		"kernel", "initrd", "cmdline", "readyConsole",
		"disks", "nets", "agent", "readyTcp", "health",
	};
	json_t *o = json_pack("{s:s, s:I, s:I, s:I}", "name", vm->name, "memory", (json_int_t)vm->memory,
			      "uid", (json_int_t)vm->uid, "gid", (json_int_t)vm->gid);
	json_t *groups = json_array();

	if (!o || !groups) {
		json_decref(o);
		json_decref(groups);
		return NULL;
	}
	for (int i = 0; i < vm->ngroups; i++)
		json_array_append_new(groups, json_integer(vm->groups[i]));
	json_object_set_new(o, "groups", groups);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (json_object_get(r->params, keys[i]))
			json_object_set(o, keys[i], json_object_get(r->params, keys[i]));
	return o;
}

static struct hd_vm *hd_vm_new(struct hd_req *r, struct err *e)
{
	struct hd_client *c = r->client;
	struct hd_vm *vm = calloc(1, sizeof(*vm));

	if (!vm) {
		err_set(e, CO_ENOMEM, "out of memory");
		return NULL;
	}
	vm->hd = c->hd;
	strcpy(vm->name, hd_vm_param(r, "name"));
	vm->uid = c->uid;
	vm->gid = c->gid;
	vm->ngroups = c->ngroups;
	memcpy(vm->groups, c->groups, sizeof(vm->groups));
	vm->memory = (uint64_t)json_integer_value(json_object_get(r->params, "memory"));
	vm->handle = vm->log_fd = vm->exit = -1;
	vm->conlog_fd = conlog_create();
	vm->conlog = vm->conlog_fd < 0 ? NULL : conlog_map(vm->conlog_fd, 0);
	vm->setup = hd_vm_setup(vm, r);
	vm->next = vm->hd->vms;
	vm->hd->vms = vm;
	if (!vm->conlog || !vm->setup) {
		err_set(e, CO_ENOMEM, "no memory for the console's log: %s", strerror(errno));
		hd_life_free(vm);
		return NULL;
	}
	return vm;
}

void hd_vm_create(struct hd_req *r)
{
	struct hd_vm *vm = NULL;
	struct err e;

	if (!hd_vm_check(r, &e))
		vm = hd_vm_new(r, &e);
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

void hd_vm_start(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);
	struct err e;

	if (!vm)
		return;
	if (vm->maker || vm->deleting || (vm->live && (vm->state != HD_CREATED || vm->stopping))) {
		err_set(&e, CO_ESTATE, "%s is %s%s already", vm->name,
			vm->maker ? "starting" : hd_vm_states[vm->state],
			vm->stopping || vm->deleting ? " and ending" : "");
		hd_rpc_fail(r, &e);
		return;
	}
	vm->maker = r;
	if (vm->live) {
		hd_life_run(vm);
	} else if (hd_life_begin(vm, &e)) {
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

void hd_vm_stop(struct hd_req *r)
{
	const json_t *ms = json_object_get(r->params, "timeoutMs");
	struct hd_vm *vm = hd_vm_of(r);

	if (!vm)
		return;
	if (!vm->live) {
		hd_rpc_reply(r, json_pack("{s:o, s:b}", "vm", hd_vm_json(vm), "forced", 0));
		return;
	}
	r->next = vm->stops;
	vm->stops = r;
	if (json_is_true(json_object_get(r->params, "force")))
		hd_life_force(vm, "it was forced to stop");
	else
		hd_vm_ask_stop(vm, ms ? (uint64_t)json_integer_value(ms) : HD_STOP_MS);
}

void hd_vm_delete(struct hd_req *r)
{
	struct hd_vm *vm = hd_vm_of(r);
	struct err e;

	if (!vm)
		return;
	if (vm->live && vm->state != HD_CREATED && !json_is_true(json_object_get(r->params, "force"))) {
		err_set(&e, CO_ESTATE, "%s is %s: stop it first, or force", vm->name, hd_vm_states[vm->state]);
		hd_rpc_fail(r, &e);
		return;
	}
	if (!vm->live) {
		hd_life_free(vm);
		hd_rpc_reply(r, json_object());
		return;
	}
	r->next = vm->deletes;
	vm->deletes = r;
	vm->deleting = true;
	hd_life_force(vm, "it was removed");
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
	else if (json_string_length(data) > HD_DATA_MAX)
		err_set(&e, CO_ETOOBIG, "data: more than %u bytes at once", HD_DATA_MAX);
	else if (msg_queued(vm->msg) > HD_OUT_STREAM)
		err_set(&e, CO_EBUSY, "%s's worker does not keep up", vm->name);
	else if (hd_spawn_call(vm, r->method->name, json_deep_copy(r->params), r))
		err_set(&e, CO_EWORKER, "%s's worker does not answer any more", vm->name);
	if (e.code)
		hd_rpc_fail(r, &e);
}
