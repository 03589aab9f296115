/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The few instructions of the CPU that the Darwin files use themselves. */
#ifndef CO_DARWIN_CPU_H
#define CO_DARWIN_CPU_H

#include "co_abi.h"

#define CR0_TS		8ull
#define CR4_OSXSAVE	(1ull << 18)

static inline co_u64 cpu_rdmsr(co_u32 msr)
{
	co_u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return (co_u64)hi << 32 | lo;
}

static inline void cpu_wrmsr(co_u32 msr, co_u64 v)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((co_u32)v), "d"((co_u32)(v >> 32)) : "memory");
}

static inline co_u64 cpu_read_cr0(void)
{
	co_u64 v;

	__asm__ volatile("mov %%cr0, %0" : "=r"(v));
	return v;
}

static inline void cpu_write_cr0(co_u64 v)
{
	__asm__ volatile("mov %0, %%cr0" : : "r"(v) : "memory");
}

static inline co_u64 cpu_xgetbv(void)
{
	co_u32 lo, hi;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	return (co_u64)hi << 32 | lo;
}

static inline void cpu_xsetbv(co_u64 v)
{
	__asm__ volatile("xsetbv" : : "c"(0), "a"((co_u32)v), "d"((co_u32)(v >> 32)) : "memory");
}

/* All that XCR0 enables. */
static inline void cpu_xsave(void *area)
{
	__asm__ volatile("xsave64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static inline void cpu_xrstor(const void *area)
{
	__asm__ volatile("xrstor64 (%0)" : : "r"(area), "a"(~0u), "d"(~0u) : "memory");
}

static inline void cpu_fxsave(void *area)
{
	__asm__ volatile("fxsave64 (%0)" : : "r"(area) : "memory");
}

static inline void cpu_fxrstor(const void *area)
{
	__asm__ volatile("fxrstor64 (%0)" : : "r"(area) : "memory");
}

#endif
