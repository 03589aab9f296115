// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What debuggers need: single steps counted exactly, breakpoints, debug
 * registers, system-call stops; a part of the workload.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include "workload.h"

/*
 * A sequence of exactly 17 instructions as seen by single steps, with those
 * that trip monitors up: pushf, cpuid, a system call.  (Not popf: what pushf
 * stored under a debugger has TF set, on bare kernels too.)
 */
extern const char step_first[], step_last[], break_here[];
static volatile uint64_t watched;

static __attribute__((noinline)) void sequence(void)
{
	asm volatile(".globl step_first, step_last, break_here\n"
		     "step_first:\n\t"
		     "nop\n\t"
		     "pushf\n\t"
		     "pop %%rax\n\t"
		     "xor %%eax, %%eax\n\t"
		     "cpuid\n\t"
		     "mov $39, %%eax\n\t"
		     "syscall\n\t"			/* getpid */
		     "mov %%eax, %%esi\n\t"
		     "cld\n\t"
		     "mov $3, %%ecx\n\t"
		     "1: dec %%ecx\n\t"			/* 3 x 2 steps */
		     "jnz 1b\n\t"
		     "break_here: nop\n"
		     "step_last: nop"
		     : : : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r11", "memory", "cc");
}

enum { STEPS = 17 };

static int traced(void (*body)(void))
{
	int pid = MUST(fork()), status;

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		body();
		_exit(9);
	}
	MUST(waitpid(pid, &status, 0));
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP, "first stop: %#x", status);
	MUST(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD));
	return pid;
}

static unsigned long user_word(int pid, size_t offset)
{
	errno = 0;
	unsigned long v = ptrace(PTRACE_PEEKUSER, pid, offset, 0);
	CHECK(!errno, "PTRACE_PEEKUSER %zu: %m", offset);
	return v;
}

static unsigned long rip(int pid)
{
	return user_word(pid, offsetof(struct user, regs.rip));
}

/* Goes on until the next stop; returns its signal, or -1 at the end. */
static int next_stop(int pid, int how)
{
	int status;

	MUST(ptrace(how, pid, 0, 0));
	MUST(waitpid(pid, &status, 0));
	if (WIFEXITED(status)) {
		CHECK(WEXITSTATUS(status) == 9, "the traced child exited with %d",
		      WEXITSTATUS(status));
		return -1;
	}
	CHECK(WIFSTOPPED(status), "the traced child ended: %#x", status);
	return WSTOPSIG(status);
}

static void insert_break(int pid, const char *at, long *old)
{
	errno = 0;
	*old = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
	CHECK(!errno, "PTRACE_PEEKTEXT: %m");
	MUST(ptrace(PTRACE_POKETEXT, pid, at, (*old & ~0xfful) | 0xcc));
}

static void remove_break(int pid, const char *at, long old)
{
	struct user_regs_struct regs;

	MUST(ptrace(PTRACE_POKETEXT, pid, at, old));
	MUST(ptrace(PTRACE_GETREGS, pid, 0, &regs));
	CHECK(regs.rip == (unsigned long)at + 1, "int3 stopped at %llx, not behind %p", regs.rip, at);
	regs.rip = (unsigned long)at;
	MUST(ptrace(PTRACE_SETREGS, pid, 0, &regs));
}

static void ptrace_step(void)
{
	int pid = traced(sequence), steps = 0, all = 0, sig;
	long old;

	insert_break(pid, step_first, &old);
	CHECK(next_stop(pid, PTRACE_CONT) == SIGTRAP, "the breakpoint did not stop it");
	remove_break(pid, step_first, old);
	while (rip(pid) != (unsigned long)step_last && all++ < 1000) {
		sig = next_stop(pid, PTRACE_SINGLESTEP);
		CHECK(sig == SIGTRAP, "step %d: signal %d", steps, sig);
		steps++;
	}
	CHECK(steps == STEPS, "%d single steps, not %d", steps, STEPS);
	CHECK(next_stop(pid, PTRACE_CONT) == -1, "it stopped once more");
}

