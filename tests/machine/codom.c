/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * codom: one guest from a kernel ELF and an initrd, with nothing between the
 * device and the builder.  No libc, no worker: what fails here is the engine.
 *
 *	codom [-q] [-t] [-e] [-p] [-n NAME] KERNEL.elf INITRD|- [MEM_MIB [CMDLINE...]]
 *
 * -q prints no counters, -t always dumps the trace ring, -n names the VM, -e has the
 * guest's notices polled for by a second process, as the worker does (Linux only).
 * Copies the guest's console to stdout.  Exit status: 0 the guest powered off,
 * 10 + reason it shut down otherwise (11 reboot, 13 crash), 20 it was killed,
 * 1 it never ran.  There is no xenstore and no input.
 */
#define ME "codom"
#include "domain.h"

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

struct options {
	const char *kernel, *initrd, *name;
	co_u64 mib;
	char cmdline[MAX_GUEST_CMDLINE];
	int quiet, trace, events, pair;
};

#ifndef __APPLE__
/* The second process: sleeps on the handle, takes what was notified, until the VM ends. */
static void serve_events(int pair)
{
	struct co_vm_map map = { .size = sizeof(map), .pages = 1, .writable = 1, .gfn = ring_gfn };
	struct co_event ev = { .size = sizeof(ev), .port = CO_PORT_CONSOLE };
	struct { int fd; short events, revents; } ready = { vm_fd, 1, 0 };
	struct co_vm_status s;
	co_u64 taken = 0, wakes = 0;

	must(vm_fd, CO_VM_MAP, &map, "CO_VM_MAP");
	do {
		struct co_events e = { .size = sizeof(e), .mode = pair ? CO_EVENTS_NAP : CO_EVENTS_ALL };

		wakes += pair || sys(SYS_POLL, (long)&ready, 1, 100, 0, 0, 0) == 1;
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

static void second_process(int pair)
{
	long pid = sys(SYS_FORK, 0, 0, 0, 0, 0, 0);

	if (pid < 0)
		die("-e", "no second process");
	if (!pid)
		serve_events(pair);
}
#endif

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
		case 'p': o->events = o->pair = 1; break;
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
	struct file kernel, initrd = { 0, 0 };
	static struct options o;
	struct domain d = { 0 };
	struct xencons_interface *ring;
	int control, status;

	parse(&o, (char **)(stack + 1));
	control = hello();
	create_vm(control, o.name, o.mib);
	kernel = map_file(o.kernel);
	if (o.initrd[0] != '-' || o.initrd[1])
		initrd = map_file(o.initrd);
	d.kernel = kernel.data;
	d.kernel_bytes = kernel.bytes;
	d.initrd = initrd.data;
	d.initrd_bytes = initrd.bytes;
	d.mib = o.mib;
	d.cmdline = o.cmdline;
	ring = build(&d);
#ifndef __APPLE__
	if (o.events)
		second_process(o.pair);
#endif
	status = run(ring, o.events ? CO_RUN_ON : 0);
#ifndef __APPLE__
	if (o.events)
		sys(SYS_WAIT4, -1, 0, 0, 0, 0, 0);
#endif
	drain(ring);
	report(o.quiet, o.trace || status != 0);
	sys(SYS_CLOSE, vm_fd, 0, 0, 0, 0, 0);
	sys(SYS_CLOSE, control, 0, 0, 0, 0, 0);
	quit(status);
}

BARE_START(codom_main);
