/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Structure offsets for the assembly files; the Makefile turns the output into offsets.h. */
#include "mon.h"

#define OFFSET(name, type, member) \
	__asm__ volatile("\n.ascii \"->" #name " %c0\"" : : "i"(__builtin_offsetof(type, member)))

void offsets(void);
void offsets(void)
{
	OFFSET(E_USER_RSP, struct mon_entry, user_rsp);
	OFFSET(E_USER_MODE, struct mon_entry, user_mode);
	OFFSET(E_TMP, struct mon_entry, tmp);
	OFFSET(E_IRET, struct mon_entry, iret);
	OFFSET(E_FAST, struct mon_entry, fast);
	OFFSET(G_KERNEL_CR3, struct mon_gate, kernel_cr3);
	OFFSET(G_USER_CR3, struct mon_gate, user_cr3);
	OFFSET(G_KERNEL_SP, struct mon_gate, kernel_sp);
	OFFSET(G_SYSCALL_RIP, struct mon_gate, syscall_rip);
	OFFSET(G_VINFO, struct mon_gate, vinfo);
	OFFSET(G_IRET_SLOW, struct mon_gate, iret_slow);
	OFFSET(G_CR0_OPEN, struct mon_gate, cr0_open);
	OFFSET(G_CR0_GUEST, struct mon_gate, cr0_guest);
	OFFSET(V_C_RSP, struct mon_vcpu, c_rsp);
	OFFSET(V_TRANS_CR3, struct mon_vcpu, trans_cr3);
	OFFSET(V_GUEST_CR4, struct mon_vcpu, guest_cr4);
	OFFSET(V_BARRIERS, struct mon_vcpu, barriers);
	OFFSET(V_CR0, struct mon_vcpu, cr0);
	OFFSET(V_NMI, struct mon_vcpu, nmi_pending);
	OFFSET(V_MC, struct mon_vcpu, mc_pending);
	OFFSET(F_R11, struct mon_frame, r11);
	OFFSET(F_CR0, struct mon_frame, cr0);
	OFFSET(F_RIP, struct mon_frame, rip);
	OFFSET(F_CS, struct mon_frame, cs);
	OFFSET(F_RFLAGS, struct mon_frame, rflags);
	OFFSET(F_RSP, struct mon_frame, rsp);
	OFFSET(F_SS, struct mon_frame, ss);
	OFFSET(P_HOST_RSP, struct co_passage, host_rsp);
	OFFSET(P_HOST_CR0, struct co_passage, host_cr0);
	OFFSET(P_HOST_CR3, struct co_passage, host_cr3);
	OFFSET(P_HOST_CR4, struct co_passage, host_cr4);
	OFFSET(P_TRANS_CR3, struct co_passage, trans_cr3);
	OFFSET(P_ENTER, struct co_passage, enter);
	OFFSET(P_RESUME, struct co_passage, resume);
	OFFSET(P_SELF, struct co_passage, self);
	OFFSET(P_HOST_GS_BASE, struct co_passage, host_gs_base);
	OFFSET(P_HOST_CS, struct co_passage, host_cs);
	OFFSET(P_HOST_SS, struct co_passage, host_ss);
	OFFSET(P_HOST_TR, struct co_passage, host_tr);
	OFFSET(P_HOST_LDT, struct co_passage, host_ldt);
	OFFSET(P_HOST_GDTR, struct co_passage, host_gdtr);
	OFFSET(P_HOST_IDTR, struct co_passage, host_idtr);
	OFFSET(P_TRANS_GDTR, struct co_passage, trans_gdtr);
	OFFSET(P_MON_GDTR, struct co_passage, mon_gdtr);
	OFFSET(P_MON_IDTR, struct co_passage, mon_idtr);
}
