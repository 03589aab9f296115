/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A program with nothing under it: raw system calls of Linux and of Darwin, the four
 * functions that a compiler asks for, words on the standard outputs.  ME is its name.
 */
#ifndef BARE_H
#define BARE_H

#ifdef __APPLE__
#define SYS(n)		(0x2000000 + (n))
#define SYS_EXIT	SYS(1)
#define SYS_WRITE	SYS(4)
#define SYS_OPEN	SYS(5)
#define SYS_CLOSE	SYS(6)
#define SYS_IOCTL	SYS(54)
#define SYS_MMAP	SYS(197)
#define SYS_LSEEK	SYS(199)
#define SYS_DUP2	SYS(90)
#define SYS_GETPID	SYS(20)
#define SYS_REBOOT	SYS(55)
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
#define SYS_DUP2	33
#define SYS_GETPID	39
#define SYS_REBOOT	169
#define SYS_MOUNT	165
#define SYS_FINIT_MODULE 313
#define ERR_INTR	4
#endif
#define O_RDWR_	2
#define MAP_PRIVATE_ 2
#define PROT_READ_ 1

/* Result or negative errno. */
static inline long sys(long n, long a, long b, long c, long d, long e, long f)
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

static inline void put(int fd, const char *text, unsigned long len)
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

static inline void say(const char *text)
{
	unsigned long len = 0;

	while (text[len])
		len++;
	put(2, text, len);
}

static inline void say_number(unsigned long n, unsigned int base)
{
	char digits[20];
	unsigned int at = sizeof(digits);

	do {
		digits[--at] = "0123456789abcdef"[n % base];
		n /= base;
	} while (n);
	put(2, digits + at, sizeof(digits) - at);
}

static inline void say_pair(const char *name, unsigned long n)
{
	say(" ");
	say(name);
	say("=");
	say_number(n, 10);
}

static inline __attribute__((noreturn)) void quit(int status)
{
	for (;;)
		sys(SYS_EXIT, status, 0, 0, 0, 0, 0);
}

static inline __attribute__((noreturn)) void die(const char *what, const char *why)
{
	say(ME ": ");
	say(what);
	say(": ");
	say(why);
	say("\n");
	quit(1);
}

/* The entry: MAIN is called with the stack that the kernel made: argc, argv, envp. */
#ifdef __APPLE__
#define BARE_SYM(name) "_" #name
#else
#define BARE_SYM(name) #name
#endif
#define BARE_START(main)				\
__asm__(".text\n.globl _start\n_start:\n"		\
	"	xorl %ebp, %ebp\n"			\
	"	movq %rsp, %rdi\n"			\
	"	andq $-16, %rsp\n"			\
	"	call " BARE_SYM(main) "\n"		\
	"	ud2\n")

#endif
