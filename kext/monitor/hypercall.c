/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hypercalls: the dispatcher and those too small for a file of their own.
 *
 * Arguments are the guest kernel's; a pointer among them is a guest virtual
 * address and is only ever given to mon_get and mon_put.  Unknown calls return
 * -ENOSYS: stock kernels probe.  What could run long does a bounded piece and
 * returns to the guest with rip still at the system call, so that interrupts
 * get their turn.
 */
#include "mon.h"
#include "xen/callback.h"
#include "xen/features.h"
#include "xen/memory.h"
#include "xen/physdev.h"
#include "xen/sched.h"
#include "xen/version.h"

#define MULTICALL_SLICE	32u
#define MMU_SLICE	64u

static s64 set_trap_table(u64 va)
{
	struct trap_info ti;
	u32 n;

	if (!va) {
		for (n = 0; n < 256; n++)
			V->traps[n].address = 0;
		return 0;
	}
	for (n = 0; n < 257; n++, va += sizeof(ti)) {
		struct mon_trap *t;

		mon_work(12);
		if (mon_get(&ti, va, sizeof(ti)))
			return -XEN_EFAULT;
		if (!ti.address)
			return 0;
		if (!mon_guest_va(ti.address))
			return -XEN_EINVAL;
		t = &V->traps[ti.vector];
		t->address = ti.address;
		t->cs = ti.cs;
		t->dpl = TI_GET_DPL(&ti);
		t->mask = !!TI_GET_IF(&ti);
	}
	return -XEN_EINVAL;
}

static s64 stack_switch(u64 sp)
{
	if (!mon_guest_va(sp) || !mon_guest_va(sp - 4096))
		return -XEN_EINVAL;
	GATE->kernel_sp = sp & ~15ull;
	return 0;
}

static s64 set_callback(u32 type, u32 flags, u64 address)
{
	if (address && !mon_guest_va(address))
		return -XEN_EINVAL;
	switch (type) {
	case CALLBACKTYPE_event:
		V->event_rip = address;
		return 0;
	case CALLBACKTYPE_failsafe:
		V->failsafe_rip = address;
		return 0;
	case CALLBACKTYPE_syscall:
		V->syscall_rip = address;
		V->syscall_mask = !!(flags & CALLBACKF_mask_events);
		/* The fast path always masks, as every Linux asks. */
		GATE->syscall_rip = V->syscall_mask ? address : 0;
		return 0;
	case CALLBACKTYPE_syscall32:
		V->syscall32_rip = address;
		V->syscall32_mask = !!(flags & CALLBACKF_mask_events);
		return 0;
	case CALLBACKTYPE_nmi:
		return 0;
	default:	/* sysenter: SYSENTER_CS is 0 in the guest world */
		return -XEN_ENOSYS;
	}
}

static s64 callback_op(u32 op, u64 va)
{
	struct callback_register r;

	if (op == CALLBACKOP_unregister)
		return 0;
	if (op != CALLBACKOP_register)
		return -XEN_ENOSYS;
	if (mon_get(&r, va, sizeof(r)))
		return -XEN_EFAULT;
	return set_callback(r.type, r.flags, r.address);
}

s64 mon_hc_version(u32 op, u64 va)
{
	static const char extra[16] = ".coLinux", caps[] = "xen-3.0-x86_64";
	struct xen_feature_info fi;
	char zero[64] = { 0 };
	u64 start = HYPERVISOR_VIRT_START;

	switch (op) {
	case XENVER_version:
		return 4 << 16 | 17;
	case XENVER_extraversion:
		return mon_put(va, extra, sizeof(extra));
	case XENVER_capabilities:
		return mon_put(va, caps, sizeof(caps));
	case XENVER_changeset:
		return mon_put(va, zero, sizeof(zero));
	case XENVER_platform_parameters:
		return mon_put(va, &start, sizeof(start));
	case XENVER_get_features:
		if (mon_get(&fi, va, sizeof(fi)))
			return -XEN_EFAULT;
		fi.submap = fi.submap_idx ? 0 : 1u << XENFEAT_highmem_assist |
			1u << XENFEAT_mmu_pt_update_preserve_ad | 1u << XENFEAT_gnttab_map_avail_bits;
		return mon_put(va, &fi, sizeof(fi));
	case XENVER_pagesize:
		return 4096;
	default:
		return -XEN_ENOSYS;
	}
}

