/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor against a hostile guest kernel, in a program: its own C files
 * over memory laid out as in the guest world, with a machine of two pages'
 * worth of code (monitor_machine.c) that walks the shadow tables as the CPU
 * does.  The input is what the guest does; after each step the state must be
 * one in which no guest instruction can reach the host (monitor_check.c).
 */
#include <setjmp.h>

#include "fuzz.h"
#include "monitor.h"
#include "xen/memory.h"
#include "xen/sched.h"
#include "xen/vcpu.h"

static const uint8_t *in, *in_end;
static jmp_buf over;

/* ---- what stands in for switch.c and entry.S --------------------------------- */

const u8 mon_iretq[1], mon_view_iretq[1], mon_fast_iretq[1], mon_fast_push[1], mon_fast_push_end[1];
const u8 mon_fast_iret[1], mon_fast_iret_end[1], mon_fast_iret2[1], mon_fast_iret2_end[1];
const u8 mon_load_ds[1], mon_load_end[1], mon_load_gs_insn[1], mon_load_gs_fixup[1];

void mon_load_gs(u16 selector);
void mon_load_gs(u16 selector) { (void)selector; }
void mon_debug_load(void);
void mon_debug_load(void) { }
void mon_set_ts(int ts) { V->ts = (u32)ts; }
int mon_exit_pending(void) { return 0; }

void mon_exit(u32 why)
{
	V->exit = why;
	if (why == MON_EXIT_CONSOLE)
		MUST(V->exit_len <= sizeof(V->text));
	if (why == MON_EXIT_EVENT)
		MUST(VM->outbox_summary);
	if (V->dead || why == MON_EXIT_SHUTDOWN)
		longjmp(over, 1);
	mon_time_refresh();
	mon_event_inbox();
	mon_timer_check();
}

static s32 worst;	/* units between two turns of the host */

void mon_breathe(void)
{
	if (MON_WORK_MAX - V->work_left > worst)
		worst = MON_WORK_MAX - V->work_left;
	MUST(worst < 2 * MON_WORK_MAX);
	V->work_left = MON_WORK_MAX;
	mon_exit(MON_EXIT_YIELD);
}

/* ---- the input ------------------------------------------------------------------ */

static u64 bytes(int n)
{
	u64 v = 0;

	for (int i = 0; i < n && in < in_end; i++)
		v |= (u64)*in++ << 8 * i;
	return v;
}

/* Page tables come up often, and so do the entries that matter in them. */
static u64 some_gfn(void)
{
	u64 v = bytes(1);

	return v < 128 ? v & 15 : v * 2 - RAM_PAGES + (v & 1) * 40;
}

static u64 some_entry(void)
{
	static const u16 hot[] = { 0, 1, 2, 3, 64, 255, 256, 259, 260, 261, 271, 272, 273, 509, 510, 511 };
	u64 gfn = some_gfn(), v = bytes(1);

	return gfn << 12 | (v & 16 ? (u64)hot[v & 15] : v & 15) << 3;
}

static u64 some_va(void)
{
	static const u64 odd[] = {
		0, ~0ull, MON_HOLE_START, MON_HOLE_START - 8, MON_HOLE_END, MON_HOLE_END - 4,
		0x0000800000000000ull, 0x00007ffffffffff8ull, 0xffff820040000000ull,
		MON_BASE, MON_GATE_VARS, MON_STATE, MON_PHYS,
	};
	u64 kind = bytes(1);

	switch (kind & 3) {
	case 0: return KERNEL_VA + (bytes(2) << 3 & 0x1fffff);
	case 1:		/* an entry of a page table, seen as data */
		return KERNEL_VA + some_entry();
	case 2: return kind & 4 ? USER_VA + (bytes(1) << 12 & 0x3f000) + kind
				: KERNEL_VA + (bytes(1) << 12);
	default: return kind >> 2 < sizeof(odd) / sizeof(odd[0]) ? odd[kind >> 2] : bytes(8);
	}
}

static u64 some_pte(void)
{
	u64 flags = bytes(1), gfn = some_gfn();

	if (flags & 8)		/* beyond the VM, or a host frame's number */
		gfn = flags & 16 ? bytes(5) : RAM_PAGES + (gfn & 63);
	if (flags & 64)		/* most are wanted present and used */
		flags |= 0x63;
	return (gfn << 12 & PTE_ADDR) | (flags & 7) | (flags & 0xe0) |
	       (flags & 16 ? PTE_NX : 0);
}

static u64 some_value(void)
{
	switch (bytes(1) & 3) {
	case 0: return bytes(1);
	case 1: return some_va();
	case 2: return some_pte();
	default: return bytes(8);
	}
}

