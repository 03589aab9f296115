/* SPDX-License-Identifier: GPL-2.0-or-later */
/* relay.h: what the relay's two files share. */
#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>

#include "loop.h"

#define RELAY_BANNER	"colinux-relay 1\n"
#define RELAY_BUFFER	65536u

struct relay_pipe {			/* bytes on their way in one direction */
	char *data;
	size_t at, len;
};

enum relay_state {
	RELAY_IDLE,			/* nobody at the host's end */
	RELAY_CALLING,			/* somebody is; colinuxd does not answer yet */
	RELAY_ACTIVE,			/* bytes flow */
	RELAY_LEAVING,			/* the host's end is gone: colinuxd gets the rest */
	RELAY_CLOSING,			/* colinuxd is gone: the host's end gets the rest */
	RELAY_SPENT,			/* told so by closing the port; waits for the hang-up */
};

struct relay_port {
	const char *path, *socket;
	struct loop *loop;
	enum relay_state state;
	int port, sock;
	struct loop_fd *port_fd, *sock_fd;
	struct relay_pipe up, down;	/* up: to colinuxd */
	struct loop_timer retry;
};

/* 0, or -1 with errno: the device cannot be opened. */
int relay_port_open(struct relay_port *p, struct loop *l, const char *path, const char *socket);

/* After SIGIO: revents of a poll tell whether the host's end came or went. */
void relay_port_look(struct relay_port *p, short revents);

#endif