s64 mon_hc_memory(u32 op, u64 va)
{
	struct xen_memory_map mm;
	struct xen_machphys_mapping mp;
	struct { u64 addr, size; u32 type; } __attribute__((packed)) e820;

	switch (op) {
	case XENMEM_maximum_ram_page:
		return (s64)VM->ram_pages;
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
		return (s64)VM->ram_pages;
	case XENMEM_memory_map:
		if (mon_get(&mm, va, sizeof(mm)))
			return -XEN_EFAULT;
		if (!mm.nr_entries)
			return -XEN_EINVAL;
		e820.addr = 0;
		e820.size = VM->ram_pages << 12;
		e820.type = 1;
		if (mon_put(mm.buffer, &e820, sizeof(e820)))
			return -XEN_EFAULT;
		mm.nr_entries = 1;
		return mon_put(va, &mm, sizeof(mm));
	case XENMEM_machphys_mapping:
		mp.v_start = MON_M2P;
		mp.v_end = MON_M2P + VM->ram_pages * 8;
		mp.max_mfn = VM->ram_pages - 1;
		return mon_put(va, &mp, sizeof(mp));
	default:
		return -XEN_ENOSYS;
	}
}

s64 mon_hc_segment_base(u32 which, u64 base)
{
	extern void mon_load_gs(u16 selector);

	if (which != SEGBASE_GS_USER_SEL && !mon_canonical(base))
		return -XEN_EINVAL;
	switch (which) {
	case SEGBASE_FS:
		mon_wrmsr(MSR_FS_BASE, base);
		return 0;
	case SEGBASE_GS_USER:	/* the guest kernel asks: its own base is the live one */
		mon_wrmsr(MSR_KERNEL_GS_BASE, base);
		return 0;
	case SEGBASE_GS_KERNEL:
		mon_wrmsr(MSR_GS_BASE, base);
		return 0;
	case SEGBASE_GS_USER_SEL:
		mon_load_gs((u16)base);
		return 0;
	default:
		return -XEN_EINVAL;
	}
}

s64 mon_hc_debugreg(u32 reg, u64 value)
{
	void mon_debug_load(void);
	u32 i;

	switch (reg) {
	case 0: case 1: case 2: case 3:
		/* A breakpoint of eight bytes just below the hole must not reach into it. */
		if (!mon_guest_va(value) || !mon_guest_va(value + 8))
			return -XEN_EPERM;
		V->dr[reg] = value;
		break;
	case 6:
		V->dr[6] = (value & 0xe00f) | 0xffff0ff0;
		__asm__ volatile("mov %0, %%db6" : : "r"(0xffff0ff0ull));
		return 0;
	case 7:
		value &= 0xffff03ff;	/* no general detect, nothing above 32 bits */
		for (i = 0; i < 4; i++)
			if ((value >> (2 * i) & 3) && (value >> (16 + 4 * i) & 3) == 2)
				return -XEN_EPERM;	/* I/O breakpoints */
		V->dr[7] = value;
		break;
	default:
		return -XEN_EINVAL;
	}
	mon_debug_load();
	return 0;
}

static s64 physdev(u32 op, u64 va)
{
	struct physdev_set_iopl iopl;

	switch (op) {
	case PHYSDEVOP_set_iopl:
		if (mon_get(&iopl, va, sizeof(iopl)))
			return -XEN_EFAULT;
		V->iopl = iopl.iopl & 3;
		return 0;
	case PHYSDEVOP_set_iobitmap:
		return 0;
	default:
		return -XEN_ENOSYS;
	}
}

static s64 console_io(u32 op, u32 count, u64 va)
{
	u64 n = mon_min(count, sizeof(V->text));

	if (op != CONSOLEIO_write)
		return -XEN_ENOSYS;
	if (mon_get(V->text, va, n))
		return -XEN_EFAULT;
	V->exit_len = (u32)n;
	mon_exit(MON_EXIT_CONSOLE);
	return (s64)n;
}

/* Run the call again from where it stopped: the next arguments are in the registers. */
static void again(struct mon_frame *f, u64 op)
{
	f->rip -= 2;
	f->rax = op;
}

