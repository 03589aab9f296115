/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * evil_worker.c: a worker that a guest has taken over.  The VM's name says
 * what it does to colinuxd.
 */
#define _GNU_SOURCE
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conlog.h"

#define SOCKET	3

static void say(const char *line)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = write(SOCKET, line, len);

		if (n <= 0)
			_exit(0);
		line += n;
		len -= (size_t)n;
	}
}

/* The setup, and the console log's memory. */
static json_t *setup(struct conlog **log)
{
	static char text[65536];
	union { char room[256]; struct cmsghdr align; } c;
	struct iovec v = { text, sizeof(text) - 1 };
	struct msghdr h = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c) };
	int fds[2] = { -1, -1 };

	if (recvmsg(SOCKET, &h, 0) <= 0 || !CMSG_FIRSTHDR(&h))
		_exit(1);
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(fds));
	*log = conlog_map(fds[1], 1);
	return json_loads(text, JSON_DISABLE_EOF_CHECK, NULL);
}

static void endless(const char *line)
{
	for (;;)
		say(line);
}

/* Not evil, but its guest's ports come and go; it powers off when asked. */
static void sick(void)
{
	char line[4096], answer[256];
	ssize_t n;

	while ((n = read(SOCKET, line, sizeof(line) - 1)) > 0) {
		json_t *call;

		line[n] = 0;
		call = json_loads(line, 0, NULL);
		snprintf(answer, sizeof(answer), "{\"id\":%d,\"result\":{\"%s\":[]}}\n",
			 (int)json_integer_value(json_object_get(call, "id")),
			 strstr(line, "port.list") ? "forwards" : "regions");
		json_decref(call);
		if (strstr(line, "vm.memoryMap") || strstr(line, "port.list"))
			say(answer);
		if (strstr(line, "\"start\""))
			say("{\"event\":\"running\"}\n{\"event\":\"waiting\",\"line\":\"port 25: refused\"}\n");
		if (strstr(line, "vm.memoryMap"))
			say("{\"event\":\"ready\"}\n");
		if (strstr(line, "port.list"))
			say("{\"event\":\"unhealthy\",\"line\":\"port 25 has not answered for 9 s\"}\n");
		if (strstr(line, "\"stop\"")) {
			say("{\"event\":\"ended\",\"kind\":\"poweroff\",\"why\":\"the guest powered off\",\"exit\":0}\n");
			_exit(0);
		}
	}
	_exit(0);
}

int main(void)
{
	char line[65536];
	struct conlog *log;
	const char *name = json_string_value(json_object_get(setup(&log), "name"));

	if (!strcmp(name, "garbage"))
		say("this is not JSON\n");
	else if (!strcmp(name, "endless-line"))
		endless("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
	else if (!strcmp(name, "built-twice"))
		say("{\"id\":1,\"result\":{}}\n{\"id\":1,\"result\":{}}\n");
	else if (!strcmp(name, "liar"))
		say("{\"id\":1,\"result\":{}}\nlie\nlie\n{\"id\":7,\"result\":{}}\n{\"event\":\"lie\"}\n"
		    "{\"event\":\"ended\",\"kind\":\"poweroff\",\"why\":\"x\"}\n");
	else if (!strcmp(name, "odd-error"))
		say("{\"id\":1,\"error\":{\"code\":-99999999999,\"message\":\"\\u001b[31m\\u009b\\n\"}}\n");
	else if (!strcmp(name, "odd-event"))
		say("{\"event\":\"vm.delete\",\"params\":{}}\n");
	else if (!strcmp(name, "odd-end"))
		say("{\"event\":\"ended\",\"kind\":{\"a\":1},\"why\":[1],\"exit\":\"x\"}\n");
	else
		say("{\"id\":1,\"result\":{}}\n");

	if (!strcmp(name, "sick"))
		sick();
	if (!strcmp(name, "changeable"))
		endless("{\"event\":\"running\"}\n{\"event\":\"ready\"}\n{\"event\":\"waiting\",\"line\":\"x\"}\n"
			"{\"event\":\"unhealthy\",\"line\":[]}\n");
	if (!strcmp(name, "flood"))
		endless("{\"event\":\"console\",\"line\":\"\\u001b]0;title\\u0007 \\u202e x\"}\n");
	if (!strcmp(name, "log-flood"))
		for (;;)
			dprintf(2, "\033[2J%0500d\n", 7);
	if (!strcmp(name, "lying-log")) {
		for (int i = 0; i < 1000; i++) {
			log->head = i & 1 ? UINT64_MAX - 5 : (uint64_t)i << 52;
			say("{\"event\":\"console\"}\n");
		}
		(void)!ftruncate(4, 0);
	}
	if (!strcmp(name, "early-run"))
		say("{\"event\":\"running\"}\n{\"event\":\"ready\"}\n");
	if (!strcmp(name, "not-reading"))
		for (;;)
			pause();
	if (!strcmp(name, "half-closed")) {
		shutdown(SOCKET, SHUT_RDWR);
		for (;;)
			pause();
	}
	for (;;) {
		/* Answers every call with something that it was not asked; "a" is polite. */
		ssize_t n = read(SOCKET, line, sizeof(line));

		if (n <= 0)
			return 0;
		if (!strcmp(name, "a")) {
			if (memmem(line, (size_t)n, "start", 5))
				say("{\"event\":\"running\"}\n{\"event\":\"console\",\"line\":\"hello\"}\n");
			else
				say("{\"id\":3,\"result\":{\"regions\":[]}}\n");
			continue;
		}
		say("{\"id\":2,\"result\":{\"regions\":[{\"name\":7}],\"passwords\":true}}\n");
	}
}
