/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CPU that core believes to run on: privileged reads fault in user space
 * and are answered here; the monitor's image and the passage are stand-ins.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "inside.h"
#include "co_layout.h"

co_u64 fake_host_root[512] __attribute__((aligned(4096)));
static unsigned int vector;

/* A header and nothing behind it: no test runs the monitor. */
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
	fake_die("a passage without a guest");
}

void co_passage_resume(void);
void co_passage_resume(void) { }

void co_passage_int(unsigned int n);
void co_passage_int(unsigned int n)
{
	if (!fake_in_world())
		fake_die("an interrupt raised outside of the world switch");
	vector = n;
}

unsigned int fake_interrupt(void) { return vector; }

static co_u64 control(int n)
{
	switch (n) {
	case 0: return 0x80050033;
	case 3: return (co_u64)fake_host_root;
	case 4: return 0x000006a0;		/* no XSAVE: the FPU stays the test's own */
	default: return 0;
	}
}

/* mov crN, reg and rdmsr; all else is a real fault. */
static void privileged(int sig, siginfo_t *si, void *ctx)
{
	static const int gregs[] = {
		REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
		REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
	};
	greg_t *r = ((ucontext_t *)ctx)->uc_mcontext.gregs;
	const co_u8 *p = (const co_u8 *)r[REG_RIP];
	int rex = 0;

	(void)si;
	if ((*p & 0xf0) == 0x40)
		rex = *p++;
	if (p[0] == 0x0f && p[1] == 0x20 && p[2] >> 6 == 3) {
		r[gregs[(p[2] & 7) | (rex & 1) << 3]] = (greg_t)control(p[2] >> 3 & 7);
		r[REG_RIP] = (greg_t)(p + 3);
	} else if (p[0] == 0x0f && p[1] == 0x32) {
		co_u64 v = (co_u32)r[REG_RCX] == 0xc0000080 ? 0xd01 : 0;	/* EFER */

		r[REG_RAX] = (co_u32)v;
		r[REG_RDX] = (greg_t)(v >> 32);
		r[REG_RIP] = (greg_t)(p + 2);
	} else {
		signal(sig, SIG_DFL);	/* faults again, and that is that */
	}
}

__attribute__((constructor)) static void catch_privileged(void)
{
	struct sigaction sa = { .sa_sigaction = privileged, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
}
