/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the parts of the hostile guest share.  It is a tiny Xen PV kernel that
 * runs in ring 1 and attacks the monitor; each attack is one row of a table.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "co_layout.h"
#include "xen/xen.h"

typedef co_u64 u64;
typedef co_u32 u32;
typedef co_u16 u16;
typedef co_u8 u8;

#define PAGE		4096ull
#define VIRT_BASE	0xffffffff80000000ull
#define BAD_ADDRESS	0x0000800000000000ull	/* first non-canonical */
#define UNMAPPED	0xffffc90000000000ull	/* kernel half, nothing there */
#define USER_CODE	0x0000000000400000ull	/* our one user page */
#define USER_LAST	0x00007ffffffff000ull	/* the same page at the end of the user half */
#define PTE_P		1ull
#define PTE_W		2ull
#define PTE_U		4ull
#define PTE_PS		0x80ull
#define PTE_NX		(1ull << 63)

/* What an attack may end in. */
#define FAULT	1u	/* our own trap handler got a fault */
#define ERROR	2u	/* a hypercall returned an error */
#define OK	4u	/* nothing happened, and nothing was gained */
#define KILL	8u	/* the VM ends with a reason */
#define ANY	(FAULT | ERROR | OK | KILL)

struct attack {
	const char *name;
	/* Makes the attempt; `arg` is its row's. Returns a result of attempt(), negative errors. */
	long (*run)(u64 arg);
	u64 arg;
	u32 allow;
};

extern const struct attack cpu_attacks[], memory_attacks[], segment_attacks[],
	call_attacks[], device_attacks[], hidden_attacks[], bound_attacks[], late_attacks[];

/*
 * Runs f(arg): its return value, or TRAPPED + vector if it trapped.  f may
 * return anything else.
 */
#define TRAPPED 0x10000
long attempt(long (*f)(u64), u64 arg);

/* Runs our user page's code at that offset in ring 3, with rdi, rsi. */
long in_user(u64 rip, u64 rsp, u64 rdi, u64 rflags);

extern struct trapped { u64 vector, error, rip, cs, rflags, rsp; } trapped;

extern struct start_info *start;
extern u64 user_page[512], user_l4[512];
extern u8 spare[16][4096];	/* zeroed before each attack */

_Noreturn void breach(const char *what);
void say(const char *text);
void say_hex(u64 value);
_Noreturn void die(const char *why);

static inline u64 gfn_of(const void *p)
{
	return ((u64)p - VIRT_BASE) >> 12;
}

static inline void *page_of(u64 gfn)
{
	return (void *)(VIRT_BASE + (gfn << 12));
}

static inline long hyper(u64 nr, u64 a, u64 b, u64 c, u64 d, u64 e)
{
	register u64 r10 asm("r10") = d;
	register u64 r8 asm("r8") = e;
	long ret;

	asm volatile("syscall"
		     : "=a"(ret), "+D"(a), "+S"(b), "+d"(c), "+r"(r10), "+r"(r8)
		     : "0"(nr)
		     : "rcx", "r11", "r9", "memory", "cc");
	return ret;
}

static inline u16 ring(void)
{
	u16 cs;

	asm volatile("mov %%cs, %0" : "=r"(cs));
	return cs & 3;
}

static inline u64 root_gfn(void)
{
	return gfn_of((void *)start->pt_base);
}

void *memset(void *to, int byte, unsigned long n);
void *memcpy(void *to, const void *from, unsigned long n);

/* The guest's own entry for va at a level (4 top); 0 if an upper one is absent. */
u64 *entry_of(u64 va, int level);
/* Sets the last-level entry of `va`, whose tables are there already. */
long map(u64 va, u64 entry);
long update(const u64 *entry, u64 value);
long mmuext(u32 cmd, u64 mfn, u64 arg2);
void set_handler(u8 vector, u16 cs, u64 address, u8 flags);

#endif
