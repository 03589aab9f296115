/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * check.c: does what vm.create asks for make sense here?  Called by vm.c with
 * parameters whose shape is right, and by auto.c with those that were kept.
 */
#include <string.h>

#include "hd.h"

#define HD_PATH_MAX	4096u
#define HD_CMDLINE_MAX	1023u
#define HD_READY_MAX	256u	/* bytes of a text that is waited for */
#define HD_CHECKS_MAX	16u	/* ports that are probed */
#define HD_VMS_PER_UID	16u	/* root: CO_MAX_VMS */

static int hd_check_name(const char *name, struct err *e)
{
	size_t len = strlen(name);

	if (len && len < CO_NAME_LEN && name[0] != '.' && name[0] != '-' &&
	    len == strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"))
		return 0;
	return err_set(e, CO_EINVAL, "name %.40s: up to %u letters, digits and . _ - (the first one a letter,"
		       " digit or _)", name, CO_NAME_LEN - 1);
}

/* Guests' memory is wired: all of it together has to fit. */
static int hd_check_memory(const struct hd *hd, uint64_t bytes, struct err *e)
{
	uint64_t all = bytes;
	struct co_hello h;
	int err = hd_host_hello((struct hd *)(uintptr_t)hd, &h, e);

	if (err)
		return err;
	if (bytes < CO_MIN_MEMORY)
		return err_set(e, CO_EMEMORY, "memory: %llu bytes are too little, a VM needs at least %llu MiB",
			       (unsigned long long)bytes, CO_MIN_MEMORY >> 20);
	if (bytes > CO_MAX_MEMORY)
		return err_set(e, CO_EMEMORY, "memory: %llu MiB are too much, a VM can have %llu GiB at most",
			       (unsigned long long)bytes >> 20, CO_MAX_MEMORY >> 30);
	if (bytes % CO_PAGE_SIZE)
		return err_set(e, CO_EMEMORY, "memory: %llu bytes are not a multiple of %llu",
			       (unsigned long long)bytes, CO_PAGE_SIZE);
	if (bytes > h.memory_total)
		return err_set(e, CO_EMEMORY, "memory: %llu MiB are more than the host's %llu MiB",
			       (unsigned long long)bytes >> 20, h.memory_total >> 20);
	for (const struct hd_vm *vm = hd->vms; vm; vm = vm->next)
		all += vm->live || vm->state == HD_RESTARTING ? vm->memory : 0;
	if (all > h.memory_total)
		return err_set(e, CO_EMEMORY, "memory: with the VMs that live it would be %llu MiB, the host"
			       " has %llu MiB", (unsigned long long)all >> 20, h.memory_total >> 20);
	return 0;
}

static int hd_check_file(const json_t *params, const char *key, struct err *e)
{
	const char *path = json_string_value(json_object_get(json_object_get(params, key), "path"));

	if (!path || (path[0] == '/' && strlen(path) < HD_PATH_MAX))
		return 0;
	return err_set(e, CO_EINVAL, "%s: %.100s must be an absolute path of less than %u bytes", key, path,
		       HD_PATH_MAX);
}

static int hd_check_text(const json_t *o, const char *key, size_t least, size_t most, struct err *e)
{
	const json_t *text = json_object_get(o, key);
	size_t len = json_string_length(text);

	if (!text || (len >= least && len <= most))
		return 0;
	return err_set(e, CO_ETOOBIG, "%s: %zu bytes, allowed are %zu to %zu", key, len, least, most);
}

static int hd_check_number(const json_t *o, const char *key, long long least, long long most, struct err *e)
{
	const json_t *number = json_object_get(o, key);
	long long n = json_integer_value(number);

	if (!number || (n >= least && n <= most))
		return 0;
	return err_set(e, CO_EINVAL, "%s: %lld does not lie between %lld and %lld", key, n, least, most);
}

static int hd_check_ready(const json_t *params, struct err *e)
{
	const json_t *checks = json_object_get(params, "readyTcp"), *health = json_object_get(params, "health"),
		     *check;
	size_t i;
	int err;

	if (json_array_size(checks) > HD_CHECKS_MAX)
		return err_set(e, CO_ELIMIT, "readyTcp: %zu ports, at most %u can be probed",
			       json_array_size(checks), HD_CHECKS_MAX);
	if (health && !json_array_size(checks))
		return err_set(e, CO_EINVAL, "health: there is nothing to check without readyTcp");
	json_array_foreach((json_t *)(uintptr_t)checks, i, check)
		if ((err = hd_check_number(check, "port", 1, 65535, e)) ||
		    (err = hd_check_text(check, "expect", 1, HD_READY_MAX, e)))
			return err;
	if ((err = hd_check_number(health, "intervalMs", 100, 86400000, e)) ||
	    (err = hd_check_number(health, "timeoutMs", 1, 600000, e)))
		return err;
	return hd_check_number(health, "failures", 1, 1000, e);
}

static int hd_check_limits(const struct hd *hd, uid_t uid, const char *name, struct err *e)
{
	unsigned int mine = 0, all = 0;

	for (const struct hd_vm *vm = hd->vms; vm; vm = vm->next) {
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

int hd_check_create(const struct hd *hd, uid_t uid, const json_t *params, struct err *e)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	int err;

	if ((err = hd_check_name(name, e)) || (err = hd_check_limits(hd, uid, name, e)) ||
	    (err = hd_check_file(params, "kernel", e)) || (err = hd_check_file(params, "initrd", e)) ||
	    (err = hd_check_text(params, "cmdline", 0, HD_CMDLINE_MAX, e)) ||
	    (err = hd_check_text(params, "readyConsole", 1, HD_READY_MAX, e)) ||
	    (err = hd_check_number(params, "vcpus", 1, CO_MAX_VCPUS, e)) ||
	    (err = hd_check_ready(params, e)))
		return err;
	return hd_check_memory(hd, (uint64_t)json_integer_value(json_object_get(params, "memory")), e);
}
