/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host half and the monitor share: where things lie in the guest
 * world, and the structures that both touch.
 *
 * The monitor owns one top-level slot inside the hole that the Xen ABI keeps
 * for a hypervisor (0xffff8000_00000000 .. 0xffff87ff_ffffffff).  The slot has
 * three views, each its own third-level page over the same lower tables:
 *
 *   transition  everything the passage needs, writable, plus the host's half
 *   guest       everything but MON_HOST, read-only except MON_ENTRY
 *   user        text, gates and entry pages: what a ring-3 program may leave
 *               mapped on a CPU that leaks across the U bit
 *
 * Nothing in MON_ENTRY is trusted: ring 1 can write it.
 */
#ifndef CO_LAYOUT_H
#define CO_LAYOUT_H

#define MON_SLOT	260
#define MON_HOLE_FIRST	256		/* the hole's top-level slots */
#define MON_HOLE_LAST	271

#ifdef __ASSEMBLER__
#define MON_UL(x)	x
#else
#define MON_UL(x)	x##ull
#endif

#define MON_GB(n)	(MON_BASE + (MON_UL(n) << 30))
#define MON_BASE	MON_UL(0xffff820000000000)
#define MON_HOLE_START	MON_UL(0xffff800000000000)
#define MON_HOLE_END	MON_UL(0xffff880000000000)	/* exclusive */

#define MON_TEXT	MON_GB(1)			/* the blob; user view too */
#define MON_VM		(MON_TEXT + MON_UL(0x200000))	/* struct mon_vm, trace ring */
#define MON_GATE	MON_BASE			/* gate pages; user view too */
#define MON_VCPU	(MON_GATE + MON_UL(0x200000))	/* struct mon_vcpu, C stack */
#define MON_ENTRY	MON_GB(2)			/* entry pages; user view too */
#define MON_VINFO	(MON_ENTRY + MON_UL(0x200000))	/* alias of the guest's vcpu_info */
#define MON_HOST	MON_GB(3)			/* transition root only */
#define MON_FRAMES	MON_GB(4)			/* struct mon_finfo[], by gfn */
#define MON_M2P		MON_GB(8)			/* u64[], identity */
#define MON_PHYSPT	MON_GB(9)			/* the leaf tables of MON_PHYS, in a row */
#define MON_POOLPT	MON_GB(10)			/* the leaf tables of MON_POOL, in a row */
#define MON_POOL	MON_GB(16)			/* shadow pages */
#define MON_PHYS	MON_GB(64)			/* guest frames */

/* Pages inside MON_GATE. */
#define MON_GATE_IDT	MON_GATE			/* 1 page */
#define MON_GATE_TSS	(MON_GATE + 0x1000)		/* 1 page: TSS, then struct mon_gate */
#define MON_GATE_VARS	(MON_GATE + 0x1100)
#define MON_GATE_GDT	(MON_GATE + 0x2000)		/* 15 pages: 14 the guest's, 1 ours */
#define MON_GATE_LDT	(MON_GATE + 0x12000)		/* 16 pages */
#define MON_GATE_PAGES	34
#define MON_GDT_GUEST_PAGES	14
#define MON_GDT_PAGES	15
#define MON_LDT_PAGES	16

/* Pages inside MON_VCPU. */
#define MON_STACK	MON_VCPU			/* C stack */
#define MON_STACK_PAGES	4
#define MON_STACK_TOP	(MON_STACK + MON_STACK_PAGES * 0x1000)
#define MON_STATE	MON_STACK_TOP			/* struct mon_vcpu */
#define MON_STATE_PAGES	3
#define MON_VINFO_PT	(MON_STATE + MON_STATE_PAGES * 0x1000)	/* leaf table of MON_VINFO */
#define MON_VCPU_PAGES	(MON_STACK_PAGES + MON_STATE_PAGES + 1)

/* Pages inside MON_ENTRY: scratch and entry stack, then the IST stacks. */
#define MON_ENTRY_PAGES	2
#define MON_ENTRY_RSP0	(MON_ENTRY + 0x1000)
#define MON_IST_FAULT	(MON_ENTRY + 0x1400)		/* #DF #TS #NP #SS #GP #PF */
#define MON_IST_NMI	(MON_ENTRY + 0x1800)
#define MON_IST_DB	(MON_ENTRY + 0x1c00)
#define MON_IST_MC	(MON_ENTRY + 0x2000)

