/* SPDX-License-Identifier: GPL-2.0-or-later */
/* client.c: see client.h.  Waiting ends by what is awaited, or by SIGALRM. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"
#include "proto.h"

char call_name[32], call_text[512];

static void die(const char *what)
{
	printf("not ok %s: %s\n", what, strerror(errno));
	exit(1);
}

static int try_connect(const struct daemon *d)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(at.sun_path, d->socket);
	if (connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0)
		return fd;
	close(fd);
	return -1;
}

void daemon_dir(struct daemon *d)
{
	if (d->dir[0])
		return;
	strcpy(d->dir, "/tmp/colinux-unit-XXXXXX");
	if (!mkdtemp(d->dir) || chmod(d->dir, 0755))
		die("mkdtemp");
}

/*
 * Can one connect, and to this one?  Where one of before was killed as it forked, its
 * child has the socket of the same name a little longer, and hears nobody.
 */
static bool listens(const struct daemon *d)
{
	int fd = try_connect(d);
	struct ucred who = { 0 };
	socklen_t len = sizeof(who);

	if (fd < 0)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len))
		die("SO_PEERCRED");
	close(fd);
	return who.pid == d->pid;
}

void daemon_start(struct daemon *d, const char *mood)
{
	const char *program = d->program ? d->program : COLINUXD;
#ifdef SOLO
	cpu_set_t one;
#endif
	int fd;

	daemon_dir(d);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->dir);
	snprintf(d->device, sizeof(d->device), "%s/device", d->dir);
	snprintf(d->state, sizeof(d->state), "%s/state", d->dir);
	snprintf(d->ports, sizeof(d->ports), "%s/ports", d->dir);
	if (mood) {
		fd = open(d->device, O_CREAT | O_TRUNC | O_RDWR, 0600);
		if (write(fd, mood, strlen(mood)) < 0)
			die("device");
		close(fd);
	}
	d->pid = fork();
	if (d->pid == 0) {
		/* A test that dies leaves nobody behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (d->log && !freopen(d->log, "a", stderr))
			_exit(126);
#ifdef SOLO
		/* With one CPU the worker is another program. */
		CPU_ZERO(&one);
		CPU_SET(sched_getcpu(), &one);
		if (sched_setaffinity(0, sizeof(one), &one))
			_exit(126);
#endif
		execl(program, program, "--socket", d->socket, "--device", d->device, "--worker",
		      d->worker ? d->worker : WORKER,
		      "--state", d->state, "--ports", d->ports, "--stop-timeout",
		      d->patience ? d->patience : "0", NULL);
		_exit(127);
	}
	while (!listens(d)) {
		if (waitpid(d->pid, NULL, WNOHANG) == d->pid)
			die("colinuxd ended");
		usleep(1000);
	}
}

int daemon_end(struct daemon *d, int signo)
{
	int status = 0;

	kill(d->pid, signo);
	waitpid(d->pid, &status, 0);
	d->pid = 0;
	return status;
}

void daemon_forget(struct daemon *d)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", d->state);
	if (d->state[0] && system(command))
		die("rm");
	unlink(d->device);
	unlink(d->socket);
	unlink(d->ports);
	rmdir(d->dir);
	d->dir[0] = 0;
}

void client_open(struct client *c, const struct daemon *d, uid_t uid)
{
	if (client_try(c, d, uid))
		die(call_text);
}

int client_try(struct client *c, const struct daemon *d, uid_t uid)
{
	json_t *r;

	*c = (struct client){ .fd = -1, .events = json_array() };
	/* The kernel notes who connects: only that moment needs the other uid. */
	if (uid && seteuid(uid))
		die("seteuid");
	c->fd = try_connect(d);
	if (uid && seteuid(0))
		die("seteuid");
	if (c->fd < 0)
		die("connect");
	r = call(c, "hello", "{\"version\":1}");
	json_decref(r);
	if (r)
		return 0;
	client_close(c);
	return -1;
}

void client_close(struct client *c)
{
	close(c->fd);
	free(c->in);
	json_decref(c->events);
}

