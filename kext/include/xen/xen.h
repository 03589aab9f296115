/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The core of the Xen PV guest ABI: hypercall numbers, start_info, shared_info,
 * page-table and CPU-state calls, bounce-frame and iret layouts.
 */
#ifndef CO_XEN_XEN_H
#define CO_XEN_XEN_H

#include "types.h"

#define __HYPERVISOR_set_trap_table		0
#define __HYPERVISOR_mmu_update			1
#define __HYPERVISOR_set_gdt			2
#define __HYPERVISOR_stack_switch		3
#define __HYPERVISOR_set_callbacks		4
#define __HYPERVISOR_fpu_taskswitch		5
#define __HYPERVISOR_sched_op_compat		6
#define __HYPERVISOR_platform_op		7
#define __HYPERVISOR_set_debugreg		8
#define __HYPERVISOR_get_debugreg		9
#define __HYPERVISOR_update_descriptor		10
#define __HYPERVISOR_memory_op			12
#define __HYPERVISOR_multicall			13
#define __HYPERVISOR_update_va_mapping		14
#define __HYPERVISOR_set_timer_op		15
#define __HYPERVISOR_event_channel_op_compat	16
#define __HYPERVISOR_xen_version		17
#define __HYPERVISOR_console_io			18
#define __HYPERVISOR_physdev_op_compat		19
#define __HYPERVISOR_grant_table_op		20
#define __HYPERVISOR_vm_assist			21
#define __HYPERVISOR_update_va_mapping_otherdomain 22
#define __HYPERVISOR_iret			23
#define __HYPERVISOR_vcpu_op			24
#define __HYPERVISOR_set_segment_base		25
#define __HYPERVISOR_mmuext_op			26
#define __HYPERVISOR_xsm_op			27
#define __HYPERVISOR_nmi_op			28
#define __HYPERVISOR_sched_op			29
#define __HYPERVISOR_callback_op		30
#define __HYPERVISOR_xenoprof_op		31
#define __HYPERVISOR_event_channel_op		32
#define __HYPERVISOR_physdev_op			33
#define __HYPERVISOR_hvm_op			34
#define __HYPERVISOR_sysctl			35
#define __HYPERVISOR_domctl			36
#define __HYPERVISOR_kexec_op			37
#define __HYPERVISOR_tmem_op			38
#define __HYPERVISOR_argo_op			39
#define __HYPERVISOR_xenpmu_op			40
#define __HYPERVISOR_dm_op			41
#define __HYPERVISOR_hypfs_op			42
#define XEN_HYPERCALL_SLOTS	128	/* 32 bytes each in the hypercall page */

/* The address hole a guest kernel leaves to the hypervisor. */
#define HYPERVISOR_VIRT_START	0xffff800000000000
#define HYPERVISOR_VIRT_END	0xffff880000000000
#define MACH2PHYS_VIRT_START	0xffff800000000000
#define MACH2PHYS_VIRT_END	0xffff804000000000

/* Selectors that every guest may use without a GDT of its own. */
#define FLAT_RING3_CS32		0xe023
#define FLAT_RING3_CS64		0xe033
#define FLAT_RING3_DS32		0xe02b
#define FLAT_RING3_DS64		0x0000
#define FLAT_RING3_SS32		0xe02b
#define FLAT_RING3_SS64		0xe02b
#define FLAT_KERNEL_CS		FLAT_RING3_CS64
#define FLAT_KERNEL_DS		FLAT_RING3_DS64
#define FLAT_KERNEL_SS		FLAT_RING3_SS64
#define FLAT_USER_CS32		FLAT_RING3_CS32
#define FLAT_USER_CS		FLAT_RING3_CS64
#define FLAT_USER_DS		FLAT_RING3_DS64
#define FLAT_USER_SS		FLAT_RING3_SS64
#define FIRST_RESERVED_GDT_PAGE		14
#define FIRST_RESERVED_GDT_BYTE		(FIRST_RESERVED_GDT_PAGE * 4096)
#define FIRST_RESERVED_GDT_ENTRY	(FIRST_RESERVED_GDT_BYTE / 8)

#define VIRQ_TIMER	0
#define VIRQ_DEBUG	1
#define VIRQ_CONSOLE	2
#define VIRQ_DOM_EXC	3
#define VIRQ_XENPMU	13
#define NR_VIRQS	24

/* Low two bits of mmu_update.ptr. */
#define MMU_NORMAL_PT_UPDATE		0
#define MMU_MACHPHYS_UPDATE		1
#define MMU_PT_UPDATE_PRESERVE_AD	2
#define MMU_PT_UPDATE_NO_TRANSLATE	3

