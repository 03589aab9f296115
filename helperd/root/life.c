/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * life.c: a VM from its domain's making to its worker's end.  Called by vm.c
 * (a client wants it), restart.c (it runs again) and spawn.c (the worker says
 * it, or is gone).
 *
 * Invariant: `live` is set from hd_life_begin to hd_life_ended; only there is
 * the domain destroyed and only there are waiting clients told, so an answer
 * means that everything is free again.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dev.h"
#include "hd.h"
#include "log.h"

static void hd_life_undo(struct hd_vm *vm)
{
	struct co_vm_status s;

	if (vm->handle < 0)
		return;
	/* The last chance for the counters, and for the kext's own reason. */
	if (!dev_vm_status(vm->handle, &s)) {
		vm->counters = s.counters;
		s.why[sizeof(s.why) - 1] = 0;
		if (!vm->ended && s.state == CO_VM_KILLED && s.why[0]) {
			vm->ended = true;
			snprintf(vm->kind, sizeof(vm->kind), "killed");
			hd_spawn_text(vm->reason, sizeof(vm->reason), s.why);
		}
	}
	dev_vm_destroy(vm->hd->control, vm->id);
	dev_close(vm->handle);
	vm->handle = -1;
}

/* TOUR 2: A domain at the device and a worker for it: all that colinuxd itself does for a VM. */
int hd_life_begin(struct hd_vm *vm, struct err *e)
{
	struct co_vm_create c = { .memory_bytes = vm->memory, .vcpus = 1, .owner_uid = vm->uid };
	int low = hd_ports_check(vm->hd, vm->uid, json_object_get(vm->setup, "nets"), e), err;

	if (low < 0)
		return low;
	json_object_set_new(vm->setup, "lowPorts", json_boolean(low));
	err = vm->hd->leaving ? err_set(e, CO_ESTATE, "colinuxd is ending") : hd_host_control(vm->hd, e);
	if (err)
		return err;
	strcpy(c.name, vm->name);
	err = dev_vm_create(vm->hd->control, &c);
	if (err) {
		hd_host_idle(vm->hd);
		return err_set(e, -err, "%s: the kernel module refuses a VM of %llu MiB: %s", vm->name,
			       (unsigned long long)vm->memory >> 20, err_text(-err));
	}
	vm->handle = c.handle;
	vm->id = c.id;
	vm->failure.code = 0;
	vm->exit = -1;
	vm->stopping = vm->forced = vm->starting = false;
	vm->well = 0;
	err = hd_spawn(vm, e);
	if (err) {
		hd_life_undo(vm);
		hd_host_idle(vm->hd);
		return err;
	}
	vm->live = true;
	return 0;
}

void hd_life_run(struct hd_vm *vm)
{
	vm->starting = true;
	if (hd_spawn_call(vm, "start", NULL, NULL))
		hd_spawn_kill(vm);
}

void hd_life_built(struct hd_vm *vm, const struct err *e)
{
	struct hd_req *r = vm->maker;
	struct err mine;

	if (!e && !vm->made && hd_auto_keep(vm, r->params, &mine))
		e = &mine;
	if (e) {
		/* Answered when it is gone: an error leaves nothing behind. */
		vm->failure = *e;
		vm->ended = true;
		snprintf(vm->kind, sizeof(vm->kind), "failed");
		snprintf(vm->reason, sizeof(vm->reason), "%s", e->text);
		hd_spawn_kill(vm);
		return;
	}
	if (vm->made) {
		hd_life_run(vm);
		return;
	}
	vm->made = true;
	vm->maker = NULL;
	hd_rpc_reply(r, json_pack("{s:o}", "vm", hd_vm_json(vm)));
	hd_vm_changed(vm);
}

void hd_life_running(struct hd_vm *vm)
{
	struct hd_req *r = vm->maker;

	if (!vm->starting)
		return;
	vm->starting = false;
	vm->maker = NULL;
	vm->state = HD_RUNNING;
	vm->wanted = true;
	if (!vm->restarts)
		vm->reason[0] = 0;
	vm->started = loop_now();
	if (!json_object_get(vm->setup, "readyConsole") && !json_object_get(vm->setup, "readyTcp"))
		vm->well = vm->started;
	if (r)
		hd_rpc_reply(r, json_pack("{s:o}", "vm", hd_vm_json(vm)));
	hd_vm_changed(vm);
}

void hd_life_ready(struct hd_vm *vm)
{
	if (vm->state != HD_RUNNING || vm->starting)
		return;
	vm->state = HD_READY;
	vm->ill[0] = vm->waiting[0] = 0;
	vm->well = loop_now();
	hd_vm_news(vm);
}

void hd_life_force(struct hd_vm *vm, const char *why)
{
	vm->stopping = vm->forced = true;
	if (!vm->ended) {
		vm->ended = true;
		snprintf(vm->kind, sizeof(vm->kind), "forced");
		snprintf(vm->reason, sizeof(vm->reason), "%s", why);
	}
	dev_vm_kill(vm->handle, why);
	hd_spawn_kill(vm);
}

