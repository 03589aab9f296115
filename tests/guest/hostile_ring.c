// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hostile guest as a frontend: time, grants, ports, xenstore, the handshake
 * with a backend, and the look around after each attack.
 *
 * Called by hostile.c (word "rings" of the command line) and by the attacks of
 * hostile_ring_*.c.
 */
#include "hostile_ring.h"
#include "xen/event_channel.h"
#include "xen/sched.h"

#define barrier() asm volatile("" ::: "memory")

u8 lent[LENT][4096] __attribute__((aligned(4096)));
u8 ring_pages[6][4096] __attribute__((aligned(4096)));
/* Where shared_info and the grant table are mapped; the frames behind are lost. */
static u8 special[CO_SPECIAL_FRAMES][4096] __attribute__((aligned(4096)));
static u8 window[4096] __attribute__((aligned(4096)));
struct xenstore_domain_interface *store;
struct xencons_interface *console;
struct shared_info *shared;
u64 *grants;
u64 random_state = 1;
char reply[XENSTORE_PAYLOAD_MAX + 1];
u32 reply_len;

/* ---- time, events, grants ------------------------------------------------------- */

u64 now(void)
{
	const volatile struct vcpu_time_info *t = &shared->vcpu_info[0].time;
	u64 delta, ns;
	u32 version;

	do {
		version = t->version;
		barrier();
		delta = __builtin_ia32_rdtsc() - t->tsc_timestamp;
		delta = t->tsc_shift < 0 ? delta >> -t->tsc_shift : delta << t->tsc_shift;
		ns = t->system_time + (u64)((unsigned __int128)delta * t->tsc_to_system_mul >> 32);
		barrier();
	} while ((version & 1) || version != t->version);
	return ns;
}

u64 random(void)
{
	random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
	return random_state >> 24;
}

void yield(void)
{
	hyper(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0);
}

void rest(u64 ns)
{
	for (u64 end = now() + ns; now() < end;)
		yield();
}

void notify(u32 port)
{
	hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (u64)&port, 0, 0, 0);
}

u32 new_port(void)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 0 };

	if (hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound, (u64)&op, 0, 0, 0))
		die("there is no event channel");
	return op.port;
}

u16 granted(u32 ref)
{
	return (u16)((volatile u64 *)grants)[ref];
}

/* struct grant_entry_v1, in one store. */
static void grant_to(domid_t dom, u32 ref, u64 frame, u16 flags)
{
	((volatile u64 *)grants)[ref] = flags | (u64)dom << 16 | frame << 32;
}

void grant(u32 ref, u64 frame, u16 flags)
{
	grant_to(0, ref, frame, flags);
}

static void grant_all(void)
{
	for (u32 i = 0; i < LENT; i++) {
		grant(LEND + i, gfn_of(lent[i]), GTF_permit_access);
		grant(KEEP + i, gfn_of(lent[i]), GTF_permit_access | GTF_readonly);
	}
	grant(REF_NONE, gfn_of(lent[0]), GTF_invalid);
	grant_to(7, REF_FOREIGN, gfn_of(lent[0]), GTF_permit_access);
	grant(REF_TRANSFER, gfn_of(lent[0]), GTF_accept_transfer);
	grant(REF_TRANSITIVE, gfn_of(lent[0]), GTF_transitive);
	grant(REF_SUB, gfn_of(lent[0]), GTF_permit_access | GTF_sub_page);
	grant(REF_BEYOND, start->nr_pages, GTF_permit_access);
	grant(REF_GRANTS, start->nr_pages + 1, GTF_permit_access);
	grant(REF_HUGE, ~0u, GTF_permit_access);
	grant(REF_LAST, start->nr_pages - 1, GTF_permit_access);
	grant(REF_STORE, start->store_mfn, GTF_permit_access);
	grant(REF_CONSOLE, start->console.domU.mfn, GTF_permit_access);
	grant(REF_TABLE, (*entry_of(USER_CODE, 2) & 0x000ffffffffff000ull) >> 12, GTF_permit_access);
}

/* ---- patterns --------------------------------------------------------------------- */

void fill(void *page)
{
	volatile u64 *p = page;

	for (int i = 0; i < 512; i++)
		p[i] = PATTERN;
}

int filled(const void *page, u32 from, u32 to)
{
	const volatile u8 *p = page;

	for (; from < to && from & 7; from++)
		if (p[from] != (u8)PATTERN)
			return 0;
	for (; from + 8 <= to; from += 8)
		if (*(const volatile u64 *)(p + from) != PATTERN)
			return 0;
	for (; from < to; from++)
		if (p[from] != (u8)PATTERN)
			return 0;
	return 1;
}

