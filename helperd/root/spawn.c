/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * spawn.c: a VM's worker, from fork to wait.  Called by vm.c and the loop.
 *
 * The worker is told about its VM by the first line of a socket pair, with the
 * VM's handle and the console log's memory beside it; the files it opens
 * itself, as its owner: so a path that the owner may not read, or a file
 * system of the owner's that hangs, is never colinuxd's affair.
 * Whatever the worker says later is checked here before anyone believes it.
 */
#ifdef __linux__
#define _GNU_SOURCE
#include <sys/prctl.h>
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

#define HD_SPAWN_FD		3	/* where the worker finds its socket */
#define HD_SPAWN_OUT		(1u << 20)
#define HD_SPAWN_LINES		2000u	/* of log, from one worker */
#define HD_SPAWN_BUILD		1u	/* number of the first, implied call */
#define HD_SPAWN_GRACE_MS	2000u

static void hd_spawn_exec(const struct hd *hd, pid_t parent, int sock, int log)
{
	char *argv[] = { (char *)(uintptr_t)"colinux-worker", NULL };
	char *envp[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

#ifdef __linux__
	/* Dies with us even if we are killed; the race is closed by getppid(). */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(125);
#else
	(void)parent;
#endif
	/* Numbers above what we hand over first, so that no dup2 hits another. */
	null = fcntl(null, F_DUPFD, 10);
	sock = fcntl(sock, F_DUPFD, 10);
	log = fcntl(log, F_DUPFD, 10);
	if (null < 0 || sock < 0 || log < 0)
		_exit(125);
	if (dup2(null, 0) < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0 || dup2(sock, HD_SPAWN_FD) < 0)
		_exit(125);
	close(null);
	close(sock);
	close(log);
	for (int i = 1; i < NSIG; i++)
		signal(i, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(hd->worker, argv, envp);
	log_line(LOG_ERROR, "%s cannot be started: %s", hd->worker, strerror(errno));
	_exit(126);
}

void hd_spawn_kill(struct hd_vm *vm)
{
	if (vm->pid)
		kill(vm->pid, SIGKILL);
}

static void hd_spawn_over(void *arg)
{
	struct hd_vm *vm = arg;

	if (vm->reaped)
		hd_life_ended(vm);
	else
		hd_spawn_kill(vm);
}

/*
 * Over when the process is gone and all it said is read.  One that only closed
 * its socket ends by itself soon, or is ended; a socket that stays open after
 * its process is not waited for long either.
 */
static void hd_spawn_check(struct hd_vm *vm)
{
	loop_timer_stop(vm->hd->loop, &vm->end_timer);
	loop_timer_init(&vm->end_timer, hd_spawn_over, vm);
	loop_timer_start(vm->hd->loop, &vm->end_timer,
			 vm->reaped && !vm->msg ? 0 : HD_SPAWN_GRACE_MS);
}

static void hd_spawn_closed(void *arg, const char *why)
{
	struct hd_vm *vm = arg;

	if (!vm->ended && !vm->words[0] && strcmp(why, "the connection is closed"))
		snprintf(vm->words, sizeof(vm->words), "%s", why);
	msg_free(vm->msg);
	vm->msg = NULL;
	hd_spawn_check(vm);
}

void hd_spawn_reap(void *arg)
{
	struct hd *hd = arg;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (struct hd_vm *vm = hd->vms; vm; vm = vm->next)
			if (vm->pid == pid) {
				vm->pid = 0;
				vm->reaped = true;
				vm->wait_status = status;
				hd_spawn_check(vm);
			}
}

/* Closes our side of a worker that is gone, or that never came to be. */
void hd_spawn_clean(struct hd_vm *vm)
{
	loop_timer_stop(vm->hd->loop, &vm->end_timer);
	loop_timer_stop(vm->hd->loop, &vm->stop_timer);
	msg_free(vm->msg);
	vm->msg = NULL;
	loop_del(vm->log);
	vm->log = NULL;
	if (vm->log_fd >= 0)
		close(vm->log_fd);
	vm->log_fd = -1;
	vm->log_len = 0;
}

static void hd_spawn_logged(struct hd_vm *vm)
{
	char *text = vm->log_line;

	vm->log_line[vm->log_len] = 0;
	vm->log_len = 0;
	/* "<4>worker: text" as log.c writes it; a library's line has no level. */
	if (text[0] == '<' && text[1] && text[2] == '>')
		text += 3;
	hd_spawn_text(vm->words, sizeof(vm->words), text);
	if (++vm->log_lines <= HD_SPAWN_LINES)
		log_line(LOG_NOTICE, "%s (uid %u): %s", vm->name, vm->uid, vm->words);
}

static void hd_spawn_log(void *arg, short revents)
{
	struct hd_vm *vm = arg;
	char data[4096];
	ssize_t n = read(vm->log_fd, data, sizeof(data));

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		loop_del(vm->log);
		vm->log = NULL;
		return;
	}
	for (ssize_t i = 0; i < n; i++) {
		if (data[i] == '\n')
			hd_spawn_logged(vm);
		else if (vm->log_len < sizeof(vm->log_line) - 1)
			vm->log_line[vm->log_len++] = data[i];
	}
}

/* It is killed, and whatever else it has said by then is not even looked at. */
static void hd_spawn_untrue(struct hd_vm *vm, const char *what)
{
	log_line(LOG_ERROR, "%s (uid %u): its worker broke the protocol: %s", vm->name, vm->uid, what);
	vm->untrue = true;
	if (!vm->ended) {
		vm->ended = true;
		snprintf(vm->kind, sizeof(vm->kind), "failed");
		snprintf(vm->reason, sizeof(vm->reason), "its worker broke the protocol (%s) and was ended", what);
	}
	hd_spawn_kill(vm);
}

/* A text from a worker (NULL: none), bounded; printable ASCII is all that passes. */
void hd_spawn_text(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "");
	for (; *out; out++)
		if (*out < 0x20 || *out > 0x7e)
			*out = '?';
}