void client_send(struct client *c, const char *line)
{
	size_t len = strlen(line);

	while (len) {
		ssize_t n = send(c->fd, line, len, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		line += n;
		len -= (size_t)n;
	}
}

json_t *client_line(struct client *c)
{
	char *end, chunk[65536];
	json_t *root;
	ssize_t n;

	while (!c->in || !(end = memchr(c->in, '\n', c->len))) {
		n = read(c->fd, chunk, sizeof(chunk));
		if (n <= 0)
			return NULL;
		c->in = realloc(c->in, c->len + (size_t)n);
		memcpy(c->in + c->len, chunk, (size_t)n);
		c->len += (size_t)n;
	}
	root = json_loadb(c->in, (size_t)(end - c->in), 0, NULL);
	c->len -= (size_t)(end + 1 - c->in);
	memmove(c->in, end + 1, c->len);
	if (!root)
		die("a line that is not JSON");
	return root;
}

json_t *call(struct client *c, const char *method, const char *params, ...)
{
	char *text, *line;
	json_t *root, *result, *error;
	va_list args;
	int id = ++c->next;

	va_start(args, params);
	if (vasprintf(&text, params, args) < 0 ||
	    asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"%s\",\"params\":%s}\n", id, method, text) < 0)
		die("memory");
	va_end(args);
	client_send(c, line);
	free(line);
	free(text);
	call_name[0] = call_text[0] = 0;
	for (;;) {
		root = client_line(c);
		if (!root) {
			strcpy(call_name, "CLOSED");
			return NULL;
		}
		if (!json_object_get(root, "method"))
			break;
		json_array_append_new(c->events, root);
	}
	/* null: the helper could not even read the line. */
	if (!json_is_null(json_object_get(root, "id")) && json_integer_value(json_object_get(root, "id")) != id)
		die("an answer to another call");
	result = json_incref(json_object_get(root, "result"));
	error = json_object_get(root, "error");
	if (error) {
		snprintf(call_name, sizeof(call_name), "%s",
			 json_string_value(json_object_get(json_object_get(error, "data"), "name")));
		snprintf(call_text, sizeof(call_text), "%s",
			 json_string_value(json_object_get(error, "message")));
	}
	json_decref(root);
	return result;
}

json_t *wait_event(struct client *c, const char *name)
{
	for (;;) {
		json_t *e, *params;
		size_t i;

		json_array_foreach(c->events, i, e) {
			if (strcmp(json_string_value(json_object_get(e, "method")), name))
				continue;
			params = json_incref(json_object_get(e, "params"));
			json_array_remove(c->events, i);
			return params;
		}
		/* No more data comes then. */
		json_array_foreach(c->events, i, e) {
			if (!strcmp(name, "console.data") &&
			    !strcmp(json_string_value(json_object_get(e, "method")), "console.closed"))
				return NULL;
		}
		e = client_line(c);
		if (!e)
			return NULL;
		json_array_append_new(c->events, e);
	}
}

static void unread(struct client *c, const char *data, size_t len)
{
	char *text = malloc((len + 2) / 3 * 4 + 1);

	proto_base64_encode((const unsigned char *)data, len, text);
	json_array_insert_new(c->events, 0, json_pack("{s:s, s:{s:s}}", "method", "console.data",
						      "params", "data", text));
	free(text);
}

int wait_text(struct client *c, const char *text)
{
	char *all = calloc(1, 1), *at = NULL;
	size_t len = 0;
	int found;

	while (!at) {
		json_t *p = wait_event(c, "console.data");
		const char *data = json_string_value(json_object_get(p, "data"));
		long n;

		if (!p)
			break;
		all = realloc(all, len + strlen(data) + 1);
		n = proto_base64_decode(data, strlen(data), (unsigned char *)all + len);
		len += n > 0 ? (size_t)n : 0;
		all[len] = 0;
		json_decref(p);
		at = memmem(all, len, text, strlen(text));
	}
	found = at != NULL;
	/* What follows in the same piece is for the next wait. */
	if (found && at + strlen(text) < all + len)
		unread(c, at + strlen(text), (size_t)(all + len - at) - strlen(text));
	free(all);
	return found;
}

json_t *wait_state(struct client *c, const char *name, const char *state)
{
	for (;;) {
		json_t *r = call(c, "vm.get", "{\"name\":\"%s\"}", name), *vm;

		if (!r)
			return NULL;
		vm = json_object_get(r, "vm");
		if (!strcmp(json_string_value(json_object_get(vm, "state")), state)) {
			json_incref(vm);
			json_decref(r);
			return vm;
		}
		json_decref(r);
		usleep(1000);
	}
}

const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

int daemon_descriptors(const struct daemon *d)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
	dir = opendir(path);
	while (dir && readdir(dir))
		n++;
	closedir(dir);
	return n;
}