#define MMUEXT_PIN_L1_TABLE		0
#define MMUEXT_PIN_L2_TABLE		1
#define MMUEXT_PIN_L3_TABLE		2
#define MMUEXT_PIN_L4_TABLE		3
#define MMUEXT_UNPIN_TABLE		4
#define MMUEXT_NEW_BASEPTR		5
#define MMUEXT_TLB_FLUSH_LOCAL		6
#define MMUEXT_INVLPG_LOCAL		7
#define MMUEXT_TLB_FLUSH_MULTI		8
#define MMUEXT_INVLPG_MULTI		9
#define MMUEXT_TLB_FLUSH_ALL		10
#define MMUEXT_INVLPG_ALL		11
#define MMUEXT_FLUSH_CACHE		12
#define MMUEXT_SET_LDT			13
#define MMUEXT_NEW_USER_BASEPTR		15
#define MMUEXT_CLEAR_PAGE		16
#define MMUEXT_COPY_PAGE		17
#define MMUEXT_FLUSH_CACHE_GLOBAL	18
#define MMUEXT_MARK_SUPER		19
#define MMUEXT_UNMARK_SUPER		20

/* update_va_mapping flags. */
#define UVMF_NONE		0
#define UVMF_TLB_FLUSH		1
#define UVMF_INVLPG		2
#define UVMF_FLUSHTYPE_MASK	3
#define UVMF_MULTI		0	/* with a pointer to a vCPU bitmap or'ed in */
#define UVMF_LOCAL		0
#define UVMF_ALL		4

#define CONSOLEIO_write		0
#define CONSOLEIO_read		1

#define VMASST_CMD_enable			0
#define VMASST_CMD_disable			1
#define VMASST_TYPE_4gb_segments		0
#define VMASST_TYPE_4gb_segments_notify		1
#define VMASST_TYPE_writable_pagetables		2
#define VMASST_TYPE_pae_extended_cr3		3
#define VMASST_TYPE_architectural_iopl		4
#define VMASST_TYPE_runstate_update_flag	5
#define VMASST_TYPE_m2p_strict			32

#define SEGBASE_FS		0
#define SEGBASE_GS_USER		1
#define SEGBASE_GS_KERNEL	2
#define SEGBASE_GS_USER_SEL	3

#define DOMID_FIRST_RESERVED	0x7ff0
#define DOMID_SELF		0x7ff0
#define DOMID_IO		0x7ff1
#define DOMID_XEN		0x7ff2
#define DOMID_COW		0x7ff3
#define DOMID_INVALID		0x7ff4
#define DOMID_IDLE		0x7fff

#define SIF_PRIVILEGED		0x01	/* dom0 bits: never set for our guests */
#define SIF_INITDOMAIN		0x02
#define SIF_MULTIBOOT_MOD	0x04
#define SIF_MOD_START_PFN	0x08
#define SIF_VIRT_P2M_4TOOLS	0x10
#define SIF_PM_MASK		0xff00
#define MAX_GUEST_CMDLINE	1024
#define XEN_START_MAGIC_PREFIX	"xen-3.0-x86_64"

#define XEN_PVCLOCK_TSC_STABLE_BIT	0x01
#define XEN_PVCLOCK_GUEST_STOPPED	0x02
#define XEN_LEGACY_MAX_VCPUS		32

#define VGCF_I387_VALID			0x001
#define VGCF_IN_KERNEL			0x004
#define VGCF_failsafe_disables_events	0x008
#define VGCF_syscall_disables_events	0x010
#define VGCF_online			0x020
#define VGCF_in_syscall			0x100

/* "XenVMMXenVMM" in ebx, ecx, edx of the first hypervisor leaf. */
#define XEN_CPUID_FIRST_LEAF		0x40000000
#define XEN_CPUID_SIGNATURE_EBX		0x566e6558
#define XEN_CPUID_SIGNATURE_ECX		0x65584d4d
#define XEN_CPUID_SIGNATURE_EDX		0x4d4d566e

#ifndef __ASSEMBLER__

struct mmu_update {
	co_u64 ptr;	/* machine address of the entry | MMU_* */
	co_u64 val;
};

struct mmuext_op {
	co_u32 cmd;
	union {
		xen_pfn_t mfn;
		co_u64 linear_addr;
	} arg1;
	union {
		co_u32 nr_ents;
		xen_handle_t vcpumask;
		xen_pfn_t src_mfn;
	} arg2;
};

struct multicall_entry {
	xen_ulong_t op, result;
	xen_ulong_t args[6];
};

struct trap_info {
	co_u8 vector;
	co_u8 flags;	/* 0-1: privilege level that may int n; 2: mask events */
	co_u16 cs;
	co_u64 address;
};
#define TI_GET_DPL(ti)	((ti)->flags & 3)
#define TI_GET_IF(ti)	((ti)->flags & 4)

struct vcpu_time_info {
	co_u32 version;		/* odd while it changes */
	co_u32 pad0;
	co_u64 tsc_timestamp;
	co_u64 system_time;	/* ns */
	co_u32 tsc_to_system_mul;
	xen_s8 tsc_shift;
	co_u8 flags;
	co_u8 pad1[2];
};