/* The guest's argument page, written as the guest would without our noticing. */
static u64 *args(void)
{
	return (u64 *)(MON_PHYS + (GFN_ARGS << 12));
}

#define ARGS_VA	(KERNEL_VA + (GFN_ARGS << 12))

static s64 hypercall(u64 op, u64 a, u64 b, u64 c, u64 d)
{
	u64 *stack = (u64 *)(MON_STACK_TOP - sizeof(struct mon_frame));
	struct mon_frame *f = (struct mon_frame *)stack;

	memset(f, 0, sizeof(*f));
	f->vector = VEC_HYPERCALL;
	f->rax = op;
	f->rdi = a;
	f->rsi = b;
	f->rdx = c;
	f->r10 = d;
	f->rip = KERNEL_VA + 0x1000;
	f->rsp = KERNEL_VA + (GFN_STACK << 12) + 0xf00;
	f->cs = MON_KERNEL_CS;
	f->ss = MON_KERNEL_DS;
	f->rflags = 0x202;
	for (int turns = 0; turns < 64; turns++) {	/* continuations come back */
		u64 rip = f->rip, count = V->counters.hypercalls;

		mon_hypercall(f);
		MUST(V->counters.hypercalls == count + 1);
		check_frame(f);
		if (f->rip != rip - 2)
			break;
		f->rip = rip;
	}
	return (s64)f->rax;
}

static void mmu_update(void)
{
	u64 n = 1 + bytes(1) % 3;

	for (u64 i = 0; i < n; i++) {
		args()[2 * i] = some_entry() | (bytes(1) & 3);
		args()[2 * i + 1] = some_pte();
	}
	hypercall(__HYPERVISOR_mmu_update, ARGS_VA, n, 0, DOMID_SELF);
}

static void mmuext(void)
{
	u64 cmd = bytes(1) % 24;

	args()[0] = cmd;
	args()[1] = cmd == MMUEXT_INVLPG_LOCAL || cmd == MMUEXT_SET_LDT ? some_va() : some_gfn();
	args()[2] = some_value();
	hypercall(__HYPERVISOR_mmuext_op, ARGS_VA, 1, 0, DOMID_SELF);
}

static void set_gdt(void)
{
	u64 n = bytes(1);

	for (int i = 0; i < 14; i++)
		args()[i] = i & 1 ? n & 15 : some_gfn();
	hypercall(__HYPERVISOR_set_gdt, ARGS_VA, n & 1 ? bytes(2) : n * 32, 0, 0);
}

/* Where the guest wants to be entered: traps, system calls, its stack, breakpoints. */
static void entries(void)
{
	u64 kind = bytes(1), va = some_va();

	args()[0] = kind >> 3 | (u64)FLAT_KERNEL_CS << 16;
	args()[1] = va;
	args()[2] = args()[3] = 0;
	switch (kind & 7) {
	case 0: case 1: hypercall(__HYPERVISOR_set_trap_table, ARGS_VA, 0, 0, 0); break;
	case 2:
		args()[0] = (kind >> 3 & 7) | (kind >> 6) << 16;
		hypercall(__HYPERVISOR_callback_op, 0, ARGS_VA, 0, 0);
		break;
	case 3: hypercall(__HYPERVISOR_stack_switch, 0, va, 0, 0); break;
	case 4: hypercall(__HYPERVISOR_set_debugreg, kind >> 3 & 7, va, 0, 0); break;
	case 5:		/* vcpu_info: a frame and an offset */
		args()[0] = some_gfn();
		args()[1] = bytes(2);
		hypercall(__HYPERVISOR_vcpu_op, VCPUOP_register_vcpu_info, 0, ARGS_VA, 0);
		break;
	case 6:
		args()[0] = va;
		hypercall(__HYPERVISOR_vcpu_op, kind & 8 ? VCPUOP_register_vcpu_time_memory_area :
			  VCPUOP_register_runstate_memory_area, 0, ARGS_VA, 0);
		break;
	default:	/* ports, and the grant table */
		args()[0] = bytes(2);
		args()[1] = bytes(2);
		args()[2] = va;
		if (kind >> 6 & 1)
			hypercall(__HYPERVISOR_grant_table_op, kind >> 3 & 15, ARGS_VA, kind >> 7, 0);
		hypercall(__HYPERVISOR_event_channel_op, kind >> 3 & 15, ARGS_VA, 0, 0);
	}
}

/* A hypercall of any number; the argument page may hold anything. */
static void anything(void)
{
	u64 op = bytes(1) % 64, fill = bytes(1);

	for (u64 i = 0; i < (fill & 7); i++)
		args()[i] = some_value();
	hypercall(op, fill & 8 ? ARGS_VA : some_value(), fill & 16 ? ARGS_VA : some_value(),
		  fill & 32 ? ARGS_VA : some_value(), some_value());
}

