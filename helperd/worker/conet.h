/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * conet: the guest's network: stock xen-netfront on one side, libslirp (nat),
 * a tap device, or the device of a NIC that leads to a NAT on the other.
 *
 *   conet.c          devices in xenstore, port.* calls; the main thread
 *   conet_thread.c   the network's own thread: everything below runs in it
 *   conet_ring.c     netfront's two rings
 *   conet_packet.c   headers, checksums, large segments
 *   conet_slirp.c    nat; its forwards: conet_forward.c
 *   conet_tap_OS.c   tap, and a NIC's device
 *   conet_nat.c      frames for a NAT; what may go where: conet_filter.c;
 *                    fragments: conet_pieces.c
 *
 * The thread never waits for the main thread; the main thread hands it calls
 * and waits (conet_call), so slirp is only ever entered from one place.  A solo
 * worker has no such thread: its loop does that work in each round.
 */
#ifndef WK_CONET_H
#define WK_CONET_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../kext/include/xen/io/netif.h"
#include "device.h"
#include "wk.h"

#define CONET_NETS_MAX		4u
#define CONET_FORWARDS_MAX	64u
#define CONET_FRAME_MAX		65535u	/* bytes, as the rings and slirp have it */
#define CONET_QUEUE_MAX		(1u << 20)	/* bytes that wait for the guest's buffers */
#define CONET_MTU		1500u	/* what a stock guest starts with */

/* ---- conet_packet.c: one Ethernet frame ---------------------------------- */

#define CONET_HEAD	128u

struct conet_packet {
	const uint8_t *data;
	uint32_t len;
	uint32_t head_len;		/* so many bytes are in head, not in data */
	bool blank;			/* its TCP or UDP checksum is yet to be completed */
	bool good;			/* its checksum need not be looked at */
	uint8_t gso;			/* XEN_NETIF_GSO_TYPE_*, 0: one plain frame */
	uint16_t gso_size;		/* payload of each segment */
	uint8_t head[CONET_HEAD];
};

struct conet_headers {			/* of a whole TCP or UDP packet */
	bool v6;
	uint8_t protocol;
	uint32_t l3, l4, l4_len;	/* offsets in the frame; bytes of L4 */
};

#define ETH_LEN		14u
#define ETH_IPV4	0x0800u
#define ETH_ARP		0x0806u
#define ETH_IPV6	0x86ddu
#define IP4_LEN		20u
#define IP4_MORE	0x2000u		/* fragments follow */
#define IP4_OFFSET	0x1fffu		/* this one's place, in 8 bytes */
#define IP6_LEN		40u
#define TCP_LEN		20u
#define UDP_LEN		8u
#define TCP_SYN		0x02u
#define TCP_RST		0x04u
#define TCP_ACK		0x10u
#define PROTO_ICMP	1u
#define PROTO_TCP	6u
#define PROTO_UDP	17u
#define PROTO_ICMP6	58u

static inline uint16_t conet_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void conet_put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline uint32_t conet_type(const uint8_t *frame, uint32_t len)
{
	return len < ETH_LEN ? 0 : conet_get16(frame + 12);
}

/* false: no IPv4 or IPv6 TCP or UDP, a fragment, or not all there. */
bool conet_headers(const uint8_t *frame, uint32_t len, struct conet_headers *h);
uint16_t conet_sum(const uint8_t *data, uint32_t len, uint64_t start);
void conet_complete(uint8_t *frame, const struct conet_headers *h);	/* the L4 checksum */
/* Turns a SYN of the guest's into the answer of a host that has no such port; its length. */
uint32_t conet_refuse(uint8_t *frame, struct conet_headers *h);
/* A SYN of the guest's promises to take segments of this size (its rings take them whole). */
void conet_raise_mss(uint8_t *frame, const struct conet_headers *h, uint16_t mss);
/* A frame larger than the guest's MTU becomes one large segment. */
void conet_enlarge(struct conet_packet *p);

/* ---- conet_ring.c ----------------------------------------------------------- */

typedef void *(*conet_frame_fn)(void *arg, uint32_t ref, bool write);

struct conet_ring {
	struct xen_sring *tx, *rx;	/* the guest's pages; NULL: not connected */
	conet_frame_fn frame;
	void *arg;
	bool sg, gso4, gso6;		/* what the frontend takes */
	RING_IDX tx_cons, rx_cons;	/* the truth; requests and answers go in step */
	RING_IDX tx_told, rx_told;	/* answers that the guest has been shown */
	const char *broken;		/* how the guest broke a ring; then it is dead */
};

/*
 * The guest's next frame, copied to buffer (CONET_FRAME_MAX bytes).  1: here it is,
 * 0: there is none.  Frames that make no sense are answered and skipped.
 */
int conet_ring_take(struct conet_ring *r, uint8_t *buffer, struct conet_packet *p);
/* A frame to the guest: 0, or -1: it has no room for it now. */
int conet_ring_give(struct conet_ring *r, const struct conet_packet *p);

