/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ends.c: colinuxd killed, its workers taken over by guests, its device in
 * trouble: what is left behind, and what clients are told.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"

/* Is a worker of ours alive?  One that is only not waited for yet has no exe. */
static int workers(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *e;
	int n = 0;

	while (proc && (e = readdir(proc))) {
		char path[300], exe[512];
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
		len = readlink(path, exe, sizeof(exe) - 1);
		exe[len > 0 ? len : 0] = 0;
		n += !strcmp(exe, WORKER);
	}
	closedir(proc);
	return n;
}

static void no_worker(void)
{
	while (workers())
		usleep(1000);
}

static void killed_in_each_call(void)
{
	static const char *const calls[][2] = {
		{ "vm.create", VM("b", "boot") }, { "vm.start", NAME("a") }, { "vm.stop", NAME("a") },
		{ "vm.delete", "{\"name\":\"a\",\"force\":true}" }, { "vm.get", NAME("a") },
		{ "vm.memoryMap", NAME("a") }, { "console.attach", NAME("a") },
		{ "console.write", "{\"name\":\"a\",\"data\":\"aGVsbG8=\"}" },
		{ "console.log", NAME("a") }, { "host.info", "{}" }, { "vm.list", "{}" },
	};
	struct daemon k = { .dir = "" };
	struct client u;
	char line[512];

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		daemon_start(&k, "");
		client_open(&u, &k, 0);
		DO(&u, "vm.create", VM("a", "boot"));
		if (strcmp(calls[i][0], "vm.start"))
			DO(&u, "vm.start", NAME("a"));
		snprintf(line, sizeof(line), "{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"%s\",\"params\":%s}\n",
			 calls[i][0], calls[i][1]);
		client_send(&u, line);
		/* No condition to wait for: each round dies somewhere else in its call. */
		usleep((useconds_t)(i * 700));
		daemon_end(&k, SIGKILL);
		client_close(&u);
		no_worker();
	}
	/* Its socket is no obstacle to the next one; SIGTERM ends VMs and all. */
	daemon_start(&k, "");
	client_open(&u, &k, 0);
	DO(&u, "vm.create", VM("a", "boot"));
	DO(&u, "vm.start", NAME("a"));
	CHECK(daemon_end(&k, SIGTERM) == 0);
	client_close(&u);
	no_worker();
	CHECK(access(k.socket, F_OK));
	daemon_forget(&k);
}

/* A worker that was taken over can harm nobody but its own VM. */
static void evil_workers(void)
{
	static const char *const silent[] = { "garbage", "endless-line", "odd-error", "odd-event", "odd-end" };
	struct daemon t = { .dir = "", .worker = EVIL };
	struct client u, v;
	int before;
	json_t *r;

	daemon_start(&t, "");
	client_open(&u, &t, 0);
	client_open(&v, &t, 0);
	DO(&v, "events.subscribe", "{\"console\":true}");
	for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
		r = call(&u, "vm.create", "{\"name\":\"%s\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"}}", silent[i]);
		CHECK(!r && !strcmp(call_name, "WORKER"), "%s: %s %s", silent[i], call_name, call_text);
		for (const char *p = call_text; *p; p++)
			CHECK(*p >= 0x20 && *p < 0x7f, "%s: a control character", silent[i]);
	}
	r = call(&u, "vm.list", "{}");
	CHECK(json_array_size(json_object_get(r, "vms")) == 0);
	json_decref(r);

	/* This one breaks the protocol only after it was made. */
	json_decref(call(&u, "vm.create", VM("built-twice", "")));
	r = wait_state(&u, "built-twice", "failed");
	CHECK(strstr(text(r, "reason"), "broke the protocol"));
	json_decref(r);

	DO(&u, "vm.create", VM("odd-answer", ""));
	FAILS("WORKER", "makes no sense", &u, "vm.memoryMap", NAME("odd-answer"));
	DO(&u, "vm.create", VM("early-run", ""));
	r = call(&u, "vm.get", NAME("early-run"));
	CHECK(!strcmp(text(json_object_get(r, "vm"), "state"), "created"));
	json_decref(r);
	DO(&u, "vm.create", VM("flood", ""));
	r = wait_event(&v, "console.line");
	for (const char *p = text(r, "line"); *p; p++)
		CHECK(*p >= 0x20 && *p < 0x7f);
	json_decref(r);
	DO(&u, "vm.create", VM("log-flood", ""));
	DO(&u, "vm.create", VM("lying-log", ""));
	DO(&u, "console.attach", "{\"name\":\"lying-log\",\"replay\":100000}");
	for (int i = 0; i < 50; i++) {
		json_decref(call(&u, "console.log", NAME("lying-log")));
		DO(&u, "vm.get", NAME("lying-log"));
	}
	/* Calls to one that does not answer fill nothing but their own place. */
	DO(&u, "vm.create", VM("not-reading", ""));
	for (int i = 0; i < 40; i++)
		client_send(&v, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.memoryMap\","
				"\"params\":" NAME("not-reading") "}\n");
	DO(&u, "vm.list", "{}");
	/* It is not read from any more, but that it hangs up is seen. */
	before = daemon_descriptors(&t);
	client_close(&v);
	while (daemon_descriptors(&t) >= before)
		usleep(1000);
	DO(&u, "vm.create", VM("half-closed", ""));
	json_decref(wait_state(&u, "half-closed", "failed"));
	client_close(&u);
	CHECK(daemon_end(&t, SIGTERM) == 0);
	daemon_forget(&t);
}

