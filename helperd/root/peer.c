/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * peer.c: the listening socket and the clients behind it.  Anybody may
 * connect; who somebody is, the kernel says.  Called from the loop.
 */
#ifdef __linux__
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "hd.h"
#include "log.h"

#define HD_PEER_REST_MS	200u	/* without a descriptor for the next client */

#ifdef __linux__
int hd_peer_identity(int fd, struct hd_client *c)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -1;
	c->owner.uid = cred.uid;
	c->owner.gid = cred.gid;
	c->pid = cred.pid;
	len = sizeof(c->owner.groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, c->owner.groups, &len)) {
		/* In more groups than we carry: then with none of them. */
		log_line(LOG_WARNING, "uid %u is in too many groups: using only its primary one", c->owner.uid);
		len = 0;
	}
	c->owner.ngroups = (int)(len / sizeof(gid_t));
	return 0;
}
#endif

void hd_peer_put(struct hd_client *c)
{
	struct hd *hd = c->hd;

	if (c->msg || c->inflight)
		return;
	HD_UNLINK(hd->clients, c);
	hd->nclients--;
	free(c);
}

static void hd_peer_closed(void *arg, const char *why)
{
	struct hd_client *c = arg;

	log_line(LOG_DEBUG, "uid %u pid %d: %s", c->owner.uid, (int)c->pid, why);
	hd_console_forget(c);
	hd_exec_forget(c);
	msg_free(c->msg);
	c->msg = NULL;
	hd_peer_put(c);
}

/* Whoever does not read answers, or has many calls open, is not read from. */
void hd_peer_flow(struct hd_client *c)
{
	if (c->msg)
		msg_pause(c->msg, c->inflight >= HD_INFLIGHT_MAX || msg_queued(c->msg) > HD_OUT_BUSY);
}

static void hd_peer_drained(void *arg)
{
	struct hd_client *c = arg;

	hd_console_pump_client(c);
	hd_exec_pump_client(c);
	hd_peer_flow(c);
}

static void hd_peer_line(void *arg, char *line, size_t len)
{
	struct hd_client *c = arg;

	c->inflight++;			/* the client outlives its own line */
	hd_rpc_line(c, line, len);
	c->inflight--;
	hd_peer_flow(c);
	hd_peer_put(c);
}

void hd_peer_send(struct hd_client *c, const json_t *value)
{
	if (!c->msg)
		return;
	/* Whoever would wait for an answer that cannot be made had better know. */
	if (!value)
		msg_cut(c->msg, "out of memory");
	else if (msg_send_json(c->msg, value) == 0)
		hd_peer_flow(c);
}

void hd_peer_event(struct hd_client *c, const char *name, json_t *params)
{
	json_t *event = json_pack("{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", name, "params", params);

	if (event)
		hd_peer_send(c, event);
	json_decref(event);
}

bool hd_peer_owns(const struct hd_client *c, const struct hd_vm *vm)
{
	return c->owner.uid == 0 || c->owner.uid == vm->uid;
}

static void hd_peer_refuse(int fd)
{
	struct err e;
	json_t *answer;
	size_t len = 0;
	char *line;

	err_set(&e, CO_ELIMIT, "too many connections to colinuxd are open");
	answer = hd_rpc_error(NULL, &e);
	line = answer ? msg_text(answer, &len) : NULL;
	/* A fresh socket has room for it; if not, closing says enough. */
	if (line)
		(void)!msg_send_fds(fd, line, len, NULL, 0);
	free(line);
	json_decref(answer);
	close(fd);
}

/* Whoever cannot be accepted would end each poll at once. */
static void hd_peer_rest(struct hd *hd)
{
	if (!hd->rested)
		log_line(LOG_WARNING, "new clients wait: %s", strerror(errno));
	hd->rested = true;
	loop_events(hd->listen, 0);
	loop_timer_start(hd->loop, &hd->rest_timer, HD_PEER_REST_MS);
}

