// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks through xenstore's ring and what is said on it.  An impossible index
 * ends the VM by design; everything else is answered, within limits.
 */
#include "hostile_ring.h"

static char big[4096];

static long must_end(void)
{
	notify(start->store_evtchn);
	rest(PATIENCE);
	breach("a broken xenstore ring is served on");
}

/* ---- one message that is wrong ---------------------------------------------------- */

struct message {
	u32 type, tx, len;
	const char *text;
};

static long store_says(u64 arg)
{
	const struct message *m = (const struct message *)arg;

	return store_talk(m->type, m->tx, m->text, m->len);
}

static long store_long(u64 arg)
{
	u32 len = (u32)arg, type = (u32)(arg >> 32);

	memset(big, 'a', sizeof(big));
	if (type == XS_WRITE)		/* a value so long, not a path */
		memcpy(big, "data/long", 10);
	if (type == XS_WATCH)		/* a token so long */
		memcpy(big, "data", 5);
	if (type != XS_WRITE)
		big[len - 1] = 0;
	return store_talk(type, 0, big, len);
}

static long store_deep(u64 parts)
{
	for (u64 i = 0; i < parts; i++) {
		big[2 * i] = 'a';
		big[2 * i + 1] = '/';
	}
	big[2 * parts] = 'a';
	big[2 * parts + 1] = 0;
	return store_talk(XS_MKDIR, 0, big, (u32)(2 * parts + 2));
}