static void hd_spawn_event(struct hd_vm *vm, const char *name, const json_t *root)
{
	const json_t *line = json_object_get(root, "line"), *code = json_object_get(root, "exit");

	if (!strcmp(name, "console")) {
		if (line) {
			hd_spawn_text(vm->last_line, sizeof(vm->last_line), json_string_value(line));
			hd_console_line(vm, vm->last_line);
		}
		hd_console_pump(vm);
	} else if (!strcmp(name, "waiting")) {
		hd_spawn_text(vm->waiting, sizeof(vm->waiting), json_string_value(line));
		hd_vm_news(vm);
	} else if (!strcmp(name, "ready")) {
		hd_life_ready(vm);
	} else if (!strcmp(name, "unhealthy")) {
		char what[ERR_TEXT];

		hd_spawn_text(what, sizeof(what), json_string_value(line));
		hd_restart_ill(vm, what);
	} else if (!strcmp(name, "exec.data") || !strcmp(name, "exec.exit")) {
		const char *breach = hd_exec_event(vm, name, root);

		if (breach)
			hd_spawn_untrue(vm, breach);
	} else if (!strcmp(name, "running")) {
		hd_life_running(vm);
	} else if (!strcmp(name, "ended") && !vm->ended) {
		vm->ended = true;
		hd_spawn_text(vm->kind, sizeof(vm->kind), json_string_value(json_object_get(root, "kind")));
		hd_spawn_text(vm->reason, sizeof(vm->reason), json_string_value(json_object_get(root, "why")));
		if (code)
			vm->exit = (int)(json_integer_value(code) & 0xff);
		hd_spawn_check(vm);		/* and now it must really end */
	} else {
		hd_spawn_untrue(vm, "an event that nobody knows");
	}
}

static void hd_spawn_error(const json_t *error, struct err *e)
{
	json_int_t code = json_integer_value(json_object_get(error, "code"));

	hd_spawn_text(e->text, sizeof(e->text), json_string_value(json_object_get(error, "message")));
	e->code = code > 0 && code < 1000 ? (int)code : CO_EWORKER;
	if (!e->text[0])
		snprintf(e->text, sizeof(e->text), "%s", err_text(e->code));
}

