/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conet_slirp.h: what conet_slirp.c and conet_forward.c share. */
#ifndef WK_CONET_SLIRP_H
#define WK_CONET_SLIRP_H

#include <netinet/in.h>
#include <slirp/libslirp.h>

#include "conet.h"

#define CONET_SLIRP_TIMERS	2u
#define CONET_SLIRP_MTU		65521u	/* the most that libslirp takes */
#define CONET_SLIRP_MSS		32768u	/* of the segments that it makes for the guest */

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

#define CONET_PEERS	64u

struct conet_filter {			/* conet_filter.c */
	struct in_addr gateway, nameserver4;
	struct in6_addr prefix, nameserver;	/* prefix: its first 64 bits */
	struct {
		bool v6;
		uint16_t ours, theirs;	/* ports, as in the frame */
		int64_t until;		/* ms */
	} peers[CONET_PEERS];
	unsigned int next;
};

/* May the guest send this frame? */
bool conet_filter_allows(const struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now);
/* A frame goes to the guest: an answer may come. */
void conet_filter_note(struct conet_filter *f, const uint8_t *frame, uint32_t len, int64_t now);

struct conet_slirp {
	Slirp *slirp;
	struct conet_filter filter;
	struct conet_slirp_timer timers[CONET_SLIRP_TIMERS];
	struct conet_forward forwards[CONET_FORWARDS_MAX];
	unsigned int nforwards;
	int64_t full;			/* ms: until then no descriptor is free, and nothing is accepted */
};

#endif
