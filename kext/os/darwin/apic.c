/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: interrupts to another CPU, and an NMI to this one.  XNU has no
 * KPI for it (mp_rendezvous stops every CPU and waits), so this CPU's local APIC is
 * written as XNU writes it: interrupts off, wait until it is idle, destination,
 * command.  What is sent is XNU's own inter-processor interrupt, for which it finds
 * nothing to do.
 */
#include "cpu.h"
#include "seam.h"

#define MSR_APIC_BASE	0x1b
#define APIC_BASE_X2	(1u << 10)
#define MSR_X2APIC	0x800
#define LVT_TIMER	0x320		/* XNU's vectors: base + 13 is the timer, + 14 this */
#define ICR		0x300
#define ICR_HIGH	0x310
#define ICR_PENDING	(1u << 12)
#define ICR_PATIENCE	1000000u

static volatile co_u32 *mmio;		/* NULL: by MSR */
static struct co_darwin_window *window;
static co_u32 vector;

int co_darwin_apic_start(void)
{
	co_u64 base = cpu_rdmsr(MSR_APIC_BASE);
	co_u32 timer;

	if (base & APIC_BASE_X2) {
		timer = (co_u32)cpu_rdmsr(MSR_X2APIC + LVT_TIMER / 16);
	} else {
		mmio = co_darwin_window_open(base & 0x000ffffffffff000ull, CO_PAGE_SIZE, &window);
		if (!mmio)
			return -CO_ENOMEM;
		timer = mmio[LVT_TIMER / 4];
	}
	vector = (timer & 15) == 13 ? (timer & 0xff) + 1 : 0xde;
	return 0;
}

void co_darwin_apic_stop(void)
{
	co_darwin_window_close(window);
	window = NULL;
	mmio = NULL;
}

/* SAFETY: interrupts are off: the two halves of a command must not be torn apart. */
void co_darwin_send(co_u32 cpu, co_u32 mode)
{
	co_u32 to = ml_get_apicid(cpu), command = mode | (mode == CO_APIC_FIXED ? vector : 0), n = 0;

	if (to == ~0u)
		return;
	if (!mmio) {
		/* What was written before must be seen by whom this wakes. */
		__asm__ volatile("mfence; lfence" : : : "memory");
		cpu_wrmsr(MSR_X2APIC + ICR / 16, (co_u64)to << 32 | command);
		return;
	}
	while ((mmio[ICR / 4] & ICR_PENDING) && ++n < ICR_PATIENCE)
		__asm__ volatile("pause");
	mmio[ICR_HIGH / 4] = to << 24;
	mmio[ICR / 4] = command;
}
