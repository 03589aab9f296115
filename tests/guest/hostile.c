// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The hostile guest's frame: console, traps, page tables, the run over the
 * tables of attacks.  Its command line: from=N (first attack), only=N, bound (that
 * table alone), rings (the attacks on a worker's rings instead); with it polite
 * (one look at what the worker serves, no attack) or deaf (what is typed breaks the
 * console's ring).
 *
 * Each attack prints "HOSTILE N name try ALLOWED" and then its outcome; when the VM
 * is killed the second line is missing and the caller starts the next VM with
 * from=N+1.  "BREACH" in an outcome means that the monitor, or the worker, was beaten.
 */
#include "hostile_ring.h"
#include "xen/callback.h"
#include "xen/event_channel.h"
#include "xen/sched.h"

struct start_info *start;
struct trapped trapped;
u64 user_page[512] __attribute__((aligned(4096)));
u64 user_l4[512] __attribute__((aligned(4096)));
static u64 own_l3[512] __attribute__((aligned(4096)));
static u64 own_l2[512] __attribute__((aligned(4096)));
static u64 own_l1[512] __attribute__((aligned(4096)));
static u64 last_l3[512] __attribute__((aligned(4096)));
static u64 last_l2[512] __attribute__((aligned(4096)));
static u64 last_l1[512] __attribute__((aligned(4096)));
u8 spare[16][4096] __attribute__((aligned(4096)));
extern const u8 trap_stubs[];
extern void on_syscall(void);
static char line[160];
static unsigned int line_len;

/* GCC calls these by itself. */
void *memset(void *to, int byte, unsigned long n)
{
	u8 *p = to;

	while (n--)
		*(volatile u8 *)p++ = byte;
	return to;
}

void *memcpy(void *to, const void *from, unsigned long n)
{
	u8 *p = to;
	const u8 *q = from;

	while (n--)
		*(volatile u8 *)p++ = *q++;
	return to;
}

static void put(char c)
{
	line[line_len++] = c;
	if (c == '\n' || line_len == sizeof(line)) {
		hyper(__HYPERVISOR_console_io, CONSOLEIO_write, line_len, (u64)line, 0, 0);
		line_len = 0;
	}
}

void say(const char *text)
{
	while (*text)
		put(*text++);
}

void say_hex(u64 value)
{
	int shift = 60;

	say("0x");
	while (shift && !(value >> shift & 15))
		shift -= 4;
	for (; shift >= 0; shift -= 4)
		put("0123456789abcdef"[value >> shift & 15]);
}

static void say_number(long n)
{
	char digits[24];
	int i = 0;
	u64 v = n < 0 ? -(u64)n : (u64)n;

	if (n < 0)
		put('-');
	do
		digits[i++] = '0' + v % 10;
	while (v /= 10);
	while (i--)
		put(digits[i]);
}

_Noreturn void die(const char *why)
{
	struct sched_shutdown s = { SHUTDOWN_crash };

	say("\nHOSTILE guest ends: ");
	say(why);
	put('\n');
	for (;;)
		hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&s, 0, 0, 0);
}

_Noreturn void breach(const char *what)
{
	say("BREACH ");
	say(what);
	die("breach");
}

/* From trap: reads the bounce frame. */
void save_trap(u64 vector, const u64 *frame)
{
	static const u32 with_error = 1u << 8 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 13 |
				      1u << 14 | 1u << 17;

	trapped.vector = vector;
	frame += 2;
	trapped.error = vector < 32 && (with_error >> vector & 1) ? *frame++ : 0;
	trapped.rip = frame[0];
	trapped.cs = frame[1] & 0xffff;
	trapped.rflags = frame[2];
	trapped.rsp = frame[3];
}

void on_lost_trap(u64 vector, const u64 *frame)
{
	say("\nHOSTILE lost trap ");
	say_number(vector);
	if (vector < 32) {
		save_trap(vector, frame);
		say(" rip ");
		say_hex(trapped.rip);
		say(" error ");
		say_hex(trapped.error);
	}
	die("a trap outside every attempt");
}

u64 *entry_of(u64 va, int level)
{
	u64 *table = page_of(root_gfn());

	for (int l = 4;; l--) {
		u64 *e = table + (va >> (12 + 9 * (l - 1)) & 511);

		if (l == level)
			return e;
		if (!(*e & PTE_P) || (*e & PTE_PS))
			return 0;
		table = page_of((*e & 0x000ffffffffff000ull) >> 12);
	}
}

long update(const u64 *entry, u64 value)
{
	struct mmu_update u = { ((u64)entry - VIRT_BASE) | MMU_NORMAL_PT_UPDATE, value };
	u32 done = 0;

	return hyper(__HYPERVISOR_mmu_update, (u64)&u, 1, (u64)&done, DOMID_SELF, 0);
}

long map(u64 va, u64 entry)
{
	u64 *e = entry_of(va, 1);

	return e ? update(e, entry) : -14;
}

static u64 link(const void *table)
{
	return gfn_of(table) << 12 | PTE_P | PTE_W | PTE_U;
}

/* A user half with one page at its start and one at its very end; UNMAPPED's tables. */
static void make_tables(void)
{
	u64 *root = page_of(root_gfn());
	struct mmuext_op op = { .cmd = MMUEXT_NEW_USER_BASEPTR };
	u32 done;

	own_l1[USER_CODE >> 12 & 511] = link(user_page);
	own_l2[USER_CODE >> 21 & 511] = link(own_l1);
	own_l3[0] = link(own_l2);
	last_l1[511] = link(user_page);
	last_l2[511] = link(last_l1);
	last_l3[511] = link(last_l2);
	user_l4[0] = link(own_l3);
	user_l4[255] = link(last_l3);
	if (update(&root[0], link(own_l3)) || update(&root[255], link(last_l3)))
		die("the user half cannot be mapped");
	op.arg1.mfn = gfn_of(user_l4);
	if (hyper(__HYPERVISOR_mmuext_op, (u64)&op, 1, (u64)&done, DOMID_SELF, 0))
		die("the user root is refused");
}

void set_handler(u8 vector, u16 cs, u64 address, u8 flags)
{
	struct trap_info t[2] = { { vector, flags, cs, address }, { 0, 0, 0, 0 } };

	hyper(__HYPERVISOR_set_trap_table, (u64)t, 0, 0, 0, 0);
}

static void own_handlers(void)
{
	struct callback_register c = { .type = CALLBACKTYPE_syscall,
				       .flags = CALLBACKF_mask_events };
	u16 cs;

	asm volatile("mov %%cs, %0" : "=r"(cs));
	for (int v = 0; v < 256; v++)
		set_handler(v, cs, (u64)trap_stubs + 16 * v, v == 3 || v == 4 || v == 0x80 ? 7 : 4);
	c.address = (u64)on_syscall;
	if (hyper(__HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&c, 0, 0, 0))
		die("the syscall callback is refused");
	hyper(__HYPERVISOR_stack_switch, 0xe02b, (u64)spare[15] + PAGE, 0, 0, 0);
}

static long undefined(u64 arg)
{
	(void)arg;
	asm volatile("ud2");
	return 0;
}

/* After every attack: hypercalls, traps and ring 3 still work, and CPL is 1. */
static void still_sane(void)
{
	static const u8 code[] = { 0xb8, 0x39, 0x30, 0, 0, 0x0f, 0x05 };  /* mov $12345, %eax; syscall */

	if (ring() == 0)
		breach("we run in ring 0");
	own_handlers();
	if (hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0) <= 0)
		die("xen_version fails afterwards");
	if (attempt(undefined, 0) != TRAPPED + 6)
		die("ud2 does not trap afterwards");
	memcpy(user_page, code, sizeof(code));
	if (in_user(USER_CODE, USER_CODE + 2048, 0, 0x202) != 12345)
		die("ring 3 does not work afterwards");
}

