// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Attacks by instructions of ring 1 and ring 3: privileged ones, ways into
 * ring 0, flags, debug traps.  Each must trap, be ignored, or gain nothing.
 */
#include "hostile.h"
#include "xen/physdev.h"

#define NAKED(name, code) \
	static __attribute__((naked)) long name(u64 arg) { (void)arg; asm(code "\n\txor %eax, %eax\n\tret"); }

NAKED(i_lgdt, "lgdt (%rdi)")
NAKED(i_lidt, "lidt (%rdi)")
NAKED(i_lldt, "lldt %di")
NAKED(i_ltr, "ltr %di")
NAKED(i_lmsw, "lmsw %di")
NAKED(i_invlpg, "invlpg (%rdi)")
NAKED(i_swapgs, "swapgs")
NAKED(i_sysret, "lea 1f(%rip), %rcx\n\tpushf\n\tpop %r11\n\tsysretq\n1:")
NAKED(i_sysexit, "lea 1f(%rip), %rdx\n\tmov %rsp, %rcx\n\trex.w sysexit\n1:")
NAKED(i_sysenter, "mov %rsp, %rcx\n\tlea 1f(%rip), %rdx\n\tsysenter\n1:")
NAKED(i_rdpmc, "xor %ecx, %ecx\n\trdpmc")
NAKED(i_monitor, "mov %rdi, %rax\n\txor %ecx, %ecx\n\txor %edx, %edx\n\tmonitor")
NAKED(i_mwait, "xor %eax, %eax\n\txor %ecx, %ecx\n\tmwait")
NAKED(i_xsetbv1, "mov $1, %ecx\n\tmov %edi, %eax\n\txor %edx, %edx\n\txsetbv")
NAKED(i_xsetbv0, "xor %ecx, %ecx\n\tmov %edi, %eax\n\tmov %rdi, %rdx\n\tshr $32, %rdx\n\txsetbv")
NAKED(i_rdgsbase, "rdgsbase %rax")
NAKED(i_wrgsbase, "wrgsbase %rdi")
NAKED(i_stac, "stac")
NAKED(i_clac, "clac")
NAKED(i_vmcall, "vmcall")
NAKED(i_vmmcall, "vmmcall")
NAKED(i_vmxon, "push %rdi\n\tvmxon (%rsp)\n\tpop %rdi")
NAKED(i_vmrun, "mov %rdi, %rax\n\tvmrun")
NAKED(i_clgi, "clgi")
NAKED(i_skinit, "xor %eax, %eax\n\tskinit")
NAKED(i_invd, "invd")
NAKED(i_wbinvd, "wbinvd")
NAKED(i_hlt, "hlt")
NAKED(i_cli, "cli")
NAKED(i_sti, "sti")
NAKED(i_clts, "clts")
NAKED(i_rsm, "rsm")
NAKED(i_mov_ss, "mov %edi, %ss")
NAKED(i_mov_ds, "mov %edi, %ds")
NAKED(i_mov_fs, "mov %edi, %fs")
NAKED(i_cr0, "mov %rdi, %cr0")
NAKED(i_cr2, "mov %rdi, %cr2")
NAKED(i_cr3, "mov %rdi, %cr3")
NAKED(i_cr4, "mov %rdi, %cr4")
NAKED(i_cr8, "mov %rdi, %cr8")
NAKED(i_dr7, "mov %rdi, %db7")
NAKED(i_dr0, "mov %rdi, %db0")
NAKED(i_invpcid, "push $0\n\tpush $0\n\tmov %rdi, %rax\n\tinvpcid (%rsp), %rax\n\tadd $16, %rsp")
NAKED(i_wrpkru, "xor %ecx, %ecx\n\txor %edx, %edx\n\tmov %edi, %eax\n\twrpkru")
NAKED(i_int2, "int $2")
NAKED(i_int3, "int3")
NAKED(i_icebp, ".byte 0xf1")
NAKED(i_int8, "int $8")
NAKED(i_int14, "int $14")
NAKED(i_int18, "int $18")
NAKED(i_int20h, "int $0x20")
NAKED(i_int80h, "int $0x80")
NAKED(i_intef, "int $0xef")
NAKED(i_intff, "int $0xff")
NAKED(i_inb, "mov %edi, %edx\n\tin %dx, %al")
NAKED(i_outb, "mov %edi, %edx\n\tmov $0xfe, %eax\n\tout %al, %dx")
NAKED(i_outl, "mov %edi, %edx\n\tmov $0x80000000, %eax\n\tout %eax, %dx")
NAKED(i_insb, "mov %edi, %edx\n\tmov $4, %ecx\n\tlea spare(%rip), %rdi\n\trep insb")
NAKED(i_outsb, "mov %edi, %edx\n\tmov $4, %ecx\n\tlea spare(%rip), %rsi\n\trep outsb")

