/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Time: pvclock, the wall clock, the one-shot timer, and vcpu_op, which
 * registers where the guest wants to read them.
 *
 * System time is nanoseconds by the host's clock that counts through suspend;
 * mon_vm.time says how to get it from the TSC.
 */
#include "mon.h"
#include "xen/vcpu.h"

#define SHARED	((volatile struct shared_info *)(MON_PHYS + (CO_SHARED_INFO_GFN(VM->ram_pages) << 12)))

static u64 scale(u64 delta, u32 mul, s32 shift)
{
	delta = shift < 0 ? delta >> -shift : delta << shift;
	return (u64)(((unsigned __int128)delta * mul) >> 32);
}

u64 mon_now(void)
{
	return VM->time.system_ns + scale(mon_rdtsc() - VM->time.tsc, VM->time.mul, VM->time.shift);
}

static void fill_time(volatile struct vcpu_time_info *t)
{
	u32 version = (t->version | 1) + 2;	/* odd: changing */

	t->version = version;
	mon_barrier();
	t->tsc_timestamp = VM->time.tsc;
	t->system_time = VM->time.system_ns;
	t->tsc_to_system_mul = VM->time.mul;
	t->tsc_shift = (xen_s8)VM->time.shift;
	t->flags = VM->time.stable ? XEN_PVCLOCK_TSC_STABLE_BIT : 0;
	mon_barrier();
	t->version = version + 1;
}

void mon_time_refresh(void)
{
	volatile struct shared_info *s = SHARED;

	if (V->time_seq == VM->time.seq + 1)
		return;
	V->time_seq = VM->time.seq + 1;
	fill_time(&VINFO->time);
	if (V->time_gfn) {
		u8 *p = mon_frame_ptr(V->time_gfn);

		if (p)
			fill_time((volatile struct vcpu_time_info *)(p + V->time_off));
	}
	s->wc_version |= 1;
	mon_barrier();
	s->wc_sec = (u32)VM->time.wall_sec;
	s->wc_sec_hi = (u32)(VM->time.wall_sec >> 32);
	s->wc_nsec = (u32)VM->time.wall_nsec;
	mon_barrier();
	s->wc_version++;
}

void mon_timer_check(void)
{
	if (V->deadline_ns && mon_now() >= V->deadline_ns) {
		V->deadline_ns = 0;
		mon_event_virq(VIRQ_TIMER);
	}
}

#define TIMER_SOON_NS	200000ull

s64 mon_timer_set(u64 deadline)
{
	u64 now = mon_now();

	V->deadline_ns = deadline;
	if (!deadline)
		return 0;
	if (now >= deadline) {
		mon_timer_check();
		return 0;
	}
	/* A host timer that comes too early will look at the deadline again (core/timer.c). */
	__sync_synchronize();
	if (V->armed_ns && V->armed_ns <= deadline)
		return 0;
	/*
	 * On a host's only CPU, and on one for guests, the host's tick ends our run every few
	 * milliseconds, when the host half looks at the deadline too: a guest that sets its
	 * tick and goes idle a moment later pays no passage for it.
	 */
	if ((VM->solo || VM->spin) && deadline - now > TIMER_SOON_NS)
		return 0;
	COUNT(timer_exits);
	mon_exit(MON_EXIT_TIMER);
	return 0;
}

/* The guest moves its vcpu_info into a frame of its own. */
static s64 register_vcpu_info(u64 gfn, u32 offset)
{
	volatile struct vcpu_info *old = VINFO;
	volatile struct vcpu_info *new;

	if (!mon_frame_ptr(gfn) || offset > 4096 - sizeof(struct vcpu_info) || (offset & 7))
		return -XEN_EINVAL;
	if (V->vinfo_gfn != CO_SHARED_INFO_GFN(VM->ram_pages))
		return -XEN_EINVAL;		/* once */
	new = (volatile struct vcpu_info *)((u8 *)mon_frame_ptr(gfn) + offset);
	new->evtchn_pending_sel = old->evtchn_pending_sel;
	new->evtchn_upcall_mask = old->evtchn_upcall_mask;
	((u64 *)MON_VINFO_PT)[0] = mon_frame_addr(gfn) |
				   PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX;
	mon_invlpg(MON_VINFO);
	V->vinfo_gfn = gfn;
	GATE->vinfo = MON_VINFO + offset;
	V->time_seq = 0;
	mon_time_refresh();
	/* Whatever came meanwhile is looked for again. */
	VINFO->evtchn_pending_sel = ~0ull;
	VINFO->evtchn_upcall_pending = 1;
	return 0;
}

static s64 register_time(u64 va)
{
	struct mon_walk w;

	if (!va) {
		V->time_gfn = 0;
		return 0;
	}
	if ((va & 4095) > 4096 - sizeof(struct vcpu_time_info) || (va & 7))
		return -XEN_EINVAL;
	if (!mon_walk(&w, va, PF_W))
		return -XEN_EFAULT;
	V->time_gfn = (w.entry[1] & PTE_ADDR) >> 12;
	V->time_off = va & 4095;
	fill_time((volatile struct vcpu_time_info *)((u8 *)mon_frame_ptr(V->time_gfn) + V->time_off));
	return 0;
}

s64 mon_hc_vcpu(u32 op, u32 vcpu, u64 va)
{
	union {
		struct vcpu_register_vcpu_info info;
		struct vcpu_set_singleshot_timer timer;
		struct vcpu_register_time_memory_area area;
		struct vcpu_runstate_info run;
	} u;

	if (vcpu >= VM->vcpus)
		return -XEN_ENOENT;
	switch (op) {
	case VCPUOP_is_up:
		return 1;
	case VCPUOP_register_vcpu_info:
		if (mon_get(&u.info, va, sizeof(u.info)))
			return -XEN_EFAULT;
		return register_vcpu_info(u.info.mfn, u.info.offset);
	case VCPUOP_register_vcpu_time_memory_area:
		if (mon_get(&u.area, va, sizeof(u.area)))
			return -XEN_EFAULT;
		return register_time(u.area.addr.p);
	case VCPUOP_register_runstate_memory_area:
	case VCPUOP_get_runstate_info:
		if (op == VCPUOP_register_runstate_memory_area) {
			if (mon_get(&u.area, va, sizeof(u.area)))
				return -XEN_EFAULT;
			va = u.area.addr.p;
		}
		__builtin_memset(&u.run, 0, sizeof(u.run));
		u.run.state = RUNSTATE_running;
		u.run.state_entry_time = VM->time.system_ns;
		return mon_put(va, &u.run, sizeof(u.run));
	case VCPUOP_stop_periodic_timer:
		return 0;
	case VCPUOP_set_singleshot_timer:
		if (mon_get(&u.timer, va, sizeof(u.timer)))
			return -XEN_EFAULT;
		if ((u.timer.flags & VCPU_SSHOTTMR_future) && u.timer.timeout_abs_ns < mon_now())
			return -XEN_ETIMEDOUT;
		return mon_timer_set(u.timer.timeout_abs_ns);
	case VCPUOP_stop_singleshot_timer:
		V->deadline_ns = 0;
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}
