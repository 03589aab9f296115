/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Start, traps and ring changes of the hostile guest. */
#include "xen/elfnote.h"

#define NOTE(type, ...)			\
	.balign 4;			\
	.long 4, 2f - 1f, type;		\
	.asciz "Xen";			\
1:	__VA_ARGS__;			\
2:	.balign 4

	.section .note.Xen, "a", @note
	NOTE(XEN_ELFNOTE_ENTRY, .quad _start)
	NOTE(XEN_ELFNOTE_VIRT_BASE, .quad 0xffffffff80000000)
	NOTE(XEN_ELFNOTE_PADDR_OFFSET, .quad 0)
	NOTE(XEN_ELFNOTE_INIT_P2M, .quad 0x8000000000)
	NOTE(XEN_ELFNOTE_HYPERCALL_PAGE, .quad hypercall_page)
	NOTE(XEN_ELFNOTE_XEN_VERSION, .asciz "xen-3.0")
	NOTE(XEN_ELFNOTE_GUEST_OS, .asciz "hostile")
	NOTE(XEN_ELFNOTE_LOADER, .asciz "generic")
	NOTE(XEN_ELFNOTE_PAE_MODE, .asciz "yes")
	NOTE(XEN_ELFNOTE_FEATURES, .asciz "!writable_page_tables|pae_pgdir_above_4gb")

	.bss
	.balign 4096
	.globl stack_end
	.skip 65536
stack_end:
recover_rsp: .quad 0
trap_frame: .skip 64

	.text
	.globl _start
	.globl hypercall_page
_start:
	cld
	leaq	stack_end(%rip), %rsp
	movq	%rsi, %rdi
	call	hostile_main
	ud2

	.balign 4096
hypercall_page:
	.skip 4096

/* long attempt(long (*f)(u64), u64 arg): callee-saved registers as the ABI says. */
	.globl attempt
attempt:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	recover_rsp(%rip)
	movq	%rsp, recover_rsp(%rip)
	movq	%rdi, %rax
	movq	%rsi, %rdi
	call	*%rax
	movq	recover_rsp(%rip), %rsp	/* f may have left any stack behind */
recovered:
	popq	recover_rsp(%rip)
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret

/*
 * long in_user(rip, rsp, rdi, rflags): enters ring 3 by the iret hypercall; a
 * trap or a system call of it ends it, as a trap inside attempt() does.
 */
	.globl in_user
in_user:
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	pushq	recover_rsp(%rip)
	movq	%rsp, recover_rsp(%rip)
	pushq	$0xe02b			/* ss */
	pushq	%rsi			/* rsp */
	pushq	%rcx			/* rflags */
	pushq	$0xe033			/* cs */
	pushq	%rdi			/* rip */
	pushq	$0			/* flags */
	pushq	$0			/* rcx */
	pushq	$0			/* r11 */
	pushq	$0			/* rax */
	movq	%rdx, %rdi
	movl	$23, %eax
	syscall
	ud2

/* Where system calls of ring 3 arrive: the number is the result. */
	.globl on_syscall
on_syscall:
	movq	recover_rsp(%rip), %rcx
	testq	%rcx, %rcx
	jz	1f
	movq	%rcx, %rsp
	jmp	recovered
1:	movq	$256, %rdi
	leaq	stack_end(%rip), %rsp
	call	on_lost_trap

/* 256 trap stubs: vector to eax, then one path; the frame is rcx r11 [error] rip cs ... */
	.globl trap_stubs
	.balign 16
trap_stubs:
vector = 0
	.rept 256
	.balign 16
	movl	$vector, %eax
	jmp	trap
vector = vector + 1
	.endr

trap:
	cld
	movl	%eax, %ebx
	movq	%rsp, %rsi		/* our next stack may be just above the frame */
	leaq	trap_frame(%rip), %rdi
	movl	$8, %ecx
	rep movsq
	movl	%ebx, %edi
	leaq	trap_frame(%rip), %rsi
	/* A trap outside an attempt, or an unusable frame, ends the guest in C. */
	movq	recover_rsp(%rip), %rcx
	testq	%rcx, %rcx
	jnz	1f
	leaq	stack_end(%rip), %rsp
	call	on_lost_trap
1:	movq	%rcx, %rsp
	call	save_trap
	leaq	0x10000(%rbx), %rax
	movq	recover_rsp(%rip), %rsp
	jmp	recovered
	.section .note.GNU-stack, "", @progbits