#define CONET_TELL_SENT		1u	/* the guest wants to be told: its frames have been taken */
#define CONET_TELL_GIVEN	2u	/* there are some for it */

unsigned int conet_ring_publish(struct conet_ring *r);	/* CONET_TELL_* */
/* The guest has seen all answers to its frames by itself, and wants to be told of the next. */
bool conet_ring_seen(const struct conet_ring *r);
/*
 * Before a sleep: asks for a notice of new frames, and of room for one that waits (or NULL).
 * true: there is such already.
 */
bool conet_ring_arm(struct conet_ring *r, const struct conet_packet *waits);

/* ---- conet_thread.c ----------------------------------------------------------- */

struct conet;
struct conet_net;

struct conet_polls {			/* descriptors of one round */
	struct pollfd *fds;
	unsigned int count, room;
	int timeout;			/* ms, -1: for ever */
};

int conet_poll_add(struct conet_polls *p, int fd, short events);	/* its index, -1: no memory */

struct conet_link {			/* the host's side of a network */
	void (*input)(struct conet_net *n, uint8_t *buffer, struct conet_packet *p);
	void (*fill)(struct conet_net *n, struct conet_polls *p);
	void (*polled)(struct conet_net *n, const struct conet_polls *p);
	bool (*look)(struct conet_net *n);	/* for frames, without a poll: were there any?  Or NULL */
	void (*offload)(struct conet_net *n);	/* the ring's features have changed; or NULL */
	void (*free)(struct conet_net *n);
	bool outside;			/* its NAT, and so its forwards, are not this process's */
	/*
	 * What it sends is answered soon: the guest is told with that answer that its own
	 * frames have been taken.  (libslirp's comes by way of the host's sockets, late.)
	 */
	bool late;
};

struct conet_waiting;

struct conet_net {
	struct conet *all;
	uint32_t index;
	uint8_t mac[6];
	struct wk_xenbus *bus;
	uint32_t port;
	struct conet_ring ring;
	const struct conet_link *link;
	void *priv;			/* the link's */
	struct conet_waiting *first, **last;	/* frames without room */
	uint32_t waiting;		/* bytes of them */
	bool talks;			/* solo: the guest has sent something, or something came */
	bool owed;			/* a notice that its frames have been taken */
	RING_IDX owed_from;		/* the first such answer */
	uint64_t owed_until;		/* ms: then at the latest */
};

typedef int (*conet_fn)(struct conet_net *n, void *arg, struct err *e);

struct conet {
	struct wk *w;
	struct conet_net nets[CONET_NETS_MAX];
	unsigned int count;
	struct conet_polls polls;
	uint8_t *buffer;		/* one frame of the guest's */
	int pipe[2];
	int woken;			/* atomic: a byte is in the pipe */
	pthread_t thread;
	bool running;			/* the thread */
	bool busy;			/* there may be more to do already */
	bool told;			/* solo: the guest has something new */

	pthread_mutex_t lock;		/* of the call that the main thread makes */
	pthread_cond_t done;
	conet_fn fn;			/* NULL: none */
	struct conet_net *net;
	void *arg;
	struct err *e;
	int result;
};

int conet_thread_start(struct conet *c, struct err *e);
void conet_wake(void *conet);			/* any thread; a port's handler */
/* Runs fn in the thread (or at once, before it runs) and waits for it. */
int conet_call(struct conet *c, struct conet_net *n, conet_fn fn, void *arg, struct err *e);
/* From the link, in the thread: a frame to the guest, now, later or never. */
void conet_to_guest(struct conet_net *n, const struct conet_packet *p);

/* ---- conet_nat.c ------------------------------------------------------------------- */

struct conet_filter;

/* A frame of the guest's, made ready for a NAT; false: it does not go there. */
bool conet_nat_takes(struct conet_net *n, struct conet_filter *f, uint8_t *buffer, struct conet_packet *p);
/* A frame that the NAT has made for the guest. */
void conet_nat_gives(struct conet_net *n, struct conet_filter *f, struct conet_packet *p);

/* ---- conet_slirp.c, conet_forward.c, conet_tap_<os>.c ----------------------------- */

int conet_slirp_open(struct conet_net *n, const char *hostname, const json_t *spec, struct err *e);
bool conet_slirp_is(const struct conet_net *n);
int conet_tap_open(struct conet_net *n, const json_t *spec, struct err *e);
/* nat by a device of the spec's. */
int conet_nic_open(struct conet_net *n, const json_t *spec, struct err *e);

int conet_forward_add(struct conet_net *n, void *forward, struct err *e);	/* json_t *: Forward */
int conet_forward_remove(struct conet_net *n, void *forward, struct err *e);
int conet_forward_list(struct conet_net *n, void *list, struct err *e);		/* json array */

#endif