/*
 * mmu_update and mmuext_op take arrays.  A call asks for a slice by itself and,
 * when more is left, for another turn; `done` accumulates in guest memory.
 */
static s64 batch(struct mon_frame *f, u64 op, u64 va, u64 count, u64 done_va)
{
	int update = op == __HYPERVISOR_mmu_update;
	u64 size = update ? sizeof(struct mmu_update) : sizeof(struct mmuext_op);
	u32 done, total = 0, left = (u32)count & ~0x80000000u;
	u32 slice = mon_min(left, MMU_SLICE);
	s64 ret = 0;

	if ((count & 0x80000000u) && done_va && mon_get(&total, done_va, sizeof(total)))
		return -XEN_EFAULT;
	for (done = 0; done < slice; done++, va += size) {
		/* One frame has seven shadows at most; a page is cleared or copied, at most. */
		mon_work(update ? 32 : 80);
		ret = update ? mon_hc_mmu_update(va) : mon_hc_mmuext(va);
		if (ret)
			break;
	}
	total += done;
	if (done_va && mon_put(done_va, &total, sizeof(total)))
		return -XEN_EFAULT;
	if (ret || left == slice || V->dead)
		return ret;
	if (!f)
		return -XEN_EAGAIN;
	f->rdi = va;
	f->rsi = (left - slice) | 0x80000000u;
	again(f, op);
	return (s64)f->rax;
}

/* The usual ones: a single element, and nobody asks how many were done. */
static inline int single(u64 count, u64 done_va)
{
	return (u32)count == 1 && !done_va;
}

static u64 rare_hypercall(struct mon_frame *f, u64 op, u64 a, u64 b, u64 c)
{
	switch (op) {
	case __HYPERVISOR_mmuext_op:
	case __HYPERVISOR_mmu_update:
		return (u64)batch(f, op, a, b, c);
	case __HYPERVISOR_set_trap_table:
		return (u64)set_trap_table(a);
	case __HYPERVISOR_set_gdt:
		return (u64)mon_hc_set_gdt(a, (u32)b);
	case __HYPERVISOR_set_callbacks:
		return (u64)(set_callback(CALLBACKTYPE_event, 0, a) |
			     set_callback(CALLBACKTYPE_failsafe, 0, b) |
			     set_callback(CALLBACKTYPE_syscall, CALLBACKF_mask_events, c));
	case __HYPERVISOR_fpu_taskswitch:
		mon_set_ts(!!a);
		return 0;
	case __HYPERVISOR_set_debugreg:
		return (u64)mon_hc_debugreg((u32)a, b);
	case __HYPERVISOR_get_debugreg:
		return a < 8 ? V->dr[a & 7] : (u64)-XEN_EINVAL;
	case __HYPERVISOR_update_descriptor:
		return (u64)mon_hc_update_descriptor(a, b);
	case __HYPERVISOR_memory_op:
		return (u64)mon_hc_memory((u32)a, b);
	case __HYPERVISOR_set_timer_op:
		return (u64)mon_timer_set(a);
	case __HYPERVISOR_xen_version:
		return (u64)mon_hc_version((u32)a, b);
	case __HYPERVISOR_console_io:
		return (u64)console_io((u32)a, (u32)b, c);
	case __HYPERVISOR_vm_assist:
		return b < 6 ? 0 : (u64)-XEN_EINVAL;
	case __HYPERVISOR_vcpu_op:
		return (u64)mon_hc_vcpu((u32)a, (u32)b, c);
	case __HYPERVISOR_set_segment_base:
		return (u64)mon_hc_segment_base((u32)a, b);
	case __HYPERVISOR_sched_op:
		return (u64)mon_hc_sched(f, (u32)a, b);
	case __HYPERVISOR_callback_op:
		return (u64)callback_op((u32)a, b);
	case __HYPERVISOR_event_channel_op:
		return (u64)mon_hc_event((u32)a, b);
	case __HYPERVISOR_grant_table_op:
		return (u64)mon_hc_grant((u32)a, b, (u32)c);
	case __HYPERVISOR_physdev_op:
		return (u64)physdev((u32)a, b);
	case __HYPERVISOR_nmi_op:
		return 0;
	default:
		return (u64)-XEN_ENOSYS;
	}
}

/*
 * No call that is served has more than three arguments that matter.  First what fork,
 * exec and every switch of tasks ask.
 */
