/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU that the Darwin files and core believe to run on: privileged instructions
 * fault in user space and are answered here.  The passage and the monitor's image
 * are stand-ins.
 */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include "xnu.h"

#define TS	8ull

__thread co_u64 xnu_cr0 = 0x80050033, xnu_xcr0;
__thread int xnu_xsetbvs;
static int x2;
static co_u64 icr;
static unsigned int vector;

__asm__(".pushsection .data\n.balign 4096\n.globl co_monitor_image, co_monitor_image_end\n"
	"co_monitor_image:\n"
	"	.quad 0x31304e4f4d4f43\n"
	"	.quad 0xffff820040000100, 0xffff820040000200\n"
	"	.quad 0xffff820040000300, 0xffff820040000400\n"
	"	.quad 0xffff820040001000, 16, 8192\n"
	"	.skip 8192 - 64\n"
	"co_monitor_image_end:\n.popsection\n");

void co_passage_switch(void *p);
void co_passage_switch(void *p)
{
	(void)p;
	xnu_die("a passage without a guest");
}

void co_passage_resume(void);
void co_passage_resume(void) { }

unsigned int ml_get_apicid(unsigned int cpu);
unsigned int ml_get_apicid(unsigned int cpu)
{
	return cpu < 3 ? 2 * cpu + 1 : ~0u;
}

/*
 * XNU's way back from an interrupt: it reschedules if the preemption level lets it,
 * whatever the interrupt flag says, and sets TS.
 */
void co_passage_int(unsigned int n);
void co_passage_int(unsigned int n)
{
	if (xnu_interrupts())
		xnu_die("an interrupt raised again with interrupts on");
	if (!xnu_preemption_level())
		xnu_die("rescheduled inside the guest world");
	xnu_cr0 |= TS;
	vector = n;
}

unsigned int xnu_interrupt(void) { return vector; }
void xnu_x2apic(int yes) { x2 = yes; }
co_u64 xnu_icr(void) { return icr; }

static co_u64 read_msr(co_u32 msr)
{
	switch (msr) {
	case 0x1b: return 0xfee00900 | (x2 ? 0x400 : 0);
	case 0x832: return 0x100dd;		/* the timer's vector, masked */
	case 0xc0000080: return 0xd01;
	default: return 0;
	}
}

static co_u64 control(int n)
{
	unsigned int a, b, c = 0, d;

	switch (n) {
	case 0: return xnu_cr0;
	case 3: return (co_u64)xnu_root;
	case 4:
		__get_cpuid(1, &a, &b, &c, &d);
		return 0x6e0 | (c & bit_OSXSAVE ? 0x40000 : 0);
	default: return 0;
	}
}

static void privileged(int sig, siginfo_t *si, void *ctx)
{
	static const int gregs[] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	greg_t *r = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	const co_u8 *p = (const co_u8 *)r[REG_RIP];
	co_u64 edx_eax = (co_u64)(co_u32)r[REG_RDX] << 32 | (co_u32)r[REG_RAX];
	int rex = 0;

	(void)si;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (p[0] == 0x0f && p[1] == 0x20 && p[2] >> 6 == 3) {		/* mov crN, r */
		r[gregs[(p[2] & 7) | (rex & 1) << 3]] = (greg_t)control(p[2] >> 3 & 7);
		r[REG_RIP] = (greg_t)(p + 3);
	} else if (p[0] == 0x0f && p[1] == 0x22 && (p[2] >> 3 & 7) == 0) {	/* mov r, cr0 */
		xnu_cr0 = (co_u64)r[gregs[(p[2] & 7) | (rex & 1) << 3]];
		r[REG_RIP] = (greg_t)(p + 3);
	} else if (p[0] == 0x0f && p[1] == 0x32) {			/* rdmsr */
		co_u64 v = read_msr((co_u32)r[REG_RCX]);

		r[REG_RAX] = (co_u32)v;
		r[REG_RDX] = (greg_t)(v >> 32);
		r[REG_RIP] = (greg_t)(p + 2);
	} else if (p[0] == 0x0f && p[1] == 0x30 && (co_u32)r[REG_RCX] == 0x830 && x2) {
		icr = edx_eax;
		r[REG_RIP] = (greg_t)(p + 2);
	} else if (p[0] == 0x0f && p[1] == 0x01 && p[2] == 0xd1) {	/* xsetbv */
		xnu_xcr0 = edx_eax;
		xnu_xsetbvs++;
		r[REG_RIP] = (greg_t)(p + 3);
	} else {
		signal(sig, SIG_DFL);	/* faults again, and that is that */
	}
}

__attribute__((constructor)) static void catch_privileged(void)
{
	struct sigaction sa = { .sa_sigaction = privileged, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
}
