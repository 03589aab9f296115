/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The way into the guest world: a function of the test's. */
#include "../../../kext/core/core.h"
#include "xnu.h"

extern u32 (*guest)(struct co_vcpu *v);

u32 (*guest)(struct co_vcpu *v);

void co_cpu_pass(struct co_vcpu *v)
{
	if (!guest || xnu_interrupts() || !xnu_preemption_level() || (xnu_cr0 & 8))
		xnu_die("a passage without a guest, in the open, or with TS set");
	v->mon->exit = guest(v);
}
