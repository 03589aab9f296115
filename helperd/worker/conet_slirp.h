/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conet_slirp.h: what conet_slirp.c and conet_forward.c share. */
#ifndef WK_CONET_SLIRP_H
#define WK_CONET_SLIRP_H

#include <netinet/in.h>
#include <slirp/libslirp.h>

#include "conet.h"
#include "conet_filter.h"

#define CONET_SLIRP_TIMERS	2u
#define CONET_SLIRP_MTU		65521u	/* the most that libslirp takes */

struct conet_slirp_timer {
	SlirpTimerCb fn;
	void *arg;
	int64_t due;			/* ms, -1: not running */
};

struct conet_forward {
	bool udp;
	char address[INET6_ADDRSTRLEN];
	uint16_t host_port, guest_port;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} host;
	socklen_t len;
	int fd;				/* where libslirp listens for it; -1: udp */
};

struct conet_slirp {
	Slirp *slirp;
	struct conet_filter filter;
	struct conet_slirp_timer timers[CONET_SLIRP_TIMERS];
	struct conet_forward forwards[CONET_FORWARDS_MAX];
	unsigned int nforwards;
	int64_t full;			/* ms: until then no descriptor is free, and nothing is accepted */
};

#endif
