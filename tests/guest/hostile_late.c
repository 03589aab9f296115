// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks that break the attacker too: entry points and stacks that make the
 * next crossing impossible, returns to ring 0, and seeded noise.  They come
 * last; ending the VM with a reason is a fine answer to most.
 */
#include "hostile.h"
#include "xen/callback.h"
#include "xen/sched.h"

/* Reached in ring 0 only if a gate was forged. */
__attribute__((naked, used)) static void handler_target(void)
{
	asm("mov %cs, %ax\n\ttest $3, %al\n\tjnz 1f\n\tud2\n"
	    "1: lea trap_stubs+0x30(%rip), %rcx\n\tjmp *%rcx");
}

static long trigger(u64 arg)
{
	(void)arg;
	asm volatile("int $0x80");
	return 0;
}

static long handler_cs(u64 cs)
{
	set_handler(0x80, cs, (u64)handler_target, 7);
	return attempt(trigger, 0);
}

static long handler_at(u64 address)
{
	u16 cs;

	asm volatile("mov %%cs, %0" : "=r"(cs));
	set_handler(0x80, cs, address, 7);
	return attempt(trigger, 0);
}

static long fault_handler_at(u64 address)
{
	u16 cs;

	asm volatile("mov %%cs, %0" : "=r"(cs));
	set_handler(13, cs, address, 4);
	set_handler(14, cs, address, 4);
	set_handler(6, cs, address, 4);
	asm volatile("ud2");
	return 0;
}

static void callback(u16 type, u64 address)
{
	struct callback_register c = { .type = type, .address = address };

	hyper(__HYPERVISOR_callback_op, CALLBACKOP_register, (u64)&c, 0, 0, 0);
}

static long syscall_at(u64 address)
{
	static const u8 code[] = { 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b };

	memcpy(user_page, code, sizeof(code));
	callback(CALLBACKTYPE_syscall, address);
	return in_user(USER_CODE, USER_CODE + 2048, 0, 0x202);
}

static volatile struct shared_info *shared = (void *)spare[8];