static u64 *look_at(u64 gfn)
{
	if (hyper(__HYPERVISOR_update_va_mapping, (u64)window, gfn << 12 | PTE_P | PTE_W, UVMF_INVLPG, 0, 0))
		die("a frame of RAM cannot be mapped");
	return (u64 *)window;
}

/*
 * All of RAM that nothing of ours lies in and that is never lent, but for the last
 * frame: nobody but us writes there, not even for a moment.
 */
static void free_ram(int check)
{
	u64 gfn = gfn_of((void *)start->pt_base) + start->nr_pt_frames + 1;

	if (gfn < start->first_p2m_pfn + start->nr_p2m_frames)
		gfn = start->first_p2m_pfn + start->nr_p2m_frames;
	for (; gfn < start->nr_pages - 1; gfn++) {
		u64 *p = look_at(gfn);

		for (u64 i = 0; i < 512; i++) {
			if (check && p[i] != gfn * 512 + i)
				breach("memory that was never lent has changed");
			p[i] = gfn * 512 + i;
		}
	}
}

/* ---- xenstore ------------------------------------------------------------------------ */

void store_put(const void *data, u32 len)
{
	volatile struct xenstore_domain_interface *s = store;
	const char *from = data;

	while (len) {
		u32 at = s->req_prod, room;

		if (!WAIT(s->req_prod - s->req_cons < XENSTORE_RING_SIZE, PATIENCE))
			die("xenstore takes nothing any more");
		room = XENSTORE_RING_SIZE - (at - s->req_cons);
		for (; room && len; room--, len--)
			s->req[MASK_XENSTORE_IDX(at++)] = *from++;
		barrier();
		s->req_prod = at;
		notify(start->store_evtchn);
	}
}

static void store_get(void *data, u32 len)
{
	volatile struct xenstore_domain_interface *s = store;
	char *to = data;

	while (len) {
		u32 at = s->rsp_cons, have;

		if (!WAIT(s->rsp_prod != at, PATIENCE))
			die("xenstore is silent");
		have = s->rsp_prod - at;
		if (have > XENSTORE_RING_SIZE)
			breach("xenstore's own index is impossible");
		for (; have && len; have--, len--) {
			volatile char *c = &s->rsp[MASK_XENSTORE_IDX(at++)];

			*to++ = *c;
			*c = (char)PATTERN;
		}
		barrier();
		s->rsp_cons = at;
		notify(start->store_evtchn);
	}
}

u32 store_ask(u32 type, u32 tx, const void *payload, u32 len)
{
	static u32 id;
	struct xsd_sockmsg h = { type, ++id, tx, len };

	store_put(&h, sizeof(h));
	store_put(payload, len);
	return id;
}

static struct xsd_sockmsg store_message(void)
{
	struct xsd_sockmsg h;

	store_get(&h, sizeof(h));
	if (h.len > XENSTORE_PAYLOAD_MAX)
		breach("a message of xenstore's is longer than any may be");
	store_get(reply, h.len);
	reply[h.len] = 0;
	reply_len = h.len;
	return h;
}

long store_answer(u32 id, u32 type)
{
	for (;;) {
		struct xsd_sockmsg h = store_message();

		if (h.type == XS_WATCH_EVENT)
			continue;
		if (h.req_id != id || (h.type != type && h.type != XS_ERROR))
			breach("xenstore answers what was not asked");
		return h.type == XS_ERROR ? -1 : (long)h.len;
	}
}

long store_talk(u32 type, u32 tx, const void *payload, u32 len)
{
	return store_answer(store_ask(type, tx, payload, len), type);
}

void store_drain(void)
{
	volatile struct xenstore_domain_interface *s = store;

	/* More may be on its way while the worker has its turn. */
	while (WAIT(s->rsp_prod != s->rsp_cons, SECOND / 5))
		store_message();
}

void store_check(void)
{
	volatile struct xenstore_domain_interface *s = store;

	for (int i = 0; i < 50; i++) {
		while (s->rsp_prod != s->rsp_cons)
			store_message();
		if (filled(store->rsp, 0, XENSTORE_RING_SIZE))
			return;
		/* A message on its way is there before its index says so. */
		WAIT(s->rsp_prod != s->rsp_cons, SECOND / 10);
	}
	breach("xenstore's ring holds what was never said");
}

static char *path_of(char *to, const char *folder, const char *node)
{
	for (; *folder; folder++)
		*to++ = *folder;
	*to++ = '/';
	for (; *node; node++)
		*to++ = *node;
	*to++ = 0;
	return to;
}

