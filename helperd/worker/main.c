/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * main.c: the worker: receive, map, drop everything, build, serve.
 *
 * Started by colinuxd only, with a socket to it as descriptor 3.  The first
 * line tells about the VM and brings its handle and the console log's memory.
 * Then it answers calls and sends events (see root/spawn.c), until the guest
 * ends or colinuxd does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dev.h"
#include "device.h"
#include "log.h"
#include "wk.h"
#include "xenstore.h"

#define WK_SOCKET	3
#define WK_OUT_LIMIT	(8u << 20)	/* above what all commands may have under way */
#define WK_OUT_CROWDED	(6u << 20)	/* commands lose their agent; above the limit the VM ends */
#define WK_BUILD_CALL	1

/* ---- to colinuxd ---------------------------------------------------------------- */

void wk_tell(struct wk *w, json_t *o)
{
	if (o)
		msg_send_json(w->root, o);
	json_decref(o);
}

bool wk_crowded(const struct wk *w)
{
	return msg_queued(w->root) > WK_OUT_CROWDED;
}

void wk_event(struct wk *w, const char *event, const char *line)
{
	if (w->root)
		wk_tell(w, line ? json_pack("{s:s, s:s}", "event", event, "line", line)
				: json_pack("{s:s}", "event", event));
}

void wk_reply(struct wk *w, json_int_t id, json_t *result)
{
	wk_tell(w, json_pack("{s:I, s:o}", "id", id, "result", result ? result : json_object()));
}

void wk_fail(struct wk *w, json_int_t id, const struct err *e)
{
	wk_tell(w, json_pack("{s:I, s:{s:i, s:o}}", "id", id, "error", "code", e->code,
			     "message", msg_string(e->text)));
}

void wk_end(struct wk *w, const char *kind, int exit, const char *format, ...)
{
	char why[ERR_TEXT];
	va_list args;
	json_t *o;

	if (w->over)
		return;
	w->over = true;
	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	if (w->console) {
		wk_vcpu_flush(w->vcpu);
		wk_console_flush(w->console);
	}
	o = json_pack("{s:s, s:s, s:o}", "event", "ended", "kind", kind, "why", msg_string(why));
	if (o && exit >= 0)
		json_object_set_new(o, "exit", json_integer(exit));
	wk_tell(w, o);
	loop_quit(w->loop);
}

/* ---- the guest's side --------------------------------------------------------------- */

void wk_kill(struct wk *w, const char *why)
{
	dev_vm_kill(w->vm, why);
	wk_end(w, "killed", -1, "%s", why);
}

void *wk_frame(struct wk *w, uint64_t gfn)
{
	return gfn < w->ram_pages ? w->memory + (gfn << CO_PAGE_SHIFT) : NULL;
}

void wk_port_bind(struct wk *w, uint32_t port, wk_port_fn fn, void *arg)
{
	if (port >= WK_PORTS)
		return;
	w->ports[port].fn = fn;
	w->ports[port].arg = arg;
}

void wk_port_raise(struct wk *w, uint32_t port)
{
	/* Fails only when the VM is ending: then nobody needs it. */
	if (!wk_vcpu_raise(w->vcpu, port))
		dev_event(w->vm, port);
}

/* ---- from colinuxd --------------------------------------------------------------------- */

static void wk_call_start(struct wk *w)
{
	struct err e;

	if (wk_vcpu_start(w->vcpu, &e)) {
		wk_end(w, "failed", -1, "%s", e.text);
		return;
	}
	wk_event(w, "running", NULL);
	wk_ready_start(w);
}

static void wk_call_map(struct wk *w, json_int_t id)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < w->out.nregions; i++) {
		const struct wk_builder_region *r = &w->out.regions[i];

		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", r->name,
						      "start", (json_int_t)r->start, "end", (json_int_t)r->end));
	}
	wk_reply(w, id, json_pack("{s:o}", "regions", list));
}

static void wk_call(void *arg, char *line, size_t len)
{
	struct wk *w = arg;
	json_t *root = json_loadb(line, len, MSG_JSON_FLAGS, NULL);
	const char *method = json_string_value(json_object_get(root, "method"));
	json_int_t id = json_integer_value(json_object_get(root, "id"));
	const json_t *params = json_object_get(root, "params");
	struct err e;

	if (!method || w->over) {
		json_decref(root);
		return;
	}
	if (!strcmp(method, "start")) {
		wk_call_start(w);
	} else if (!strcmp(method, "stop")) {
		if (wk_xs_ask_poweroff(w->xs))
			log_line(LOG_WARNING, "no room in xenstore to ask the guest to power off");
	} else if (!strcmp(method, "vm.memoryMap")) {
		wk_call_map(w, id);
	} else if (!strcmp(method, "console.write")) {
		wk_console_write(w->console, id, params);
	} else if (!strcmp(method, "console.resize")) {
		/* hvc0 itself has no way to tell a size; without an agent it is nothing to refuse either. */
		wk_agent_resize(w, params);
		wk_reply(w, id, json_object());
	} else if (!strncmp(method, "exec.", 5)) {
		wk_agent_call(w, id, method, params);
	} else if (!strncmp(method, "port.", 5)) {
		wk_net_call(w, method, id, params);
	} else {
		err_set(&e, CO_ENOSYS, "the worker does not know %.64s", method);
		wk_fail(w, id, &e);
	}
	json_decref(root);
}

