// SPDX-License-Identifier: GPL-2.0-or-later
/* Processes, pipes, signals and threads; a part of the workload. */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>
#include "workload.h"

static void fork_storm(void)
{
	enum { WIDTH = 6, ROUNDS = 12, LEN = 64 * 1024 };
	unsigned char *data = malloc(LEN);

	fill(data, LEN, 1);
	for (int round = 0; round < ROUNDS; round++) {
		int pids[WIDTH];
		uint64_t before = checksum(data, LEN);

		for (int i = 0; i < WIDTH; i++) {
			pids[i] = MUST(fork());
			if (pids[i])
				continue;
			/* Each child has its own copy, and a child of its own. */
			for (int at = i; at < LEN; at += 4096)
				data[at] ^= 0xff;
			int grandchild = MUST(fork());
			if (!grandchild) {
				for (int at = i; at < LEN; at += 4096)
					data[at] ^= 0xff;
				CHECK(checksum(data, LEN) == before, "a grandchild's copy is wrong");
				_exit(7);
			}
			reap(grandchild, 7, "grandchild");
			CHECK(checksum(data, LEN) != before, "a child's stores are lost");
			_exit(i);
		}
		for (int i = 0; i < WIDTH; i++)
			reap(pids[i], i, "child");
		CHECK(checksum(data, LEN) == before, "a child's stores reached its parent");
		data[round] ^= 1;
	}
}

static void exec_storm(void)
{
	char arg[32];

	for (int i = 0; i < 60; i++) {
		int pid = MUST(fork());

		if (!pid) {
			snprintf(arg, sizeof(arg), "%d", i * 3 % 100);
			char *argv[] = { "true", arg, NULL }, *envp[] = { "A=b", NULL };
			execve("/bin/tiny", argv, envp);
			fail("/bin/tiny: %m");
		}
		reap(pid, i * 3 % 100, "/bin/tiny");
	}
}

static void stage(int in, int out)
{
	unsigned char buf[5000];
	ssize_t n;

	while ((n = MUST(read(in, buf, sizeof(buf)))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			buf[i] = (buf[i] << 3 | buf[i] >> 5) ^ 0x5a;
		for (ssize_t at = 0; at < n;)
			at += MUST(write(out, buf + at, n - at));
	}
}

static void pipes(void)
{
	enum { STAGES = 4, LEN = 1 << 20 };
	int fd[STAGES + 1][2], pids[STAGES + 1];
	unsigned char *data = malloc(LEN), *got = malloc(LEN);
	size_t have = 0;

	fill(data, LEN, 5);
	for (int i = 0; i <= STAGES; i++)
		MUST(pipe(fd[i]));
	for (int s = 0; s <= STAGES; s++) {
		pids[s] = MUST(fork());
		if (pids[s])
			continue;
		for (int i = 0; i <= STAGES; i++) {
			if (i != s)
				close(fd[i][1]);
			if (i != s - 1)
				close(fd[i][0]);
		}
		if (s)
			stage(fd[s - 1][0], fd[s][1]);
		else
			for (size_t at = 0; at < LEN;)
				at += MUST(write(fd[0][1], data + at, LEN - at));
		_exit(0);
	}
	for (int i = 0; i <= STAGES; i++) {
		close(fd[i][1]);
		if (i != STAGES)
			close(fd[i][0]);
	}
	while (have < LEN) {
		struct pollfd p = { .fd = fd[STAGES][0], .events = POLLIN };

		MUST(poll(&p, 1, -1));
		ssize_t n = MUST(read(fd[STAGES][0], got + have, LEN - have));
		CHECK(n > 0, "the pipeline ended after %zu bytes", have);
		have += n;
	}
	for (int s = 0; s < STAGES; s++)
		for (size_t i = 0; i < LEN; i++)
			data[i] = (data[i] << 3 | data[i] >> 5) ^ 0x5a;
	CHECK(!memcmp(data, got, LEN), "wrong bytes came through the pipeline");
	for (int s = 0; s <= STAGES; s++)
		reap(pids[s], 0, "stage");
}

static volatile sig_atomic_t usr1_count, usr1_value;
static volatile greg_t seen_cr2, seen_err, seen_trap;
static volatile int skip_bytes, faults_left = 1000;
static const char *volatile doing = "stores";

static void on_usr1(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	usr1_count++;
	usr1_value = info->si_value.sival_int;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;
	greg_t *regs = uc->uc_mcontext.gregs;

	(void)info;
	if (faults_left-- == 0)
		fail("%s: another fault: signal %d trap %lld error %llx rip %llx", doing, sig,
		     regs[REG_TRAPNO], regs[REG_ERR], regs[REG_RIP]);
	seen_cr2 = regs[REG_CR2];
	seen_err = regs[REG_ERR];
	seen_trap = regs[REG_TRAPNO];
	regs[REG_RIP] += skip_bytes;
}

static void install(int sig, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	MUST(sigaction(sig, &act, NULL));
}

static void signals(void)
{
	pid_t pid = getpid(), tid = gettid();

	install(SIGUSR1, on_usr1, 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t rbx = 0x1111111111111111ull * (i & 7), got = 0;

		/* Registers must survive a handler that ran in between. */
		union sigval v = { .sival_int = i };
		siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE, .si_pid = pid,
				   .si_value = v };
		register siginfo_t *r10 asm("r10") = &info;
		long ret;
		asm volatile("mov %[in], %%r15\n\tmov %[in], %%r14\n\tsyscall\n\t"
			     "xor %%r14, %%r15\n\tmov %%r14, %[out]\n\tadd %%r15, %[out]"
			     : "=a"(ret), [out] "=&r"(got)
			     : "a"(SYS_rt_tgsigqueueinfo), "D"(pid), "S"(tid),
			       "d"(SIGUSR1), "r"(r10), [in] "r"(rbx)
			     : "rcx", "r11", "r14", "r15", "memory");
		CHECK(ret == 0, "rt_tgsigqueueinfo: %ld", ret);
		CHECK(got == rbx, "a register changed across a signal");
		CHECK(usr1_count == i + 1 && usr1_value == i, "signal %d: count %d value %d", i,
		      (int)usr1_count, (int)usr1_value);
	}
}

