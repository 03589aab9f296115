/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every way into the monitor, and every way back to the guest.
 *
 * Entered by the CPU from ring 1 or 3 (or from ring 0, in the windows named
 * below), interrupts off, CR0.WP set, on a stack in the entry pages, which ring
 * 1 can write: a word is used only in the instructions that directly follow the
 * CPU's own push of it.  The slow path clears WP, copies the frame to the C
 * stack (read-only while the guest runs), calls C, sets WP and returns by what is
 * on the C stack.  The fast paths never clear WP and never leave the guest's root.
 *
 * Symbols mon_gate, mon_entry, mon_stack_top, mon_state are fixed addresses
 * (monitor.ld), the same in every root of a vCPU.
 */
#include "co_layout.h"
#include "offsets.h"

#define GATE(field)	mon_gate + G_##field(%rip)
#define ENTRY(field)	mon_entry + E_##field(%rip)
#define WP_BIT		16

	.section .header, "a"
	.globl	mon_header
mon_header:
	.quad	MON_MAGIC
	.quad	mon_passage_enter
	.quad	mon_first_entry
	.quad	mon_syscall64
	.quad	mon_syscall32
	.quad	mon_stubs
	.quad	16
	.quad	mon_end - mon_header

	.text

/* CR0 as C needs it, with WP clear, if this VM is protected; clobbers \reg. */
.macro WP_OFF reg
	movq	GATE(CR0_OPEN), \reg
	testq	\reg, \reg
	jz	.Lwp\@
	movq	\reg, %cr0
.Lwp\@:
.endm

/* CR0 as the guest has it; from here on the C stack is read-only.  Clobbers %rax. */
.macro WP_ON
	movq	GATE(CR0_GUEST), %rax
	testq	%rax, %rax
	jz	.Lwp\@
	movq	%rax, %cr0
.Lwp\@:
.endm

.macro PUSH_SCRATCH		/* all that C does not keep, but %rax and %rcx */
	pushq	%rdx
	pushq	%rsi
	pushq	%rdi
	pushq	%r8
	pushq	%r9
	pushq	%r10
	pushq	%r11
.endm

.macro PUSH_KEPT
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

.macro POP_KEPT
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
.endm

.macro POP_SCRATCH		/* %rsp is then at frame.cr0 */
	popq	%r11
	popq	%r10
	popq	%r9
	popq	%r8
	popq	%rdi
	popq	%rsi
	popq	%rdx
	popq	%rcx
	popq	%rax
.endm

/* ---------------------------------------------------------------- traps */

/*
 * 256 stubs of 16 bytes.  Those of NMI, #DB and #MC lead to handlers of their
 * own, because they may arrive in the middle of ours; that of #PF, because it is
 * the commonest.
 */
	.balign 16
mon_stubs:
	vector = 0
	.rept 256
	.balign 16
	.if vector == 2
	jmp	mon_nmi
	.elseif vector == 1
	jmp	mon_debug
	.elseif vector == 18
	jmp	mon_machine_check
	.elseif vector == 14
	jmp	mon_fault
	.else
	.if (vector != 8) && (vector != 10) && (vector != 11) && (vector != 12) && (vector != 13) && (vector != 17) && (vector != 21)
	pushq	$0
	.endif
	pushq	$vector
	jmp	mon_common
	.endif
	vector = vector + 1
	.endr
	.balign 16

mon_nmi:
	testb	$3, 8(%rsp)
	jz	mon_nmi_ring0
	pushq	$0
	pushq	$2
	jmp	mon_common

mon_machine_check:
	testb	$3, 8(%rsp)
	jz	mon_mc_ring0
	pushq	$0
	pushq	$18
	jmp	mon_common

/*
 * #DB in ring 0: a breakpoint or mov-ss shadow of the guest's that fired on our
 * first instruction, or on a fast path's access to the guest's stack.  Nothing
 * to do there: the guest's own instruction is over.
 */