static u32 ask_write(const char *folder, const char *node, const char *value)
{
	char message[256], *p = path_of(message, folder, node);

	for (; *value; value++)
		*p++ = *value;
	return store_ask(XS_WRITE, 0, message, (u32)(p - message));
}

static char *digits_of(char digits[24], u64 value)
{
	char *p = digits + 23;

	*p = 0;
	do
		*--p = (char)('0' + value % 10);
	while (value /= 10);
	return p;
}

long store_write(const char *folder, const char *node, const char *value)
{
	return store_answer(ask_write(folder, node, value), XS_WRITE);
}

long store_write_number(const char *folder, const char *node, u64 value)
{
	char digits[24];

	return store_write(folder, node, digits_of(digits, value));
}

void store_write_all(const char *folder, const struct node *nodes, u32 n)
{
	char digits[24];
	u32 ids[8];

	for (u32 i = 0; i < n; i++)
		ids[i] = ask_write(folder, nodes[i].name,
				   nodes[i].text ? nodes[i].text : digits_of(digits, nodes[i].number));
	for (u32 i = 0; i < n; i++)
		store_answer(ids[i], XS_WRITE);
}

long store_number(const char *folder, const char *node)
{
	char message[256], *p = path_of(message, folder, node);
	long n = 0;

	if (store_talk(XS_READ, 0, message, (u32)(p - message)) <= 0)
		return -1;
	for (p = reply; *p; p++) {
		if (*p < '0' || *p > '9')
			return -1;
		n = n * 10 + *p - '0';
	}
	return n;
}

/* ---- devices ----------------------------------------------------------------------------- */

void device_reset(struct device *d)
{
	u64 end = now() + PATIENCE, again = 0;

	/* Its folder may be gone, and comes back after a while: then it is said once more. */
	while (store_number(d->back, "state") != XenbusStateInitWait) {
		if (now() > end)
			die("a backend does not wait for its frontend again");
		if (now() > again) {
			store_write(d->front, "state", "1");
			again = now() + SECOND / 2;
		}
		yield();
	}
}

long device_connect(struct device *d)
{
	u64 end = now() + PATIENCE;
	long state;

	store_write(d->front, "state", "4");
	do
		state = store_number(d->back, "state");
	while (state == XenbusStateInitWait && now() < end);
	if (state == XenbusStateConnected)
		return 0;
	if (state != XenbusStateClosing && state != XenbusStateClosed)
		die("a backend says neither yes nor no");
	return -1;
}

/* ---- all of it --------------------------------------------------------------------------- */

void rings_begin(void)
{
	struct gnttab_setup_table t = { .dom = DOMID_SELF, .nr_frames = CO_GRANT_FRAMES,
					.frame_list = (u64)spare[0] };

	if (hyper(__HYPERVISOR_grant_table_op, GNTTABOP_setup_table, (u64)&t, 1, 0, 0) || t.status)
		die("there is no grant table");
	for (u64 i = 0; i < CO_SPECIAL_FRAMES; i++)
		if (hyper(__HYPERVISOR_update_va_mapping, (u64)special[i],
			  (start->nr_pages + i) << 12 | PTE_P | PTE_W, UVMF_INVLPG, 0, 0))
			die("the grant table cannot be mapped");
	shared = (void *)special[0];
	grants = (void *)special[1];
	store = page_of(start->store_mfn);
	console = page_of(start->console.domU.mfn);
	for (u32 i = 0; i < XENSTORE_RING_SIZE; i++)
		store->rsp[i] = (char)PATTERN;
	for (u32 i = 0; i < sizeof(console->in); i++)
		console->in[i] = (char)PATTERN;
	grant_all();
	free_ram(0);
	data_disk.bus.port = new_port();
	cdrom.bus.port = new_port();
	net_bus.port = new_port();
	device_reset(&data_disk.bus);
	data_disk.sectors = (u64)store_number(data_disk.bus.back, "sectors");
	cdrom.sectors = (u64)store_number(cdrom.bus.back, "sectors");
}

void rings_check(void)
{
	grant_all();
	disk_check(&data_disk);
	disk_check(&cdrom);
	net_check();
	store_check();
	if (!filled(console->in, 0, sizeof(console->in)))
		breach("bytes that nobody typed are in the console's ring");
}

void rings_end(void)
{
	free_ram(1);
}

_Noreturn void rings_deaf(void)
{
	console->in_cons = console->in_prod + 5000;
	say("HOSTILE listens\n");
	for (;;)
		yield();
}

_Noreturn void rings_storm(void)
{
	for (;;) {
		notify(start->store_evtchn);
		notify(start->console.domU.evtchn);
		notify(data_disk.bus.port);
		notify(net_bus.port);
	}
}