/* Pages inside MON_HOST: struct co_passage, then the transition GDT. */
#define MON_HOST_GDT	(MON_HOST + 0x1000)		/* 15 pages: host's copy .. ours */

/* Pages inside MON_VM. */
#define MON_VM_PAGES	8
#define MON_TRACE	(MON_VM + 0x10000)		/* struct mon_trace ring */
#define MON_TRACE_PAGES	8
#define MON_APIC	(MON_VM + 0x20000)		/* the host's local APIC, if there is a guest_cpu */

/* Selectors: page 14 of every guest-world GDT, in Xen's places where Xen has one. */
#define MON_CS		0xe008
#define MON_DS		0xe010
#define MON_KERNEL_CS	0xe019				/* ring 1, 64 bit */
#define MON_USER_CS32	0xe023
#define MON_USER_DS	0xe02b
#define MON_USER_CS	0xe033
#define MON_KERNEL_DS	0xe039				/* ring 1 */
#define MON_TSS_SEL	0xe040
#define MON_LDT_SEL	0xe050

#define MON_IST_INDEX_FAULT	1
#define MON_IST_INDEX_NMI	2
#define MON_IST_INDEX_DB	3
#define MON_IST_INDEX_MC	4

/* What a passage does against speculation; mon_vcpu.barriers. */
#define MON_BARRIER_IBPB	1
#define MON_BARRIER_RSB		2
#define MON_BARRIER_VERW	4

#define MON_MAGIC	MON_UL(0x31304e4f4d4f43)	/* "COMON01" */

#ifndef __ASSEMBLER__
#include "co_abi.h"

/* The blob's first bytes. */
struct mon_header {
	co_u64 magic;
	co_u64 enter;			/* address of mon_passage_enter */
	co_u64 first;			/* address of mon_first_entry: a new vCPU's return address */
	co_u64 syscall64, syscall32;	/* LSTAR, CSTAR */
	co_u64 stubs, stub_size;	/* 256 interrupt stubs */
	co_u64 bytes;
};

/* Scratch at MON_ENTRY: written by ring 1 whenever it likes. */
struct mon_entry {
	co_u64 user_rsp;		/* rsp at a system call */
	co_u64 user_mode;		/* 1: ring 3 ran last; only the guest's own business */
	co_u64 tmp;
	co_u64 pad[5];
	co_u64 iret[5];			/* slow path's outgoing frame */
	co_u64 pad2[3];
	co_u64 fast[5];			/* fast path's */
};

/*
 * What the fast path reads; read-only while the guest runs, in every view.
 */
struct mon_gate {
	co_u64 kernel_cr3;		/* this vCPU's root now */
	co_u64 user_cr3;		/* its user view; 0: there is none */
	co_u64 kernel_sp;		/* checked: outside the hole, aligned */
	co_u64 syscall_rip;		/* 0: take the slow path */
	co_u64 vinfo;			/* address of the vcpu_info alias */
	co_u64 iret_slow;		/* non-zero: every iret takes the slow path */
	/* With protection, CR0 for C (WP clear) and for the guest (set), both with the
	 * guest's TS; 0 without: the slow path leaves CR0 alone. */
	co_u64 cr0_open, cr0_guest;
};

/* Per guest frame. */
struct mon_finfo {
	co_u32 shadow;			/* first shadow of this frame; 0: none */
	co_u8 flags;			/* MON_F_* */
	co_u8 pad[3];
};
#define MON_F_PINNED	1u
#define MON_F_UNSYNC	2u

/* Per shadow page; index 0 is never used. */
struct mon_shadow {
	co_u64 gfn;
	co_u32 next;			/* next shadow of the same frame, or next free */
	co_u32 parent;			/* last parent shadow linked; meaningful if parents == 1 */
	co_u32 parents;			/* shadow entries that point here */
	co_u16 parent_index;
	co_u16 present;			/* non-zero entries (non-leaf levels) */
	co_u8 level;			/* 0 free, 1..4, MON_LEVEL_* */
	co_u8 vcpu;			/* top level: whose */
	co_u8 pad[6];
	co_u64 groups;			/* bit n: one of entries 8n..8n+7 was ever set */
};
/* 1..4 as the guest's tables */
#define MON_LEVEL_USER	5		/* user view of a root */
#define MON_LEVEL_TOP5	6		/* LA57: the page above a root */
#define MON_LEVEL_TOP5_USER 7		/* and above its user view */

