/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The smallest program: exits with its first argument as a number, 0 without
 * one.  No libc, so that exec tests and measures count the kernel's work.
 */
	.globl _start
	.text
_start:
	xorl	%edi, %edi
	cmpq	$2, (%rsp)
	jb	2f
	movq	16(%rsp), %rsi
1:	movzbl	(%rsi), %eax
	testl	%eax, %eax
	jz	2f
	imull	$10, %edi, %edi
	leal	-48(%rdi, %rax), %edi
	incq	%rsi
	jmp	1b
2:	movl	$60, %eax
	syscall
	.section .note.GNU-stack, "", @progbits
