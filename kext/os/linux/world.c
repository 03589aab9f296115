// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seam on Linux: the host's part of a passage, and debug.
 */
#include <linux/kernel_stat.h>
#include <linux/percpu.h>
#include <linux/sched/stat.h>
#include <linux/sched/signal.h>
#include <linux/smp.h>
#include <asm/apic.h>
#include <asm/fpu/api.h>
#include <asm/irq_vectors.h>
#include "seam.h"
#include "../../core/core.h"

void co_os_world_enter(void)
{
	kernel_fpu_begin();		/* also disables preemption */
	local_irq_disable();
}

void co_os_world_leave(void)
{
	local_irq_enable();
	kernel_fpu_end();
}

co_u32 co_os_cpu(void)
{
	return smp_processor_id();
}

int co_os_interrupted(void)
{
	return signal_pending(current);
}

void co_os_yield(void)
{
	cond_resched();
}

/* May what a thread waits for be an interrupt of another CPU's? */
static bool elsewhere(void)
{
	return num_online_cpus() > 1 && co_host.guest_cpu == CO_NO_CPU;
}

co_u64 co_os_news(void)
{
	if (elsewhere())
		return get_cycles();
	return raw_cpu_read(kstat.irqs_sum) + current->nvcsw + current->nivcsw;
}

/*
 * As the idle loop would, but without its way in and out (tick, governor, two switches
 * of threads), which is longer than a disk or a network next door takes to answer.  The
 * tick goes on, so this ends soon.
 */
void co_os_nap(co_u64 since, int (*done)(void *), void *arg, volatile co_u32 *napping)
{
	if (elsewhere() || boot_cpu_has_bug(X86_BUG_AMD_APIC_C1E))
		return;
	preempt_disable();
	local_irq_disable();
	*napping = 1;
	smp_mb();
	if (co_os_news() == since && !done(arg) && !signal_pending(current) &&
	    single_task_running() && !need_resched())
		asm volatile("sti; hlt" : : : "memory");
	*napping = 0;
	local_irq_enable();
	preempt_enable();
}

int co_os_alone(void)
{
	return single_task_running();
}

void co_os_move(co_u32 cpu)
{
	if (raw_smp_processor_id() != cpu || current->nr_cpus_allowed != 1)
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

/*
 * guest_cpu=: one of two CPUs is for guests.  Devices' interrupts are to be kept from it
 * (irqaffinity=, isolcpus=managed_irq), or who waits for them on the other waits for its
 * tick.  The APIC must be in the mode that has a page, for the monitor to ring there.
 */
int co_linux_guest_cpu(co_u32 cpu)
{
	u64 base;

	if (num_online_cpus() != 2 || cpu > 1)
		return -EINVAL;
	rdmsrl(MSR_IA32_APICBASE, base);
	if (base & X2APIC_ENABLE)
		return -EOPNOTSUPP;
	co_host.bell.hfn = (base & MSR_IA32_APICBASE_BASE) >> PAGE_SHIFT;
	co_host.bell.to = SET_XAPIC_DEST_FIELD(cpu_physical_id(!cpu));
	co_host.bell.how = APIC_DM_FIXED | APIC_INT_ASSERT | RESCHEDULE_VECTOR;
	co_host.guest_cpu = cpu;
	return 0;
}

static void nothing(void *unused)
{
}

static DEFINE_PER_CPU(call_single_data_t, kick_csd);

/* The interrupt is all that is wanted; if one is under way already, fine. */
void co_os_kick(co_u32 cpu)
{
	if (cpu != raw_smp_processor_id())
		smp_call_function_single_async(cpu, per_cpu_ptr(&kick_csd, cpu));
}

int co_linux_world_init(void)
{
	int cpu;

	for_each_possible_cpu(cpu)
		INIT_CSD(per_cpu_ptr(&kick_csd, cpu), nothing, NULL);
	return 0;
}

void co_os_nmi(void)
{
	apic->send_IPI(smp_processor_id(), NMI_VECTOR);
}

void co_os_log(const char *format, ...)
{
	struct va_format f;
	va_list args;

	va_start(args, format);
	f.fmt = format;
	f.va = &args;
	pr_info("colinux: %pV\n", &f);
	va_end(args);
}