struct mon_port {
	co_u8 state;			/* MON_PORT_* */
	co_u8 vcpu;
	co_u16 virq;
};
enum { MON_PORT_FREE, MON_PORT_HOST, MON_PORT_VIRQ, MON_PORT_IPI };

/* Host's view of time; seq is even when stable. */
struct mon_time {
	co_u32 seq;
	co_u32 mul;
	co_s32 shift;
	co_u32 stable;
	co_u64 tsc, system_ns;		/* system_ns at tsc */
	co_u64 wall_sec, wall_nsec;	/* wall clock at system_ns == 0 */
};

struct mon_trace {
	co_u64 next;			/* monotonic */
	co_u64 pad[5];
	struct co_trace_entry ring[];
};
#define MON_TRACE_ENTRIES ((MON_TRACE_PAGES * 4096 - 48) / 48)

/* One VM; at MON_VM. */
struct mon_vm {
	/* set by the host half before the first entry, then constant */
	co_u64 ram_pages, frames;	/* frames = ram_pages + CO_SPECIAL_FRAMES */
	co_u64 pool_pages;		/* shadow pages, index 0 unused */
	co_u32 protect;			/* CO_PROTECT_* */
	co_u32 user_view;
	co_u32 la57;
	co_u32 vcpus;
	co_u32 has_xsave;
	co_u32 pad;
	co_u64 xcr0_mask;		/* what a guest may set */

	/* host half -> monitor, any time */
	struct mon_time time;
	volatile co_u64 inbox_summary;	/* bit n: inbox[n] has bits */
	volatile co_u64 inbox[64];

	/* monitor -> host half: ports that the guest notified; taken by CO_EVENTS */
	volatile co_u64 outbox_summary;	/* bit n: outbox[n] may have bits */
	volatile co_u64 outbox[64];
	volatile co_u32 lazy_port;	/* host half: not announced for now */
	co_u32 solo;			/* host half: notices, and most timers, wait for the next exit */

	/* A CPU for guests: an idle one waits in the monitor, and who serves it elsewhere. */
	co_u64 spin;			/* host half: TSC ticks that it may wait; 0: outside, at once */
	volatile co_u32 spinning;	/* monitor: it waits, and looks into the inbox */
	volatile co_u32 awake;		/* host half: notices are looked for soon */
	volatile co_u32 napping;	/* host half: but its CPU halts, ring */
	co_u32 bell_to, bell_how;	/* host half: the APIC's command that rings there */
	co_u32 pad2;

	/* the monitor's */
	co_u64 lock;			/* laid out for several vCPUs */
	co_u32 pool_free, pool_free_count;
	co_u32 pool_hand;
	co_u32 unsync_count;
	struct { co_u64 gfn; co_u32 shadow, index; } unsync[64];
	co_u32 virq_port[8];
	struct mon_port ports[CO_MAX_PORTS];
};

enum mon_exit {
	MON_EXIT_NONE, MON_EXIT_IRQ, MON_EXIT_NMI, MON_EXIT_MC, MON_EXIT_BLOCK,
	MON_EXIT_TIMER, MON_EXIT_EVENT, MON_EXIT_SHUTDOWN, MON_EXIT_KILL,
	MON_EXIT_CONSOLE, MON_EXIT_YIELD,
};

struct mon_trap {
	co_u64 address;			/* 0: none */
	co_u16 cs;
	co_u8 dpl, mask;		/* mask: disables events */
	co_u32 pad;
};

/* A translation of the guest kernel's, good until its next flush. */
struct mon_tlb {
	co_u64 tag;			/* virtual page | V->tlb_generation; MON_TLB_WRITE as below */
	co_u64 offset;			/* what to add to a virtual address: it is under MON_PHYS then */
};
#define MON_TLB_SIZE	32u
#define MON_TLB_WRITE	1u		/* in a tag: it may be written, and is Dirty */
#define MON_TLB_STEP	2u		/* generations use the rest of the page's offset; 0 is none's */

/*
 * The way down to a last-level table: what a walk from the live root found, and where
 * that table's shadow hangs under it.  Good until the guest's next flush, as the CPU's
 * own paging-structure caches, and until any shadow is unlinked.
 */
struct mon_path {
	co_u64 generation;		/* V->path_generation, or it is old */
	co_u64 region;			/* va >> 21 */
	co_u64 rights;			/* RW US, if all upper entries have it; NX, if one does */
	co_u32 gfn;			/* the guest's table */
	co_u32 shadow;			/* ours, of level 1 */
};
#define MON_PATHS	16u