/* Frames that a return to ring 0 would take. */
NAKED(i_iret0, "mov %rsp, %rax\n\tpush $0xe010\n\tpush %rax\n\tpushf\n\tpush $0xe008\n\t"
	"lea 1f(%rip), %rcx\n\tpush %rcx\n\tiretq\n1:")
NAKED(i_iret_flags, "mov %rsp, %rax\n\tmov %ss, %ecx\n\tpush %rcx\n\tpush %rax\n\tpush %rdi\n\t"
	"mov %cs, %ecx\n\tpush %rcx\n\tlea 1f(%rip), %rcx\n\tpush %rcx\n\tiretq\n1:")
NAKED(i_lret0, "push $0xe008\n\tlea 1f(%rip), %rcx\n\tpush %rcx\n\trex.w lret\n1:")
NAKED(i_ljmp0, "push $0xe008\n\tlea 1f(%rip), %rcx\n\tpush %rcx\n\trex.w ljmp *(%rsp)\n1:")
NAKED(i_lcall_tss, "push $0xe040\n\tpush $0\n\trex.w lcall *(%rsp)")

/* popf: none of IF=0, IOPL, VM, VIF may stick. */
NAKED(flags_now, "pushf\n\tpop %rax\n\tret")
NAKED(set_flags, "push %rdi\n\tpopf")
static long popf(u64 flags)
{
	u64 after;

	set_flags(flags);
	asm volatile("pushf\n\tpop %0\n\tpush $2\n\tpopf" : "=r"(after) : : "cc", "memory");
	(void)flags_now;
	if ((after >> 12 & 3) && ring() > 0)
		breach("IOPL was raised");
	if (!(after & 0x200))
		breach("IF is 0 in ring 1");
	if (after & 1 << 17)
		breach("VM is set");
	return 0;
}

/* TF, NT, AC set, then into the monitor by each door. */
NAKED(tf_syscall, "push $0x102\n\tpopf\n\tmov $17, %eax\n\txor %edi, %edi\n\tsyscall")
NAKED(nt_syscall, "push $0x4002\n\tpopf\n\tmov $17, %eax\n\txor %edi, %edi\n\tsyscall\n\tpush $2\n\tpopf")
NAKED(ac_syscall, "push $0x40002\n\tpopf\n\tmov $17, %eax\n\txor %edi, %edi\n\tsyscall\n\tpush $2\n\tpopf")
NAKED(df_syscall, "std\n\tmov $17, %eax\n\txor %edi, %edi\n\tsyscall\n\tcld")
NAKED(nt_fault, "push $0x4002\n\tpopf\n\tud2")
NAKED(tf_fault, "push $0x102\n\tpopf\n\tud2")
NAKED(ss_tf_syscall, "mov %ss, %ecx\n\tpush $0x102\n\tpopf\n\tmov $17, %eax\n\txor %edi, %edi\n\t"
	"mov %ecx, %ss\n\tsyscall")
NAKED(ss_tf_int3, "mov %ss, %ecx\n\tpush $0x102\n\tpopf\n\tmov %ecx, %ss\n\tint3")
NAKED(ss_syscall, "mov $17, %eax\n\txor %edi, %edi\n\tmov spare(%rip), %ss\n\tsyscall")
NAKED(ss_int80, "mov spare(%rip), %ss\n\tint $0x80")

/* A data breakpoint on the word that mov ss reads: #DB right behind a syscall. */
static long ss_watch(u64 with_int)
{
	u16 ss;
	long r;

	asm volatile("mov %%ss, %0" : "=r"(ss));
	*(u16 *)spare = ss;
	r = hyper(__HYPERVISOR_set_debugreg, 0, (u64)spare, 0, 0, 0);
	if (!r)
		r = hyper(__HYPERVISOR_set_debugreg, 7, 0x00070003 | 0x400, 0, 0, 0);
	r = attempt(with_int ? ss_int80 : ss_syscall, 0);
	hyper(__HYPERVISOR_set_debugreg, 7, 0x400, 0, 0, 0);
	return r;
}