/* From the first instruction to the end of the child: it must get there. */
static void ptrace_step_far(void)
{
	int pid = traced(sequence), steps = 0, sig;

	for (;;) {
		sig = next_stop(pid, PTRACE_SINGLESTEP);
		if (sig == -1)
			break;
		CHECK(sig == SIGTRAP, "step %d: signal %d", steps, sig);
		CHECK(++steps < 20000, "no end after %d steps", steps);
	}
	CHECK(steps > STEPS, "only %d steps", steps);
}

static void ptrace_break(void)
{
	int pid = traced(sequence);
	long old;

	insert_break(pid, break_here, &old);
	CHECK(next_stop(pid, PTRACE_CONT) == SIGTRAP, "the breakpoint did not stop it");
	remove_break(pid, break_here, old);
	CHECK(next_stop(pid, PTRACE_CONT) == -1, "it stopped once more");
}

static void three_writes(void)
{
	for (int i = 1; i <= 3; i++) {
		watched = i;
		sequence();
	}
}

static void debug_register(int pid, int n, unsigned long value)
{
	MUST(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user, u_debugreg) + 8 * n, value));
}

static void ptrace_watch(void)
{
	int pid = traced(three_writes), hits = 0, sig;

	/* DR0: 8-byte write watch, local; DR1: execution of break_here. */
	debug_register(pid, 0, (unsigned long)&watched);
	debug_register(pid, 1, (unsigned long)break_here);
	debug_register(pid, 7, 1ul << 0 | 1ul << 2 | 1ul << 16 | 2ul << 18);
	for (int want = 0; (sig = next_stop(pid, PTRACE_CONT)) != -1; hits++, want = !want) {
		unsigned long dr6 = user_word(pid, offsetof(struct user, u_debugreg) + 48);

		CHECK(sig == SIGTRAP, "hit %d: signal %d", hits, sig);
		CHECK((dr6 & 3) == 1ul << want, "hit %d: DR6 %lx", hits, dr6);
		if (want) {
			CHECK(rip(pid) == (unsigned long)break_here, "DR1 at %lx", rip(pid));
		} else {
			errno = 0;
			long v = ptrace(PTRACE_PEEKDATA, pid, &watched, 0);
			CHECK(!errno && v == hits / 2 + 1, "hit %d: watched is %ld", hits, v);
		}
		debug_register(pid, 6, 0);
	}
	CHECK(hits == 6, "%d hits, not 6", hits);
}

static void ptrace_syscalls(void)
{
	int pid = traced(sequence), stops = 0, getpids = 0, sig;

	while ((sig = next_stop(pid, PTRACE_SYSCALL)) != -1) {
		CHECK(sig == (SIGTRAP | 0x80), "stop %d: signal %d", stops, sig);
		getpids += user_word(pid, offsetof(struct user, regs.orig_rax)) == SYS_getpid;
		stops++;
	}
	CHECK(getpids == 2, "%d getpid stops, not 2", getpids);
}

/* A tracee's AVX state as the debugger sees it equals what it put there. */
static uint64_t xmm_seed = 0x1234567887654321ull;

static void hold_xmm(void)
{
	asm volatile("movq %0, %%xmm7\n\tint3" : : "r"(xmm_seed) : "xmm7");
}

static void ptrace_fpu(void)
{
	int pid = traced(hold_xmm);
	struct user_fpregs_struct fp;
	uint64_t got;

	CHECK(next_stop(pid, PTRACE_CONT) == SIGTRAP, "int3 did not stop it");
	MUST(ptrace(PTRACE_GETFPREGS, pid, 0, &fp));
	memcpy(&got, (char *)fp.xmm_space + 16 * 7, 8);
	CHECK(got == xmm_seed, "xmm7 is %lx", got);
	CHECK(next_stop(pid, PTRACE_CONT) == -1, "it stopped once more");
}

const struct test trace_tests[] = {
	{ "ptrace_step", ptrace_step }, { "ptrace_step_far", ptrace_step_far },
	{ "ptrace_break", ptrace_break }, { "ptrace_watch", ptrace_watch },
	{ "ptrace_syscalls", ptrace_syscalls }, { "ptrace_fpu", ptrace_fpu }, { NULL, NULL },
};