mon_debug:
	testb	$3, 8(%rsp)
	jz	1f
	pushq	$0
	pushq	$1
	jmp	mon_common
1:	andl	$~0x100, 16(%rsp)
	iretq

/*
 * NMI or #MC in ring 0: leave a note for the next return to the guest.  WP comes
 * back as it was found, whatever that was; so does a loaded user view.
 */
.macro NOTE_IN_RING0 field
	pushq	%rax
	pushq	%rdx
	pushq	%rcx
	movq	%cr3, %rcx
	cmpq	%rcx, GATE(USER_CR3)
	jne	1f
	movq	GATE(KERNEL_CR3), %rax
	movq	%rax, %cr3
1:	movq	%cr0, %rdx
	movq	%rdx, %rax
	btrq	$WP_BIT, %rax
	movq	%rax, %cr0
	movb	$1, mon_state + \field(%rip)
	movq	%rdx, %cr0
	cmpq	%rcx, GATE(USER_CR3)
	jne	2f
	movq	%rcx, %cr3
2:	popq	%rcx
	popq	%rdx
	popq	%rax
	iretq
.endm

mon_nmi_ring0:
	NOTE_IN_RING0 V_NMI
mon_mc_ring0:
	NOTE_IN_RING0 V_MC

/*
 * On an entry stack: vector, error, rip, cs, rflags, rsp, ss.
 */
	.balign 16
mon_common:
	pushq	%rax
	pushq	%rcx
	movq	%rsp, %rcx
	testb	$3, 40(%rcx)
	jz	mon_common_ring0
	cmpq	$0, GATE(USER_CR3)
	je	1f
	movq	GATE(KERNEL_CR3), %rax
	movq	%rax, %cr3
1:	WP_OFF	%rax
	leaq	mon_stack_top(%rip), %rsp
	pushq	64(%rcx)		/* ss */
	pushq	56(%rcx)		/* rsp */
	pushq	48(%rcx)		/* rflags */
	pushq	40(%rcx)		/* cs */
	pushq	32(%rcx)		/* rip */
	pushq	24(%rcx)		/* error */
	pushq	16(%rcx)		/* vector */
	pushq	$0			/* cr0 */
	pushq	8(%rcx)			/* rax */
	pushq	(%rcx)			/* rcx */
.Lpush_rest:
	PUSH_SCRATCH
	PUSH_KEPT
	cld
	movq	%rsp, %rdi
	call	mon_trap

/*
 * Back to the guest's code that the frame at %rsp names.  The registers, and by iretq
 * the frame, are read from a stack that is read-only by then.
 */
mon_return:
	WP_ON
	POP_KEPT
mon_return_scratch:
	cmpq	$0, GATE(USER_CR3)
	jne	mon_return_view
	POP_SCRATCH
	addq	$(F_RIP - F_CR0), %rsp
	.globl	mon_iretq
mon_iretq:
	iretq

/* The same where users have a view of their own: it maps no C stack. */
mon_return_view:
	testb	$2, F_CS - F_R11(%rsp)		/* ring 3, not 1 */
	jz	1f
	at = 0
	.rept 5				/* rip, cs, rflags, rsp, ss */
	movq	at + F_RIP - F_R11(%rsp), %rax
	movq	%rax, at + ENTRY(IRET)
	at = at + 8
	.endr
	POP_SCRATCH
	movq	GATE(USER_CR3), %rsp
	movq	%rsp, %cr3
	leaq	ENTRY(IRET), %rsp
	jmp	mon_view_iretq
1:	POP_SCRATCH
	addq	$(F_RIP - F_CR0), %rsp
	.globl	mon_view_iretq
mon_view_iretq:
	iretq

/*
 * A page fault: error, rip, cs, rflags, rsp, ss on the entry stack.  Registers that C
 * keeps are in no frame.
 */
	.balign 16
mon_fault:
	pushq	%rcx
	movq	%rsp, %rcx
	testb	$3, 24(%rcx)
	jz	2f
	cmpq	$0, GATE(USER_CR3)
	je	1f
	movq	GATE(KERNEL_CR3), %rsp
	movq	%rsp, %cr3
