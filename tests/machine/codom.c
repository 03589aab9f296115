/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codom: one guest from a kernel ELF and an initrd, with nothing between the
 * device and the builder.  No libc, no worker: what fails here is the engine.
 *
 *	codom [-q] [-t] [-e] [-n NAME] KERNEL.elf INITRD|- [MEM_MIB [CMDLINE...]]
 *
 * -q prints no counters, -t always dumps the trace ring, -n names the VM, -e has the
 * guest's notices polled for by a second process, as the worker does (Linux only).
 * Copies the guest's console to stdout.  Exit status: 0 the guest powered off,
 * 10 + reason it shut down otherwise (11 reboot, 13 crash), 20 it was killed,
 * 1 it never ran.  There is no xenstore and no input.
 */
#include "../../kext/include/co_abi.h"
#include "../../kext/include/xen/sched.h"
#include "../../kext/include/xen/io/console.h"
#include "../../helperd/worker/builder/builder.h"

/* ---- the host, in a few calls ---------------------------------------------- */

#ifdef __APPLE__
#define SYS(n)		(0x2000000 + (n))
#define SYS_EXIT	SYS(1)
#define SYS_WRITE	SYS(4)
#define SYS_OPEN	SYS(5)
#define SYS_CLOSE	SYS(6)
#define SYS_IOCTL	SYS(54)
#define SYS_MMAP	SYS(197)
#define SYS_LSEEK	SYS(199)
#define ERR_INTR	4
#else
#define SYS_EXIT	231	/* exit_group */
#define SYS_WRITE	1
#define SYS_OPEN	2
#define SYS_CLOSE	3
#define SYS_IOCTL	16
#define SYS_MMAP	9
#define SYS_LSEEK	8
#define SYS_POLL	7
#define SYS_FORK	57
#define SYS_WAIT4	61
#define ERR_INTR	4
#endif
#define O_RDWR_	2
#define MAP_PRIVATE_ 2
#define PROT_READ_ 1

/* Result or negative errno. */
static long sys(long n, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	unsigned char carry;
	long rc;

	/* Linux leaves carry clear or undefined; Darwin sets it on failure. */
	__asm__ volatile("clc; syscall; setc %1"
			 : "=a"(rc), "=q"(carry), "+r"(r10), "+r"(r8), "+r"(r9),
			   "+d"(c)
			 : "0"(n), "D"(a), "S"(b)
			 : "rcx", "r11", "memory");
#ifdef __APPLE__
	if (carry)
		rc = -rc;
#else
	(void)carry;
#endif
	return rc;
}

void *memcpy(void *to, const void *from, __SIZE_TYPE__ n)
{
	void *p = to;

	__asm__ volatile("rep movsb" : "+D"(p), "+S"(from), "+c"(n) : : "memory");
	return to;
}

void *memset(void *to, int byte, __SIZE_TYPE__ n)
{
	void *p = to;

	__asm__ volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, __SIZE_TYPE__ n)
{
	const unsigned char *p = a, *q = b;

	for (; n; n--, p++, q++)
		if (*p != *q)
			return *p - *q;
	return 0;
}

/* ---- words to stderr, the guest's to stdout -------------------------------- */

static void put(int fd, const char *text, unsigned long len)
{
	while (len) {
		long n = sys(SYS_WRITE, fd, (long)text, (long)len, 0, 0, 0);

		if (n == -ERR_INTR)
			continue;
		if (n <= 0)
			return;		/* nobody listens; the guest goes on */
		text += n;
		len -= (unsigned long)n;
	}
}

static void say(const char *text)
{
	unsigned long len = 0;

	while (text[len])
		len++;
	put(2, text, len);
}

static void say_number(co_u64 n, unsigned int base)
{
	char digits[20];
	unsigned int at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	put(2, digits + at, sizeof(digits) - at);
}

static void say_pair(const char *name, co_u64 n)
{
	say(" ");
	say(name);
	say("=");
	say_number(n, 10);
}

static const char *error_name(int code)
{
	switch (code) {
#define CO_ERROR(name, number, text, hint) case number: return #name ": " text;
#include "errors.def"
#undef CO_ERROR
	}
	return "an unknown error";
}

static __attribute__((noreturn)) void quit(int status)
{
	for (;;)
		sys(SYS_EXIT, status, 0, 0, 0, 0, 0);
}

static __attribute__((noreturn)) void die(const char *what, const char *why)
{
	say("codom: ");
	say(what);
	say(": ");
	say(why);
	say("\n");
	quit(1);
}

/* ---- the device ------------------------------------------------------------- */

static int vm_fd = -1;

