// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks by what a frontend says of itself: nodes that name no ring and no port,
 * states in any order, notices without end; and the two consoles' byte rings.
 */
#include "hostile_ring.h"
#include "xen/event_channel.h"

static struct device agent_bus = { "device/console/1", "/local/domain/0/backend/console/1/1", 0 };
static struct xencons_interface *const line = (void *)ring_pages[4];

/* ---- nodes that cannot be ------------------------------------------------------------ */

struct node_case {
	int net;
	const char *node, *value;
};

/* All nodes are proper but one. */
static long state_node(u64 arg)
{
	const struct node_case *c = (const struct node_case *)arg;
	struct device *d = c->net ? &net_bus : &data_disk.bus;

	if (c->net)
		net_prepare(0);
	else
		disk_prepare(&data_disk);
	if (c->value)
		store_write(d->front, c->node, c->value);
	else
		store_write_number(d->front, c->node, data_disk.bus.port);	/* in use */
	if (!device_connect(d))
		breach("a backend takes a node that cannot be");
	return -1;
}

static long state_node_long(u64 len)
{
	static char message[2048];
	const char *node = "device/vbd/51712/ring-ref";
	u32 n = 0;

	disk_prepare(&data_disk);
	while (node[n])
		message[n] = node[n], n++;
	message[n++] = 0;
	memset(message + n, '8', len);
	store_talk(XS_WRITE, 0, message, n + (u32)len);
	if (!device_connect(&data_disk.bus))
		breach("a backend takes a number without end");
	return -1;
}

static long state_node_binary(u64 arg)
{
	(void)arg;
	disk_prepare(&data_disk);
	store_talk(XS_WRITE, 0, "device/vbd/51712/ring-ref\0" "8\0x", 29);
	if (!device_connect(&data_disk.bus))
		breach("a backend takes half of a value");
	return -1;
}

/* ---- states in any order ----------------------------------------------------------------- */

/* Rings that a walk may connect are empty ones: a broken one would end the VM. */
static void state_walk_nodes(struct device *d)
{
	static const char *const refs[] = { "ring-ref", "tx-ring-ref", "rx-ring-ref" };
	static const u32 values[] = { LEND + 20, LEND + 21, REF_NONE, REF_HUGE, REF_OUTSIDE, ~0u };
	u64 r = random();

	if (r & 1)
		store_write_number(d->front, refs[(r >> 8) % 3], values[(r >> 16) % 6]);
	else
		store_write_number(d->front, r & 2 ? "event-channel" : "port", (r >> 8) % 70);
}

static long state_walk(u64 which)
{
	static const char *const states[] = {
		"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "", "x", "-1", "4294967296", "3", "4", "1", "3",
	};
	struct device *all[] = { &data_disk.bus, &net_bus, &agent_bus }, *d = all[which];

	memset(lent[20], 0, 2 * 4096);
	for (u32 i = 0; i < 400; i++) {
		if (random() % 3 == 0)
			state_walk_nodes(d);
		store_write(d->front, "state", states[random() % 18]);
		if (random() % 8 == 0)
			notify(d->port);
	}
	/* Back from wherever that ended, the console too. */
	device_reset(d);
	return 0;
}

/* Other nodes while it is connected are for the next time. */
static long state_rewrite(u64 arg)
{
	(void)arg;
	disk_open(&data_disk);
	store_write(data_disk.bus.front, "ring-ref", "4294967295");
	store_write(data_disk.bus.front, "event-channel", "2");
	store_write(data_disk.bus.front, "state", "3");
	store_write(data_disk.bus.front, "state", "4");
	fill(lent[0]);
	disk_ask(&data_disk, 1, BLKIF_OP_READ, 8, LEND);
	disk_go(&data_disk);
	if (disk_answer(&data_disk).status || !lent_is(0, &data_disk, 8))
		breach("a proper read is not served properly");
	return 0;
}

static long state_remove(u64 folder)
{
	static const char *const folders[] = { "device/vbd/51712", "device/vbd", "device/vif/0", "device" };
	const char *path = folders[folder];
	u32 len = 1;

	while (path[len])
		len++;
	disk_open(&data_disk);
	disk_ask(&data_disk, 1, BLKIF_OP_READ, 8, LEND);
	disk_go(&data_disk);
	if (store_talk(XS_RM, 0, path, len + 1) < 0)
		die("a folder of ours cannot be removed");
	/* Pulled, and after a while plugged in again: all of them. */
	device_reset(&data_disk.bus);
	device_reset(&net_bus);
	device_reset(&agent_bus);
	return 0;
}

static long state_closed(u64 times)
{
	while (times--) {
		disk_open(&data_disk);
		disk_ask(&data_disk, 1, BLKIF_OP_READ, 8, LEND);
		disk_go(&data_disk);
		store_write(data_disk.bus.front, "state", "5");
		store_write(data_disk.bus.front, "state", "6");
		rest(times ? SECOND / 20 : 5 * SECOND / 2);
	}
	return 0;
}

/* ---- notices ------------------------------------------------------------------------------- */