/* A trap of any kind, with an instruction of the input's at rip. */
static void trap(void)
{
	struct mon_frame *f = (struct mon_frame *)(MON_STACK_TOP - sizeof(*f));
	u64 kind = bytes(1), n = bytes(1) & 15;
	u8 *code = (u8 *)(MON_PHYS + (GFN_ARGS << 12) + 0xff8 - (kind & 8));

	memset(f, 0, sizeof(*f));
	for (u64 i = 0; i < n && i < 8; i++)
		code[i] = (u8)bytes(1);
	f->rax = some_value();
	f->rcx = some_value();
	f->rdx = bytes(2);
	f->vector = kind & 1 ? 13 : kind & 2 ? 6 : bytes(1);
	f->error = f->vector == 13 && !(kind & 4) ? 0 : bytes(2);
	f->rip = ARGS_VA + 0xff8 - (kind & 8);
	f->rsp = (kind & 0x50) != 0x50 ? KERNEL_VA + (GFN_STACK << 12) + 0xf00 : some_va();
	f->cs = kind & 32 ? MON_USER_CS : MON_KERNEL_CS;
	f->ss = kind & 32 ? MON_USER_DS : MON_KERNEL_DS;
	f->rflags = 0x202 | bytes(2);
	if (f->vector == 14)
		machine.cr2 = some_va();
	if (f->vector == VEC_HYPERCALL || f->vector > 255)
		f->vector = 13;
	(f->vector == 14 ? mon_page_fault : mon_trap)(f);
	check_frame(f);
}

static void step(void)
{
	u64 va, v;

	switch (bytes(1) & 15) {
	case 14: entries(); break;
	case 15:	/* an entry of its own tables, written and used, with a flush or without */
		va = bytes(1);
		v = va & 128 ? GFN_L1U : GFN_L1K;
		va &= 127;
		machine_access(KERNEL_VA + (v << 12) + va * 8, PF_W, some_pte());
		if (bytes(1) & 1) {
			args()[0] = MMUEXT_TLB_FLUSH_LOCAL;
			hypercall(__HYPERVISOR_mmuext_op, ARGS_VA, 1, 0, DOMID_SELF);
		}
		va = (v == GFN_L1U ? USER_VA : KERNEL_VA) + ((va ^ (bytes(1) & 7)) << 12);
		machine_access(va, (u32)bytes(1) & (PF_W | PF_U), 1);
		break;
	case 0: case 1: case 2:
		va = some_va() & ~7ull;
		v = bytes(1) & 1 ? some_pte() : some_value();
		machine_access(va, PF_W, v);
		break;
	case 3: machine_access(some_va() & ~7ull, 0, 0); break;
	case 4: machine_access(some_va() & ~7ull, PF_U | (bytes(1) & 1 ? PF_W : 0), bytes(1)); break;
	case 5: machine_access(some_va() & ~7ull, PF_I, 0); break;
	case 6: case 7: mmu_update(); break;
	case 8: case 9: mmuext(); break;
	case 10: va = some_va(); hypercall(__HYPERVISOR_update_va_mapping, va, some_pte(), bytes(1) & 7, 0); break;
	case 11: set_gdt(); break;
	case 12: va = some_entry(); hypercall(__HYPERVISOR_update_descriptor, va, bytes(8), 0, 0); break;
	case 13: trap(); break;
	default: anything(); break;
	}
}

/* From a fresh VM until it dies or the input ends. */
static void life(u32 options)
{
	machine_reset(options & 1, options >> 1 & 1);
	if (setjmp(over))
		return;
	mon_tlb_init();
	mon_event_init();
	mon_shadow_init();
	mon_time_refresh();
	mon_shadow_new_base(GFN_L4);
	mon_shadow_load();
	/* A stack to bounce to, and handlers for all traps. */
	GATE->kernel_sp = KERNEL_VA + (GFN_STACK << 12) + 0x800;
	for (int i = 0; i < 256; i++)
		V->traps[i].address = KERNEL_VA + 0x1000;
	check_world();
	while (in < in_end && !V->dead) {
		step();
		if (V->dead)
			return;
		mon_shadow_load();
		check_world();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size || size > 4096)
		return 0;
	in = data + 1;
	in_end = data + size;
	while (in < in_end) {	/* what is left is the next VM's */
		life(data[0]);
		MUST(memchr(V->why, 0, sizeof(V->why)) && !V->dead == !V->why[0]);
	}
	return 0;
}
