/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: the host's part of a passage.
 *
 * Interrupts off keep this thread on its CPU, but not alone: core raises a host
 * interrupt again by `int n`, and XNU's way back from any interrupt of ring 0
 * reschedules when that is due, whatever the interrupt flag said.  Our half of the
 * FPU's state would go with it.  So a spin lock of this CPU's is held too; nobody
 * ever waits for it, it is there for the preemption level.  The reschedule happens
 * when ml_set_interrupts_enabled(TRUE) finds it due, after everything is back.
 *
 * XNU loads the FPU lazily (CR0.TS) and enables AVX-512 by thread (XCR0 differs from
 * CPU to CPU): the state of whoever's is in the registers is put aside here, and
 * core always sees the XCR0 that it saw when the kext was loaded.  An interrupt
 * raised again may have set TS meanwhile.
 */
#include "cpu.h"
#include "seam.h"
#include "../../core/core.h"

struct cpu {
	lck_spin_t *lock;
	void *fpu;
	co_u64 cr0, xcr0;
};

static struct cpu cpus[CO_DARWIN_MAX_CPUS];
static co_u32 ncpus, fpu_bytes, xsave;

/* SAFETY: everything between enter and leave runs here, on this CPU, unpreempted. */
void co_os_world_enter(void)
{
	struct cpu *c;

	ml_set_interrupts_enabled(FALSE);
	c = &cpus[cpu_number()];
	lck_spin_lock(c->lock);
	c->cr0 = cpu_read_cr0();
	if (c->cr0 & CR0_TS)
		cpu_write_cr0(c->cr0 & ~CR0_TS);
	if (!xsave) {
		cpu_fxsave(c->fpu);
		return;
	}
	c->xcr0 = cpu_xgetbv();
	/* XSAVE keeps what the header says of parts that are off now; XRSTOR would fault. */
	*(co_u64 *)((char *)c->fpu + 512) = 0;
	cpu_xsave(c->fpu);
	if (c->xcr0 != co_host.xcr0_mask)
		cpu_xsetbv(co_host.xcr0_mask);
}

void co_os_world_leave(void)
{
	struct cpu *c = &cpus[cpu_number()];
	co_u64 cr0 = cpu_read_cr0();

	if (cr0 & CR0_TS)
		cpu_write_cr0(cr0 & ~CR0_TS);
	if (xsave) {
		if (cpu_xgetbv() != c->xcr0)
			cpu_xsetbv(c->xcr0);
		cpu_xrstor(c->fpu);
	} else {
		cpu_fxrstor(c->fpu);
	}
	if (c->cr0 & CR0_TS)
		cpu_write_cr0(cr0 | CR0_TS);
	lck_spin_unlock(c->lock);
	ml_set_interrupts_enabled(TRUE);
}

co_u32 co_os_cpu(void)
{
	return (co_u32)cpu_number();
}

void co_os_kick(co_u32 cpu)
{
	boolean_t on = ml_set_interrupts_enabled(FALSE);

	if (cpu != (co_u32)cpu_number())
		co_darwin_send(cpu, CO_APIC_FIXED);
	ml_set_interrupts_enabled(on);
}

void co_os_nmi(void)
{
	co_darwin_send((co_u32)cpu_number(), CO_APIC_NMI);
}

/* The state of any CPU: what XSAVE can ever save here, not what it would now. */
static void size_up(void)
{
	co_u32 a, b, c, d;

	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
	xsave = !!(c & 1u << 27);		/* OSXSAVE */
	fpu_bytes = 512;
	if (xsave) {
		__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0xd), "c"(0));
		fpu_bytes = c;
	}
}

int co_darwin_world_start(void)
{
	co_u32 n = real_ncpus;

	size_up();
	if (n > CO_DARWIN_MAX_CPUS)
		return -CO_ECPU;
	for (ncpus = 0; ncpus < n; ncpus++) {
		struct cpu *c = &cpus[ncpus];

		c->lock = lck_spin_alloc_init(co_darwin_group, LCK_ATTR_NULL);
		c->fpu = co_darwin_pages(fpu_bytes);
		if (!c->lock || !c->fpu) {
			ncpus++;
			co_darwin_world_stop();
			return -CO_ENOMEM;
		}
	}
	return 0;
}

void co_darwin_world_stop(void)
{
	while (ncpus) {
		struct cpu *c = &cpus[--ncpus];

		if (c->lock)
			lck_spin_free(c->lock, co_darwin_group);
		if (c->fpu)
			co_darwin_free_pages(c->fpu, fpu_bytes);
		c->lock = NULL;
		c->fpu = NULL;
	}
}