static inline u64 do_hypercall(struct mon_frame *f, u64 op, u64 a, u64 b, u64 c)
{
	if (op == __HYPERVISOR_update_va_mapping)
		return (u64)mon_hc_update_va(a, b, c);
	if (op == __HYPERVISOR_mmuext_op && single(b, c))
		return (u64)mon_hc_mmuext(a);
	if (op == __HYPERVISOR_mmu_update && single(b, c))
		return (u64)mon_hc_mmu_update(a);
	if (op == __HYPERVISOR_set_segment_base)
		return (u64)mon_hc_segment_base((u32)a, b);
	if (op == __HYPERVISOR_stack_switch)
		return (u64)stack_switch(b);
	return rare_hypercall(f, op, a, b, c);
}

/* One level deep: a multicall inside a multicall is refused. */
static __attribute__((noinline)) u64 multicall(struct mon_frame *f, u64 va, u64 count)
{
	u32 n;

	for (n = 0; n < count; n++, va += sizeof(struct multicall_entry)) {
		volatile struct multicall_entry *p;
		u64 op, a, b, c, result, generation;

		if (n == MULTICALL_SLICE) {
			f->rdi = va;
			f->rsi = count - n;
			again(f, __HYPERVISOR_multicall);
			return f->rax;
		}
		mon_work(40 + 80);
		p = mon_at_whole(va, sizeof(*p), PF_W);
		generation = V->path_generation;
		if (mon_likely(p)) {
			op = p->op;
			a = p->args[0];
			b = p->args[1];
			c = p->args[2];
		} else {
			struct multicall_entry m;

			if (mon_get(&m, va, sizeof(m)))
				return (u64)-XEN_EFAULT;
			op = m.op;
			a = m.args[0];
			b = m.args[1];
			c = m.args[2];
		}
		if (mon_unlikely(op == __HYPERVISOR_multicall || op == __HYPERVISOR_iret))
			result = (u64)-XEN_EINVAL;
		else
			result = do_hypercall(0, op, a, b, c);
		if (mon_unlikely(generation != V->path_generation))	/* there was a flush */
			p = mon_at_whole(va, sizeof(*p), PF_W);
		if (mon_likely(p))
			p->result = result;
		else if (mon_put(va + __builtin_offsetof(struct multicall_entry, result),
				 &result, sizeof(result)))
			return (u64)-XEN_EFAULT;
		if (mon_unlikely(V->dead))
			return 0;
	}
	return 0;
}

s64 mon_hc_iret(struct mon_frame *f)
{
	struct iret_context c;

	if (mon_get(&c, f->rsp, sizeof(c))) {
		mon_kill("the guest kernel's iret frame at % is not readable", f->rsp, 0);
		return 0;
	}
	f->rax = c.rax;
	f->r11 = c.r11;
	f->rcx = c.rcx;
	f->rip = c.rip;
	f->rsp = c.rsp;
	f->rflags = c.rflags;
	if ((c.cs & 3) == 3) {
		__asm__ volatile("swapgs" : : : "memory");
		f->cs = (u16)c.cs;
		f->ss = (u16)c.ss | 3;
	} else {
		f->cs = MON_KERNEL_CS;
		f->ss = MON_KERNEL_DS;
	}
	VINFO->evtchn_upcall_mask = !(c.rflags & FLAG_IF);
	return 0;
}

/*
 * TOUR 15: A hypercall.  entry.S fills in a frame without the registers that C
 * keeps (rbx, rbp, r12 to r15): nothing below may look at those.
 */
void mon_hypercall(struct mon_frame *f)
{
	u32 op = (u32)f->rax;

	mon_off();
	COUNT(hypercalls);
	if (mon_likely(op == __HYPERVISOR_mmu_update && single(f->rsi, f->rdx)))
		f->rax = (u64)mon_hc_mmu_update(f->rdi);
	else if (op == __HYPERVISOR_iret)
		mon_hc_iret(f);
	else if (op == __HYPERVISOR_multicall)
		f->rax = multicall(f, f->rdi, (u32)f->rsi);
	else
		f->rax = do_hypercall(f, op, f->rdi, f->rsi, f->rdx);
	if (VM->spin && VM->inbox_summary)	/* nobody kicks for these, for a while */
		mon_event_inbox();
	mon_leave(f);
}