static void fault_contexts(void)
{
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	install(SIGSEGV, on_fault, 0);
	install(SIGILL, on_fault, 0);
	install(SIGFPE, on_fault, 0);
	skip_bytes = 3;		/* movb $0x55, (%rdi) */
	for (int i = 0; i < 200; i++) {
		asm volatile("movb $0x55, (%%rdi)" : : "D"(page + i) : "memory");
		CHECK(seen_cr2 == (greg_t)(page + i), "cr2 %llx, not %p", seen_cr2, page + i);
		CHECK(seen_trap == 14 && (seen_err & 7) == (i ? seen_err & 7 : 6),
		      "write to a read-only page: trap %lld error %llx", seen_trap, seen_err);
		CHECK((seen_err & 6) == 6, "error code %llx lacks write|user", seen_err);
	}
	/* A read of a kernel address is a user fault too, of no kernel's. */
	skip_bytes = 2;		/* mov (%rdi), %al */
	asm volatile("movb (%%rdi), %%al" : : "D"(0xffffffff81000000ul) : "rax", "memory");
	CHECK(seen_trap == 14 && (seen_err & 4), "kernel read: trap %lld error %llx", seen_trap,
	      seen_err);
	seen_trap = -1;
	asm volatile("movb (%%rdi), %%al" : : "D"(0xffff800000000000ul) : "rax", "memory");
	CHECK(seen_trap == 14 || seen_trap == 13, "hole read: trap %lld", seen_trap);
	/* Non-canonical: #GP, no cr2. */
	seen_trap = -1;
	asm volatile("movb (%%rdi), %%al" : : "D"(0x0123456789abcdeful) : "rax", "memory");
	CHECK(seen_trap == 13, "non-canonical read: trap %lld", seen_trap);
	asm volatile("ud2");
	CHECK(seen_trap == 6, "ud2: trap %lld", seen_trap);
	asm volatile("xor %%edx, %%edx\n\txor %%ecx, %%ecx\n\tdiv %%ecx"
		     : : "a"(1) : "rcx", "rdx", "cc");
	CHECK(seen_trap == 0, "div: trap %lld", seen_trap);
	/* Privileged instructions in ring 3. */
	static const struct { const char *code; int len; const char *name; } privileged[] = {
		{ "\xf4", 1, "hlt" }, { "\xfa", 1, "cli" }, { "\x0f\x01\x17", 3, "lgdt" },
		{ "\x0f\x20\xd8", 3, "mov %cr3" }, { "\x0f\x30", 2, "wrmsr" },
		{ "\xec", 1, "in" }, { "\x0f\x01\xf8", 3, "swapgs" },
		{ "\x0f\x01\x3f", 3, "invlpg" }, { "\x0f\x06", 2, "clts" },
		{ "\xcd\x02", 2, "int 2" }, { "\xcd\x20", 2, "int 0x20" },
		{ "\xcd\x0e", 2, "int 14" },
	};
	unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < sizeof(privileged) / sizeof(*privileged); i++) {
		skip_bytes = privileged[i].len;
		faults_left = 1;
		doing = privileged[i].name;
		memcpy(code, privileged[i].code, skip_bytes);
		code[skip_bytes] = 0xc3;
		seen_trap = -1;
		asm volatile("call *%0" : : "r"(code), "D"(page), "a"(0), "c"(0), "d"(0)
			     : "memory");
		CHECK(seen_trap == 13 || seen_trap == 6, "%s in ring 3: trap %lld",
		      privileged[i].name, seen_trap);
	}
	install(SIGTRAP, on_fault, 0);
	faults_left = 1;
	skip_bytes = 0;
	asm volatile("int3");
	CHECK(seen_trap == 3, "int3: trap %lld", seen_trap);
}

