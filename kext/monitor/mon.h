/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The monitor's own header: prototypes grouped by file, and the one door to
 * guest memory.
 *
 * The monitor runs in ring 0 of the guest world, interrupts off, on one C stack
 * per vCPU.  It trusts nothing that a guest can write: a guest word is fetched
 * once (mon_once), a guest frame number becomes a pointer only in mon_frame_ptr.
 */
#ifndef CO_MON_H
#define CO_MON_H

#include "co_layout.h"
#include "xen/xen.h"
#include "xen/errno.h"

typedef co_u8 u8;
typedef co_u16 u16;
typedef co_u32 u32;
typedef co_u64 u64;
typedef co_s32 s32;
typedef co_s64 s64;

#ifdef MON_BY_ADDRESS			/* tests move the slot */
#define VM		((struct mon_vm *)MON_VM)
#define V		((struct mon_vcpu *)MON_STATE)
#define GATE		((struct mon_gate *)MON_GATE_VARS)
#define ENTRY		((volatile struct mon_entry *)MON_ENTRY)
#else					/* monitor.ld's symbols: rip-relative, one instruction */
#define MON_FIXED	extern __attribute__((visibility("hidden")))
MON_FIXED struct mon_vm mon_vm;
MON_FIXED struct mon_vcpu mon_state;
MON_FIXED struct mon_gate mon_gate;
MON_FIXED volatile struct mon_entry mon_entry;
#define VM		(&mon_vm)
#define V		(&mon_state)
#define GATE		(&mon_gate)
#define ENTRY		(&mon_entry)
#endif
#define VINFO		((volatile struct vcpu_info *)GATE->vinfo)
#define FINFO(gfn)	((struct mon_finfo *)MON_FRAMES + (gfn))
#define COUNT(name)	(V->counters.name++)

#define PTE_P		1ull
#define PTE_RW		2ull
#define PTE_US		4ull
#define PTE_A		0x20ull
#define PTE_D		0x40ull
#define PTE_PS		0x80ull
#define PTE_NX		(1ull << 63)
#define PTE_ADDR	0x000ffffffffff000ull

#define PF_P		1u
#define PF_W		2u
#define PF_U		4u
#define PF_RSVD		8u
#define PF_I		16u

#define FLAG_TF		0x100ull
#define FLAG_IF		0x200ull
#define FLAG_DF		0x400ull
#define FLAG_IOPL	0x3000ull
#define FLAG_NT		0x4000ull
#define FLAG_RF		0x10000ull
#define FLAG_VM		0x20000ull
#define FLAG_AC		0x40000ull
#define FLAG_USER	0x250dd5ull	/* what a guest may set: no IF, IOPL, NT, VM, VIF, VIP */

#define CR0_TS		8ull
#define CR0_WP		0x10000ull
#define CR0_GUEST	0x80050033ull	/* PG AM WP NE ET MP PE */

#define VEC_HYPERCALL	0x100
#define VEC_SYSCALL	0x101
#define VEC_SYSCALL32	0x102

/* Pushed by entry.S, low to high. */
struct mon_frame {
	u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rdi, rsi, rdx, rcx, rax;
	u64 cr0;		/* of a frame from ring 0: as it was */
	u64 vector;
	u64 error, rip;
	u16 cs, cs_pad[3];	/* the CPU, too, looks at 16 bits only */
	u64 rflags, rsp;
	u16 ss, ss_pad[3];
};

static inline int mon_user(const struct mon_frame *f)
{
	return (f->cs & 3) == 3;
}

/* Fetch a guest word exactly once. */
#define mon_once(p)	(*(const volatile __typeof__(*(p)) *)(p))
#define mon_likely(x)	__builtin_expect(!!(x), 1)
#define mon_unlikely(x)	__builtin_expect(!!(x), 0)
#define mon_min(a, b)	((a) < (b) ? (a) : (b))
#define mon_barrier()	__asm__ volatile("" : : : "memory")

static inline int mon_canonical(u64 va)
{
	return (u64)((s64)(va << 16) >> 16) == va;
}