static long call(int fd, unsigned int request, void *arg)
{
	return sys(SYS_IOCTL, fd, (long)request, (long)arg, 0, 0, 0);
}

/* Every struct begins with size and result. */
static void must(int fd, unsigned int request, void *arg, const char *what)
{
	long rc = call(fd, request, arg);
	co_s32 result = ((co_s32 *)arg)[1];

	if (rc < 0) {
		say("codom: ");
		say(what);
		say(": errno ");
		say_number((co_u64)-rc, 10);
		say("\n");
		quit(1);
	}
	if (result)
		die(what, error_name(-result));
}

struct file {
	const void *data;
	co_u64 bytes;
};

static struct file map_file(const char *path)
{
	struct file f = { 0, 0 };
	long fd = sys(SYS_OPEN, (long)path, 0, 0, 0, 0, 0);
	long size, at;

	if (fd < 0)
		die(path, "cannot be opened");
	size = sys(SYS_LSEEK, fd, 0, 2, 0, 0, 0);
	if (size < 0)
		die(path, "has no size");
	f.bytes = (co_u64)size;
	if (size) {
		at = sys(SYS_MMAP, 0, size, PROT_READ_, MAP_PRIVATE_, fd, 0);
		if (at < 0)
			die(path, "cannot be mapped");
		f.data = (const void *)at;
	}
	sys(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
	return f;
}

static int open_handle(co_s32 handle)
{
#ifdef __APPLE__
	char path[] = "/dev/colinux.\0\0\0\0";
	int at = 13;
	long fd;

	if (handle > 99)
		path[at++] = (char)('0' + handle / 100 % 10);
	if (handle > 9)
		path[at++] = (char)('0' + handle / 10 % 10);
	path[at] = (char)('0' + handle % 10);
	fd = sys(SYS_OPEN, (long)path, O_RDWR_, 0, 0, 0, 0);
	if (fd < 0)
		die(path, "cannot be opened");
	return (int)fd;
#else
	return handle;
#endif
}

static int hello(void)
{
	long fd = sys(SYS_OPEN, (long)"/dev/colinux", O_RDWR_, 0, 0, 0, 0);
	struct co_hello h = { .size = sizeof(h), .abi_version = CO_ABI_VERSION };

	if (fd < 0)
		die("/dev/colinux", "cannot be opened (is the module loaded? are you root?)");
	must((int)fd, CO_HELLO, &h, "CO_HELLO");
	say("codom: build ");
	say(h.build_id);
	say(h.protect == CO_PROTECT_WP ? " protect=wp" : " protect=none");
	say_pair("tsc_khz", h.tsc_khz);
	say(" features=0x");
	say_number(h.features, 16);
	say(" obstacles=0x");
	say_number(h.obstacles, 16);
	say_pair("held_pages", h.held_pages);
	say("\n");
	return (int)fd;
}

/* ---- the guest -------------------------------------------------------------- */

struct options {
	const char *kernel, *initrd, *name;
	co_u64 mib;
	char cmdline[MAX_GUEST_CMDLINE];
	int quiet, trace, events;
};

static co_u64 ring_gfn;

static struct xencons_interface *build(const struct options *o)
{
	struct co_vm_map map = { .size = sizeof(map), .writable = 1 };
	struct co_vm_set set = { .size = sizeof(set) };
	struct file kernel = map_file(o->kernel), initrd = { 0, 0 };
	static struct wk_builder_out out;
	struct wk_builder_in in = { 0 };

	if (o->initrd[0] != '-' || o->initrd[1])
		initrd = map_file(o->initrd);
	map.pages = o->mib << (20 - CO_PAGE_SHIFT);
	must(vm_fd, CO_VM_MAP, &map, "CO_VM_MAP");

	in.memory = (void *)map.address;
	in.memory_bytes = o->mib << 20;
	in.kernel = kernel.data;
	in.kernel_bytes = kernel.bytes;
	in.initrd = initrd.data;
	in.initrd_bytes = initrd.bytes;
	in.cmdline = o->cmdline;
	in.shared_info_gfn = CO_SHARED_INFO_GFN(map.pages);
	in.console_port = CO_PORT_CONSOLE;
	if (wk_builder_build(&in, &out))
		die(o->kernel, out.why);