/* rsp = arg at a hypercall. */
NAKED(bad_rsp, "mov %rsp, %rbx\n\tmov %rdi, %rsp\n\tmov $17, %eax\n\txor %edi, %edi\n\tsyscall\n\tmov %rbx, %rsp")
NAKED(bad_rsp_iret, "mov %rsp, %rbx\n\tmov %rdi, %rsp\n\tmov $23, %eax\n\tsyscall\n\tmov %rbx, %rsp")
NAKED(bad_rsp_fault, "mov %rsp, %rbx\n\tmov %rdi, %rsp\n\tud2")
NAKED(bad_rsp_int3, "mov %rsp, %rbx\n\tmov %rdi, %rsp\n\tint3\n\tmov %rbx, %rsp")
NAKED(bad_rsp_push, "mov %rsp, %rbx\n\tmov %rdi, %rsp\n\tpush %rax\n\tmov %rbx, %rsp")

static long wrmsr(u32 msr, u64 value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
	return 0;
}

static long msr_hole(u64 msr)
{
	return wrmsr(msr, MON_TEXT);
}

static long msr_all_ones(u64 msr)
{
	return wrmsr(msr, ~0ull);
}

static long msr_kernel(u64 msr)
{
	return wrmsr(msr, (u64)in_user);
}

static long rdmsr(u64 msr)
{
	u32 lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"((u32)msr));
	if ((hi & 0xffff8000) == 0xffff8000 && msr >= 0xc0000082 && msr <= 0xc0000083)
		breach("LSTAR of the monitor or the host is shown");
	return 0;
}

/* CR0.WP must be 1 while we run (smsw shows it where UMIP does not hide it). */
static long smsw(u64 arg)
{
	u64 cr0;

	(void)arg;
	asm volatile("smsw %0" : "=r"(cr0));
	if (!(cr0 & 1 << 16))
		breach("CR0.WP is 0 while the guest runs");
	return 0;
}

static long cr0_clear_wp(u64 arg)
{
	long r = attempt(i_cr0, arg);

	smsw(0);
	return r;
}

static u64 dtr_limit[2];
static long sidt(u64 arg)
{
	(void)arg;
	asm volatile("sidt %0\n\tsgdt %0\n\tstr %%ax\n\tsldt %%ax" : "=m"(dtr_limit) : : "rax");
	return 0;
}

/* Ring 3 code, run as bytes on the user page. */
static long user_bytes(const char *code, unsigned int len, u64 rdi, u64 flags)
{
	memcpy(user_page, code, len);
	memcpy((u8 *)user_page + len, "\x0f\x0b", 2);
	return in_user(USER_CODE, USER_CODE + 2048, rdi, flags);
}

static long user_read(u64 address)
{
	return user_bytes("\x48\x8b\x07\xb8\x01\x00\x00\x00\x0f\x05", 10, address, 0x202);
}

static long user_write(u64 address)
{
	return user_bytes("\x48\x89\x07\xb8\x01\x00\x00\x00\x0f\x05", 10, address, 0x202);
}

static long user_jump(u64 address)
{
	return user_bytes("\xff\xe7", 2, address, 0x202);
}

static long user_cli(u64 flags)		/* cli; in $0x70; syscall 1 */
{
	return user_bytes("\xfa\xe4\x70\xb8\x01\x00\x00\x00\x0f\x05", 10, 0, flags);
}

static long user_tf_syscall(u64 arg)	/* pushq $0x302; popf; mov $1, %eax; syscall */
{
	(void)arg;
	return user_bytes("\x68\x02\x03\x00\x00\x9d\xb8\x01\x00\x00\x00\x0f\x05", 13, 0, 0x202);
}

static long user_bad_rsp(u64 rsp)	/* mov %rdi, %rsp; mov $1, %eax; syscall */
{
	return user_bytes("\x48\x89\xfc\xb8\x01\x00\x00\x00\x0f\x05", 10, rsp, 0x202);
}

static long user_bad_rsp_fault(u64 rsp)	/* mov %rdi, %rsp; ud2 */
{
	return user_bytes("\x48\x89\xfc\x0f\x0b", 5, rsp, 0x202);
}

static long user_sysenter(u64 arg)
{
	(void)arg;
	return user_bytes("\x0f\x34", 2, 0, 0x202);
}

/* A system call that ends at the first non-canonical address (the SYSRET trap). */
static long user_last_syscall(u64 arg)
{
	(void)arg;
	memcpy((u8 *)user_page + 4094, "\x0f\x05", 2);
	return in_user(USER_LAST + 4094, USER_CODE + 2048, 0, 0x202);
}

