// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The CPU's state as processes see it (FPU, AVX2, LDT, 32-bit code); a part
 * of the workload.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <cpuid.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include "workload.h"

struct vectors {
	unsigned char reg[16][32];
} __attribute__((aligned(32)));

static int has_avx2(void)
{
	unsigned int a, b, c, d, xcr0;

	if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
		return 0;
	asm volatile("xgetbv" : "=a"(xcr0) : "c"(0) : "edx");
	return (xcr0 & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_AVX2);
}

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) \
		 op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOADY(n) "vmovdqa 32*" #n "(%[in]), %%ymm" #n "\n\t"
#define SAVEY(n) "vmovdqa %%ymm" #n ", 32*" #n "(%[out])\n\t"
#define LOADX(n) "movdqa 32*" #n "(%[in]), %%xmm" #n "\n\t"
#define SAVEX(n) "movdqa %%xmm" #n ", 32*" #n "(%[out])\n\t"
#define XMMS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", \
	"xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15"

/* Load all, give the CPU away (nr) and spin for a while, save all. */
static void through_y(const struct vectors *in, struct vectors *out, long nr, long spin)
{
	asm volatile(EACH(LOADY) "syscall\n\t"
		     "1: dec %[spin]\n\tjnz 1b\n\t" EACH(SAVEY) "vzeroupper"
		     : "+a"(nr), [spin] "+r"(spin)
		     : [in] "r"(in), [out] "r"(out)
		     : "rcx", "r11", "memory", "cc", XMMS);
}

static void through_x(const struct vectors *in, struct vectors *out, long nr, long spin)
{
	asm volatile(EACH(LOADX) "syscall\n\t"
		     "1: dec %[spin]\n\tjnz 1b\n\t" EACH(SAVEX)
		     : "+a"(nr), [spin] "+r"(spin)
		     : [in] "r"(in), [out] "r"(out)
		     : "rcx", "r11", "memory", "cc", XMMS);
}

static struct vectors in_handler;
static int with_avx;

static void on_alarm(int sig)
{
	struct vectors out;

	(void)sig;
	/* A handler is free to clobber everything. */
	if (with_avx)
		through_y(&in_handler, &out, SYS_getppid, 1);
	else
		through_x(&in_handler, &out, SYS_getppid, 1);
}

static void vector_state(int avx)
{
	enum { PROCS = 3, TURNS = 300 };
	int pids[PROCS];

	with_avx = avx;
	for (int i = 0; i < PROCS; i++) {
		struct vectors in, out;
		struct itimerval it = { { 0, 3000 + i * 700 }, { 0, 3000 } };

		fill(&in_handler, sizeof(in_handler), i + 100);
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		signal(SIGALRM, on_alarm);
		setitimer(ITIMER_REAL, &it, NULL);
		for (int t = 0; t < TURNS; t++) {
			fill(&in, sizeof(in), i * 1000 + t);
			memset(&out, 0, sizeof(out));
			if (avx)
				through_y(&in, &out, t & 1 ? SYS_sched_yield : SYS_getppid, 2000);
			else
				through_x(&in, &out, t & 1 ? SYS_sched_yield : SYS_getppid, 2000);
			for (int r = 0; r < 16; r++)
				CHECK(!memcmp(in.reg[r], out.reg[r], avx ? 32 : 16),
				      "process %d turn %d: %cmm%d changed", i, t, avx ? 'y' : 'x', r);
		}
		_exit(0);
	}
	for (int i = 0; i < PROCS; i++)
		reap(pids[i], 0, "vector process");
}

static void sse(void)
{
	vector_state(0);
}

static void avx2(void)
{
	if (!has_avx2())
		skip("no AVX2");
	vector_state(1);
}

