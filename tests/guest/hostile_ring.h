/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the attacks on rings share: the hostile guest as a frontend, which knows
 * how to be proper.  They need a worker at the other end (e2e/hostile-rings).
 *
 * Whatever is lent is filled with PATTERN first; what the worker then leaves
 * there may be a disk's sectors, a frame or an answer, and nothing else.
 */
#ifndef HOSTILE_RING_H
#define HOSTILE_RING_H

#include "hostile.h"
#include "xen/grant_table.h"
#include "xen/io/blkif.h"
#include "xen/io/console.h"
#include "xen/io/netif.h"
#include "xen/io/xenbus.h"
#include "xen/io/xs_wire.h"

#define SECOND		1000000000ull
#define PATIENCE	(60 * SECOND)	/* for what must come; machines are slow */
#define PATTERN		0x5a5a5a5a5a5a5a5aull

/* ---- hostile_ring.c ------------------------------------------------------- */

#define LENT	32

extern u8 lent[LENT][4096];		/* what rings name */
extern u8 ring_pages[6][4096];
extern struct xenstore_domain_interface *store;
extern struct xencons_interface *console;
extern struct shared_info *shared;
extern u64 random_state;

/* References that are there from the start.  LEND + i is lent[i], KEEP + i the same read-only. */
enum {
	REF_DISK = 8, REF_CDROM, REF_TX, REF_RX, REF_AGENT, REF_SPARE,
	REF_NONE = 32, REF_FOREIGN, REF_TRANSFER, REF_TRANSITIVE, REF_SUB, REF_BEYOND, REF_GRANTS,
	REF_HUGE, REF_LAST, REF_STORE, REF_CONSOLE, REF_TABLE,
	LEND = 64, KEEP = 128,
	REF_RX_BUFFER = 256,
	REF_OUTSIDE = CO_GRANT_FRAMES * 512,	/* the first beyond the table */
};

u64 now(void);
u64 random(void);
void yield(void);
void rest(u64 ns);
#define WAIT(what, ns) ({ u64 end_ = now() + (ns); while (!(what) && now() < end_) yield(); (what); })

extern u64 *grants;			/* the table: an entry is one word */
void grant(u32 ref, u64 frame, u16 flags);
u16 granted(u32 ref);			/* its flags now */
u32 new_port(void);
void notify(u32 port);

void fill(void *page);
int filled(const void *page, u32 from, u32 to);		/* bytes [from, to) are still PATTERN */

extern char reply[XENSTORE_PAYLOAD_MAX + 1];
extern u32 reply_len;
void store_put(const void *data, u32 len);
/* The answer's length, -1 for an error of xenstore's; either is in reply. */
long store_talk(u32 type, u32 tx, const void *payload, u32 len);
long store_answer(u32 id, u32 type);
u32 store_ask(u32 type, u32 tx, const void *payload, u32 len);	/* its id; answered later */
long store_write(const char *folder, const char *node, const char *value);
long store_write_number(const char *folder, const char *node, u64 value);
struct node { const char *name, *text; u64 number; };	/* the number, if there is no text */
void store_write_all(const char *folder, const struct node *nodes, u32 n);
long store_number(const char *folder, const char *node);	/* -1: it is none */
void store_drain(void);			/* reads away all answers and events */
void store_check(void);			/* nothing but what was said is in its ring */

struct device {
	const char *front, *back;
	u32 port;
};

/* Until the backend waits for us, whatever we have done to it; dies if it does not. */
void device_reset(struct device *d);
/* Says that the nodes are written: 0, or -1 if the backend refuses. */
long device_connect(struct device *d);

void rings_begin(void);
/* After an attack: everything is served properly on fresh connections; breach() if not. */
void rings_check(void);
void rings_end(void);
_Noreturn void rings_deaf(void);
_Noreturn void rings_storm(void);	/* until somebody ends the VM */

/* ---- hostile_ring_disk.c ----------------------------------------------------- */

struct disk {
	struct device bus;
	u32 number;			/* 0 writable, 1 read-only */
	u64 sectors;
	u32 ref;
	struct xen_sring *ring;
	u32 asked, heard;
	union blkif_sring_entry sent[32];
};

extern struct disk data_disk, cdrom;
void disk_prepare(struct disk *d);	/* all but the connection */
void disk_open(struct disk *d);		/* dies if a proper ring is refused */
void disk_put(struct disk *d, const void *entry);
void disk_ask(struct disk *d, u64 id, u8 op, u64 sector, u32 ref);	/* a page of it */
void disk_go(struct disk *d);
struct blkif_response disk_answer(struct disk *d);	/* the next one; dies if none comes */
void disk_check(struct disk *d);

void lent_fill(void);			/* all of it, with PATTERN */
int lent_is(u32 page, const struct disk *d, u64 sector);	/* the eight sectors from there */
int lent_may_be(u32 page, const struct disk *d, u64 sector);	/* or untouched, sector by sector */

/* ---- hostile_ring_net.c -------------------------------------------------------- */

extern struct device net_bus;
void net_prepare(u32 buffers);		/* all but the connection */
void net_check(void);

/* ---- hostile_ring_frame.c -------------------------------------------------------- */

#define ETH_LEN	14u

extern const u8 our_mac[6], gateway_mac[6];
void put_arp(u8 *p, u8 last);		/* who has the gateway's address, asks 10.0.2.LAST */
void put_ping(u8 *p, u32 bytes);	/* so many behind the IP header */
u32 noisy_frame(u8 *p);			/* its length */

extern const struct attack disk_request_attacks[], disk_ring_attacks[], net_ring_attacks[], store_ring_attacks[],
	state_ring_attacks[];

#endif