static int number(const char *key)
{
	const char *s = (const char *)start->cmd_line;
	int n = 0;

	for (; *s; s++) {
		const char *k = key, *p = s;

		while (*k && *k == *p)
			k++, p++;
		if (*k)
			continue;
		while (*p >= '0' && *p <= '9')
			n = n * 10 + *p++ - '0';
		return n;
	}
	return -1;
}

static void run(const struct attack *a, int n, int rings)
{
	u32 got;
	long result;

	for (unsigned int i = 0; i < sizeof(spare); i++)
		((u8 *)spare)[i] = 0;
	say("HOSTILE ");
	say_number(n);
	put(' ');
	say(a->name);
	say(" try ");
	say(a->allow & KILL ? "kill-allowed\n" : "no-kill\n");
	result = attempt(a->run, a->arg);
	if (ring() == 0)
		breach("we run in ring 0");
	got = result >= TRAPPED && result < TRAPPED + 256 ? FAULT : result < 0 ? ERROR : OK;
	say("HOSTILE ");
	say_number(n);
	put(' ');
	say(a->name);
	say(got & a->allow ? " contained " : " BREACH ");
	say(got == FAULT ? "fault " : got == ERROR ? "error " : "ok ");
	say_number(got == FAULT ? result - TRAPPED : result);
	put('\n');
	still_sane();
	if (rings)
		rings_check();
}