1:	WP_OFF	%rsp
	leaq	mon_stack_top(%rip), %rsp
	pushq	48(%rcx)		/* ss */
	pushq	40(%rcx)		/* rsp */
	pushq	32(%rcx)		/* rflags */
	pushq	24(%rcx)		/* cs */
	pushq	16(%rcx)		/* rip */
	pushq	8(%rcx)			/* error */
	subq	$(2 * 8), %rsp		/* vector, cr0 */
	pushq	%rax
	pushq	(%rcx)			/* rcx */
	PUSH_SCRATCH
	subq	$(6 * 8), %rsp
	cld
	movq	%rsp, %rdi
	call	mon_page_fault
	WP_ON
	addq	$(6 * 8), %rsp
	jmp	mon_return_scratch
2:	popq	%rcx
	pushq	$14
	jmp	mon_common

/*
 * A fault in ring 0: in a fast path (on the guest's or an entry stack), at an
 * iretq to the guest, at the one selector load in C, or a bug of ours.
 */
mon_common_ring0:
	pushq	%rdx
	cmpq	$0, GATE(USER_CR3)
	je	1f
	movq	GATE(KERNEL_CR3), %rax
	movq	%rax, %cr3
1:	movq	%cr0, %rdx		/* on the way back it is as it was, never a constant */
	WP_OFF	%rax
	movq	56(%rcx), %rax		/* interrupted rsp: on the C stack? stay below it */
	leaq	mon_stack(%rip), %rsp
	subq	%rsp, %rax
	cmpq	$(MON_STACK_PAGES * 4096), %rax
	jae	2f
	addq	%rax, %rsp
	subq	$256, %rsp
	andq	$-16, %rsp
	pushq	$0
	jmp	3f
2:	leaq	mon_stack_top(%rip), %rsp
3:	pushq	64(%rcx)
	pushq	56(%rcx)
	pushq	48(%rcx)
	pushq	40(%rcx)
	pushq	32(%rcx)
	pushq	24(%rcx)
	pushq	16(%rcx)
	pushq	%rdx			/* cr0, as it was */
	pushq	8(%rcx)
	pushq	(%rcx)
	movq	-8(%rcx), %rdx
	PUSH_SCRATCH
	PUSH_KEPT
	cld
	movq	%rsp, %rdi
	call	mon_trap_ring0
	testb	$3, F_CS(%rsp)
	jnz	mon_return
	movq	F_CR0(%rsp), %rax
	movq	%rax, %cr0
	POP_KEPT
	POP_SCRATCH
	addq	$(F_RIP - F_CR0), %rsp
	iretq

/* ---------------------------------------------------------- system calls */

/*
 * LSTAR.  A user program's system call, or (from ring 1) a hypercall.
 * %rcx = return rip, %r11 = rflags, %rsp still the guest's, no stack of ours.
 * The mode flag is the guest's to forge: it decides only which of its own two
 * halves it talks as.
 *
 * TOUR 11: A guest's system call: no CR3 write, no CR0 write, no C.
 */
	.balign 64
mon_syscall64:
	movq	%rsp, ENTRY(USER_RSP)
	cmpb	$0, ENTRY(USER_MODE)
	je	mon_hypercall_entry
	cmpq	$0, GATE(USER_CR3)
	je	1f
	movq	GATE(KERNEL_CR3), %rsp
	movq	%rsp, %cr3
1:	cmpq	$0, GATE(SYSCALL_RIP)
	je	mon_syscall_slow
	movq	GATE(KERNEL_SP), %rsp
	swapgs
	movb	$0, ENTRY(USER_MODE)
	/*
	 * SAFETY: from here to mon_fast_push_end we write through the guest's own
	 * mapping of its kernel stack, with WP set; kernel_sp is outside the hole.
	 * A #PF fills the shadow and retries the instruction.
	 */
	.globl	mon_fast_push
