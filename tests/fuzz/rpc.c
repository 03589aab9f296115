/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a client sends to colinuxd: lib/msg.c's framing over a real socket,
 * then root/rpc.c's checks.  The methods themselves are stand-ins here.
 * Whatever comes, each line gets exactly one answer, and that is JSON.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"
#include "hd.h"

static unsigned int lines, answers;

void hd_peer_send(struct hd_client *c, const json_t *value)
{
	char *text = json_dumps(value, JSON_COMPACT);

	(void)c;
	MUST(text && !strchr(text, '\n'));
	MUST(json_is_object(value) && json_object_get(value, "id"));
	MUST(!json_object_get(value, "result") != !json_object_get(value, "error"));
	free(text);
	answers++;
}

void hd_peer_flow(struct hd_client *c) { (void)c; }
void hd_peer_put(struct hd_client *c) { (void)c; }

static void method(struct hd_req *r)
{
	struct err e;

	/* What passed the checks has the contract's shape. */
	MUST(json_is_object(r->params));
	MUST(!proto_check(r->params, r->method->params, r->method->nparams, &e));
	hd_rpc_reply(r, json_object());
}

void hd_vm_create(struct hd_req *r) { method(r); }
void hd_vm_start(struct hd_req *r) { method(r); }
void hd_vm_stop(struct hd_req *r) { method(r); }
void hd_vm_restart(struct hd_req *r) { method(r); }
void hd_vm_delete(struct hd_req *r) { method(r); }
void hd_vm_list(struct hd_req *r) { method(r); }
void hd_vm_get(struct hd_req *r) { method(r); }
void hd_vm_forward(struct hd_req *r) { method(r); }
void hd_console_attach(struct hd_req *r) { method(r); }
void hd_console_detach(struct hd_req *r) { method(r); }
void hd_console_log(struct hd_req *r) { method(r); }

int hd_host_info(struct hd *hd, json_t **result, struct err *e)
{
	(void)hd;
	(void)result;
	return err_set(e, CO_ENODEV, "no device here");
}

json_t *hd_host_doctor(struct hd *hd)
{
	(void)hd;
	return json_object();
}

static void on_line(void *arg, char *line, size_t len)
{
	MUST(line[len] == '\0' && !memchr(line, '\n', len));
	lines++;
	hd_rpc_line(arg, line, len);
}

static void on_closed(void *arg, const char *why)
{
	struct hd_client *c = arg;

	MUST(why);
	msg_free(c->msg);
	c->msg = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct msg_ops ops = { .line = on_line, .closed = on_closed };
	struct loop *loop = loop_new();
	struct hd hd = { .loop = loop };
	struct hd_client client = { .hd = &hd };
	int fds[2];
	size_t at = 0;

	if (!size || size > 60000)
		goto out;
	lines = answers = 0;
	client.hello = data[0] & 1;		/* before and after the handshake */
	MUST(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds) && !loop_nonblock(fds[1]));
	client.msg = msg_new(loop, fds[1], HD_OUT_LIMIT, &ops, &client);
	MUST(client.msg);
	for (at = 1; at < size;) {		/* in pieces, cut anywhere */
		size_t n = size - at < 1u + data[0] * 16u ? size - at : 1u + data[0] * 16u;

		MUST(write(fds[0], data + at, n) == (ssize_t)n);
		at += n;
		loop_once(loop, 0);
	}
	close(fds[0]);
	while (client.msg)
		loop_once(loop, 0);
	MUST(lines == answers && !client.inflight);
out:
	loop_free(loop);
	return 0;
}