/* May the guest name this address as its own?  Not non-canonical, not the hole. */
static inline int mon_guest_va(u64 va)
{
	return mon_canonical(va) && (va < MON_HOLE_START || va >= MON_HOLE_END);
}

static inline u64 mon_rdtsc(void)
{
	u32 lo, hi;

	__asm__ volatile("rdtsc" : "=a"(lo), "=d"(hi));
	return ((u64)hi << 32) | lo;
}

static inline u64 mon_rdmsr(u32 msr)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(msr));
	return ((u64)hi << 32) | lo;
}

static inline void mon_wrmsr(u32 msr, u64 value)
{
	__asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline void mon_write_cr3(u64 value)
{
	__asm__ volatile("mov %0, %%cr3" : : "r"(value) : "memory");
	COUNT(cr3_writes);
}

static inline void mon_invlpg(u64 va)
{
	__asm__ volatile("invlpg (%0)" : : "r"(va) : "memory");
}

#define MSR_EFER	0xc0000080u
#define MSR_STAR	0xc0000081u
#define MSR_LSTAR	0xc0000082u
#define MSR_CSTAR	0xc0000083u
#define MSR_FMASK	0xc0000084u
#define MSR_FS_BASE	0xc0000100u
#define MSR_GS_BASE	0xc0000101u
#define MSR_KERNEL_GS_BASE 0xc0000102u
#define MSR_TSC_AUX	0xc0000103u
#define MSR_SYSENTER_CS	0x174u

/*
 * Interrupts are off while C runs.  Whatever walks over guest data says how much it
 * does, in units of about eight instructions; when it is too much, the host gets a
 * turn right there, in the middle: mon_breathe crosses and comes back.  Nobody else
 * changes this VM's tables meanwhile, and the live root is never taken apart.
 */
#define MON_WORK_MAX	5000
void mon_breathe(void);

static inline void mon_work(u32 units)
{
	V->work_left -= (s32)units;
	if (V->work_left < 0)
		mon_breathe();
}

/* Interrupts went off just now. */
static inline void mon_off(void)
{
	V->work_left = MON_WORK_MAX;
	if (V->measuring)
		V->off_since = mon_rdtsc();
}

void mon_measure(u64 what);	/* they go on again in a moment */

/* mmu.c: the guest's own tables, and the door to its memory. */

/*
 * TOUR 13: The one door.  A guest frame number becomes a pointer here or nowhere;
 * NULL if it is not the VM's.
 */
static inline void *mon_frame_ptr(u64 gfn)
{
	void *p = (void *)(MON_PHYS + (gfn << 12));

	if (gfn >= VM->frames)
		return 0;
	if (!p)
		__builtin_unreachable();	/* saves the callers a comparison */
	return p;
}

/* Host frame, as an entry's address bits; gfn must be checked. */
static inline u64 mon_frame_addr(u64 gfn)
{
	return ((const u64 *)MON_PHYSPT)[gfn] & PTE_ADDR;
}

struct mon_walk {
	u64 entry[6];			/* [4]..[1]: the guest's entries, fetched once; [5]: the root */
	u32 error;			/* when it fails: PF_P, PF_RSVD as the guest would see them */
	int complete;			/* all four levels were present */
	int reached;			/* lowest level with a valid entry[]; 5: none */
};

static inline u64 mon_gfn(u64 entry)
{
	return (entry & PTE_ADDR) >> 12;
}

/* The table in which entry[level] lies. */
static inline u64 mon_walk_table(const struct mon_walk *w, int level)
{
	return mon_gfn(w->entry[level + 1]);
}

int mon_walk(struct mon_walk *w, u64 va, u32 access);	/* 1 if access is allowed */
int mon_walk_mark_slow(struct mon_walk *w, u64 va, u32 access);

/* Set Accessed, and Dirty for a write, in the entries walked; 0: they changed, walk again. */
static inline int mon_walk_mark(struct mon_walk *w, u64 va, u32 access)
{
	u64 all = w->entry[4] & w->entry[3] & w->entry[2] & w->entry[1];

	if ((all & PTE_A) && (!(access & PF_W) || (w->entry[1] & PTE_D)))
		return 1;
	return mon_walk_mark_slow(w, va, access);
}
/* Copy between guest virtual memory and the monitor, with the rights `access`
 * (PF_W, PF_U).  Returns the bytes not copied; *fault_va is where it stopped. */
u64 mon_copy_from(void *to, u64 va, u64 bytes, u32 access, u64 *fault_va);
u64 mon_copy_to(u64 va, const void *from, u64 bytes, u32 access, u64 *fault_va);
int mon_get(void *to, u64 va, u64 bytes);	/* as the guest kernel; 0 or -XEN_EFAULT */
int mon_put(u64 va, const void *from, u64 bytes);
void *mon_at_slow(u64 va, u32 access);

/*
 * The guest flushed: forget what its addresses meant.  Translations are remembered of
 * the kernel's half only, so a new root alone forgets none: every root of a kernel has
 * the same there, or it flushes.
 */
void mon_tlb_flush(void);
void mon_tlb_init(void);

/*
 * A pointer to the guest kernel's va, good to the end of its page; NULL: it could
 * not access that itself.  access: 0 or PF_W.
 */
static inline struct mon_tlb *mon_tlb_slot(u64 va)
{
	const u64 size = sizeof(struct mon_tlb);

	/* (va >> 12) % MON_TLB_SIZE, at once in bytes */
	return (struct mon_tlb *)((u8 *)V->tlb + (va / (4096 / size) & (MON_TLB_SIZE - 1) * size));
}

/* What is remembered of it; NULL: nothing, which says nothing. */
static inline void *mon_at_known(u64 va, u32 access)
{
	const struct mon_tlb *t = mon_tlb_slot(va);
	u64 want = (va & ~4095ull) | V->tlb_generation;

	if (mon_likely((access & PF_W ? t->tag : t->tag | MON_TLB_WRITE) == want))
		return (void *)(va + t->offset);
	return 0;
}

static inline void *mon_at(u64 va, u32 access)
{
	void *p = mon_at_known(va, access);

	return mon_likely(p) ? p : mon_at_slow(va, access);
}

/* NULL also if there are no `bytes` of it before the page's end. */
static inline void *mon_at_whole(u64 va, u64 bytes, u32 access)
{
	return (va & 4095) <= 4096 - bytes ? mon_at(va, access) : 0;
}

/* shadow.c, fault.c */
void mon_shadow_init(void);

/* What was remembered of the ways down is old, from the live root or to its tables. */
static inline void mon_paths_forget(void)
{
	V->path_generation++;
}

static inline struct mon_path *mon_path_slot(u64 va)
{
	return &V->paths[(va >> 21) % MON_PATHS];
}

/* Remember a walk that found the last-level table; shadow: ours, 0 if that is not known. */
void mon_path_remember(const struct mon_walk *w, u64 va, u32 shadow);

/* The remembered way to va's last-level table; NULL: walk. */
static inline const struct mon_path *mon_path(u64 va)
{
	const struct mon_path *p = mon_path_slot(va);

	return p->region == va >> 21 && p->generation == V->path_generation ? p : 0;
}

/* A fault of the guest's at va; -1: resolved, else the guest's own, and its PF_P and PF_RSVD. */
int mon_shadow_fault(u64 va, u32 access);

/* Is it known without a walk that the guest has no page at va? */
static inline int mon_shadow_absent(u64 va)
{
	const struct mon_path *p = mon_path(va);

	return p && !(mon_once((const u64 *)mon_frame_ptr(p->gfn) + ((va >> 12) & 511)) & PTE_P);
}

void mon_shadow_drop_frame(u64 gfn);
void mon_shadow_new_base(u64 gfn);
void mon_shadow_sync(void);			/* before the guest may rely on a flush */
void mon_shadow_sync_va(u64 va);
void mon_shadow_load_slow(void);

/* CR3 as the guest will need it. */
static inline void mon_shadow_load(void)
{
	if (V->attention)
		mon_shadow_load_slow();
}

/* trap.c */
void mon_main(void) __attribute__((noreturn));
void mon_page_fault(struct mon_frame *f);
void mon_trap(struct mon_frame *f);
void mon_trap_ring0(struct mon_frame *f);
void mon_inject(struct mon_frame *f, u32 vector, int has_error, u32 error);
void mon_bounce(struct mon_frame *f, u64 rip, int has_error, u32 error, int mask);
void mon_kill(const char *why, u64 a, u64 b);
void mon_attend(struct mon_frame *f);
void mon_trace(u32 what, u64 a, u64 b, u64 c, u64 d);

/* The CPU state that the guest will see. */
static inline void mon_set_state(struct mon_frame *f)
{
	f->rflags = (f->rflags & FLAG_USER) | FLAG_IF | 2;
	ENTRY->user_mode = f->cs & 2;		/* ring 3, not 1 */
}

/* The last C before the guest runs: that, and what is pending, which may change it. */
static inline void mon_leave(struct mon_frame *f)
{
	mon_set_state(f);
	if (mon_unlikely(V->attention || VINFO->evtchn_upcall_pending))
		mon_attend(f);
}

/* hypercall.c */
void mon_hypercall(struct mon_frame *f);
s64 mon_hc_mmu_update(u64 va);			/* one of the array; so too mmuext */
s64 mon_hc_mmuext(u64 va);
s64 mon_hc_update_va(u64 va, u64 value, u64 flags);
s64 mon_hc_set_gdt(u64 frames, u32 entries);
s64 mon_hc_update_descriptor(u64 ma, u64 desc);
s64 mon_set_ldt(u64 va, u32 entries);
s64 mon_hc_iret(struct mon_frame *f);
s64 mon_hc_memory(u32 op, u64 arg);
s64 mon_hc_version(u32 op, u64 arg);
s64 mon_hc_vcpu(u32 op, u32 vcpu, u64 arg);
s64 mon_hc_segment_base(u32 which, u64 base);
s64 mon_hc_debugreg(u32 reg, u64 value);

/* event.c */
s64 mon_hc_event(u32 op, u64 arg);
s64 mon_hc_sched(struct mon_frame *f, u32 op, u64 arg);
void mon_event_init(void);
void mon_event_set(u32 port);
void mon_event_virq(u32 virq);
void mon_event_inbox(void);

/* grant.c */
s64 mon_hc_grant(u32 op, u64 arg, u32 count);

/* time.c */
u64 mon_now(void);				/* system time, ns */
void mon_time_refresh(void);
void mon_timer_check(void);
s64 mon_timer_set(u64 deadline);

/* emulate.c, umip.c, cpuid.c */
struct mon_insn {
	u8 bytes[15];
	u32 len;			/* fetched */
	u32 at;				/* decoded */
	int rex, opsize, addrsize, segment;
};
int mon_insn_next(struct mon_insn *in);	/* a byte, -1 at the end */
u64 *mon_insn_reg(struct mon_frame *f, u32 n);
int mon_long_mode(const struct mon_frame *f);
int mon_emulate_umip(struct mon_frame *f, struct mon_insn *in, int group, int *faulted);
int mon_emulate(struct mon_frame *f);		/* 1: done, 0: the guest's fault */
int mon_emulate_ud(struct mon_frame *f);
void mon_cpuid(u32 *a, u32 *b, u32 *c, u32 *d);
int mon_msr_read(u32 msr, u64 *value);		/* 0: no such register for a guest */
int mon_msr_write(u32 msr, u64 value);

/* desc.c */
u64 mon_desc_sanitize(u64 desc);

/* switch.c, passage.S */
void mon_exit(u32 why);				/* to the host half and back */
int mon_exit_pending(void);			/* an NMI or machine check that was noted; 1: there was one */
void mon_set_ts(int ts);			/* CR0.TS as the guest wants it */
void mon_passage_exit(void);
extern const u8 mon_load_gs_insn[], mon_load_gs_fixup[];

#endif