static long event_storm(u64 notices)
{
	static u32 ports[8];

	if (!ports[0])
		for (u32 i = 0; i < 8; i++)
			ports[i] = new_port();
	disk_open(&data_disk);
	for (u64 i = 0; i < notices; i++) {
		notify(start->store_evtchn);
		notify(start->console.domU.evtchn);
		notify(data_disk.bus.port);
		notify(cdrom.bus.port);
		notify(net_bus.port);
		notify(ports[i % 8]);
	}
	return 0;
}

/* Requests go on, but their port is gone. */
static long event_closed(u64 arg)
{
	u32 port = data_disk.bus.port;

	(void)arg;
	disk_open(&data_disk);
	data_disk.ring->rsp_event = 1;
	disk_ask(&data_disk, 1, BLKIF_OP_READ, 8, LEND);
	disk_go(&data_disk);
	hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_close, (u64)&port, 0, 0, 0);
	for (u32 i = 2; i < 30; i++) {
		disk_ask(&data_disk, i, BLKIF_OP_READ, 8, LEND);
		disk_go(&data_disk);
	}
	rest(SECOND / 5);
	data_disk.bus.port = new_port();
	return 0;
}

/* ---- byte rings: the console, and the line of an agent that we are not ------------------------ */

static void say_bytes(struct xencons_interface *to, u32 port, const u8 *from, u32 len)
{
	volatile struct xencons_interface *c = to;

	while (len) {
		u32 at = c->out_prod;

		if (!WAIT(c->out_prod - c->out_cons < sizeof(c->out), PATIENCE))
			die("a console takes nothing any more");
		for (u32 room = sizeof(c->out) - (at - c->out_cons); room && len; room--, len--)
			c->out[MASK_XENCONS_IDX(at++, c->out)] = (char)*from++;
		__atomic_store_n(&to->out_prod, at, __ATOMIC_SEQ_CST);
		notify(port);
	}
}

/* Escapes, zeros and lines without end; what a person must not see raw is the CLI's affair. */
static long console_noise(u64 pages)
{
	while (pages--) {
		for (u32 i = 0; i < 4096; i++)
			lent[0][i] = random() & 7 ? (u8)(random() & 31) : (u8)random();
		say_bytes(console, start->console.domU.evtchn, lent[0], 4096);
	}
	memset(lent[0], 'x', 4096);
	for (u32 i = 0; i < 20; i++)
		say_bytes(console, start->console.domU.evtchn, lent[0], 4096);
	say_bytes(console, start->console.domU.evtchn, (const u8 *)"\033[0m\r\n", 6);
	if (!WAIT(console->out_cons == console->out_prod, PATIENCE))
		breach("the console's ring is never emptied");
	return 0;
}

static long console_index(u64 by)
{
	console->out_prod += (u32)by;
	notify(start->console.domU.evtchn);
	rest(PATIENCE);
	breach("a broken console ring is served on");
}

static void agent_open(void)
{
	if (!agent_bus.port)
		agent_bus.port = new_port();
	device_reset(&agent_bus);
	fill(line);
	line->in_cons = line->in_prod = line->out_cons = line->out_prod = 0;
	grant(REF_AGENT, gfn_of(line), GTF_permit_access);
	store_write_number(agent_bus.front, "ring-ref", REF_AGENT);
	store_write_number(agent_bus.front, "port", agent_bus.port);
	if (device_connect(&agent_bus))
		die("the second console refuses a proper ring");
}

static u32 sum_of(u32 sum, const u8 *p, u32 len)
{
	for (sum = ~sum; len--; p++) {
		sum ^= *p;
		for (int i = 0; i < 8; i++)
			sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0);
	}
	return ~sum;
}

/* A frame that is right but for what it says. */
static void agent_frame(u8 type, u8 stream, u32 id, u32 len)
{
	u8 *f = lent[0];
	u32 sum;

	memcpy(f, "coAF", 4);
	f[4] = type;
	f[5] = stream;
	f[6] = (u8)len;
	f[7] = (u8)(len >> 8);
	memcpy(f + 8, &id, 4);
	sum = sum_of(sum_of(0, f, 12), f + 16, len);
	memcpy(f + 12, &sum, 4);
	say_bytes(line, agent_bus.port, f, 16 + len);
}

/* Takes what is said to an agent. */
static void agent_listen(void)
{
	if (line->in_prod - line->in_cons > sizeof(line->in))
		breach("the console's own index is impossible");
	for (u32 i = line->in_cons; i != line->in_prod; i++)
		line->in[MASK_XENCONS_IDX(i, line->in)] = (char)PATTERN;
	line->in_cons = line->in_prod;
	notify(agent_bus.port);
}

/* It may have been written already and not been shown yet; then it is, soon. */
static void agent_check(void)
{
	for (int i = 0; i < 50; i++) {
		while (WAIT(line->in_prod != line->in_cons, SECOND / 10))
			agent_listen();
		if (filled(line->in, 0, sizeof(line->in)))
			return;
	}
	breach("the second console's ring holds what was never said");
}