/* Lines of the file that hold the text. */
static int lines(const char *path, const char *part)
{
	FILE *f = fopen(path, "r");
	char line[1024];
	int n = 0;

	while (f && fgets(line, sizeof(line), f))
		n += strstr(line, part) != NULL;
	if (f)
		fclose(f);
	return n;
}

/* However much a worker says that makes no sense: the first of it counts, and is logged. */
static void a_liar_is_heard_once(void)
{
	struct daemon t = { .dir = "", .worker = EVIL };
	struct client u;
	char log[96];
	json_t *vm;

	daemon_dir(&t);
	snprintf(log, sizeof(log), "%s/log", t.dir);
	t.log = log;
	daemon_start(&t, "");
	client_open(&u, &t, 0);
	DO(&u, "vm.create", VM("liar", ""));
	vm = wait_state(&u, "liar", "failed");
	CHECK(strstr(text(vm, "reason"), "neither answer nor event"), "%s", text(vm, "reason"));
	json_decref(vm);
	client_close(&u);
	CHECK(daemon_end(&t, SIGTERM) == 0);
	CHECK(lines(log, "broke the protocol: ") == 1, "%d", lines(log, "broke the protocol: "));
	unlink(log);
	daemon_forget(&t);
}

/* CPU time that it has used, in ms. */
static long work_of(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (f && fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user, &system) != 2)
		CHECK(0, "%s", path);
	if (f)
		fclose(f);
	return (long)(user + system) * 1000 / sysconf(_SC_CLK_TCK);
}

/* Without a descriptor for it a client waits, without work for colinuxd, and the others are served. */
static void a_client_too_many_waits(void)
{
	struct daemon t = { .dir = "" };
	struct client u, v = { .fd = -1 };
	struct rlimit all, few;
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char path[64];
	rlim_t none = 3;
	long work;
	json_t *r;

	daemon_start(&t, "");
	client_open(&u, &t, 0);
	do {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)t.pid, (int)++none);
	} while (!faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW));
	CHECK(!prlimit(t.pid, RLIMIT_NOFILE, NULL, &all));
	few = (struct rlimit){ none, all.rlim_max };
	CHECK(!prlimit(t.pid, RLIMIT_NOFILE, &few, NULL));
	v.events = json_array();
	v.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	strcpy(at.sun_path, t.socket);
	CHECK(!connect(v.fd, (struct sockaddr *)&at, sizeof(at)));
	DO(&u, "vm.list", "{}");
	work = work_of(t.pid);
	usleep(500000);
	work = work_of(t.pid) - work;
	CHECK(work < 100, "%ld ms of work", work);
	DO(&u, "vm.list", "{}");
	CHECK(!prlimit(t.pid, RLIMIT_NOFILE, &all, NULL));
	r = call(&v, "hello", "{\"version\":1}");
	CHECK(r, "%s", call_text);
	json_decref(r);
	client_close(&v);
	client_close(&u);
	CHECK(daemon_end(&t, SIGTERM) == 0);
	daemon_forget(&t);
}

static void device_troubles(void)
{
	static const struct { const char *mood, *name, *part; } troubles[] = {
		{ "abi", "ABI", "speaks ABI 77" }, { "deaf", "ABI", "ABI" }, { "obstacle", "CPU", "FRED" },
		{ "nomem", "NOMEM", "out of memory" }, { NULL, "NODEV", "is absent" },
	};
	struct daemon t = { .dir = "" };
	struct client u;
	json_t *r;

	for (size_t i = 0; i < sizeof(troubles) / sizeof(troubles[0]); i++) {
		daemon_start(&t, troubles[i].mood);
		if (!troubles[i].mood)
			unlink(t.device);
		client_open(&u, &t, 0);
		FAILS(troubles[i].name, troubles[i].part, &u, "vm.create", VM("a", "boot"));
		r = call(&u, "host.doctor", "{}");
		CHECK(json_array_size(json_object_get(r, "checks")) >= 2);
		json_decref(r);
		client_close(&u);
		daemon_end(&t, SIGTERM);
	}
	daemon_forget(&t);
}

int main(void)
{
	/* Whatever hangs ends the test, as a failure. */
	alarm(400);
	signal(SIGPIPE, SIG_IGN);
	RUN(killed_in_each_call);
	RUN(evil_workers);
	RUN(a_liar_is_heard_once);
	RUN(a_client_too_many_waits);
	RUN(device_troubles);
	UNIT_END();
}
