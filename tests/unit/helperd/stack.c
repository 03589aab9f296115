/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * stack.c: the real colinuxd and the real worker, in its real sandbox, on a
 * fake device with a fake guest: what a client sees, and what is left behind.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"
#include "proto.h"

static struct daemon d;
static struct client c;

static void prepare(const char *name, const char *what)
{
	json_array_clear(c.events);
	DO(&c, "vm.create", "{\"name\":\"%s\",\"memory\":67108864,\"kernel\":{\"path\":\"" KERNEL "\"},"
	   "\"cmdline\":\"%s\",\"readyConsole\":\"login: \"}", name, what);
	DO(&c, "console.attach", "{\"name\":\"%s\"}", name);
}

/* Starts a VM that does `what` and watches its console. */
static void boot(const char *name, const char *what)
{
	prepare(name, what);
	DO(&c, "vm.start", "{\"name\":\"%s\"}", name);
}

/* One that takes its worker with it, perhaps before that could say that it runs. */
static void boot_to_die(const char *name, const char *what)
{
	json_t *r;

	prepare(name, what);
	r = call(&c, "vm.start", "{\"name\":\"%s\"}", name);
	CHECK(r || !strcmp(call_name, "WORKER"), "%s: %s", call_name, call_text);
	json_decref(r);
}

static void drop(const char *name)
{
	DO(&c, "vm.delete", "{\"name\":\"%s\",\"force\":true}", name);
}

/* Waits for the state and checks the reason for it. */
static void ends(const char *name, const char *state, const char *why)
{
	json_t *vm = wait_state(&c, name, state);

	CHECK(vm && strstr(text(vm, "reason"), why), "%s", text(vm, "reason"));
	json_decref(vm);
	drop(name);
}

static void life(void)
{
	json_t *vm, *r;

	boot("a", "boot");
	CHECK(wait_text(&c, "name a\r\n"));
	vm = wait_state(&c, "a", "ready");
	CHECK(json_integer_value(json_object_get(vm, "pid")) > 0);
	CHECK(json_integer_value(json_object_get(vm, "overheadBytes")) == 3 * 4096);
	json_decref(vm);
	r = call(&c, "vm.memoryMap", NAME("a"));
	CHECK(json_array_size(json_object_get(r, "regions")) > 3);
	json_decref(r);
	r = call(&c, "console.write", "{\"name\":\"a\",\"data\":\"aGVsbG8=\"}");
	CHECK(json_integer_value(json_object_get(r, "written")) == 5);
	json_decref(r);
	CHECK(wait_text(&c, "hello"));
	DO(&c, "console.resize", "{\"name\":\"a\",\"columns\":80,\"rows\":25}");
	r = call(&c, "vm.stop", "{\"name\":\"a\",\"timeoutMs\":60000}");
	CHECK(json_is_false(json_object_get(r, "forced")));
	vm = json_object_get(r, "vm");
	CHECK(!strcmp(text(vm, "state"), "stopped") && strstr(text(vm, "reason"), "powered off"));
	CHECK(json_integer_value(json_object_get(vm, "exit")) == 0 && !strcmp(text(vm, "lastLine"), "Power down"));
	json_decref(r);
	CHECK(wait_text(&c, "Power down"));
	r = wait_event(&c, "console.closed");
	CHECK(!strcmp(text(r, "name"), "a"));
	json_decref(r);
	/* It can start again, and its log goes on. */
	DO(&c, "vm.start", NAME("a"));
	json_decref(wait_state(&c, "a", "ready"));
	FAILS("STATE", "already", &c, "vm.start", NAME("a"));
	FAILS("STATE", "force", &c, "vm.delete", NAME("a"));
	r = call(&c, "console.log", NAME("a"));
	CHECK(strlen(text(r, "data")) > 100);
	json_decref(r);
	drop("a");
	FAILS("NOENT", "no VM named a", &c, "vm.get", NAME("a"));
}