/* Other control words in each process; results depend on the rounding mode. */
static void x87(void)
{
	enum { PROCS = 4 };
	int pids[PROCS];

	for (int i = 0; i < PROCS; i++) {
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		uint16_t cw = 0x037f | i << 10, got_cw;
		uint32_t mxcsr = 0x1f80 | i << 13, got_mxcsr;
		long double first = 0;

		asm volatile("fldcw %0\n\tldmxcsr %1" : : "m"(cw), "m"(mxcsr));
		for (int t = 0; t < 300; t++) {
			long double sum = 0;

			for (int k = 1; k < 40; k++) {
				sum += 1.0L / k;
				if (k % 20 == 0)
					sched_yield();
			}
			if (!t)
				first = sum;
			CHECK(sum == first, "process %d: another sum in turn %d", i, t);
			asm volatile("fnstcw %0\n\tstmxcsr %1" : "=m"(got_cw), "=m"(got_mxcsr));
			CHECK(got_cw == cw, "process %d: control word %x, not %x", i, got_cw, cw);
			CHECK((got_mxcsr & ~0x3fu) == mxcsr, "process %d: mxcsr %x, not %x", i,
			      got_mxcsr, mxcsr);
		}
		/* A child inherits it. */
		int pid = MUST(fork());
		asm volatile("fnstcw %0" : "=m"(got_cw));
		CHECK(got_cw == cw, "after fork: control word %x, not %x", got_cw, cw);
		if (!pid)
			_exit(0);
		reap(pid, 0, "x87 grandchild");
		_exit(0);
	}
	for (int i = 0; i < PROCS; i++)
		reap(pids[i], 0, "x87 process");
}

static uint64_t gs_read(unsigned int offset)
{
	uint64_t v;

	asm volatile("mov %%gs:(%1), %0" : "=r"(v) : "r"((uint64_t)offset));
	return v;
}

/* A data segment with a base, in the LDT of each process, across switches. */
static void ldt(void)
{
	uint64_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	int pids[3];

	CHECK(page != MAP_FAILED, "mmap: %m");
	for (int i = 0; i < 3; i++) {
		pids[i] = MUST(fork());
		if (pids[i])
			continue;
		struct user_desc d = {
			.entry_number = 3 + i, .base_addr = (uintptr_t)page + 64 * i,
			.limit = 0xfffff, .seg_32bit = 1, .limit_in_pages = 1, .useable = 1,
		};
		unsigned short sel = (3 + i) << 3 | 7;

		MUST(syscall(SYS_modify_ldt, 1, &d, sizeof(d)));
		asm volatile("mov %0, %%gs" : : "r"(sel));
		for (int t = 0; t < 200; t++) {
			page[8 * i] = t * 3 + i;
			sched_yield();
			CHECK(gs_read(0) == (uint64_t)t * 3 + i, "gs:0 holds %lx", gs_read(0));
		}
		struct user_desc back[8];
		long n = MUST(syscall(SYS_modify_ldt, 0, back, sizeof(back)));
		CHECK(n >= 8 * (4 + i), "modify_ldt read %ld bytes", n);
		/* A child inherits the table. */
		int pid = MUST(fork());
		if (!pid) {
			asm volatile("mov %0, %%gs" : : "r"(sel));
			CHECK(gs_read(0) == page[8 * i], "the child's gs:0 differs");
			_exit(0);
		}
		reap(pid, 0, "ldt child");
		/* An entry taken away faults when loaded. */
		struct user_desc none = { .entry_number = 3 + i, .read_exec_only = 1,
					  .seg_not_present = 1 };
		asm volatile("mov %0, %%gs" : : "r"((unsigned short)0));
		MUST(syscall(SYS_modify_ldt, 1, &none, sizeof(none)));
		pid = MUST(fork());
		if (!pid) {
			signal(SIGSEGV, _exit);
			asm volatile("mov %0, %%gs" : : "r"(sel));
			_exit(0);
		}
		reap(pid, SIGSEGV, "loading a selector without a descriptor");
		_exit(0);
	}
	for (int i = 0; i < 3; i++)
		reap(pids[i], 0, "ldt process");
}

static void fs_gs_base(void)
{
	unsigned long base = 0, want;
	static uint64_t cells[4] = { 11, 22, 33, 44 };
	int pid = MUST(fork());

	/* Bases above 4 GB through arch_prctl, kept over switches. */
	for (int t = 0; t < 300; t++) {
		want = (unsigned long)&cells[(t + !pid) % 4];
		MUST(syscall(SYS_arch_prctl, ARCH_SET_GS, want));
		sched_yield();
		CHECK(gs_read(0) == *(uint64_t *)want, "gs:0 is wrong in turn %d", t);
		MUST(syscall(SYS_arch_prctl, ARCH_GET_GS, &base));
		CHECK(base == want, "gs base %lx, not %lx", base, want);
	}
	if (!pid)
		_exit(0);
	reap(pid, 0, "gs process");
}

static void int80(void)
{
	int pid, want = getpid();

	asm volatile("int $0x80" : "=a"(pid) : "a"(20 /* getpid */) : "memory", "r8", "r9", "r10",
		     "r11");
	CHECK(pid == want, "int $0x80 getpid: %d, not %d", pid, want);
}

extern const unsigned char elf32_start[], elf32_end[];