static long agent_lies(u64 frames)
{
	agent_open();
	for (u64 i = 0; i < frames; i++) {
		u32 len = random() & 3 ? (u32)random() % 16 : (u32)random() % 2000;
		u64 r = random();

		for (u32 k = 0; k < len; k++)
			lent[0][16 + k] = r & 1 ? (u8)random() : 1;
		if (r & 2)		/* HELLO, with a version that may be right */
			len = 12, memset(lent[0] + 16, 0, 12), lent[0][16] = (u8)(r >> 8 & 1);
		agent_frame(r & 2 ? 1 : (u8)(r >> 8) % 24, (u8)(r >> 16) % 4, (u32)(r >> 24) % 40, len);
		if (r & 4)
			agent_listen();
	}
	agent_check();
	return 0;
}

static long agent_noise(u64 pages)
{
	agent_open();
	while (pages--) {
		for (u32 i = 0; i < 4096; i++)
			lent[0][i] = (u8)random();
		for (u32 i = 0; i < 4000; i += 400)
			memcpy(lent[0] + i, "coAF\x09\x01\xff", 7);
		say_bytes(line, agent_bus.port, lent[0], 4096);
		agent_listen();
	}
	agent_check();
	return 0;
}

/* It hears nothing: what is said to it waits, and is bounded. */
static long agent_deaf(u64 hellos)
{
	agent_open();
	while (hellos--) {
		memset(lent[0] + 16, 0, 12);
		lent[0][16] = 1;
		agent_frame(1, 0, 0, 12);
	}
	agent_check();
	return 0;
}

static long agent_index(u64 by)
{
	agent_open();
	line->out_prod += (u32)by;
	notify(agent_bus.port);
	rest(PATIENCE);
	breach("a broken ring of the second console is served on");
}

static long agent_read_index(u64 by)
{
	agent_open();
	memset(lent[0] + 16, 0, 12);
	lent[0][16] = 1;
	line->in_cons += (u32)by;
	agent_frame(1, 0, 0, 12);		/* asks for an answer */
	rest(PATIENCE);
	breach("a broken ring of the second console is served on");
}

#define NODE(name, ...)	{ "node_" name, state_node, (u64)&(const struct node_case){ __VA_ARGS__ }, ERROR }
#define REF(name, value) \
	NODE("ref_" name, 0, "ring-ref", value), NODE("tx_ref_" name, 1, "tx-ring-ref", value), \
	NODE("rx_ref_" name, 1, "rx-ring-ref", value)
#define PORT(name, value) \
	NODE("port_" name, 0, "event-channel", value), NODE("net_port_" name, 1, "event-channel", value)

const struct attack state_ring_attacks[] = {
	REF("empty", ""), REF("text", "x"), REF("minus", "-1"), REF("2_32", "4294967304"),
	REF("huge", "99999999999999999999"),
	REF("hex", "0x8"), REF("space", "8 "), REF("outside", "16384"), REF("none", "32"), REF("foreign", "33"),
	REF("shared_info", "37"), REF("grants", "38"), REF("frame_huge", "39"), REF("kept", "128"),
	PORT("0", "0"), PORT("store", "1"), PORT("console", "2"), PORT("64", "64"), PORT("4095", "4095"),
	PORT("max", "4294967295"), PORT("minus", "-1"), PORT("empty", ""), NODE("net_port_in_use", 1, "event-channel", 0),
	NODE("protocol_32", 0, "protocol", "x86_32-abi"), NODE("protocol_empty", 0, "protocol", ""),
	NODE("protocol_long", 0, "protocol", "x86_64-abix86_64-abix86_64-abix86_64-abi"),
	NODE("copy_0", 1, "request-rx-copy", "0"), NODE("copy_empty", 1, "request-rx-copy", ""),
	{ "node_long_20", state_node_long, 20, ERROR }, { "node_long_1900", state_node_long, 1900, ERROR },
	{ "node_binary", state_node_binary, 0, ERROR },
	{ "state_rewrite", state_rewrite, 0, OK }, { "state_walk_disk", state_walk, 0, OK },
	{ "state_walk_net", state_walk, 1, OK },
	{ "state_walk_agent", state_walk, 2, OK }, { "state_remove_disk", state_remove, 0, OK },
	{ "state_remove_disks", state_remove, 1, OK }, { "state_remove_net", state_remove, 2, OK },
	{ "state_remove_all", state_remove, 3, OK }, { "state_closed", state_closed, 5, OK },
	{ "event_storm", event_storm, 3000, OK }, { "event_closed", event_closed, 0, OK },
	{ "console_noise", console_noise, 20, OK }, { "agent_lies", agent_lies, 2000, OK },
	{ "agent_noise", agent_noise, 50, OK },
	{ "agent_deaf", agent_deaf, 3000, OK },
	{ "console_index_far", console_index, 2049, KILL }, { "console_index_back", console_index, ~0u, KILL },
	{ "agent_index_far", agent_index, 2049, KILL }, { "agent_index_back", agent_index, ~0u, KILL },
	{ "agent_read_far", agent_read_index, 1, KILL }, { "agent_read_back", agent_read_index, ~0u - 2000, KILL },
	{ 0, 0, 0, 0 },
};
