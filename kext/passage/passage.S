/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The passage: how the CPU crosses between the host world and the guest world.
 *
 * One file, assembled twice: the host half goes into the kernel extension, the
 * monitor half (CO_MONITOR) into the blob.  passage.h tells the order of every
 * step and why; an NMI may arrive between any two of them.
 *
 * Interrupts are off on both sides.  %rbx holds MON_HOST (the passage page's
 * guest-world address) wherever the transition root is loaded.
 */
#include "co_layout.h"
#include "offsets.h"
#include "passage.h"

#ifndef CO_MONITOR
/* ------------------------------------------------ host half */
	.text

/*
 * void co_passage_switch(struct co_passage *p)
 * %rdi = p (host address).  Callee-saved registers and flags are kept, all
 * others are lost.  Caller: core/vcpu.c, pinned to this CPU, interrupts off.
 *
 * TOUR 8: The passage.  From here the CPU leaves the host world: same ring,
 * same stack for a few instructions more, then another root, another IDT.
 */
	.globl	CO_SYM(co_passage_switch)
	.balign 16
CO_SYM(co_passage_switch):
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushfq
	movq	%rsp, P_HOST_RSP(%rdi)
	movq	%cr0, %rax
	movq	%rax, P_HOST_CR0(%rdi)
	movq	%cr3, %rax
	movq	%rax, P_HOST_CR3(%rdi)
	movq	%cr4, %rax
	movq	%rax, P_HOST_CR4(%rdi)
	movabsq	$MON_HOST, %rbx
	movq	P_ENTER(%rdi), %rdx
	movq	P_TRANS_CR3(%rdi), %rax
	/* SAFETY: the transition root maps all of the host's upper half. */
	movq	%rax, %cr3
	jmp	*%rdx

/*
 * Back from the monitor: transition root, transition GDT, monitor's IDT and TSS.
 * %rdi = p (host address).
 */
	.globl	CO_SYM(co_passage_resume)
	.balign 16
CO_SYM(co_passage_resume):
	endbr64
	movq	P_HOST_CR4(%rdi), %rax
	movq	%rax, %cr4
	movq	P_HOST_CR0(%rdi), %rax
	movq	%rax, %cr0
	movq	P_HOST_RSP(%rdi), %rsp
	/* Null selectors always load, and leave no base behind that matters. */
	xorl	%eax, %eax
	movw	%ax, %fs
	movw	%ax, %gs
	movl	P_HOST_GS_BASE(%rdi), %eax
	movl	P_HOST_GS_BASE+4(%rdi), %edx
	movl	$0xc0000101, %ecx
	wrmsr
	/* The host's TSS, from the transition copy of its GDT: the busy bit is set there. */
	movabsq	$MON_HOST_GDT, %rdx
	movl	P_HOST_TR(%rdi), %eax
	andb	$0xfd, 5(%rdx,%rax)
	ltr	%ax
	movl	P_HOST_CS(%rdi), %eax
	pushq	%rax
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:	movl	P_HOST_SS(%rdi), %eax
	movw	%ax, %ss
	lidt	P_HOST_IDTR(%rdi)
	lgdt	P_HOST_GDTR(%rdi)
	movl	P_HOST_LDT(%rdi), %eax
	lldt	%ax
	movq	P_HOST_CR3(%rdi), %rax
	movq	%rax, %cr3
	popfq
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

/*
 * Re-raise vector n in the host's own IDT: 256 stubs of 8 bytes.
 * void co_passage_int(u32 vector); interrupts off.
 */
	.globl	CO_SYM(co_passage_int)
	.balign 16
CO_SYM(co_passage_int):
	endbr64
	movl	%edi, %edi
	leaq	co_passage_stubs(%rip), %rax
	leaq	(%rax,%rdi,8), %rax
	jmp	*%rax
	.balign 8
co_passage_stubs:
	vector = 0
	.rept 256
	endbr64
	.byte 0xcd, vector
	ret
	.balign 8
	vector = vector + 1
	.endr

#else
/* ------------------------------------------------ monitor half */
	.text

/*
 * First instruction in the guest world.  Host stack, host IDT, transition root.
 * %rbx = MON_HOST.  Never returns here: ends in the C that called
 * mon_passage_exit, or in mon_first_entry.
 */
	.globl	mon_passage_enter
	.balign 16
mon_passage_enter:
	endbr64
	lgdt	P_TRANS_GDTR(%rbx)
	lidt	P_MON_IDTR(%rbx)
	pushq	$MON_CS
	leaq	1f(%rip), %rax
	pushq	%rax
	lretq
1:	movl	$MON_DS, %eax
	movw	%ax, %ss
	lgdt	P_MON_GDTR(%rbx)
	/* ltr refuses a busy TSS; the bit is still set from our last visit. */
	movabsq	$MON_GATE_GDT, %rdx
	andb	$0xfd, MON_TSS_SEL+5(%rdx)
	movl	$MON_TSS_SEL, %eax
	ltr	%ax
	movl	$MON_LDT_SEL, %eax
	lldt	%ax
	xorl	%eax, %eax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %fs
	movw	%ax, %gs
	leaq	mon_state(%rip), %rdi
	movq	V_GUEST_CR4(%rdi), %rax
	movq	%rax, %cr4
	movq	V_CR0(%rdi), %rdx
	movq	V_C_RSP(%rdi), %rsp
	leaq	mon_gate(%rip), %rcx
	movq	G_KERNEL_CR3(%rcx), %rax
	movq	%rax, %cr3
	/* SAFETY: WP goes off only now that every exception lands in the monitor. */
	movq	%rdx, %cr0
	/* From here on nothing of the host's is touched: what its work left in the CPU's
	 * buffers goes. */
	testb	$MON_BARRIER_VERW, V_BARRIERS(%rdi)
	jz	2f
	pushq	$MON_DS
	verw	(%rsp)
	addq	$8, %rsp
2:	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret

/* void mon_passage_exit(void): returns when the host half comes back. */
	.globl	mon_passage_exit
	.balign 16
mon_passage_exit:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	leaq	mon_state(%rip), %rdi
	movq	%rsp, V_C_RSP(%rdi)
	movl	V_BARRIERS(%rdi), %esi
	testl	$(MON_BARRIER_IBPB | MON_BARRIER_RSB), %esi
	jnz	mon_forget
mon_forgotten:
	movq	V_TRANS_CR3(%rdi), %rax
	movq	%rax, %cr3
	movabsq	$MON_HOST, %rbx
	lgdt	P_TRANS_GDTR(%rbx)
	movq	P_SELF(%rbx), %rdi
	jmp	*P_RESUME(%rbx)

/*
 * While the guest's root is still in force, so that nothing of the host's is mapped
 * where predictions may lead: the CPU forgets what the guest taught it about
 * branches (IBPB), and gets return addresses that lead nowhere (twice 16 of them).
 */
mon_forget:
	testl	$MON_BARRIER_IBPB, %esi
	jz	1f
	movl	$0x49, %ecx		/* PRED_CMD */
	movl	$1, %eax
	xorl	%edx, %edx
	wrmsr
1:	testl	$MON_BARRIER_RSB, %esi
	jz	mon_forgotten
	movl	$16, %ecx
2:	call	4f
3:	pause
	lfence
	jmp	3b
4:	call	6f
5:	pause
	lfence
	jmp	5b
6:	decl	%ecx
	jnz	2b
	addq	$(2 * 16 * 8), %rsp
	lfence
	jmp	mon_forgotten
#endif
#if defined(__linux__) && defined(__ELF__)
	.section .note.GNU-stack,"",@progbits
#endif
