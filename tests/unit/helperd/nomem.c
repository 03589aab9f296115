/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nomem.c: every allocation of colinuxd's in a VM's life fails once.  Whoever
 * asked gets an error or a closed connection; colinuxd lives, leaks nothing
 * (LeakSanitizer watches) and serves the next client.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../unit.h"
#include "client.h"

static void life_of_a_vm(struct client *c)
{
	json_decref(call(c, "vm.create", VM("a", "")));
	json_decref(call(c, "console.attach", NAME("a")));
	json_decref(call(c, "vm.start", NAME("a")));
	json_decref(call(c, "vm.memoryMap", NAME("a")));
	json_decref(call(c, "console.log", "{\"name\":\"a\",\"maxBytes\":64}"));
	json_decref(call(c, "vm.stop", "{\"name\":\"a\",\"force\":true}"));
	json_decref(call(c, "vm.list", "{}"));
	json_decref(call(c, "vm.delete", NAME("a")));
}

/* One that is kept, gets well and ill, runs again, and is restarted and removed. */
static void life_of_another(struct client *c)
{
	json_decref(call(c, "vm.create", "{\"name\":\"sick\",\"memory\":67108864,\"kernel\":{\"path\":\"/x\"},"
		"\"agent\":true,\"readyTcp\":[{\"port\":25}],\"restart\":\"always\",\"autostart\":true,"
		"\"health\":{\"intervalMs\":1000,\"timeoutMs\":1000,\"failures\":2,\"restart\":true}}"));
	json_decref(call(c, "vm.start", NAME("sick")));
	json_decref(call(c, "vm.memoryMap", NAME("sick")));
	json_decref(call(c, "port.list", NAME("sick")));
	json_decref(call(c, "vm.restart", NAME("sick")));
	json_decref(call(c, "vm.restart", NAME("sick")));
	json_decref(call(c, "vm.stop", NAME("sick")));
	json_decref(call(c, "vm.delete", NAME("sick")));
}

/* One round; 0: that many allocations never happened. */
static int fail_at(int n)
{
	struct daemon d = { .dir = "", .worker = POLITE, .program = FAILING };
	char text[32], mark[128];
	struct client c;
	int hit, status;
	json_t *r;

	snprintf(text, sizeof(text), "%d", n);
	setenv("COLINUX_FAIL_AT", text, 1);
	daemon_dir(&d);
	snprintf(mark, sizeof(mark), "%s/failed", d.dir);
	setenv("COLINUX_FAILED", mark, 1);
	daemon_start(&d, "");
	client_open(&c, &d, 0);
	json_decref(call(&c, "events.subscribe", "{\"console\":true}"));
	kill(d.pid, SIGUSR2);
	life_of_a_vm(&c);
	life_of_another(&c);
	client_close(&c);

	/* The allocation may be this one's. */
	if (client_try(&c, &d, 0))
		client_open(&c, &d, 0);
	/* What has not failed by now is not to fail in what follows. */
	kill(d.pid, SIGUSR2);
	hit = access(mark, F_OK) == 0;
	/* What could not be removed then can be now. */
	json_decref(call(&c, "vm.delete", "{\"name\":\"a\",\"force\":true}"));
	json_decref(call(&c, "vm.delete", "{\"name\":\"sick\",\"force\":true}"));
	r = call(&c, "vm.create", VM("a", ""));
	CHECK(r, "after %d: %s %s", n, call_name, call_text);
	json_decref(r);
	r = call(&c, "vm.delete", NAME("a"));
	CHECK(r, "after %d: %s %s", n, call_name, call_text);
	json_decref(r);
	client_close(&c);
	status = daemon_end(&d, SIGTERM);
	CHECK(status == 0, "after %d: status %#x", n, status);
	unlink(mark);
	daemon_forget(&d);
	return hit;
}

static void every_allocation_fails_once(void)
{
	int n = 1;

	while (fail_at(n) && unit_bad < 5)
		n++;
	CHECK(n > 20, "%d", n);
	printf("# %d allocations\n", n - 1);
}

int main(void)
{
	alarm(400);
	signal(SIGPIPE, SIG_IGN);
	RUN(every_allocation_fails_once);
	UNIT_END();
}