static void hd_spawn_answer(struct hd_vm *vm, unsigned int call, json_t *result, const json_t *error)
{
	struct hd_req **p = &vm->calls, *r;
	struct err e;

	if (error)
		hd_spawn_error(error, &e);
	if (call == HD_SPAWN_BUILD && !vm->built) {
		vm->built = !error;
		hd_life_built(vm, error ? &e : NULL);
		return;
	}
	while (*p && (*p)->call != call)
		p = &(*p)->next;
	r = *p;
	if (!r) {
		hd_spawn_untrue(vm, "an answer to no question");
		return;
	}
	*p = r->next;
	if (!error && proto_check(result, r->method->result, r->method->nresult, &e)) {
		log_line(LOG_ERROR, "%s: %s: %s", vm->name, r->method->name, e.text);
		err_set(&e, CO_EWORKER, "the worker's answer to %s makes no sense", r->method->name);
		error = result;
	}
	if (!error && !strcmp(r->method->name, "exec.start") && hd_exec_started(vm, r, result, &e)) {
		hd_spawn_untrue(vm, e.text);
		error = result;
	}
	if (error)
		hd_rpc_fail(r, &e);
	else
		hd_rpc_reply(r, json_incref(result));
}

static void hd_spawn_line(void *arg, char *line, size_t len)
{
	json_t *root, *result, *error, *call;
	struct hd_vm *vm = arg;
	const char *event;

	if (vm->untrue)
		return;
	root = json_loadb(line, len, MSG_JSON_FLAGS, NULL);
	event = json_string_value(json_object_get(root, "event"));
	result = json_object_get(root, "result");
	error = json_object_get(root, "error");
	call = json_object_get(root, "id");
	if (event)
		hd_spawn_event(vm, event, root);
	else if (json_is_integer(call) && (result || json_is_object(error)))
		hd_spawn_answer(vm, (unsigned int)json_integer_value(call), result, error);
	else
		hd_spawn_untrue(vm, "a line that is neither answer nor event");
	json_decref(root);
}

int hd_spawn_call(struct hd_vm *vm, const char *method, json_t *params, struct hd_req *r)
{
	unsigned int number = ++vm->next_call;
	json_t *call = json_pack("{s:I, s:s, s:o}", "id", (json_int_t)number, "method", method,
				 "params", params ? params : json_object());
	int err = !call || !vm->msg || msg_send_json(vm->msg, call);

	json_decref(call);
	if (err)
		return -CO_EWORKER;
	if (r) {
		r->call = number;
		r->next = vm->calls;
		vm->calls = r;
	}
	return 0;
}

/* Hands the setup and the descriptors over; the socket is fresh and empty. */
static int hd_spawn_hand_over(struct hd_vm *vm, int sock)
{
	size_t len = 0;
	char *text = msg_text(vm->setup, &len);
	int fds[2] = { vm->handle, vm->conlog_fd };
	int err = text ? msg_send_fds(sock, text, len, fds, 2) : -1;

	free(text);
	return err;
}

int hd_spawn(struct hd_vm *vm, struct err *e)
{
	static const struct msg_ops ops = { hd_spawn_line, NULL, hd_spawn_closed };
	struct hd *hd = vm->hd;
	int sock[2] = { -1, -1 }, log[2] = { -1, -1 };
	pid_t parent = getpid();

	vm->reaped = vm->built = vm->ended = vm->untrue = false;
	vm->words[0] = vm->kind[0] = 0;
	vm->next_call = HD_SPAWN_BUILD;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock) || pipe(log))
		goto failed;
	for (int i = 0; i < 2; i++) {
		fcntl(sock[i], F_SETFD, FD_CLOEXEC);
		fcntl(log[i], F_SETFD, FD_CLOEXEC);
	}
	loop_nonblock(log[0]);
	if (hd_spawn_hand_over(vm, sock[0]))
		goto failed;
	vm->log = loop_add(hd->loop, log[0], POLLIN, hd_spawn_log, vm);
	vm->msg = msg_new(hd->loop, sock[0], HD_SPAWN_OUT, &ops, vm);
	if (!vm->log || !vm->msg)
		goto failed;
	vm->log_fd = log[0];
	vm->pid = fork();
	if (vm->pid == 0)
		hd_spawn_exec(hd, parent, sock[1], log[1]);
	close(sock[1]);
	close(log[1]);
	if (vm->pid > 0)
		return 0;
	vm->pid = 0;
	err_set(e, CO_EWORKER, "the worker cannot be started: %s", strerror(errno));
	hd_spawn_clean(vm);
	return -CO_EWORKER;

failed:
	err_set(e, CO_EWORKER, "the worker cannot be started: %s", strerror(errno));
	if (vm->msg)
		sock[0] = -1;		/* msg_free closes it */
	hd_spawn_clean(vm);
	for (int i = 0; i < 2; i++) {
		if (sock[i] >= 0)
			close(sock[i]);
		if (log[i] >= 0)
			close(log[i]);
	}
	return -CO_EWORKER;
}
