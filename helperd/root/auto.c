/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auto.c: VMs that start whenever colinuxd does.  What vm.create was told is
 * kept in STATE/autostart/UID/NAME.json, where only root can enter; at the
 * start each is made again, as its owner: whose groups the system's database
 * tells, for nobody has connected.  A file that is no good harms no other.
 */
#ifdef __linux__
#define _GNU_SOURCE
#endif
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

#define HD_AUTO_PATH	4096u
#define HD_AUTO_NEW	".new"		/* no VM's name begins with a dot */

/* Makes STATE/autostart/UID if need be and opens it: a descriptor, or -1 with errno. */
static int hd_auto_folder(const struct hd *hd, uid_t uid, bool make)
{
	char path[HD_AUTO_PATH];
	int n = snprintf(path, sizeof(path), "%s/autostart/%u", hd->state, uid);

	if (n >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	/* Each level on the way, where the next slash ends the name for a moment. */
	for (char *at = path + strlen(hd->state); make && at; at = strchr(at + 1, '/')) {
		*at = 0;
		mkdir(path, 0700);
		*at = '/';
	}
	if (make)
		mkdir(path, 0700);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int hd_auto_write(int folder, const char *file, const char *text, size_t len)
{
	int fd = openat(folder, HD_AUTO_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ssize_t n = fd < 0 ? -1 : write(fd, text, len);
	int err = n != (ssize_t)len || fsync(fd) ? -1 : 0;

	if (n >= 0 && n != (ssize_t)len)
		errno = ENOSPC;
	if (fd >= 0)
		close(fd);
	if (!err)
		err = renameat(folder, HD_AUTO_NEW, folder, file) || fsync(folder) ? -1 : 0;
	return err;
}

/* Durable when it returns 0: a power cut finds the old file or the new one. */
int hd_auto_keep(const struct hd_vm *vm, const json_t *params, struct err *e)
{
	char file[CO_NAME_LEN + 8];
	size_t len = 0;
	char *text;
	int folder, err;

	if (!vm->autostart) {
		hd_auto_forget(vm);
		return 0;
	}
	snprintf(file, sizeof(file), "%s.json", vm->name);
	text = msg_text(params, &len);
	if (!text)
		return err_set(e, CO_ENOMEM, "out of memory");
	folder = hd_auto_folder(vm->hd, vm->uid, true);
	err = folder < 0 ? -1 : hd_auto_write(folder, file, text, len);
	if (err)
		err_set(e, CO_EIO, "autostart: %s/autostart/%u/%s cannot be written: %s", vm->hd->state, vm->uid,
			file, strerror(errno));
	free(text);
	if (folder >= 0)
		close(folder);
	return err ? -CO_EIO : 0;
}

void hd_auto_forget(const struct hd_vm *vm)
{
	int folder = hd_auto_folder(vm->hd, vm->uid, false);
	char file[CO_NAME_LEN + 8];

	if (folder < 0)
		return;
	snprintf(file, sizeof(file), "%s.json", vm->name);
	if (!unlinkat(folder, file, 0))
		fsync(folder);
	close(folder);
}

/* What root wrote, and nobody else can have changed. */
static json_t *hd_auto_read(int folder, const char *file, struct err *e)
{
	const struct proto_method *create = proto_find("vm.create");
	int fd = openat(folder, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	json_t *params = NULL;
	json_error_t where;
	struct stat s;

	if (fd < 0 || fstat(fd, &s)) {
		err_set(e, CO_EIO, "%s", strerror(errno));
	} else if (!S_ISREG(s.st_mode) || s.st_uid != geteuid() || (s.st_mode & 022) || s.st_size > MSG_LINE_MAX) {
		err_set(e, CO_EPERM, "not a file of at most 1 MiB that only root can write");
	} else {
		params = json_loadfd(fd, MSG_JSON_FLAGS, &where);
		if (!params)
			err_set(e, CO_EINVAL, "line %d, column %d: %s", where.line, where.column, where.text);
	}
	if (fd >= 0)
		close(fd);
	if (params && proto_check(params, create->params, create->nparams, e)) {
		json_decref(params);
		params = NULL;
	}
	return params;
}

static int hd_auto_owner(uid_t uid, struct hd_owner *owner, struct err *e)
{
	const struct passwd *user;

	errno = 0;
	user = getpwuid(uid);
	if (!user)
		return err_set(e, CO_EPERM, "its owner, uid %u, %s%s", uid, errno ? "cannot be looked up: " :
			       "is no user of this system any more", errno ? strerror(errno) : "");
	owner->uid = uid;
	owner->gid = user->pw_gid;
	owner->ngroups = HD_GROUPS_MAX;
	if (getgrouplist(user->pw_name, user->pw_gid, (void *)owner->groups, &owner->ngroups) < 0) {
		log_line(LOG_WARNING, "uid %u is in too many groups: using only its primary one", uid);
		owner->ngroups = 0;
	}
	return 0;
}

static int hd_auto_one(struct hd *hd, int folder, uid_t uid, const char *file, struct err *e)
{
	json_t *params = hd_auto_read(folder, file, e);
	const char *name = json_string_value(json_object_get(params, "name"));
	struct hd_owner owner;
	struct hd_vm *vm = NULL;

	if (!params)
		return -1;
	if (strlen(name) + strlen(".json") != strlen(file) || strncmp(name, file, strlen(name)))
		err_set(e, CO_EINVAL, "it is of another VM, named %.40s", name);
	else if (!hd_auto_owner(uid, &owner, e) && !hd_check_create(hd, uid, params, e))
		vm = hd_vm_new(hd, &owner, params, e);
	json_decref(params);
	if (!vm)
		return -1;
	vm->made = vm->wanted = true;
	hd_restart_at(vm, 0);
	return 0;
}

static int hd_auto_json(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_name[0] != '.' && dot && !strcmp(dot, ".json");
}

static void hd_auto_user(struct hd *hd, uid_t uid)
{
	int folder = hd_auto_folder(hd, uid, false), n;
	struct dirent **files = NULL;
	char path[HD_AUTO_PATH];
	struct err e;

	snprintf(path, sizeof(path), "%s/autostart/%u", hd->state, uid);
	n = folder < 0 ? -1 : scandir(path, &files, hd_auto_json, alphasort);

	if (n < 0)
		log_line(LOG_ERROR, "autostart of uid %u: %s", uid, strerror(errno));
	for (int i = 0; i < n; i++) {
		if (hd_auto_one(hd, folder, uid, files[i]->d_name, &e))
			log_line(LOG_ERROR, "autostart/%u/%s is skipped: %s", uid, files[i]->d_name, e.text);
		free(files[i]);
	}
	free(files);
	if (folder >= 0)
		close(folder);
}

static int hd_auto_number(const struct dirent *d)
{
	return strspn(d->d_name, "0123456789") == strlen(d->d_name) && strlen(d->d_name) <= 10 &&
	       strtoull(d->d_name, NULL, 10) < UINT32_MAX;
}

void hd_auto_start(struct hd *hd)
{
	struct dirent **users = NULL;
	char path[HD_AUTO_PATH];
	int n;

	snprintf(path, sizeof(path), "%s/autostart", hd->state);
	n = scandir(path, &users, hd_auto_number, alphasort);
	if (n < 0 && errno != ENOENT)
		log_line(LOG_ERROR, "%s: %s", path, strerror(errno));
	for (int i = 0; i < n; i++) {
		hd_auto_user(hd, (uid_t)strtoul(users[i]->d_name, NULL, 10));
		free(users[i]);
	}
	free(users);
}