static void wk_closed(void *arg, const char *why)
{
	(void)arg;
	log_line(LOG_DEBUG, "colinuxd: %s", why);
	/* Nobody is left to serve; the VM ends with its handle. */
	_exit(0);
}

/* ---- birth --------------------------------------------------------------------------------- */

struct wk_birth {			/* what the first line leaves behind */
	struct wk *w;
	bool done;
};

static void wk_birth_line(void *arg, char *line, size_t len)
{
	struct wk_birth *b = arg;

	if (b->done) {
		wk_call(b->w, line, len);
		return;
	}
	b->done = true;
	b->w->setup = json_loadb(line, len, MSG_JSON_FLAGS, NULL);
	b->w->vm = msg_next_fd(b->w->root);
	b->w->conlog_fd = msg_next_fd(b->w->root);
	msg_take_fds(b->w->root, false);
}

/* TOUR 3: The worker maps the guest's memory, becomes its owner, and locks itself in. */
static int wk_prepare(struct wk *w, struct err *e)
{
	void *memory;
	int err;

	w->name = json_string_value(json_object_get(w->setup, "name"));
	w->ram_pages = (uint64_t)json_integer_value(json_object_get(w->setup, "memory")) >> CO_PAGE_SHIFT;
	if (!w->name || !w->ram_pages || w->vm < 0 || w->conlog_fd < 0)
		return err_set(e, CO_EINVAL, "the worker was started wrongly (only colinuxd can)");
	w->conlog = conlog_map(w->conlog_fd, 1);
	if (!w->conlog)
		return err_set(e, CO_ENOMEM, "the console's log: %s", strerror(errno));
	close(w->conlog_fd);
	err = dev_vm_map(w->vm, 0, w->ram_pages, &memory);
	if (err)
		return err_set(e, -err, "the guest's memory cannot be mapped: %s", err_text(-err));
	w->memory = memory;
	err = wk_grant_map(w, e);
	if (!err)
		err = wk_sandbox_drop(w->setup, e);
	if (!err)
		err = wk_open_files(w, e);
	if (!err)
		err = wk_disks_open(w, e);
	if (!err)
		err = wk_net_open(w, e);
	/* The vCPU's pipe is the last thing that needs making: no new ones in the sandbox. */
	w->vcpu = err ? NULL : wk_vcpu_new(w);
	if (!err && !w->vcpu)
		err = err_set(e, CO_ENOMEM, "no pipe for the vCPU: %s", strerror(errno));
	if (!err)
		err = wk_sandbox_close(w->ram_pages << CO_PAGE_SHIFT, json_object_get(w->setup, "nets"), e);
	return err;
}

static int wk_serve(struct wk *w, struct err *e)
{
	struct xs_wire *wire;
	int err;

	w->console = wk_console_new(w, w->conlog, json_string_value(json_object_get(w->setup, "readyConsole")));
	w->xs = wk_xs_new(w);
	w->ready = wk_ready_new(w);
	if (!w->console || !w->xs || !w->ready)
		return err_set(e, CO_ENOMEM, "out of memory");
	if (wk_xs_populate(w->xs, w->name, w->ram_pages << CO_PAGE_SHIFT, w->out.console_gfn))
		return err_set(e, CO_ENOMEM, "xenstore has no room for its first nodes");
	wire = xs_wire_new(w, w->xs, wk_frame(w, w->out.xenstore_gfn));
	if (!wire)
		return err_set(e, CO_ENOMEM, "out of memory");
	wk_console_connect(w->console, wk_frame(w, w->out.console_gfn));
	wk_port_bind(w, CO_PORT_XENSTORE, xs_wire_serve, wire);
	wk_port_bind(w, CO_PORT_CONSOLE, wk_console_serve, w->console);
	w->agent = wk_agent_new(w);
	if (!w->agent)
		return err_set(e, CO_ENOMEM, "no memory for the guest's agent");
	err = wk_disks_serve(w, e);
	return err ? err : wk_net_serve(w, e);
}

int main(void)
{
	static const struct msg_ops ops = { wk_birth_line, NULL, wk_closed };
	struct wk w = { .vm = -1, .conlog_fd = -1 };
	struct wk_birth birth = { .w = &w };
	struct err e = { 0 };
	int err;

	log_open("worker", LOG_NOTICE);
	signal(SIGPIPE, SIG_IGN);
	/* jansson would open /dev/urandom for its hash, in the closed sandbox. */
	json_object_seed((size_t)getpid() * 2654435761u | 1);
	w.loop = loop_new();
	w.root = w.loop ? msg_new(w.loop, WK_SOCKET, WK_OUT_LIMIT, &ops, &birth) : NULL;
	if (!w.root) {
		log_line(LOG_ERROR, "descriptor %d is no socket: only colinuxd can start a worker", WK_SOCKET);
		return 70;
	}
	msg_take_fds(w.root, true);
	while (!birth.done)
		loop_once(w.loop, -1);
	err = wk_prepare(&w, &e);
	if (!err)
		err = wk_build(&w, &e);
	if (!err)
		err = wk_serve(&w, &e);
	if (err) {
		wk_fail(&w, WK_BUILD_CALL, &e);
		msg_flush(w.root);
		return 1;
	}
	wk_reply(&w, WK_BUILD_CALL, json_object());
	wk_vcpu_serve(w.vcpu);
	msg_flush(w.root);
	/* Not exit(): the vCPU's thread may still be inside the kernel. */
	_exit(0);
}