struct arch_vcpu_info {
	co_u64 cr2;
	co_u64 pad;
};

struct vcpu_info {
	co_u8 evtchn_upcall_pending;
	co_u8 evtchn_upcall_mask;
	xen_ulong_t evtchn_pending_sel;
	struct arch_vcpu_info arch;
	struct vcpu_time_info time;
};

struct arch_shared_info {
	co_u64 max_pfn;
	xen_pfn_t pfn_to_mfn_frame_list_list;
	co_u64 nmi_reason;
	co_u64 p2m_cr3;
	co_u64 p2m_vaddr;
	co_u64 p2m_generation;
};

struct shared_info {
	struct vcpu_info vcpu_info[XEN_LEGACY_MAX_VCPUS];
	xen_ulong_t evtchn_pending[64];
	xen_ulong_t evtchn_mask[64];
	co_u32 wc_version;	/* wall clock at system time 0 */
	co_u32 wc_sec;
	co_u32 wc_nsec;
	co_u32 wc_sec_hi;
	struct arch_shared_info arch;
};

struct start_info {
	char magic[32];
	co_u64 nr_pages;
	co_u64 shared_info;	/* machine address */
	co_u32 flags;		/* SIF_* */
	xen_pfn_t store_mfn;
	co_u32 store_evtchn;
	union {
		struct {
			xen_pfn_t mfn;
			co_u32 evtchn;
		} domU;
		struct {
			co_u32 info_off;
			co_u32 info_size;
		} dom0;
	} console;
	co_u64 pt_base;
	co_u64 nr_pt_frames;
	co_u64 mfn_list;
	co_u64 mod_start;
	co_u64 mod_len;
	xen_s8 cmd_line[MAX_GUEST_CMDLINE];
	co_u64 first_p2m_pfn;
	co_u64 nr_p2m_frames;
};

/* What HYPERVISOR_iret finds at the guest's rsp. */
struct iret_context {
	co_u64 rax, r11, rcx, flags, rip, cs, rflags, rsp, ss;
};

struct cpu_user_regs {
	co_u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	co_u64 rax, rcx, rdx, rsi, rdi;
	co_u32 error_code, entry_vector;
	co_u64 rip;
	co_u16 cs, _pad0[1];
	co_u8 saved_upcall_mask, _pad1[3];
	co_u64 rflags;
	co_u64 rsp;
	co_u16 ss, _pad2[3];
	co_u16 es, _pad3[3];
	co_u16 ds, _pad4[3];
	co_u16 fs, _pad5[3];
	co_u16 gs, _pad6[3];
};

struct vcpu_guest_context {	/* VCPUOP_initialise */
	struct { char x[512]; } fpu_ctxt;
	co_u64 flags;		/* VGCF_* */
	struct cpu_user_regs user_regs;
	struct trap_info trap_ctxt[256];
	co_u64 ldt_base, ldt_ents;
	co_u64 gdt_frames[16], gdt_ents;
	co_u64 kernel_ss, kernel_sp;
	co_u64 ctrlreg[8];
	co_u64 debugreg[8];
	co_u64 event_callback_eip;
	co_u64 failsafe_callback_eip;
	co_u64 syscall_callback_eip;
	co_u64 vm_assist;
	co_u64 fs_base;
	co_u64 gs_base_kernel;
	co_u64 gs_base_user;
};

XEN_ASSERT_SIZE(struct mmu_update, 16);
XEN_ASSERT_SIZE(struct mmuext_op, 24);
XEN_ASSERT_SIZE(struct multicall_entry, 64);
XEN_ASSERT_SIZE(struct trap_info, 16);
XEN_ASSERT_SIZE(struct vcpu_time_info, 32);
XEN_ASSERT_SIZE(struct vcpu_info, 64);
XEN_ASSERT_OFFSET(struct vcpu_info, arch, 16);
XEN_ASSERT_OFFSET(struct vcpu_info, time, 32);
XEN_ASSERT_SIZE(struct arch_shared_info, 48);
XEN_ASSERT_OFFSET(struct shared_info, evtchn_pending, 2048);
XEN_ASSERT_OFFSET(struct shared_info, evtchn_mask, 2560);
XEN_ASSERT_OFFSET(struct shared_info, wc_version, 3072);
XEN_ASSERT_SIZE(struct shared_info, 3136);
XEN_ASSERT_OFFSET(struct start_info, cmd_line, 128);
XEN_ASSERT_SIZE(struct start_info, 1168);
XEN_ASSERT_SIZE(struct iret_context, 72);
XEN_ASSERT_SIZE(struct cpu_user_regs, 200);
XEN_ASSERT_SIZE(struct vcpu_guest_context, 5168);

#endif /* __ASSEMBLER__ */

#endif