static sigjmp_buf overflow_jump;

static void on_overflow(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)info;
	(void)context;
	siglongjmp(overflow_jump, 1);
}

static volatile int deeper = 1;

static int recurse(int depth)
{
	volatile char frame[4096];

	frame[0] = depth;
	return (deeper ? recurse(depth + 1) : 0) + frame[0];
}

static void alt_stack(void)
{
	stack_t alt = { .ss_size = 65536, .ss_sp = malloc(65536) };

	MUST(sigaltstack(&alt, NULL));
	install(SIGSEGV, on_overflow, SA_ONSTACK);
	for (volatile int i = 0; i < 3; i++)
		if (!sigsetjmp(overflow_jump, 1)) {
			recurse(0);
			fail("an endless recursion returned");
		}
}

enum { THREADS = 6, PER_THREAD = 2000 };
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t barrier;
static uint64_t guarded;
static _Atomic uint64_t atomic_sum;
static __thread uint64_t tls_sum;

static void *thread(void *arg)
{
	uint64_t id = (uintptr_t)arg;

	pthread_barrier_wait(&barrier);
	for (int i = 0; i < PER_THREAD; i++) {
		tls_sum += id;
		atomic_fetch_add(&atomic_sum, id);
		pthread_mutex_lock(&lock);
		guarded += id;
		if (i % 16 == 0)
			sched_yield();
		pthread_mutex_unlock(&lock);
	}
	CHECK(tls_sum == id * PER_THREAD, "thread %lu: its TLS holds %lu", id, tls_sum);
	return (void *)(uintptr_t)tls_sum;
}

static void threads(void)
{
	pthread_t t[THREADS];
	uint64_t want = 0;
	void *got;

	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&t[i], NULL, thread, (void *)(i + 1)), "pthread_create");
	for (uintptr_t i = 0; i < THREADS; i++) {
		pthread_join(t[i], &got);
		CHECK((uintptr_t)got == (i + 1) * PER_THREAD, "thread %lu returned %p", i, got);
		want += (i + 1) * PER_THREAD;
	}
	CHECK(guarded == want && atomic_sum == want, "sums %lu and %lu, not %lu", guarded,
	      atomic_sum, want);
}

static void futex(void)
{
	_Atomic int *turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);
	int pid = MUST(fork());

	for (int i = 0; i < 1000; i++) {
		int mine = pid ? 0 : 1, old;

		while ((old = atomic_load(turn)) % 2 != mine)
			if (syscall(SYS_futex, turn, FUTEX_WAIT, old, NULL, NULL, 0) < 0)
				CHECK(errno == EAGAIN || errno == EINTR, "FUTEX_WAIT: %m");
		atomic_store(turn, old + 1);
		MUST(syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0));
	}
	if (!pid)
		_exit(0);
	reap(pid, 0, "futex partner");
	CHECK(atomic_load(turn) == 2000, "%d turns", atomic_load(turn));
}

const struct test proc_tests[] = {
	{ "fork_storm", fork_storm }, { "exec_storm", exec_storm }, { "pipes", pipes },
	{ "signals", signals }, { "fault_contexts", fault_contexts },
	{ "alt_stack", alt_stack }, { "threads", threads }, { "futex", futex },
	{ NULL, NULL },
};
