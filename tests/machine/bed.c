/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bed: the test bed's init where there is no libc.  Opens /dev/colinux, builds a
 * domain from the kernel and the initrd that were linked into it, runs it and copies
 * its console to the host's.  As process 1 it gets itself a console first, on Linux
 * also /dev and the module (/colinux.ko, with its own arguments as parameters), and
 * switches the machine off at the end.
 *
 * Its last words are `bed: end N`, N as codom's exit status.
 */
#define ME "bed"
#include "domain.h"

#ifndef MIB
#define MIB	192
#endif
#ifndef CMDLINE
#define CMDLINE	"console=hvc0 quiet panic=-1"
#endif

__asm__(
#ifdef __APPLE__
	".const\n"
#else
	".section .rodata\n"
#endif
	".balign 4096\n"
	".globl " BARE_SYM(bed_kernel) ", " BARE_SYM(bed_kernel_end) ", "
		  BARE_SYM(bed_initrd) ", " BARE_SYM(bed_initrd_end) "\n"
	BARE_SYM(bed_kernel) ": .incbin \"" KERNEL "\"\n"
	BARE_SYM(bed_kernel_end) ": .balign 4096\n"
	BARE_SYM(bed_initrd) ": .incbin \"" INITRD "\"\n"
	BARE_SYM(bed_initrd_end) ": .byte 0\n"
	".text\n");
extern const char bed_kernel[], bed_kernel_end[], bed_initrd[], bed_initrd_end[];

static int first_process;

static void open_console(void)
{
	long fd = sys(SYS_OPEN, (long)"/dev/console", O_RDWR_, 0, 0, 0, 0);

	if (fd < 0)
		return;
	sys(SYS_DUP2, fd, 1, 0, 0, 0, 0);
	sys(SYS_DUP2, fd, 2, 0, 0, 0, 0);
}

#ifndef __APPLE__
static void load_module(char **words)
{
	static char parameters[256];
	unsigned int used = 0;
	long fd = sys(SYS_OPEN, (long)"/colinux.ko", 0, 0, 0, 0, 0);

	for (; *words; words++) {
		for (const char *c = *words; *c && used < sizeof(parameters) - 2; c++)
			parameters[used++] = *c;
		parameters[used++] = ' ';
	}
	if (fd < 0 || sys(SYS_FINIT_MODULE, fd, (long)parameters, 0, 0, 0, 0))
		die("/colinux.ko", "cannot be loaded");
	sys(SYS_CLOSE, fd, 0, 0, 0, 0, 0);
}
#endif

static void become_init(char **words)
{
#ifdef __APPLE__
	(void)words;			/* the kext was there before us */
	open_console();
#else
	sys(SYS_MOUNT, (long)"dev", (long)"/dev", (long)"devtmpfs", 0, 0, 0);
	open_console();
	load_module(words);
#endif
}

static __attribute__((noreturn)) void end(int status)
{
	say("bed: end ");
	say_number((unsigned long)status, 10);
	say("\n");
	if (first_process) {
#ifdef __APPLE__
		sys(SYS_REBOOT, 8, 0, 0, 0, 0, 0);		/* RB_HALT */
#else
		sys(SYS_REBOOT, 0xfee1dead, 0x28121969, 0x4321fedc, 0, 0, 0);
#endif
	}
	quit(status);
}

__attribute__((used, noreturn)) void bed_main(long *stack)
{
	struct domain d = {
		.kernel = bed_kernel, .kernel_bytes = (co_u64)(bed_kernel_end - bed_kernel),
		.initrd = bed_initrd, .initrd_bytes = (co_u64)(bed_initrd_end - bed_initrd),
		.mib = MIB, .cmdline = CMDLINE,
	};
	struct xencons_interface *ring;
	int control, status;

	first_process = sys(SYS_GETPID, 0, 0, 0, 0, 0, 0) == 1;
	if (first_process)
		become_init((char **)(stack + 2));
	control = hello();
	create_vm(control, "bed", d.mib);
	ring = build(&d);
	status = run(ring, 0);
	drain(ring);
	report(0, status != 0);
	sys(SYS_CLOSE, vm_fd, 0, 0, 0, 0, 0);
	sys(SYS_CLOSE, control, 0, 0, 0, 0, 0);
	end(status);
}

BARE_START(bed_main);