/* A hand-made 32-bit program: int $0x80, then its vDSO's own system call. */
static void elf32(void)
{
	int fd = MUST(open("/tmp/elf32", O_WRONLY | O_CREAT | O_TRUNC, 0700)), pid;
	size_t len = elf32_end - elf32_start;

	CHECK(write(fd, elf32_start, len) == (ssize_t)len, "write: %m");
	close(fd);
	for (int i = 0; i < 5; i++) {
		pid = MUST(fork());
		if (!pid) {
			char *argv[] = { "elf32", NULL };

			execv("/tmp/elf32", argv);
			fail("execv of a 32-bit program: %m");
		}
		reap(pid, 42, "32-bit program");
	}
}

static void user_cpuid(void)
{
	unsigned int a, b, c, d, first[4];

	__cpuid(0, first[0], first[1], first[2], first[3]);
	for (int i = 0; i < 50; i++) {
		__cpuid(0, a, b, c, d);
		CHECK(a == first[0] && b == first[1] && c == first[2] && d == first[3],
		      "cpuid changes");
	}
}

/* What UMIP hides, a program still gets an answer for: the one of a bare Linux. */
static void hidden(void)
{
	struct { uint16_t limit; uint64_t base; } __attribute__((packed)) t[3];
	uint64_t cr0 = 0, str = ~0ull, sldt = ~0ull, at = 1;
	uint16_t half[2] = { 0xaaaa, 0xaaaa };
	unsigned int a, b, c, d;

	__cpuid_count(7, 0, a, b, c, d);
	if (!(c & 1 << 2))
		skip("the CPU has no UMIP");
	memset(t, 0xff, sizeof(t));
	asm volatile("sgdt (%1, %2, 8)" : "=m"(t) : "r"((uintptr_t)t - 8), "r"(at));
	CHECK(t[0].base == 0xfffffffffffe0000 && !t[0].limit, "sgdt: %#lx", t[0].base);
	asm volatile("sidt %0" : "=m"(t[1]));
	CHECK(t[1].base == 0xffffffffffff0000 && !t[1].limit, "sidt: %#lx", t[1].base);
	CHECK(t[2].base == ~0ull && t[2].limit == 0xffff, "more than ten bytes are written");
	asm volatile("smsw %0" : "=r"(cr0));
	CHECK((cr0 & 0x80050033) == 0x80050033, "smsw: %#lx", cr0);
	asm volatile("smsw %0" : "=m"(half[0]));
	CHECK(half[0] == 0x33 && half[1] == 0xaaaa, "smsw to memory: %#x %#x", half[0], half[1]);
	asm volatile("str %0" : "=r"(str));
	asm volatile("sldt %0" : "=r"(sldt));
	CHECK(str == 0x40 && (sldt == 0 || sldt == 0x50), "str %#lx, sldt %#lx", str, sldt);
	asm volatile("mov $-1, %%r12\n\tsmsw %%r12w\n\tmov %%r12, %0" : "=r"(cr0) : : "r12");
	CHECK(cr0 == 0xffffffffffff0033, "smsw of 16 bits: %#lx", cr0);
}

static volatile sig_atomic_t hidden_faults;
static sigjmp_buf hidden_back;

static void hidden_fault(int sig, siginfo_t *si, void *ctx)
{
	(void)ctx;
	hidden_faults += sig == SIGSEGV && (uintptr_t)si->si_addr >> 12 == 0xdead0;
	siglongjmp(hidden_back, 1);
}

/* Their store faults as any other. */
static void hidden_to_nowhere(void)
{
	struct sigaction sa = { .sa_sigaction = hidden_fault, .sa_flags = SA_SIGINFO };

	MUST(sigaction(SIGSEGV, &sa, NULL));
	for (volatile int i = 0; i < 10; i++)
		if (!sigsetjmp(hidden_back, 1)) {
			asm volatile("sgdt (%0)" : : "r"(0xdead0008ul) : "memory");
			fail("sgdt to nowhere is over");
		}
	CHECK(hidden_faults == 10, "%d faults at the right address", (int)hidden_faults);
}

const struct test cpu_tests[] = {
	{ "sse", sse }, { "avx2", avx2 }, { "x87", x87 }, { "ldt", ldt },
	{ "fs_gs_base", fs_gs_base }, { "int80", int80 }, { "elf32", elf32 },
	{ "user_cpuid", user_cpuid }, { "hidden", hidden },
	{ "hidden_to_nowhere", hidden_to_nowhere }, { NULL, NULL },
};
