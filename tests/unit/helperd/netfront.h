/* SPDX-License-Identifier: GPL-2.0-or-later */
/* netfront.h: a network frontend of a few lines, on half a worker. */
#ifndef NETFRONT_H
#define NETFRONT_H

#include "conet.h"
#include "half.h"

#define IN_GFN		100u		/* buffers for what comes: 64 */
#define IN_COUNT	64u
#define PORT		9u

extern struct xen_sring *tx, *rx;
extern RING_IDX rx_cons;
extern uint8_t got[65536], mac[6];	/* the frame that came last */
extern uint32_t got_len;
extern char killed[200];
extern json_t *reply;			/* of the last call, or why it failed */
extern struct err failed;
extern bool solo;			/* the next worker has one CPU: its loop does all */

/* A worker with these networks (JSON); expected: what wk_net_open says. */
void set_up_with(const char *nets, int expected);
/* The thread stays, as it does in a worker: it holds nothing of this test's but its pipe. */
void leave(void);
void meet(void);
int connected(void);			/* 0, in a while */

/* A frame in the ring; without a notice nobody looks. */
void post(const void *frame, uint32_t len);
void notify(void);
void transmit(const void *frame, uint32_t len);	/* both, and waits until it is taken */
/* The next frame, to got; false: none within so many times 50 ms. */
bool receive(int patience);
/* The next IPv4 packet of a protocol; its L4 part. */
uint8_t *receive_ip(uint8_t protocol);

uint32_t ip_frame(uint8_t *f, const char *from, const char *to, uint8_t protocol, uint32_t len);
uint32_t udp_frame(uint8_t *f, const char *from, const char *to, uint16_t sport, uint16_t dport,
		   const void *data, uint32_t len);

bool readable(int fd, int ms);
/* port.* for 127.0.0.1: 0 or the error. */
int call(const char *method, const char *protocol, uint16_t host, int guest);

#endif