#define MARKER 0x5345435245542d41ull	/* "A-TERCES" */

/* The frames that nothing of ours lies in, behind the initial mapping's tables. */
static void each_free_page(int write)
{
	u64 first = gfn_of((void *)start->pt_base) + start->nr_pt_frames + 1, found = 0;

	for (u64 gfn = first; gfn < start->nr_pages; gfn++) {
		u64 *p = (u64 *)spare[8];

		if (hyper(__HYPERVISOR_update_va_mapping, (u64)p, gfn << 12 | PTE_P | PTE_W,
			  UVMF_INVLPG, 0, 0))
			die("a frame of RAM cannot be mapped");
		for (int i = 0; i < 512; i++)
			if (write)
				p[i] = MARKER;
			else
				found += p[i] == MARKER;
	}
	say(write ? "HOSTILE marked\n" : found ? "HOSTILE scanned FOUND\n" : "HOSTILE scanned clean\n");
}

static void notify_console(void)
{
	u32 port = CO_PORT_CONSOLE;

	hyper(__HYPERVISOR_event_channel_op, EVTCHNOP_send, (u64)&port, 0, 0, 0);
}

void hostile_main(struct start_info *s)
{
	static const struct attack *const tables[] = {
		cpu_attacks, memory_attacks, segment_attacks, call_attacks, device_attacks,
		hidden_attacks, bound_attacks, late_attacks,
	};
	static const struct attack *const ring_tables[] = {
		disk_request_attacks, disk_ring_attacks, net_ring_attacks, store_ring_attacks, state_ring_attacks,
	};
	int n = 0, from, only, rings;
	struct sched_shutdown off = { SHUTDOWN_poweroff };

	start = s;
	own_handlers();
	make_tables();
	from = number("from=");
	only = number("only=");
	say("HOSTILE guest runs in ring ");
	say_number(ring());
	put('\n');
	still_sane();
	/* Not hostile at all: N trips to the host and back, N notices, for the bench. */
	for (int i = number("yield="); i > 0; i--)
		hyper(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0);
	for (int i = number("notify="); i > 0; i--)
		notify_console();
	if (number("yield=") >= 0 || number("notify=") >= 0)
		hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&off, 0, 0, 0);
	if (number("mark") >= 0) {
		each_free_page(1);
		for (;;)
			hyper(__HYPERVISOR_sched_op, SCHEDOP_yield, 0, 0, 0, 0);
	}
	if (number("scan") >= 0) {
		each_free_page(0);
		hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&off, 0, 0, 0);
	}
	rings = number("rings") >= 0;
	if (rings) {
		rings_begin();
		rings_check();
		say("HOSTILE rings are proper\n");
		if (number("deaf") >= 0)
			rings_deaf();
	}
	if (number("polite") >= 0)
		hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&off, 0, 0, 0);
	for (unsigned int t = 0; t < (rings ? sizeof(ring_tables) : sizeof(tables)) / sizeof(*tables); t++)
		for (const struct attack *a = rings ? ring_tables[t] : tables[t]; a->name; a++, n++)
			if (number("bound") >= 0 ? tables[t] == bound_attacks
						 : only >= 0 ? n == only : n >= from)
				run(a, n, rings);
	if (rings)
		rings_end();
	say("HOSTILE end ");
	say_number(n);
	put('\n');
	if (rings)
		rings_storm();
	hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&off, 0, 0, 0);
	die("shutdown returned");
}
