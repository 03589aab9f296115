/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * restart.c: which VM runs again after its end, and when.  Called by life.c
 * at each end, and by vm.c and auto.c for what they want to run.
 *
 * Invariant: state RESTARTING without a worker means that again_timer is armed.
 */
#include <stdio.h>
#include <string.h>

#include "hd.h"
#include "log.h"

#define HD_RESTART_FIRST_MS	1000u
#define HD_RESTART_MOST_MS	60000u
#define HD_RESTART_GOOD_MS	600000u	/* ready for so long, it begins with FIRST anew */
#define HD_REBOOT_MIN_MS	1000u	/* a guest that reboots faster does not mean it */

static void hd_restart_try(void *arg)
{
	struct hd_vm *vm = arg;
	struct err e;

	vm->asked = false;
	if (!hd_life_begin(vm, &e))
		return;
	vm->failure = e;
	snprintf(vm->kind, sizeof(vm->kind), "failed");
	snprintf(vm->reason, sizeof(vm->reason), "it was to start, but %.200s", e.text);
	hd_life_over(vm);
}

void hd_restart_at(struct hd_vm *vm, uint64_t ms)
{
	vm->state = HD_RESTARTING;
	loop_timer_stop(vm->hd->loop, &vm->again_timer);
	loop_timer_init(&vm->again_timer, hd_restart_try, vm);
	loop_timer_start(vm->hd->loop, &vm->again_timer, ms);
}

/* A crash in a loop must not keep the host busy: each time it waits longer. */
static uint64_t hd_restart_delay(struct hd_vm *vm)
{
	uint64_t ms = HD_RESTART_FIRST_MS;

	if (vm->well && loop_now() - vm->well >= HD_RESTART_GOOD_MS)
		vm->row = 0;
	for (unsigned int i = 0; i < vm->row && ms < HD_RESTART_MOST_MS; i++)
		ms *= 2;
	vm->row++;
	vm->well = 0;
	return ms < HD_RESTART_MOST_MS ? ms : HD_RESTART_MOST_MS;
}

bool hd_restart_due(struct hd_vm *vm)
{
	bool renew = vm->renew, poweroff = !strcmp(vm->kind, "poweroff");
	uint64_t ms;

	vm->renew = false;
	if (!vm->wanted) {
		vm->asked = false;
		return false;
	}
	if (vm->asked) {
		vm->restarts = vm->row = 0;
		hd_restart_at(vm, 0);
		return true;
	}
	if (!strcmp(vm->kind, "reboot") && loop_now() - vm->started >= HD_REBOOT_MIN_MS) {
		hd_restart_at(vm, 0);
		return true;
	}
	if (!strcmp(vm->kind, "reboot"))
		snprintf(vm->reason, sizeof(vm->reason), "the guest asked to reboot as soon as it had started");
	if (!renew && (vm->policy == HD_NEVER || (vm->policy == HD_ON_FAILURE && poweroff)))
		return false;
	if (renew)
		snprintf(vm->reason, sizeof(vm->reason), "it was unhealthy: %.230s", vm->ill);
	ms = hd_restart_delay(vm);
	vm->restarts++;
	log_line(LOG_NOTICE, "%s (uid %u): %s; it starts again in %u s", vm->name, vm->uid, vm->reason,
		 (unsigned int)(ms / 1000));
	hd_restart_at(vm, ms);
	return true;
}

void hd_restart_cancel(struct hd_vm *vm)
{
	char why[ERR_TEXT];

	loop_timer_stop(vm->hd->loop, &vm->again_timer);
	vm->wanted = vm->asked = false;
	snprintf(why, sizeof(why), "it was stopped before it started again; before: %.200s", vm->reason);
	strcpy(vm->reason, why);
	snprintf(vm->kind, sizeof(vm->kind), "forced");
	hd_life_over(vm);
}

/* Its checks have failed so often that it does not count as ready any more. */
void hd_restart_ill(struct hd_vm *vm, const char *what)
{
	if (vm->state != HD_RUNNING && vm->state != HD_READY)
		return;
	snprintf(vm->ill, sizeof(vm->ill), "%s", what);
	vm->well = 0;
	vm->state = HD_RUNNING;
	if (vm->wanted && !vm->stopping &&
	    json_is_true(json_object_get(json_object_get(vm->setup, "health"), "restart"))) {
		log_line(LOG_NOTICE, "%s (uid %u): %s; it is restarted", vm->name, vm->uid, vm->ill);
		vm->renew = true;
		hd_vm_ask_stop(vm, HD_STOP_MS);
	}
	hd_vm_news(vm);
}