/* Whatever the type, whatever the payload: an answer. */
static long store_types(u64 byte)
{
	static const u32 sizes[] = { 0, 1, 2, 5, 255, 1024, 4096 };

	for (u32 type = 0; type < 32; type++)
		for (u32 i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
			for (u32 tx = 0; tx < 2; tx++) {
				memset(big, (int)byte, sizes[i]);
				store_talk(type, tx * 0x7fffffff, big, sizes[i]);
			}
	return 0;
}

static long store_noise(u64 rounds)
{
	/* Not "data" by itself: it cannot be had again by who removes it. */
	static const char *const words[] = {
		"data/x", "device/x", "/", "/local/domain/1", "", "a", "..", "state", "vbd",
	};

	while (rounds--) {
		u32 len = 0;

		for (u64 n = random() % 8; n; n--) {
			const char *w = words[random() % 9];

			while (*w)
				big[len++] = *w++;
			big[len++] = random() & 1 ? 0 : '/';
		}
		/* No reset: the transactions and watches are to pile up. */
		store_talk(1 + (u32)random() % 20, random() & 3 ? 0 : (u32)random() % 20, big, len);
	}
	return 0;
}

/* A proper question, a byte at a time. */
static long store_pieces(u64 arg)
{
	struct xsd_sockmsg h = { XS_READ, 4242, 0, 7 };

	(void)arg;
	memcpy(big, &h, sizeof(h));
	memcpy(big + sizeof(h), "domid", 6);
	big[sizeof(h) + 6] = 0;
	for (u32 i = 0; i < sizeof(h) + 7; i++) {
		store_put(big + i, 1);
		yield();
	}
	if (store_answer(4242, XS_READ) != 1 || reply[0] != '1')
		breach("a question in pieces is not understood");
	return 0;
}

/* ---- more than is good ---------------------------------------------------------------- */

/* Begun and never ended, each with a change: at some point there are no more. */
static long store_transactions(u64 arg)
{
	(void)arg;
	store_talk(XS_RESET_WATCHES, 0, "", 1);
	for (u32 i = 0; i < 200; i++) {
		long tx = 0;

		if (store_talk(XS_TRANSACTION_START, 0, "", 1) < 0)
			return i ? -1 : 0;
		for (char *p = reply; *p; p++)
			tx = tx * 10 + *p - '0';
		if (store_talk(XS_WRITE, (u32)tx, "data/tx\0x", 9) < 0)
			breach("a proper change is refused");
	}
	breach("transactions without end");
}

static long store_reset(u64 arg)
{
	(void)arg;
	return store_talk(XS_RESET_WATCHES, 0, "", 1);
}

static u32 put_name(char *to, const char *prefix, u64 number)
{
	char *p = to;

	while (*prefix)
		*p++ = *prefix++;
	for (int shift = 12; shift >= 0; shift -= 4)
		*p++ = "0123456789abcdef"[number >> shift & 15];
	*p++ = 0;
	return (u32)(p - to);
}

/* So many that there may be no more; every change then costs their number of events. */
static long store_watches(u64 arg)
{
	static char path[1000];
	u32 n;

	(void)arg;
	memset(path, 'w', sizeof(path));
	memcpy(path, "data/", 5);
	path[900] = 0;
	for (n = 0; n < 1000; n++) {
		memcpy(big, path, 901);
		memset(big + 901, 't', 200);
		if (store_talk(XS_WATCH, 0, big, 1101 - 5 + put_name(big + 901 + 195, "", n)) < 0)
			break;
	}
	if (n < 20 || n == 1000)
		breach("watches without end, or none at all");
	/* Not one answer is read until nothing more is taken. */
	memcpy(big, path, 901);
	for (u32 i = 0; i < 50; i++) {
		struct xsd_sockmsg h = { XS_WRITE, 9999, 0, 901 };

		if (!WAIT(store->req_prod - store->req_cons <= XENSTORE_RING_SIZE - 917, SECOND / 2))
			break;
		store_put(&h, sizeof(h));
		store_put(big, 901);
	}
	rest(SECOND / 2);
	store_drain();
	return -1;
}

/* Nodes until there is no room, left there while all is looked at. */
static long store_nodes(u64 arg)
{
	u32 n;

	(void)arg;
	for (n = 0; n < 5000; n++)
		if (store_talk(XS_MKDIR, 0, big, put_name(big, "data/flood/", n)) < 0)
			break;
	if (n < 100 || n == 5000)
		breach("nodes without end, or none at all");
	return -1;
}

static long store_bytes(u64 arg)
{
	u32 n;

	(void)arg;
	store_talk(XS_RM, 0, "data/flood", 11);
	for (n = 0; n < 5000; n++) {
		memset(big, 'v', sizeof(big));
		if (store_talk(XS_WRITE, 0, big, put_name(big, "data/flood/", n) + 2000) < 0)
			break;
	}
	if (n < 20 || n == 5000)
		breach("values without end, or none at all");
	return -1;
}

/* A disk is pulled and plugged in again with no room for its nodes. */
static long store_full_plug(u64 arg)
{
	(void)arg;
	store_write(data_disk.bus.front, "state", "5");
	store_write(data_disk.bus.front, "state", "6");
	for (u64 end = now() + 4 * SECOND, n = 0; now() < end; n++) {
		memset(big, 'v', sizeof(big));
		store_talk(XS_WRITE, 0, big, put_name(big, "data/flood/more", n % 5000) + 200);
	}
	return store_talk(XS_RM, 0, "data/flood", 11);
}

/* ---- the ring ----------------------------------------------------------------------------- */

static long store_asked(u64 by)
{
	store->req_prod += (u32)by;
	return must_end();
}

static long store_read(u64 by)
{
	/* It is looked at when something is to be said. */
	store->rsp_cons += (u32)by;
	store_ask(XS_READ, 0, "domid", 6);
	return must_end();
}

static long store_too_long(u64 len)
{
	struct xsd_sockmsg h = { XS_WRITE, 1, 0, (u32)len };

	store_put(&h, sizeof(h));
	return must_end();
}

/* What else stands in the page is nobody's business. */
static long store_page(u64 value)
{
	store->server_features = store->connection = store->error = (u32)value;
	return store_talk(XS_READ, 0, "domid", 6) == 1 ? 0 : -1;
}

#define SAYS(name, type, text) \
	{ "store_" name, store_says, (u64)&(const struct message){ type, 0, sizeof(text) - 1, text }, ERROR }
#define IN_TX(name, type, tx, text) \
	{ "store_" name, store_says, (u64)&(const struct message){ type, tx, sizeof(text) - 1, text }, ERROR }
#define LONG(type, len)	((u64)(type) << 32 | (len))
#define BACKEND	"/local/domain/0/backend/vbd/1/51712"

const struct attack store_ring_attacks[] = {
	SAYS("read_nothing", XS_READ, ""), SAYS("read_absent", XS_READ, "no-such\0"),
	SAYS("path_double", XS_READ, "data//x\0"),
	SAYS("path_slash", XS_READ, "data/\0"), SAYS("path_dots", XS_READ, "/local/domain/1/../0\0"),
	SAYS("path_odd", XS_WRITE, "data/\x01\0v"), SAYS("path_percent", XS_WRITE, "data/%s%n\0v"),
	SAYS("write_backend", XS_WRITE, BACKEND "/state\0" "4"),
	SAYS("write_sectors", XS_WRITE, BACKEND "/sectors\0" "1"),
	SAYS("write_name", XS_WRITE, "name\0x"), SAYS("write_root", XS_WRITE, "/\0x"),
	SAYS("write_top", XS_WRITE, "/x\0x"),
	SAYS("write_short", XS_WRITE, ""), SAYS("mkdir_top", XS_MKDIR, "/x\0"), SAYS("rm_root", XS_RM, "/\0"),
	SAYS("rm_home", XS_RM, "/local/domain/1\0"), SAYS("rm_backends", XS_RM, "/local/domain/0/backend\0"),
	SAYS("rm_backend", XS_RM, BACKEND "\0"), SAYS("perms_backend", XS_SET_PERMS, BACKEND "\0b1\0"),
	SAYS("watch_no_token", XS_WATCH, "data\0"), SAYS("watch_nothing", XS_WATCH, "\0t\0"),
	SAYS("watch_open", XS_WATCH, "data\0token"),
	SAYS("watch_special", XS_WATCH, "@aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0t\0"),
	SAYS("unwatch", XS_UNWATCH, "data\0never\0"), SAYS("end_no_tx", XS_TRANSACTION_END, "T\0"),
	IN_TX("end_unknown", XS_TRANSACTION_END, 77777, "T\0"), IN_TX("read_unknown_tx", XS_READ, 77777, "domid\0"),
	IN_TX("start_in_tx", XS_TRANSACTION_START, 1, "\0"), SAYS("introduce", XS_INTRODUCE, "1\0" "2\0" "3\0"),
	SAYS("release", XS_RELEASE, "1\0"), SAYS("resume", XS_RESUME, "1\0"),
	SAYS("set_target", XS_SET_TARGET, "1\0" "0\0"),
	SAYS("event", XS_WATCH_EVENT, "a\0b\0"), SAYS("error", XS_ERROR, "EIO\0"), SAYS("type_100", 100, "\0"),
	SAYS("type_max", ~0u, "\0"),
	{ "store_path_1025", store_long, LONG(XS_READ, 1026), ERROR },
	{ "store_path_3072", store_long, LONG(XS_MKDIR, 3072), ERROR },
	{ "store_path_4096", store_long, LONG(XS_DIRECTORY, 4096), ERROR },
	{ "store_value_4096", store_long, LONG(XS_WRITE, 4096), ERROR },
	{ "store_token_4096", store_long, LONG(XS_WATCH, 4096), ERROR }, { "store_deep", store_deep, 40, ERROR },
	{ "store_deeper", store_deep, 500, ERROR },
	{ "store_types_0", store_types, 0, OK }, { "store_types_a", store_types, 'a', OK },
	{ "store_types_slash", store_types, '/', OK },
	{ "store_types_ff", store_types, 0xff, OK }, { "store_noise", store_noise, 3000, OK },
	{ "store_pieces", store_pieces, 0, OK },
	{ "store_page", store_page, ~0u, OK }, { "store_transactions", store_transactions, 0, ERROR },
	{ "store_reset", store_reset, 0, OK }, { "store_watches", store_watches, 0, ERROR },
	{ "store_reset_2", store_reset, 0, OK },
	{ "store_nodes", store_nodes, 0, ERROR }, { "store_bytes", store_bytes, 0, ERROR },
	{ "store_full_plug", store_full_plug, 0, OK },
	{ "store_asked_1025", store_asked, 1025, KILL }, { "store_asked_back", store_asked, ~0u, KILL },
	{ "store_read_far", store_read, 100, KILL }, { "store_read_back", store_read, ~0u - 2000, KILL },
	{ "store_long_4097", store_too_long, 4097, KILL }, { "store_long_max", store_too_long, ~0u, KILL },
	{ 0, 0, 0, 0 },
};
