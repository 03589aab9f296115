/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * auto.c: VMs that start with colinuxd: what is kept of them, who they run as,
 * and that a file that is no good harms no other.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"

#define AUTO(name, on)	"{\"name\":\"" name "\",\"memory\":67108864,\"kernel\":{\"path\":\"%s\"}," \
			"\"cmdline\":\"boot\",\"readyConsole\":\"login: \",\"autostart\":" on "}"

static struct daemon d;
static struct client c;
static char kernel[128];	/* where other users reach it */

static void begin(void)
{
	daemon_start(&d, "");
	client_open(&c, &d, 0);
}

static void end(int signo)
{
	client_close(&c);
	daemon_end(&d, signo);
}

static const char *path(uid_t uid, const char *file)
{
	static char text[256];

	snprintf(text, sizeof(text), "%s/autostart/%u/%s", d.state, uid, file);
	return text;
}

static void put(uid_t uid, const char *file, mode_t mode, const char *content)
{
	int fd;

	mkdir(d.state, 0700);
	mkdir(path(0, ".."), 0700);
	mkdir(path(uid, ""), 0700);
	fd = open(path(uid, file), O_WRONLY | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content) && !fchmod(fd, mode),
	      "%s: %s", file, strerror(errno));
	close(fd);
}

static void vms_are(size_t count)
{
	json_t *r = call(&c, "vm.list", "{}");

	CHECK(json_array_size(json_object_get(r, "vms")) == count, "%zu", json_array_size(json_object_get(r, "vms")));
	json_decref(r);
}

static void kept_and_forgotten(void)
{
	struct stat s = { 0 };
	json_t *vm;

	begin();
	DO(&c, "vm.create", AUTO("a", "true"), kernel);
	CHECK(!stat(path(0, "a.json"), &s) && (s.st_mode & 07777) == 0600 && s.st_uid == 0);
	CHECK(!stat(path(0, ""), &s) && (s.st_mode & 07777) == 0700);
	/* Not started: but it will be, by the next colinuxd, and by one after a kill -9. */
	for (int i = 0; i < 2; i++) {
		end(i ? SIGKILL : SIGTERM);
		begin();
		vm = wait_state(&c, "a", "ready");
		CHECK(json_is_true(json_object_get(vm, "autostart")) && !json_object_get(vm, "reason"));
		json_decref(vm);
	}
	/* A stop is for now; what was kept stays, until the VM goes or changes. */
	DO(&c, "vm.stop", NAME("a"));
	CHECK(!access(path(0, "a.json"), F_OK));
	DO(&c, "vm.delete", NAME("a"));
	CHECK(access(path(0, "a.json"), F_OK));
	DO(&c, "vm.create", AUTO("a", "true"), kernel);
	end(SIGTERM);
	begin();
	json_decref(wait_state(&c, "a", "ready"));
	DO(&c, "vm.delete", "{\"name\":\"a\",\"force\":true}");
	DO(&c, "vm.create", AUTO("a", "true"), kernel);
	DO(&c, "vm.delete", NAME("a"));
	DO(&c, "vm.create", AUTO("a", "false"), kernel);
	CHECK(access(path(0, "a.json"), F_OK));
	end(SIGTERM);
	begin();
	vms_are(0);
	end(SIGTERM);
}

/* The worker is its owner's process, with the groups that the database knows. */
static void as_its_owner(void)
{
	const struct passwd *user = getpwnam("nobody");
	char status[64], line[256], groups[32], params[512];
	struct client u;
	json_t *vm;
	FILE *f;

	CHECK(user);
	if (!user)
		return;
	snprintf(params, sizeof(params), AUTO("n", "true"), kernel);
	put(user->pw_uid, "n.json", 0600, params);
	begin();
	client_open(&u, &d, user->pw_uid);
	vm = wait_state(&u, "n", "ready");
	snprintf(status, sizeof(status), "/proc/%d/status", (int)json_integer_value(json_object_get(vm, "pid")));
	json_decref(vm);
	snprintf(groups, sizeof(groups), "Groups:\t%u ", user->pw_gid);
	f = fopen(status, "r");
	CHECK(f);
	while (f && fgets(line, sizeof(line), f)) {
		unsigned int id[4] = { 0 };

		if (sscanf(line, "Uid: %u %u %u %u", id, id + 1, id + 2, id + 3) == 4)
			CHECK(id[0] == user->pw_uid && id[3] == user->pw_uid, "%s", line);
		if (sscanf(line, "Gid: %u %u %u %u", id, id + 1, id + 2, id + 3) == 4)
			CHECK(id[0] == user->pw_gid && id[3] == user->pw_gid, "%s", line);
		CHECK(strncmp(line, "Groups:", 7) || !strncmp(line, groups, strlen(groups)), "%s", line);
	}
	if (f)
		fclose(f);
	DO(&u, "vm.delete", "{\"name\":\"n\",\"force\":true}");
	client_close(&u);
	end(SIGTERM);
}