/* One vCPU; at MON_STATE. */
struct mon_vcpu {
	/* the passage */
	co_u64 c_rsp;			/* where the monitor's C stopped */
	co_u64 trans_cr3, guest_cr4;
	co_u64 cr0;			/* CR0 of the monitor's C code */
	co_u32 id, host_irq;
	co_u32 barriers, pad3;		/* MON_BARRIER_*, constant */

	/* exit to the host half */
	co_u32 exit, exit_arg;
	co_u32 exit_len;
	co_u32 pad0;
	char text[CO_RUN_PORTS * 4];	/* of the console */
	char why[CO_WHY_LEN];
	volatile co_u64 deadline_ns;	/* 0: none */
	volatile co_u64 armed_ns;	/* host half: its timer comes then, or 0: it does not */

	/* start state */
	co_u64 start_rip, start_rsp, start_rsi, start_gfn;

	/* the guest's registers that are not in a frame */
	co_u64 cr3_gfn, user_gfn;
	co_u64 fs_base, gs_base, kernel_gs_base;	/* MSRs while in the host world */
	co_u16 ds, es, fs, gs;
	co_u64 dr[8];
	co_u64 cr4;			/* guest's claim */
	co_u64 xcr0;
	co_u32 ts;			/* guest's CR0.TS */
	co_u32 iopl;

	/* the shadow root */
	co_u64 guest_l3, user_l3;	/* host frames of the slot's two views */
	co_u32 root, user_root, top5, user_top5;
	co_u64 tlb_generation;		/* with MON_TLB_WRITE set */
	struct mon_tlb tlb[MON_TLB_SIZE];
	co_u64 path_generation;
	struct mon_path paths[MON_PATHS];

	/* ABI state */
	co_u64 event_rip, failsafe_rip, syscall_rip, syscall32_rip;
	co_u32 syscall_mask, syscall32_mask;
	co_u64 vinfo_gfn;
	co_u64 time_gfn, time_off;	/* secondary vcpu_time area; gfn 0: none */
	co_u32 gdt_entries, ldt_entries;
	co_u64 ldt_va;
	co_u64 gdt_gfn[MON_GDT_GUEST_PAGES];
	co_u32 time_seq;
	union {				/* what to see to before the guest runs */
		co_u64 attention;
		struct {
			co_u8 dead;
			co_u8 nmi_pending, mc_pending;	/* set by their handlers in ring 0 */
			co_u8 reload;		/* CR3 must be written */
			co_u8 new_root;		/* cr3_gfn changed */
			co_u8 measuring;	/* constant: counters.longest_off is kept */
		};
	};
	co_u32 dr_live;
	co_s32 work_left;		/* units until the host must have a turn */
	co_u64 off_since;		/* TSC then, if it is measured */
	struct co_counters counters;
	struct mon_trap traps[256];
};

/*
 * The page where the two worlds meet; at MON_HOST, and at its host address.
 * Host state is nowhere else in the guest world.
 */
struct co_descriptor_ptr {
	co_u16 limit;
	co_u64 base;
} __attribute__((packed));

struct co_passage {
	co_u64 host_rsp, host_cr0, host_cr3, host_cr4;
	co_u64 trans_cr3;
	co_u64 enter, resume;		/* mon_passage_enter; co_passage_resume */
	co_u64 self;			/* host address of this struct */
	co_u64 host_gs_base;
	co_u64 host_cs, host_ss, host_tr, host_ldt;
	co_u64 host_ds, host_es, host_fs, host_gs;
	struct co_descriptor_ptr host_gdtr; co_u8 pad0[6];
	struct co_descriptor_ptr host_idtr; co_u8 pad1[6];
	struct co_descriptor_ptr trans_gdtr; co_u8 pad2[6];
	struct co_descriptor_ptr mon_gdtr; co_u8 pad3[6];
	struct co_descriptor_ptr mon_idtr; co_u8 pad4[6];
};

_Static_assert(sizeof(struct mon_shadow) == 40, "mon_shadow");
_Static_assert(sizeof(struct mon_finfo) == 8, "mon_finfo");
_Static_assert(sizeof(struct mon_vm) <= MON_VM_PAGES * 4096, "mon_vm");
_Static_assert(sizeof(struct mon_vcpu) <= MON_STATE_PAGES * 4096, "mon_vcpu");
_Static_assert(sizeof(struct mon_header) == 64, "mon_header");
#endif
#endif