static long event_now(u64 address)
{
	u32 port = 1;

	callback(CALLBACKTYPE_event, address);
	callback(CALLBACKTYPE_failsafe, address);
	for (int i = 0; i < 64; i++)
		shared->evtchn_mask[i] = 0;
	shared->evtchn_pending[0] = ~0ull;
	shared->vcpu_info[0].evtchn_pending_sel = ~0ull;
	shared->vcpu_info[0].evtchn_upcall_pending = 1;
	shared->vcpu_info[0].evtchn_upcall_mask = 0;
	hyper(__HYPERVISOR_event_channel_op, 4, (u64)&port, 0, 0, 0);
	hyper(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
	return 0;
}

static long event_at(u64 address)
{
	long r;

	if (map((u64)shared, start->shared_info | PTE_P | PTE_W))
		return -1;
	r = attempt(event_now, address);
	shared->vcpu_info[0].evtchn_upcall_mask = 1;
	shared->vcpu_info[0].evtchn_upcall_pending = 0;
	map((u64)shared, gfn_of((void *)shared) << 12 | PTE_P | PTE_W);
	return r;
}

static long enter_user(u64 rip)
{
	return in_user(rip, USER_CODE + 2048, 0, 0x202);
}

/* Then ring 3 traps and makes a system call onto that stack. */
static long stack_at(u64 rsp)
{
	static const u8 code[] = { 0xb8, 1, 0, 0, 0, 0x0f, 0x05, 0x0f, 0x0b };

	memcpy(user_page, code, sizeof(code));
	hyper(__HYPERVISOR_stack_switch, MON_DS, rsp, 0, 0, 0);
	attempt(enter_user, USER_CODE);
	hyper(__HYPERVISOR_stack_switch, 0xe02b, rsp, 0, 0, 0);
	in_user(USER_CODE, USER_CODE + 2048, 0, 0x202);
	return in_user(USER_CODE + 7, USER_CODE + 2048, 0, 0x202);
}

/* The iret hypercall with a frame that asks for more than ring 1. */
static long iret_to(u64 cs, u64 ss, u64 rip, u64 rflags, u64 rsp)
{
	struct iret_context frame = { .rip = rip, .cs = cs, .rflags = rflags, .rsp = rsp, .ss = ss };

	asm volatile("mov %0, %%rsp\n\tmov $23, %%eax\n\tsyscall\n\tud2" : : "r"(&frame) : "memory");
	return 0;
}

__attribute__((naked, used)) static void landed(void)
{
	asm("mov %cs, %ax\n\ttest $3, %al\n\tjnz 1f\n\thlt\n1: int3");
}

static long iret_cs(u64 cs)
{
	return iret_to(cs, cs == MON_CS ? MON_DS : 0xe02b, (u64)landed, 0x202, (u64)spare[7]);
}

static long iret_ss(u64 ss)
{
	return iret_to(0xe033, ss, USER_CODE, 0x202, USER_CODE + 2048);
}

static long iret_rip(u64 rip)
{
	return iret_to(0xe033, 0xe02b, rip, 0x202, USER_CODE + 2048);
}

static long iret_rsp(u64 rsp)
{
	return iret_to(0xe033, 0xe02b, USER_CODE, 0x202, rsp);
}

/* cli in ring 3 after asking for every flag. */
static long iret_flags(u64 rflags)
{
	memcpy(user_page, "\xfa\x0f\x0b", 3);
	return in_user(USER_CODE, USER_CODE + 2048, 0, rflags);
}

static u64 noise(u64 *seed)
{
	static const u64 tempting[] = {
		0, 1, 2, 7, 64, 4096, ~0ull, DOMID_SELF, 0x7fffffff, 0xe008, 0xe010, MON_TEXT,
		MON_STATE, MON_ENTRY, MON_HOST, MON_PHYS, BAD_ADDRESS, UNMAPPED, 0xfee00000,
	};
	u64 x = *seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	*seed = x;
	switch (x >> 60 & 3) {
	case 0: return tempting[(x >> 8) % (sizeof(tempting) / sizeof(*tempting))];
	case 1: return (u64)spare + (x >> 8) % sizeof(spare);
	case 2: return x >> 8 & 63;
	default: return x;
	}
}

/*
 * Hypercalls with tempting arguments; not those that only end the VM, wait, or
 * take our handlers away.
 */
static long noise_calls(u64 seed)
{
	for (int i = 0; i < 1000; i++) {
		u64 nr = noise(&seed) % 50, a = noise(&seed), b = noise(&seed), c = noise(&seed);

		if (nr == __HYPERVISOR_sched_op || nr == __HYPERVISOR_sched_op_compat ||
		    nr == __HYPERVISOR_iret || nr == __HYPERVISOR_console_io ||
		    nr == __HYPERVISOR_set_trap_table || nr == __HYPERVISOR_stack_switch)
			continue;
		for (int k = 0; k < 8; k++)
			((u64 *)spare)[noise(&seed) % (sizeof(spare) / 8)] = noise(&seed);
		hyper(nr, a, b, c, noise(&seed), noise(&seed));
	}
	return 0;
}

/* Page-table entries of our user half with noise, touched. */
static long noise_tables(u64 seed)
{
	for (int i = 0; i < 3000; i++) {
		int level = 1 + noise(&seed) % 3;
		u64 *e = entry_of(USER_CODE, level);
		u64 value = noise(&seed);

		if (e) {
			u64 old = *e;

			if (i & 1)
				update(e, value);
			else
				*(volatile u64 *)e = value;
			attempt(enter_user, USER_CODE);
			*(volatile u64 *)e = old;
		}
	}
	return 0;
}

static long triple_fault(u64 arg)
{
	(void)arg;
	for (int v = 0; v < 32; v++)
		set_handler(v, 0xe033, UNMAPPED, 4);
	asm volatile("ud2");
	return 0;
}

static long crash(u64 arg)
{
	struct sched_shutdown s = { SHUTDOWN_crash };

	(void)arg;
	return hyper(__HYPERVISOR_sched_op, SCHEDOP_shutdown, (u64)&s, 0, 0, 0);
}

#define PLACES(f, name) \
	{ name "_text", f, MON_TEXT + 64, ANY }, { name "_stack", f, MON_STACK_TOP, ANY }, \
	{ name "_host", f, MON_HOST + 4096, ANY }, { name "_entry", f, MON_ENTRY_RSP0, ANY }, \
	{ name "_bad", f, BAD_ADDRESS, ANY }, { name "_zero", f, 0, ANY }, \
	{ name "_unmapped", f, UNMAPPED, ANY }, { name "_user", f, USER_CODE, ANY }

#define NOISE(n) { "noise_" #n, noise_calls, n * 0x9e3779b97f4a7c15ull, ANY }

const struct attack late_attacks[] = {
	{ "hyper_iret_mon_cs", iret_cs, MON_CS, ANY }, { "hyper_iret_mon_cs_3", iret_cs, MON_CS | 3, ANY },
	{ "hyper_iret_tss", iret_cs, MON_TSS_SEL, ANY }, { "hyper_iret_cs_0", iret_cs, 0, ANY },
	{ "hyper_iret_cs_max", iret_cs, 0xffff, ANY }, { "hyper_iret_ss_ring0", iret_ss, MON_DS, ANY },
	{ "hyper_iret_ss_0", iret_ss, 0, ANY }, { "hyper_iret_ss_tss", iret_ss, MON_TSS_SEL | 3, ANY },
	PLACES(iret_rip, "hyper_iret_rip"), PLACES(iret_rsp, "hyper_iret_rsp"),
	{ "hyper_iret_iopl", iret_flags, 0x3202, FAULT | KILL }, { "hyper_iret_no_if", iret_flags, 0x2, FAULT | KILL },
	{ "hyper_iret_vm86", iret_flags, 0x20202, FAULT | KILL }, { "hyper_iret_nested", iret_flags, 0x4202, FAULT | KILL },
	{ "hyper_iret_all_flags", iret_flags, ~0ull, FAULT | KILL },
	{ "handler_ring0", handler_cs, MON_CS, ANY }, { "handler_tss", handler_cs, MON_TSS_SEL, ANY },
	{ "handler_cs_0", handler_cs, 0, ANY }, { "handler_cs_max", handler_cs, 0xffff, ANY },
	PLACES(handler_at, "handler"), PLACES(fault_handler_at, "fault_handler"),
	PLACES(syscall_at, "syscall"), PLACES(event_at, "event"), PLACES(stack_at, "kernel_stack"),
	NOISE(1), NOISE(2), NOISE(3), NOISE(4), NOISE(5), NOISE(6), NOISE(7), NOISE(8),
	NOISE(9), NOISE(10), NOISE(11), NOISE(12), NOISE(13), NOISE(14), NOISE(15), NOISE(16),
	{ "tables_1", noise_tables, 1, ANY }, { "tables_2", noise_tables, 0xabcdef, ANY },
	{ "triple_fault", triple_fault, 0, KILL }, { "crash", crash, 0, KILL },
	{ 0, 0, 0, 0 },
};