mon_fast_push:
	pushq	$MON_USER_DS
	pushq	ENTRY(USER_RSP)
	pushq	%r11
	pushq	$MON_USER_CS
	pushq	%rcx
	pushq	%r11
	pushq	%rcx
	.globl	mon_fast_push_end
mon_fast_push_end:
	movq	GATE(VINFO), %rcx
	movb	$1, 1(%rcx)
	movq	%rsp, %rcx
	leaq	40 + ENTRY(FAST), %rsp
	pushq	$MON_KERNEL_DS
	pushq	%rcx
	pushq	$0x202
	pushq	$MON_KERNEL_CS
	pushq	GATE(SYSCALL_RIP)
	iretq

/*
 * HYPERVISOR_iret back to 64-bit user code with nothing pending; everything else
 * goes to C.  The frame is read through the guest's own rsp: reading is harmless
 * (nothing of the host's is mapped), each word once.
 */
	.balign 16
mon_hypercall_entry:
	cmpl	$23, %eax
	jne	mon_slow_hypercall
	.globl	mon_fast_iret
mon_fast_iret:
	movzwl	40(%rsp), %eax		/* cs */
	cmpl	$MON_USER_CS, %eax
	je	1f
	cmpl	$0x33, %eax
	jne	mon_slow_iret
1:	movq	GATE(VINFO), %rax
	cmpb	$0, (%rax)
	jne	mon_slow_iret
	cmpq	$0, GATE(IRET_SLOW)
	jne	mon_slow_iret
	movq	48(%rsp), %r11		/* rflags */
	movq	32(%rsp), %rcx		/* rip */
	movl	%r11d, %eax
	andl	$0x37300, %eax		/* VM RF NT IOPL IF TF */
	cmpl	$0x200, %eax
	jne	2f
	cmpq	8(%rsp), %r11
	jne	2f
	cmpq	16(%rsp), %rcx
	jne	2f
	movq	%rcx, %rax
	shrq	$47, %rax
	jnz	2f
	/* As SYSRET leaves it: rcx == rip, r11 == rflags, rip in the lower half. */
	movq	(%rsp), %rax
	movq	56(%rsp), %rsp
	.globl	mon_fast_iret_end
mon_fast_iret_end:
	movq	%rcx, ENTRY(TMP)
	movq	GATE(VINFO), %rcx
	movb	$0, 1(%rcx)
	movq	ENTRY(TMP), %rcx
	movb	$1, ENTRY(USER_MODE)
	swapgs
	cmpq	$0, GATE(USER_CR3)
	jne	3f
	sysretq
3:	movq	%rsp, ENTRY(TMP)
	movq	GATE(USER_CR3), %rsp
	movq	%rsp, %cr3
	movq	ENTRY(TMP), %rsp
	sysretq

	/* The same by iretq: after a signal, a fork, an exec, an exception. */
	.globl	mon_fast_iret2
mon_fast_iret2:
2:	testl	$0x200, %r11d
	jz	mon_slow_iret
	andl	$0x250fd5, %r11d	/* FLAG_USER | IF */
	orl	$0x200, %r11d
	movq	%rsp, %rax
	leaq	40 + ENTRY(FAST), %rsp
	pushq	64(%rax)
	orq	$3, (%rsp)
	pushq	56(%rax)
	pushq	%r11
	pushq	$MON_USER_CS
	pushq	%rcx
	movq	8(%rax), %r11
	movq	16(%rax), %rcx
	movq	(%rax), %rax
	.globl	mon_fast_iret2_end
mon_fast_iret2_end:
	movq	%rcx, ENTRY(TMP)
	movq	GATE(VINFO), %rcx
	movb	$0, 1(%rcx)
	movq	ENTRY(TMP), %rcx
	movb	$1, ENTRY(USER_MODE)
	swapgs
	cmpq	$0, GATE(USER_CR3)
	je	mon_fast_iretq
	movq	%rax, ENTRY(TMP)
	movq	GATE(USER_CR3), %rax
	movq	%rax, %cr3
	movq	ENTRY(TMP), %rax
	.globl	mon_fast_iretq
