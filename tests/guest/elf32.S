/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A whole 32-bit ELF program as data for the workload: checks getpid by
 * int $0x80 against getpid by the vDSO's __kernel_vsyscall (AT_SYSINFO), and what
 * SGDT and SMSW give where UMIP hides the truth; exits with 42; 1 the calls differ,
 * 2 there is no vDSO, 3 the truth shows, or something wilder.
 */
	.section .rodata
	.globl elf32_start, elf32_end
	.code32
	.set BASE, 0x08048000
	.balign 16
elf32_start:
	.byte 0x7f, 'E', 'L', 'F', 1, 1, 1, 0
	.zero 8
	.short 2, 3			/* ET_EXEC, EM_386 */
	.long 1, BASE + (entry32 - elf32_start), phdr32 - elf32_start, 0, 0
	.short 52, 32, 1, 0, 0, 0
phdr32:
	.long 1, 0, BASE, BASE, elf32_end - elf32_start, elf32_end - elf32_start, 5, 4096
entry32:
	movl	(%esp), %eax		/* argc */
	leal	8(%esp, %eax, 4), %esi	/* envp */
1:	lodsl
	testl	%eax, %eax
	jnz	1b
2:	lodsl				/* auxv: key, value */
	movl	%eax, %edx
	lodsl
	cmpl	$32, %edx		/* AT_SYSINFO */
	je	3f
	testl	%edx, %edx
	jnz	2b
	movl	$2, %ebx
	jmp	4f
3:	movl	%eax, %edi
	movl	$20, %eax		/* getpid */
	int	$0x80
	movl	%eax, %ebp
	movl	$20, %eax
	call	*%edi
	movl	$1, %ebx
	cmpl	%eax, %ebp
	jne	4f
	movl	$7, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ecx, %edi
	pushl	$0
	pushl	$0
	movl	$2, %esi
	sgdt	-8(%esp, %esi, 4)	/* 6 bytes at the stack's end */
	smsw	%eax
	movl	$3, %ebx
	testl	$4, %edi
	jz	5f
	cmpl	$0xfffe0000, 2(%esp)
	jne	4f
	andl	$1, %eax
	jz	4f
5:	movl	$42, %ebx
4:	movl	$1, %eax		/* exit */
	int	$0x80
	ud2
elf32_end:
	.section .note.GNU-stack, "", @progbits