	set.rip = out.rip;
	set.rsp = out.rsp;
	set.rsi = out.rsi;
	set.cr3_gfn = out.cr3_gfn;
	must(vm_fd, CO_VM_SET, &set, "CO_VM_SET");
	ring_gfn = out.console_gfn;
	return (void *)(map.address + (out.console_gfn << CO_PAGE_SHIFT));
}

/* Copies what the guest wrote; true if it should be told of the room. */
static int drain(struct xencons_interface *ring)
{
	XENCONS_RING_IDX cons = __atomic_load_n(&ring->out_cons, __ATOMIC_RELAXED);
	XENCONS_RING_IDX prod = __atomic_load_n(&ring->out_prod, __ATOMIC_ACQUIRE);
	char text[sizeof(ring->out)];
	XENCONS_RING_IDX n = prod - cons, i;

	if (!n)
		return 0;
	if (n > sizeof(ring->out)) {	/* indices gone wild: catch up */
		__atomic_store_n(&ring->out_cons, prod, __ATOMIC_RELEASE);
		return 0;
	}
	for (i = 0; i < n; i++)
		text[i] = ring->out[MASK_XENCONS_IDX(cons + i, ring->out)];
	__atomic_store_n(&ring->out_cons, prod, __ATOMIC_RELEASE);
	put(1, text, n);
	return 1;
}

static void report_trace(void)
{
	static struct co_trace_entry entries[128];
	struct co_trace t = {
		.size = sizeof(t), .max = sizeof(entries) / sizeof(entries[0]),
		.address = (co_u64)(unsigned long)entries,
	};
	co_u32 i;

	if (call(vm_fd, CO_TRACE, &t) < 0 || t.result || t.count > t.max)
		return;
	for (i = 0; i < t.count; i++) {
		struct co_trace_entry *e = &entries[i];
		co_u64 v[4] = { e->a, e->b, e->c, e->d };

		say("codom: trace ");
		say_number(e->tsc, 10);
		say(" what=");
		say_number(e->what, 10);
		for (int k = 0; k < 4; k++) {
			say(" ");
			say_number(v[k], 16);
		}
		say("\n");
	}
}

static void report(const struct options *o, int failed)
{
	struct co_vm_status s = { .size = sizeof(s) };
	struct co_counters *c = &s.counters;

	if (o->trace || failed)
		report_trace();
	must(vm_fd, CO_VM_STATUS, &s, "CO_VM_STATUS");
	s.why[CO_WHY_LEN - 1] = '\0';
	if (s.why[0]) {
		say("codom: why: ");
		say(s.why);
		say("\n");
	}
	if (o->quiet)
		return;
	say("codom:");
#define COUNTER(name) say_pair(#name, c->name)
	COUNTER(passages); COUNTER(interrupts); COUNTER(nmis);
	COUNTER(nmis_in_monitor); COUNTER(slow_paths); COUNTER(page_faults);
	COUNTER(fills); COUNTER(injected); COUNTER(hypercalls);
	COUNTER(cr3_writes); COUNTER(wp_toggles); COUNTER(shadow_allocs);
	COUNTER(shadow_recycles); COUNTER(unsyncs); COUNTER(resyncs);
	COUNTER(emulated); COUNTER(timer_exits); COUNTER(blocks); COUNTER(run_ns);
	COUNTER(notices);
#undef COUNTER
	say_pair("shadow_pages", s.shadow_pages);
	say_pair("shadow_used", s.shadow_used);
	say_pair("overhead_pages", s.overhead_pages);
	say("\n");
}

#ifndef __APPLE__
/* The second process: sleeps on the handle, takes what was notified, until the VM ends. */
static void serve_events(void)
{
	struct co_vm_map map = { .size = sizeof(map), .pages = 1, .writable = 1, .gfn = ring_gfn };
	struct co_event ev = { .size = sizeof(ev), .port = CO_PORT_CONSOLE };
	struct { int fd; short events, revents; } ready = { vm_fd, 1, 0 };
	struct co_vm_status s;
	co_u64 taken = 0, wakes = 0;

	must(vm_fd, CO_VM_MAP, &map, "CO_VM_MAP");
	do {
		struct co_events e = { .size = sizeof(e) };

		wakes += sys(SYS_POLL, (long)&ready, 1, 100, 0, 0, 0) == 1;
		must(vm_fd, CO_EVENTS, &e, "CO_EVENTS");
		taken += e.nports;
		if (drain((void *)map.address))
			must(vm_fd, CO_EVENT, &ev, "CO_EVENT");
		memset(&s, 0, sizeof(s));
		s.size = sizeof(s);
		must(vm_fd, CO_VM_STATUS, &s, "CO_VM_STATUS");
	} while (s.state <= CO_VM_RUNNING);
	drain((void *)map.address);
	say("codom: events");
	say_pair("taken", taken);
	say_pair("wakes", wakes);
	say("\n");
	quit(0);
}

static void second_process(void)
{
	long pid = sys(SYS_FORK, 0, 0, 0, 0, 0, 0);

	if (pid < 0)
		die("-e", "no second process");
	if (!pid)
		serve_events();
}
#endif

static int run(struct xencons_interface *ring, co_u32 how)
{
	static struct co_vcpu_run r;

	for (;;) {
		struct co_event ev = { .size = sizeof(ev), .port = CO_PORT_CONSOLE };
		long rc;

		r.size = sizeof(r);
		r.result = 0;
		r.vcpu = 0;
		r.detail = how;
		rc = call(vm_fd, CO_VCPU_RUN, &r);
		if (rc == -ERR_INTR)
			continue;
		if (rc < 0)
			r.result = -CO_EIO;
		if (r.result == -CO_EKILLED)
			r.exit = CO_EXIT_KILLED;
		else if (r.result) {
			say("codom: CO_VCPU_RUN: ");
			say(error_name(-r.result));
			say("\n");
			return 1;
		}
		if (r.exit == CO_EXIT_CONSOLE && r.nports <= sizeof(r.text))
			put(1, r.text, r.nports);
		if (!how && drain(ring))
			must(vm_fd, CO_EVENT, &ev, "CO_EVENT");
		if (r.exit == CO_EXIT_SHUTDOWN)
			return r.detail == SHUTDOWN_poweroff ? 0 : 10 + (int)(r.detail & 7);
		if (r.exit == CO_EXIT_KILLED)
			return 20;
		if (r.exit > CO_EXIT_CONSOLE) {
			say("codom: CO_VCPU_RUN returned an unknown exit\n");
			return 1;
		}
	}
}

static void append(struct options *o, unsigned int *used, const char *word)
{
	if (*used)
		o->cmdline[(*used)++] = ' ';
	while (*word && *used < sizeof(o->cmdline) - 2)
		o->cmdline[(*used)++] = *word++;
	if (*word)
		die("command line", "is too long");
}

static void parse(struct options *o, char **argv)
{
	unsigned int used = 0;

	o->name = "codom";
	o->mib = 256;
	for (argv++; *argv && (*argv)[0] == '-' && (*argv)[1]; argv++) {
		switch ((*argv)[1]) {
		case 'q': o->quiet = 1; break;
		case 't': o->trace = 1; break;
#ifndef __APPLE__
		case 'e': o->events = 1; break;
#endif
		case 'n':
			if (argv[1]) {
				o->name = *++argv;
				break;
			}
			/* fall through */
		default: die(*argv, "unknown option");
		}
	}
	if (!argv[0] || !argv[1])
		die("usage", "codom [-q] [-t] [-e] [-n NAME] KERNEL.elf INITRD|- [MEM_MIB [CMDLINE...]]");
	o->kernel = *argv++;
	o->initrd = *argv++;
	if (*argv) {
		const char *digit = *argv++;

		for (o->mib = 0; *digit >= '0' && *digit <= '9' && o->mib < 1u << 20; digit++)
			o->mib = o->mib * 10 + (co_u64)(*digit - '0');
		if (*digit)
			die("MEM_MIB", "must be a number of MiB");
	}
	if (!*argv)
		append(o, &used, "console=hvc0 earlyprintk=xen");
	while (*argv)
		append(o, &used, *argv++);
}

__attribute__((used, noreturn)) void codom_main(long *stack)
{
	struct co_vm_create create = { .size = sizeof(create), .vcpus = 1 };
	static struct options o;
	struct xencons_interface *ring;
	int control, status, i;

	parse(&o, (char **)(stack + 1));
	control = hello();
	create.memory_bytes = o.mib << 20;
	for (i = 0; i + 1 < (int)CO_NAME_LEN && o.name[i]; i++)
		create.name[i] = o.name[i];
	must(control, CO_VM_CREATE, &create, "CO_VM_CREATE");
	vm_fd = open_handle(create.handle);
	ring = build(&o);
#ifndef __APPLE__
	if (o.events)
		second_process();
#endif
	status = run(ring, o.events ? CO_RUN_ON : 0);
#ifndef __APPLE__
	if (o.events)
		sys(SYS_WAIT4, -1, 0, 0, 0, 0, 0);
#endif
	drain(ring);
	report(&o, status != 0);
	sys(SYS_CLOSE, vm_fd, 0, 0, 0, 0, 0);
	sys(SYS_CLOSE, control, 0, 0, 0, 0, 0);
	quit(status);
}

#ifdef __APPLE__
#define ENTRY "_start"
#define MAIN "_codom_main"
#else
#define ENTRY "_start"
#define MAIN "codom_main"
#endif
__asm__(".text\n.globl " ENTRY "\n" ENTRY ":\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rsp, %rdi\n"
	"	andq $-16, %rsp\n"
	"	call " MAIN "\n"
	"	ud2\n");