mon_fast_iretq:
	iretq

mon_slow_iret:
	movq	ENTRY(USER_RSP), %rsp
	movl	$23, %eax
mon_slow_hypercall:
	WP_OFF	%rsp
	leaq	mon_stack_top(%rip), %rsp
	pushq	$MON_KERNEL_DS
	pushq	ENTRY(USER_RSP)
	pushq	%r11
	pushq	$MON_KERNEL_CS
	pushq	%rcx
	subq	$(3 * 8), %rsp		/* error, vector, cr0 */
	pushq	%rax
	pushq	%rcx
	PUSH_SCRATCH
	subq	$(6 * 8), %rsp		/* rbx rbp r12-r15: C keeps them for us */
	cld
	movq	%rsp, %rdi
	call	mon_hypercall
	WP_ON
	addq	$(6 * 8), %rsp
	jmp	mon_return_scratch

/* A user's system call that the fast path does not take. */
mon_syscall_slow:
	WP_OFF	%rsp
	leaq	mon_stack_top(%rip), %rsp
	pushq	$MON_USER_DS
	pushq	ENTRY(USER_RSP)
	pushq	%r11
	pushq	$MON_USER_CS
	pushq	%rcx
	pushq	$0
	pushq	$0x101			/* VEC_SYSCALL */
	pushq	$0
	pushq	%rax
	pushq	%rcx
	jmp	.Lpush_rest

/* CSTAR: AMD's SYSCALL from 32-bit code.  Ring 1 has no 32-bit code of its own. */
	.balign 16
mon_syscall32:
	movq	%rsp, ENTRY(USER_RSP)
	cmpq	$0, GATE(USER_CR3)
	je	1f
	movq	GATE(KERNEL_CR3), %rsp
	movq	%rsp, %cr3
1:	WP_OFF	%rsp
	leaq	mon_stack_top(%rip), %rsp
	pushq	$MON_USER_DS
	pushq	ENTRY(USER_RSP)
	pushq	%r11
	pushq	$MON_USER_CS32
	pushq	%rcx
	pushq	$0
	pushq	$0x102			/* VEC_SYSCALL32 */
	pushq	$0
	pushq	%rax
	pushq	%rcx
	jmp	.Lpush_rest

/* ------------------------------------------------------------- odds and ends */

/* A vCPU's first passage "returns" to here, at the top of its C stack. */
	.globl	mon_first_entry
mon_first_entry:
	call	mon_main
	ud2

/* mon_main's way to the guest: %rdi = frame at the top of the C stack. */
	.globl	mon_start_guest
mon_start_guest:
	movq	%rdi, %rsp
	jmp	mon_return

/*
 * void mon_load_gs(u16 selector): the user's GS selector while in kernel mode.
 * A selector that does not load becomes null.
 */
	.globl	mon_load_gs
mon_load_gs:
	swapgs
	.globl	mon_load_gs_insn
mon_load_gs_insn:
	movw	%di, %gs
	mfence
	swapgs
	ret
	.globl	mon_load_gs_fixup
mon_load_gs_fixup:
	xorl	%edi, %edi
	movw	%di, %gs
	mfence
	swapgs
	ret

/* void mon_load_seg(u16 ds, u16 es, u16 fs): after a passage; bad ones become null. */
	.globl	mon_load_ds
mon_load_ds:
	movw	%di, %ds
	ret
	.globl	mon_load_es
mon_load_es:
	movw	%di, %es
	ret
	.globl	mon_load_fs
mon_load_fs:
	movw	%di, %fs
	ret
	.globl	mon_load_gs_raw
mon_load_gs_raw:
	movw	%di, %gs
	ret
	.globl	mon_load_end
mon_load_end:
	.section .note.GNU-stack,"",@progbits