static void bad_files_harm_no_other(void)
{
	char good[512], params[512];
	json_t *vm;

	snprintf(good, sizeof(good), AUTO("good", "true"), kernel);
	put(0, "good.json", 0600, good);
	put(0, "aa-broken.json", 0600, "{\"name\":\"aa-bro");
	put(0, "aa-empty.json", 0600, "");
	put(0, "aa-keys.json", 0600, "{\"name\":\"aa-keys\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"},\"evil\":1}");
	put(0, "aa-other.json", 0600, good);
	put(0, ".new", 0600, good);
	put(0, "good", 0600, good);
	snprintf(params, sizeof(params), AUTO("aa-open", "true"), kernel);
	put(0, "aa-open.json", 0666, params);
	put(0, "aa-small.json", 0600, "{\"name\":\"aa-small\",\"memory\":4096,\"kernel\":{\"path\":\"/x\"}}");
	snprintf(params, sizeof(params), AUTO("gone", "true"), kernel);
	put(54321, "gone.json", 0600, params);
	put(0, "no-kernel.json", 0600,
	    "{\"name\":\"no-kernel\",\"memory\":67108864,\"kernel\":{\"path\":\"/nowhere\"},\"autostart\":true}");
	put(0, "retried.json", 0600, "{\"name\":\"retried\",\"memory\":67108864,\"kernel\":{\"path\":\"/nowhere\"},"
	    "\"restart\":\"on-failure\",\"autostart\":true}");
	CHECK(!symlink("good.json", path(0, "aa-link.json")));
	mkdir(path(0, "aa-folder.json"), 0700);
	begin();
	json_decref(wait_state(&c, "good", "ready"));
	/* One that cannot start is there to be seen, with the reason. */
	vm = wait_state(&c, "no-kernel", "failed");
	CHECK(strstr(text(vm, "reason"), "/nowhere"), "%s", text(vm, "reason"));
	json_decref(vm);
	vm = wait_state(&c, "retried", "restarting");
	while (!strstr(text(vm, "waiting"), "starts again")) {
		json_decref(vm);
		vm = wait_state(&c, "retried", "restarting");
	}
	CHECK(strstr(text(vm, "reason"), "/nowhere"), "%s", text(vm, "reason"));
	json_decref(vm);
	vms_are(3);
	DO(&c, "vm.delete", NAME("no-kernel"));
	CHECK(access(path(0, "no-kernel.json"), F_OK));
	end(SIGTERM);
}

/* Directories give out numbers of ten digits; what is no uid is nobody's. */
static void users_with_long_numbers(void)
{
	char params[512], said[4096] = "";
	int err = dup(2), log = memfd_create("log", MFD_CLOEXEC);

	snprintf(params, sizeof(params), AUTO("gone", "true"), kernel);
	put(3000000000u, "gone.json", 0600, params);
	snprintf(params, sizeof(params), "mkdir '%s/autostart/4294967296'", d.state);
	CHECK(system(params) == 0);
	dup2(log, 2);
	begin();
	dup2(err, 2);
	json_decref(call(&c, "vm.list", "{}"));	/* it has started what it can */
	end(SIGTERM);
	CHECK(pread(log, said, sizeof(said) - 1, 0) > 0);
	CHECK(strstr(said, "autostart/3000000000/gone.json is skipped: its owner, uid 3000000000,"), "%s", said);
	CHECK(!strstr(said, "exists already"), "%s", said);	/* root, counted modulo 2^32 */
	close(log);
	close(err);
}

/* What cannot be kept is not made: nobody believes that it would start. */
static void not_kept_not_made(void)
{
	char command[256];
	int fd;

	snprintf(command, sizeof(command), "rm -rf '%s'", d.state);
	CHECK(system(command) == 0);
	fd = open(d.state, O_CREAT | O_WRONLY, 0600);
	close(fd);
	begin();
	FAILS("IO", "autostart: ", &c, "vm.create", AUTO("a", "true"), kernel);
	vms_are(0);
	DO(&c, "vm.create", AUTO("a", "false"), kernel);
	end(SIGTERM);
	unlink(d.state);
}

int main(void)
{
	char command[512];

	/* Whatever hangs ends the test, as a failure. */
	alarm(400);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid()) {
		printf("not ok auto: it must run as root (it becomes other users)\n");
		return 1;
	}
	daemon_dir(&d);
	snprintf(d.state, sizeof(d.state), "%s/state", d.dir);
	snprintf(kernel, sizeof(kernel), "%s/kernel", d.dir);
	snprintf(command, sizeof(command), "install -m 644 '%s' '%s'", KERNEL, kernel);
	CHECK(system(command) == 0);
	RUN(kept_and_forgotten);
	RUN(as_its_owner);
	RUN(bad_files_harm_no_other);
	RUN(users_with_long_numbers);
	RUN(not_kept_not_made);
	unlink(kernel);
	daemon_forget(&d);
	UNIT_END();
}