/* The worker said nothing about its end: its wait status must do. */
static void hd_life_autopsy(struct hd_vm *vm)
{
	const char *words = vm->words[0] ? "; its last words: " : "";
	char how[64];

	snprintf(vm->kind, sizeof(vm->kind), "failed");
	if (vm->stopping && WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == SIGKILL) {
		snprintf(vm->kind, sizeof(vm->kind), "forced");
		snprintf(vm->reason, sizeof(vm->reason), "it was stopped before it ran");
		return;
	}
	if (WIFSIGNALED(vm->wait_status) && WTERMSIG(vm->wait_status) == SIGSYS)
		snprintf(how, sizeof(how), "tried a system call that it may not make");
	else if (WIFSIGNALED(vm->wait_status))
		snprintf(how, sizeof(how), "was killed by signal %d (%.24s)", WTERMSIG(vm->wait_status),
			 strsignal(WTERMSIG(vm->wait_status)));
	else
		snprintf(how, sizeof(how), "ended with status %d", WEXITSTATUS(vm->wait_status));
	snprintf(vm->reason, sizeof(vm->reason), "its worker %s%s%.150s", how, words, vm->words);
}

static void hd_life_tell_calls(struct hd_vm *vm)
{
	struct err e;

	err_set(&e, CO_EWORKER, "%s has ended: %.180s", vm->name, vm->reason);
	while (vm->calls) {
		struct hd_req *r = vm->calls;

		vm->calls = r->next;
		hd_rpc_fail(r, &e);
	}
}

static void hd_life_tell_stops(struct hd_vm *vm)
{
	while (vm->stops) {
		struct hd_req *r = vm->stops;

		vm->stops = r->next;
		hd_rpc_reply(r, json_pack("{s:o, s:b}", "vm", hd_vm_json(vm), "forced", (int)vm->forced));
	}
}


void hd_life_ended(struct hd_vm *vm)
{
	hd_life_undo(vm);
	if (!vm->ended)
		hd_life_autopsy(vm);
	hd_spawn_clean(vm);
	vm->live = vm->starting = false;
	hd_life_tell_calls(vm);
	hd_exec_ended(vm);
	hd_life_over(vm);
}

void hd_life_over(struct hd_vm *vm)
{
	struct hd *hd = vm->hd;
	bool again = hd_restart_due(vm);
	struct hd_req *maker;
	struct err e;

	vm->ill[0] = vm->waiting[0] = 0;
	if (!again) {
		vm->wanted = false;
		vm->state = !strcmp(vm->kind, "poweroff") || !strcmp(vm->kind, "forced") ||
			    !strcmp(vm->kind, "reboot") ? HD_STOPPED : HD_FAILED;
		log_line(LOG_NOTICE, "%s (uid %u): %s", vm->name, vm->uid, vm->reason);
	}
	hd_host_idle(hd);
	maker = vm->asked ? NULL : vm->maker;
	if (maker)
		vm->maker = NULL;
	e = vm->failure;
	if (!e.code)
		err_set(&e, CO_EWORKER, "%s did not start: %.200s", vm->name, vm->reason);
	hd_life_tell_stops(vm);
	hd_vm_changed(vm);
	hd_console_pump(vm);
	if (vm->deleting || !vm->made)
		hd_life_free(vm);
	if (maker)
		hd_rpc_fail(maker, &e);
	hd_maybe_left(hd);
}

/* Only of a VM that is not live. */
void hd_life_free(struct hd_vm *vm)
{
	struct hd_req *deletes = vm->deletes;
	struct hd *hd = vm->hd;

	loop_timer_stop(hd->loop, &vm->again_timer);
	loop_timer_stop(hd->loop, &vm->news_timer);
	hd_console_close(vm);
	HD_UNLINK(hd->vms, vm);
	conlog_unmap(vm->conlog);
	if (vm->conlog_fd >= 0)
		close(vm->conlog_fd);
	json_decref(vm->setup);
	free(vm);
	while (deletes) {
		struct hd_req *r = deletes;

		deletes = r->next;
		hd_rpc_reply(r, json_object());
	}
}

/* colinuxd ends: whatever is left goes, without questions. */
void hd_life_free_all(struct hd *hd)
{
	while (hd->vms) {
		struct hd_vm *vm = hd->vms;

		if (vm->live) {
			hd_spawn_kill(vm);
			if (vm->pid)
				waitpid(vm->pid, &vm->wait_status, 0);
			vm->pid = 0;
			hd_life_undo(vm);
			hd_spawn_clean(vm);
			vm->live = false;
		}
		hd_rpc_drop(&vm->calls);
		hd_rpc_drop(&vm->stops);
		hd_rpc_drop(&vm->deletes);
		hd_rpc_drop(&vm->maker);
		hd_exec_ended(vm);
		hd_life_free(vm);
	}
	hd_host_idle(hd);
}