static void hd_peer_rested(void *arg)
{
	struct hd *hd = arg;

	loop_events(hd->listen, POLLIN);
}

static void hd_peer_accept(void *arg, short revents)
{
	static const struct msg_ops ops = { hd_peer_line, hd_peer_drained, hd_peer_closed };
	struct hd *hd = arg;
	struct hd_client *c;
	unsigned int same = 0;
	int fd;

	(void)revents;
	fd = accept(hd->listen_fd, NULL, NULL);
	if (fd < 0) {
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			hd_peer_rest(hd);
		return;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	c = calloc(1, sizeof(*c));
	if (!c || hd_peer_identity(fd, c)) {
		log_line(LOG_ERROR, "a client was refused: %s", strerror(c ? errno : ENOMEM));
		close(fd);
		free(c);
		return;
	}
	c->hd = hd;
	for (struct hd_client *o = hd->clients; o; o = o->next)
		same += o->owner.uid == c->owner.uid;
	if (hd->nclients >= HD_CLIENTS_MAX || (c->owner.uid && same >= HD_CLIENTS_PER_UID)) {
		hd_peer_refuse(fd);
		free(c);
		return;
	}
	c->msg = msg_new(hd->loop, fd, HD_OUT_LIMIT, &ops, c);
	if (!c->msg) {
		close(fd);
		free(c);
		return;
	}
	c->next = hd->clients;
	hd->clients = c;
	hd->nclients++;
}

/* A socket file that nobody listens on is left over from a killed colinuxd. */
static int hd_peer_stale(const struct sockaddr_un *at, struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), err;

	if (fd < 0)
		return err_set(e, CO_EIO, "socket: %s", strerror(errno));
	err = connect(fd, (const struct sockaddr *)at, sizeof(*at));
	close(fd);
	if (!err)
		return err_set(e, CO_EBUSY, "%s: a colinuxd runs there already", at->sun_path);
	if (errno == ECONNREFUSED && unlink(at->sun_path))
		return err_set(e, CO_EIO, "%s: %s", at->sun_path, strerror(errno));
	return 0;
}

int hd_peer_listen(struct hd *hd, struct err *e)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	if (strlen(hd->socket) >= sizeof(at.sun_path))
		return err_set(e, CO_EINVAL, "%s: longer than the %zu bytes that a socket's path may have",
			       hd->socket, sizeof(at.sun_path) - 1);
	strcpy(at.sun_path, hd->socket);
	err = hd_peer_stale(&at, e);
	if (err)
		return err;
	hd->listen_fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (hd->listen_fd < 0)
		return err_set(e, CO_EIO, "socket: %s", strerror(errno));
	fcntl(hd->listen_fd, F_SETFD, FD_CLOEXEC);
	mask = umask(0177);
	err = bind(hd->listen_fd, (struct sockaddr *)&at, sizeof(at));
	umask(mask);
	if (err || chmod(hd->socket, hd->socket_mode) || listen(hd->listen_fd, 64) ||
	    loop_nonblock(hd->listen_fd))
		return err_set(e, CO_EIO, "%s: %s", hd->socket, strerror(errno));
	loop_timer_init(&hd->rest_timer, hd_peer_rested, hd);
	hd->listen = loop_add(hd->loop, hd->listen_fd, POLLIN, hd_peer_accept, hd);
	return hd->listen ? 0 : err_set(e, CO_ENOMEM, "out of memory");
}

void hd_peer_close(struct hd *hd)
{
	while (hd->clients) {
		struct hd_client *c = hd->clients;

		c->inflight = 0;
		hd_peer_closed(c, "colinuxd ends");
	}
	loop_timer_stop(hd->loop, &hd->rest_timer);
	loop_del(hd->listen);
	hd->listen = NULL;
	if (hd->listen_fd >= 0) {
		close(hd->listen_fd);
		unlink(hd->socket);
	}
	hd->listen_fd = -1;
}