static void bad_parameters(void)
{
	FAILS("PARAMS", "memory is missing", &c, "vm.create", "{\"name\":\"a\",\"kernel\":{\"path\":\"/x\"}}");
	FAILS("PARAMS", "kernel.pth is not a known key", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":1,\"kernel\":{\"pth\":\"/x\"}}");
	FAILS("PARAMS", "-1", &c, "vm.create", "{\"name\":\"a\",\"memory\":-1,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("PARAMS", "a string", &c, "vm.get", "{\"name\":5}");
	FAILS("METHOD", "vm.nothing", &c, "vm.nothing", "{}");
	FAILS("MEMORY", "32 MiB", &c, "vm.create", "{\"name\":\"a\",\"memory\":0,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("MEMORY", "32 MiB", &c, "vm.create", "{\"name\":\"a\",\"memory\":1048576,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("MEMORY", "host's 1024 MiB", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":2147483648,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("MEMORY", "4096", &c, "vm.create", "{\"name\":\"a\",\"memory\":67108865,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("INVAL", "absolute", &c, "vm.create", "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"x\"}}");
	FAILS("INVAL", "name", &c, "vm.create", "{\"name\":\"../a\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("INVAL", "name", &c, "vm.create", "{\"name\":\"\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("INVAL", "vcpus", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"vcpus\":9,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("TOOBIG", "readyConsole", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"readyConsole\":\"\",\"kernel\":{\"path\":\"/x\"}}");
}

static void bad_files(void)
{
	json_t *r;

	FAILS("KERNEL", "No such file", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"/nowhere/\\u00e9\"}}");
	FAILS("KERNEL", "neither a file nor", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"/dev/null\"}}");
	FAILS("KERNEL", "kernel: /etc/passwd", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"/etc/passwd\"}}");
	FAILS("KERNEL", "bytes, not", &c, "vm.create",
	      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"" KERNEL "\",\"size\":99999999}}");
	FAILS("INITRD", "/nowhere", &c, "vm.create", "{\"name\":\"a\",\"memory\":67108864,"
	      "\"kernel\":{\"path\":\"" KERNEL "\"},\"initrd\":{\"path\":\"/nowhere\"}}");
	r = call(&c, "vm.list", "{}");
	CHECK(json_array_size(json_object_get(r, "vms")) == 0);
	json_decref(r);
}

static void ways_to_end(void)
{
	boot("a", "crash");
	ends("a", "failed", "Kernel panic - not syncing: it is a test");
	boot("a", "killed");
	ends("a", "failed", "did what no guest may do");
	boot_to_die("a", "die");
	ends("a", "failed", "its worker was killed by signal 9");
	boot_to_die("a", "sigsys");
	ends("a", "failed", "system call that it may not make");
	boot_to_die("a", "open");
	ends("a", "failed", "system call that it may not make");
	boot("a", "memory");
	ends("a", "stopped", "powered off");
	boot("a", "bad-console");
	ends("a", "failed", "broke the console ring");
	boot("a", "bad-xenstore");
	CHECK(wait_text(&c, "last words"));
	ends("a", "failed", "broke the xenstore ring");
	boot("a", "reboot");
	ends("a", "stopped", "reboot");
}

static void reboot(void)
{
	json_t *r, *vm;

	boot("a", "again");
	CHECK(wait_text(&c, "login: "));
	/* Only a guest that ran for a while is believed to mean it. */
	do {
		r = call(&c, "vm.get", NAME("a"));
		vm = json_object_get(r, "vm");
		CHECK(vm);
	} while (vm && json_integer_value(json_object_get(vm, "uptimeMs")) < 1100 && (json_decref(r), usleep(10000), 1));
	json_decref(r);
	DO(&c, "console.write", "{\"name\":\"a\",\"data\":\"cg==\"}");
	CHECK(wait_text(&c, "Booting"));
	CHECK(wait_text(&c, "login: "));
	json_decref(wait_state(&c, "a", "ready"));
	drop("a");
}

static void force(void)
{
	json_t *r;

	boot("a", "stubborn");
	CHECK(wait_text(&c, "Booting"));
	r = call(&c, "vm.stop", "{\"name\":\"a\",\"timeoutMs\":20}");
	CHECK(json_is_true(json_object_get(r, "forced")) &&
	      !strcmp(text(json_object_get(r, "vm"), "state"), "stopped"));
	json_decref(r);
	DO(&c, "vm.start", NAME("a"));
	r = call(&c, "vm.stop", "{\"name\":\"a\",\"force\":true}");
	CHECK(json_is_true(json_object_get(r, "forced")));
	json_decref(r);
	drop("a");
	/* One that was never started has nobody to ask. */
	DO(&c, "vm.create", VM("a", "boot"));
	DO(&c, "vm.stop", NAME("a"));
	ends("a", "stopped", "before it ran");
}

static void other_users(void)
{
	struct client u, v;
	json_t *r;

	client_open(&u, &d, 12345);
	client_open(&v, &d, 23456);
	/* The same name twice, and each sees its own. */
	DO(&c, "vm.create", VM("same", "boot"));
	DO(&u, "vm.create", VMF("same", "boot"), d.dir);
	r = call(&u, "vm.list", "{}");
	CHECK(json_array_size(json_object_get(r, "vms")) == 1);
	CHECK(json_integer_value(json_object_get(json_array_get(json_object_get(r, "vms"), 0), "uid")) == 12345);
	json_decref(r);
	FAILS("EXISTS", "same", &u, "vm.create", VM("same", "boot"));
	FAILS("NOENT", "same", &v, "vm.get", NAME("same"));
	FAILS("NOENT", "same", &v, "vm.stop", NAME("same"));
	FAILS("NOENT", "same", &v, "vm.delete", "{\"name\":\"12345/same\",\"force\":true}");
	FAILS("NOENT", "same", &v, "console.attach", NAME("same"));
	FAILS("NOENT", "same", &v, "console.log", NAME("same"));
	FAILS("NOENT", "same", &v, "console.write", "{\"name\":\"same\",\"data\":\"\"}");
	/* A file that only root may read stays root's, whoever asks. */
	FAILS("KERNEL", "Permission denied", &u, "vm.create",
	      "{\"name\":\"s\",\"memory\":67108864,\"kernel\":{\"path\":\"/etc/shadow\"}}");
	r = call(&c, "vm.list", "{}");
	CHECK(json_array_size(json_object_get(r, "vms")) == 2);
	json_decref(r);
	DO(&c, "vm.get", NAME("12345/same"));
	DO(&u, "vm.start", NAME("same"));
	r = call(&c, "vm.get", NAME("12345/same"));
	/* The worker is its owner's process, and root's no more. */
	{
		char path[64], line[128] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/status",
			 (int)json_integer_value(json_object_get(json_object_get(r, "vm"), "pid")));
		f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			CHECK(strncmp(line, "Uid:", 4) || !strcmp(line, "Uid:\t12345\t12345\t12345\t12345\n"), "%s", line);
			CHECK(strncmp(line, "CapEff:", 7) || strtoull(line + 7, NULL, 16) == 0, "%s", line);
			CHECK(strncmp(line, "CapPrm:", 7) || strtoull(line + 7, NULL, 16) == 0, "%s", line);
			CHECK(strncmp(line, "NoNewPrivs:", 11) || atoi(line + 11) == 1, "%s", line);
			CHECK(strncmp(line, "Seccomp:", 8) || atoi(line + 8) == 2, "%s", line);
		}
		CHECK(f);
		if (f)
			fclose(f);
	}
	json_decref(r);
	DO(&u, "vm.delete", "{\"name\":\"same\",\"force\":true}");
	DO(&c, "vm.delete", NAME("same"));
	client_close(&u);
	client_close(&v);
}

static void viewers(void)
{
	struct client u, slow;
	json_t *r;
	int lost = 0;

	client_open(&u, &d, 0);
	client_open(&slow, &d, 0);
	json_array_clear(c.events);
	DO(&c, "vm.create", VM("a", "flood"));
	DO(&slow, "console.attach", NAME("a"));
	DO(&u, "console.attach", NAME("a"));
	DO(&c, "console.attach", NAME("a"));
	DO(&u, "events.subscribe", "{\"console\":true}");
	DO(&c, "vm.start", NAME("a"));
	/* Two read it all while the third does not read; then that one learns what it missed. */
	CHECK(wait_text(&c, "flood done"));
	CHECK(wait_text(&u, "flood done"));
	r = wait_event(&u, "console.line");
	CHECK(text(r, "line")[0]);
	json_decref(r);
	while ((r = wait_event(&slow, "console.data"))) {
		char *data = strdup(text(r, "data"));
		unsigned char *raw = malloc(strlen(data) + 1);
		long n = proto_base64_decode(data, strlen(data), raw);
		int end = n > 0 && memmem(raw, (size_t)n, "flood done", 10);

		lost |= json_integer_value(json_object_get(r, "dropped")) > 0;
		json_decref(r);
		free(data);
		free(raw);
		if (end)
			break;
	}
	CHECK(lost);
	r = call(&c, "console.log", "{\"name\":\"a\",\"maxBytes\":100}");
	CHECK(strlen(text(r, "data")) == 136 && json_integer_value(json_object_get(r, "dropped")) > 700000);
	json_decref(r);
	DO(&u, "console.detach", NAME("a"));
	client_close(&slow);
	client_close(&u);
	drop("a");
}

static void disks(void)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/disk", d.dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, 1 << 20));
	json_array_clear(c.events);
	DO(&c, "vm.create", "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"" KERNEL "\"},"
	   "\"cmdline\":\"disk\",\"readyConsole\":\"login: \","
	   "\"disks\":[{\"name\":\"root\",\"path\":\"%s\",\"readOnly\":false}]}", path);
	/* It is another VM's now, and stays so. */
	FAILS("BUSY", "disk d: ", &c, "vm.create", "{\"name\":\"b\",\"memory\":67108864,\"kernel\":{\"path\":\""
	      KERNEL "\"},\"disks\":[{\"name\":\"d\",\"path\":\"%s\",\"readOnly\":true}]}", path);
	DO(&c, "console.attach", NAME("a"));
	DO(&c, "vm.start", NAME("a"));
	CHECK(wait_text(&c, "disk good"));
	drop("a");
	FAILS("DISK", "disk d: /nowhere: No such file", &c, "vm.create", "{\"name\":\"b\",\"memory\":67108864,"
	      "\"kernel\":{\"path\":\"" KERNEL "\"},"
	      "\"disks\":[{\"name\":\"d\",\"path\":\"/nowhere\",\"readOnly\":true}]}");
	close(fd);
	unlink(path);
}

static void malformed(void)
{
	static const char *const lines[] = {
		"{", "[]", "null", "\"x\"", "{}", "{\"jsonrpc\":\"2.0\"}", "\x01\xff", "[[[[[[[[[[",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.list\",\"method\":\"vm.list\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"vm.list\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.list\",\"params\":[]}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.get\",\"params\":{\"name\":\"\\u0000\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.get\",\"params\":{\"name\":\"a\",\"\\u00e9\\u00e9\":1}}",
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"vm.list\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"vm.list\",\"extra\":1}",
	};
	struct client m;
	char *big;
	json_t *r;

	client_open(&m, &d, 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		client_send(&m, lines[i]);
		client_send(&m, "\n");
		r = client_line(&m);
		CHECK(json_object_get(r, "error"), "%s", lines[i]);
		json_decref(r);
	}
	/* A deep one, a long one, and one that is too long. */
	big = malloc(3 << 20);
	memset(big, '[', 1 << 19);
	strcpy(big + (1 << 19), "\n");
	client_send(&m, big);
	r = client_line(&m);
	CHECK(json_object_get(r, "error"));
	json_decref(r);
	memset(big, 'x', 2 << 20);
	big[2 << 20] = 0;
	client_send(&m, big);
	CHECK(!client_line(&m));
	free(big);
	client_close(&m);
	DO(&c, "vm.list", "{}");
}

static void nothing_left(void)
{
	int before = daemon_descriptors(&d);

	for (int i = 0; i < 20; i++) {
		DO(&c, "vm.create", VM("a", "boot"));
		if (i & 1)
			DO(&c, "vm.start", NAME("a"));
		drop("a");
		FAILS("KERNEL", "", &c, "vm.create",
		      "{\"name\":\"a\",\"memory\":67108864,\"kernel\":{\"path\":\"/etc/passwd\"}}");
	}
	CHECK(daemon_descriptors(&d) <= before, "%d, were %d", daemon_descriptors(&d), before);
}

static void limits(void)
{
	struct client u;

	client_open(&u, &d, 12345);
	for (int i = 0; i < 16; i++)
		DO(&u, "vm.create", "{\"name\":\"v%d\",\"memory\":33554432,\"kernel\":{\"path\":\"%s/kernel\"}}",
		   i, d.dir);
	FAILS("MEMORY", "with the VMs that live", &c, "vm.create",
	      "{\"name\":\"big\",\"memory\":1006632960,\"kernel\":{\"path\":\"/x\"}}");
	FAILS("LIMIT", "16 VMs", &u, "vm.create", VM("more", "boot"));
	for (int i = 0; i < 16; i++)
		DO(&u, "vm.delete", "{\"name\":\"v%d\"}", i);
	client_close(&u);
}

static void worker_killed_in_a_call(void)
{
	json_t *vm, *r;
	char line[] = "{\"jsonrpc\":\"2.0\",\"id\":77,\"method\":\"vm.memoryMap\",\"params\":" NAME("a") "}\n";
	pid_t pid;

	boot("a", "boot");
	CHECK(wait_text(&c, "login: "));
	vm = wait_state(&c, "a", "ready");
	pid = (pid_t)json_integer_value(json_object_get(vm, "pid"));
	json_decref(vm);
	kill(pid, SIGSTOP);
	client_send(&c, line);
	/* Calls are taken in order: once another is answered, this one is with the worker. */
	client_send(&c, "{\"jsonrpc\":\"2.0\",\"id\":78,\"method\":\"vm.list\"}\n");
	do {
		r = client_line(&c);
	} while (r && json_integer_value(json_object_get(r, "id")) != 78);
	json_decref(r);
	kill(pid, SIGKILL);
	do {
		r = client_line(&c);
	} while (r && json_object_get(r, "method"));
	CHECK(!strcmp(text(json_object_get(json_object_get(r, "error"), "data"), "name"), "WORKER"));
	json_decref(r);
	ends("a", "failed", "killed by signal 9");
}

static int copy_kernel(const char *to)
{
	char data[65536];
	int in = open(KERNEL, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0644);
	ssize_t n = read(in, data, sizeof(data));

	if (n <= 0 || n == sizeof(data) || write(out, data, (size_t)n) != n) {
		printf("not ok stack: " KERNEL ": %s\n", strerror(errno));
		return -1;
	}
	close(in);
	close(out);
	return 0;
}

int main(void)
{
	char copy[128];

	/* Whatever hangs ends the test, as a failure. */
	alarm(400);
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid()) {
		printf("not ok stack: it must run as root (it becomes other users)\n");
		return 1;
	}
	daemon_start(&d, "");
	snprintf(copy, sizeof(copy), "%s/kernel", d.dir);
	if (copy_kernel(copy))
		return 1;
	client_open(&c, &d, 0);
	RUN(life);
	RUN(bad_parameters);
	RUN(bad_files);
	RUN(ways_to_end);
	RUN(reboot);
	RUN(force);
	RUN(other_users);
	RUN(viewers);
	RUN(disks);
	RUN(malformed);
	RUN(nothing_left);
	RUN(limits);
	RUN(worker_killed_in_a_call);
	client_close(&c);
	CHECK(daemon_end(&d, SIGTERM) == 0);
	unlink(copy);
	daemon_forget(&d);
	UNIT_END();
}