#define DOORS(f, name) \
	{ name "_hole", f, MON_TEXT + 0x1000, FAULT | ERROR | OK | KILL }, \
	{ name "_stack", f, MON_STACK_TOP - 64, FAULT | ERROR | OK | KILL }, \
	{ name "_state", f, MON_STATE + 2048, FAULT | ERROR | OK | KILL }, \
	{ name "_host", f, MON_HOST + 2048, FAULT | ERROR | OK | KILL }, \
	{ name "_entry", f, MON_ENTRY_RSP0, FAULT | ERROR | OK | KILL }, \
	{ name "_bad", f, BAD_ADDRESS, FAULT | ERROR | OK | KILL }, \
	{ name "_zero", f, 0, FAULT | ERROR | OK | KILL }, \
	{ name "_unmapped", f, UNMAPPED, FAULT | ERROR | OK | KILL }

const struct attack cpu_attacks[] = {
	{ "lgdt", i_lgdt, (u64)spare, FAULT }, { "lidt", i_lidt, (u64)spare, FAULT },
	{ "lldt_0", i_lldt, 0, FAULT }, { "lldt", i_lldt, MON_LDT_SEL, FAULT },
	{ "ltr", i_ltr, MON_TSS_SEL, FAULT }, { "lmsw", i_lmsw, 1, FAULT },
	{ "invlpg", i_invlpg, MON_TEXT, FAULT | OK }, { "swapgs", i_swapgs, 0, FAULT },
	{ "sysret", i_sysret, 0, FAULT }, { "sysexit", i_sysexit, 0, FAULT },
	{ "sysenter", i_sysenter, 0, FAULT }, { "rdpmc", i_rdpmc, 0, FAULT },
	{ "monitor", i_monitor, (u64)spare, FAULT }, { "mwait", i_mwait, 0, FAULT },
	{ "xsetbv_1", i_xsetbv1, 1, FAULT }, { "xsetbv_0_zero", i_xsetbv0, 0, FAULT },
	{ "xsetbv_0_ones", i_xsetbv0, ~0ull, FAULT }, { "xsetbv_0_ymm_only", i_xsetbv0, 4, FAULT },
	{ "rdgsbase", i_rdgsbase, 0, FAULT }, { "wrgsbase", i_wrgsbase, MON_TEXT, FAULT },
	{ "stac", i_stac, 0, FAULT }, { "clac", i_clac, 0, FAULT }, { "vmcall", i_vmcall, 0, FAULT },
	{ "vmmcall", i_vmmcall, 0, FAULT }, { "vmxon", i_vmxon, 0x1000, FAULT },
	{ "vmrun", i_vmrun, 0x1000, FAULT }, { "clgi", i_clgi, 0, FAULT },
	{ "skinit", i_skinit, 0, FAULT }, { "invd", i_invd, 0, FAULT | OK },
	{ "wbinvd", i_wbinvd, 0, FAULT | OK }, { "hlt", i_hlt, 0, FAULT | OK },
	{ "cli", i_cli, 0, FAULT | OK }, { "sti", i_sti, 0, FAULT | OK },
	{ "clts", i_clts, 0, FAULT | OK }, { "rsm", i_rsm, 0, FAULT },
	{ "mov_ss_ring0", i_mov_ss, MON_DS, FAULT }, { "mov_ss_cs", i_mov_ss, MON_CS, FAULT },
	{ "mov_ss_tss", i_mov_ss, MON_TSS_SEL, FAULT }, { "mov_ds_ring0", i_mov_ds, MON_DS, FAULT },
	{ "mov_ds_tss", i_mov_ds, MON_TSS_SEL, FAULT },
	{ "mov_ds_ldt", i_mov_ds, MON_LDT_SEL, FAULT },
	{ "mov_fs_beyond", i_mov_fs, 0xfff8, FAULT },
	{ "cr0_zero", i_cr0, 0, FAULT | OK }, { "cr0_no_wp", cr0_clear_wp, 0x80000033, FAULT | OK },
	{ "cr0_no_paging", cr0_clear_wp, 0x33, FAULT | OK },
	{ "cr2", i_cr2, MON_TEXT, FAULT | OK }, { "cr3_hole", i_cr3, MON_TEXT, FAULT | OK | KILL },
	{ "cr3_low", i_cr3, 0x1000, FAULT | OK | KILL }, { "cr4_zero", i_cr4, 0, FAULT | OK },
	{ "cr4_ones", i_cr4, ~0ull, FAULT | OK }, { "cr4_vmxe", i_cr4, 0x2020, FAULT | OK },
	{ "cr4_fsgsbase", i_cr4, 0x10020, FAULT | OK }, { "cr4_pce", i_cr4, 0x120, FAULT | OK },
	{ "rdpmc_after", i_rdpmc, 0, FAULT }, { "rdgsbase_after", i_rdgsbase, 0, FAULT },
	{ "cr8", i_cr8, 15, FAULT | OK }, { "dr0", i_dr0, MON_TEXT, FAULT | OK },
	{ "dr7", i_dr7, 0x2403, FAULT | OK }, { "invpcid", i_invpcid, 2, FAULT },
	{ "wrpkru", i_wrpkru, ~0ull, FAULT }, { "smsw", smsw, 0, FAULT | OK },
	{ "sidt", sidt, 0, FAULT | OK },
	{ "int_2", i_int2, 0, FAULT }, { "int_3", i_int3, 0, FAULT }, { "icebp", i_icebp, 0, FAULT },
	{ "int_8", i_int8, 0, FAULT }, { "int_14", i_int14, 0, FAULT }, { "int_18", i_int18, 0, FAULT },
	{ "int_20h", i_int20h, 0, FAULT }, { "int_80h", i_int80h, 0, FAULT },
	{ "int_efh", i_intef, 0, FAULT }, { "int_ffh", i_intff, 0, FAULT },
	{ "iret_ring0", i_iret0, 0, FAULT }, { "lret_ring0", i_lret0, 0, FAULT },
	{ "ljmp_ring0", i_ljmp0, 0, FAULT }, { "lcall_tss", i_lcall_tss, 0, FAULT },
	{ "iret_iopl", i_iret_flags, 0x3202, FAULT | OK }, { "cli_after", i_cli, 0, FAULT | OK },
	{ "iret_vm", i_iret_flags, 0x20202, FAULT | OK }, { "iret_nt", i_iret_flags, 0x4202, FAULT | OK },
	{ "iret_tf", i_iret_flags, 0x302, FAULT | OK }, { "iret_no_if", i_iret_flags, 0x2, FAULT | OK },
	{ "popf_iopl", popf, 0x3202, FAULT | OK }, { "popf_no_if", popf, 0x2, FAULT | OK },
	{ "popf_vm", popf, 0x20202, FAULT | OK }, { "popf_vif", popf, 0x180202, FAULT | OK },
	{ "tf_syscall", tf_syscall, 0, FAULT | OK }, { "nt_syscall", nt_syscall, 0, FAULT | OK },
	{ "ac_syscall", ac_syscall, 0, FAULT | OK }, { "df_syscall", df_syscall, 0, FAULT | OK },
	{ "nt_fault", nt_fault, 0, FAULT }, { "tf_fault", tf_fault, 0, FAULT },
	{ "mov_ss_tf_syscall", ss_tf_syscall, 0, FAULT | OK },
	{ "mov_ss_tf_int3", ss_tf_int3, 0, FAULT }, { "mov_ss_watch_syscall", ss_watch, 0, FAULT | OK },
	{ "mov_ss_watch_int80", ss_watch, 1, FAULT | OK },
	DOORS(bad_rsp, "rsp_syscall"), DOORS(bad_rsp_iret, "rsp_iret"),
	DOORS(bad_rsp_fault, "rsp_fault"), DOORS(bad_rsp_int3, "rsp_int3"),
	{ "push_to_text", bad_rsp_push, MON_TEXT + 0x1000, FAULT | KILL },
	{ "push_to_stack", bad_rsp_push, MON_STACK_TOP, FAULT | KILL },
	{ "msr_sysenter_cs", msr_all_ones, 0x174, FAULT | OK },
	{ "msr_sysenter_esp", msr_kernel, 0x175, FAULT | OK },
	{ "msr_sysenter_eip", msr_kernel, 0x176, FAULT | OK }, { "sysenter_after", i_sysenter, 0, FAULT },
	{ "msr_lstar", msr_kernel, 0xc0000082, FAULT | OK }, { "msr_star", msr_all_ones, 0xc0000081, FAULT | OK },
	{ "msr_cstar", msr_kernel, 0xc0000083, FAULT | OK }, { "msr_fmask", msr_all_ones, 0xc0000084, FAULT | OK },
	{ "msr_efer", msr_all_ones, 0xc0000080, FAULT | OK }, { "msr_debugctl", msr_all_ones, 0x1d9, FAULT | OK },
	{ "msr_apic_base", msr_all_ones, 0x1b, FAULT | OK }, { "msr_pat", msr_all_ones, 0x277, FAULT | OK },
	{ "msr_misc_enable", msr_all_ones, 0x1a0, FAULT | OK }, { "msr_smm", msr_all_ones, 0xc0010111, FAULT | OK },
	{ "msr_svm_hsave", msr_all_ones, 0xc0010117, FAULT | OK }, { "msr_ucode", msr_kernel, 0x79, FAULT | OK },
	{ "msr_spec_ctrl", msr_all_ones, 0x48, FAULT | OK }, { "msr_pred_cmd", msr_all_ones, 0x49, FAULT | OK },
	{ "msr_tsc", msr_all_ones, 0x10, FAULT | OK }, { "msr_tsc_adjust", msr_all_ones, 0x3b, FAULT | OK },
	{ "msr_ds_area", msr_kernel, 0x600, FAULT | OK }, { "msr_perf_global", msr_all_ones, 0x38f, FAULT | OK },
	{ "msr_u_cet", msr_all_ones, 0x6a0, FAULT | OK }, { "msr_xss", msr_all_ones, 0xda0, FAULT | OK },
	{ "msr_gs_base_hole", msr_hole, 0xc0000101, FAULT | OK },
	{ "msr_gs_base_bad", msr_all_ones, 0xc0000101, FAULT | OK },
	{ "msr_fs_base_bad", msr_all_ones, 0xc0000100, FAULT | OK },
	{ "msr_kernel_gs_bad", msr_all_ones, 0xc0000102, FAULT | OK },
	{ "rdmsr_lstar", rdmsr, 0xc0000082, FAULT | OK }, { "rdmsr_cstar", rdmsr, 0xc0000083, FAULT | OK },
	{ "in_pic", i_inb, 0x20, FAULT | OK }, { "in_pit", i_inb, 0x40, FAULT | OK },
	{ "in_cmos", i_inb, 0x71, FAULT | OK }, { "in_kbd", i_inb, 0x60, FAULT | OK },
	{ "in_serial", i_inb, 0x3f8, FAULT | OK }, { "in_pci", i_inb, 0xcfc, FAULT | OK },
	{ "out_pic", i_outb, 0x21, FAULT | OK }, { "out_pit", i_outb, 0x43, FAULT | OK },
	{ "out_kbd_reset", i_outb, 0x64, FAULT | OK }, { "out_fast_reset", i_outb, 0x92, FAULT | OK },
	{ "out_serial", i_outb, 0x3f8, FAULT | OK }, { "out_apm", i_outb, 0xb2, FAULT | OK },
	{ "out_reset", i_outb, 0xcf9, FAULT | OK }, { "out_pci", i_outl, 0xcf8, FAULT | OK },
	{ "out_acpi_off", i_outl, 0x604, FAULT | OK }, { "ins", i_insb, 0x1f0, FAULT | OK },
	{ "outs", i_outsb, 0x3f8, FAULT | OK },
	{ "user_read_kernel", user_read, (u64)spare, FAULT }, { "user_read_text", user_read, MON_TEXT, FAULT },
	{ "user_read_entry", user_read, MON_ENTRY, FAULT }, { "user_read_gate", user_read, MON_GATE, FAULT },
	{ "user_read_phys", user_read, MON_PHYS, FAULT }, { "user_read_m2p", user_read, MON_M2P, FAULT },
	{ "user_write_entry", user_write, MON_ENTRY, FAULT }, { "user_write_text", user_write, MON_TEXT, FAULT },
	{ "user_jump_text", user_jump, MON_TEXT, FAULT }, { "user_jump_kernel", user_jump, (u64)in_user, FAULT },
	{ "user_jump_bad", user_jump, BAD_ADDRESS, FAULT },
	{ "user_cli", user_cli, 0x202, FAULT }, { "user_cli_iopl", user_cli, 0x3202, FAULT },
	{ "user_cli_vm", user_cli, 0x20202, FAULT }, { "user_nt", user_cli, 0x4202, FAULT },
	{ "user_rf_tf", user_cli, 0x10302, FAULT }, { "user_tf_syscall", user_tf_syscall, 0, FAULT | OK },
	DOORS(user_bad_rsp, "user_rsp_syscall"), DOORS(user_bad_rsp_fault, "user_rsp_fault"),
	{ "user_sysenter", user_sysenter, 0, FAULT }, { "user_last_syscall", user_last_syscall, 0, FAULT | OK },
	{ 0, 0, 0, 0 },
};
