/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The portable core: VM and vCPU objects, prototypes grouped by file.
 * Knows no host: everything of one comes through co_os.h.
 */
#ifndef CO_CORE_H
#define CO_CORE_H

#include "co_abi.h"
#include "co_layout.h"
#include "co_os.h"
#include "passage.h"

typedef co_u8 u8;
typedef co_u16 u16;
typedef co_u32 u32;
typedef co_u64 u64;
typedef co_s32 s32;
typedef co_s64 s64;

#define CO_NO_CPU	(~0u)
#define barrier_full()	__sync_synchronize()

/* A run of co_os_alloc'ed pages. */
struct co_block {
	void *va;
	u64 bytes;
};

struct co_vcpu {
	struct co_vm *vm;
	u32 id;
	int started;
	struct co_os_mutex *run_lock;	/* one runner at a time */
	struct co_os_wait *wait;
	struct co_os_timer *timer;
	/* The host's news when the last call ended, and of when the runner has seen
	 * what they brought: it looks between two calls. */
	u64 out, looked;
	u32 ticks;			/* interrupts that brought none */
	volatile u32 cpu;		/* where it is in the guest world, or CO_NO_CPU */
	volatile u32 timer_fired;
	volatile u32 parked;		/* CO_RUN_IDLE was said: the handle tells when to run */

	struct co_block state;		/* MON_VCPU pages: stack, mon_vcpu, vinfo table */
	struct co_block gate;		/* MON_GATE pages */
	struct co_block entry;		/* MON_ENTRY pages */
	struct co_block host;		/* MON_HOST: passage page, transition GDT page 0 */
	struct co_block views;		/* third-level pages: transition, guest, user */
	struct co_block root;		/* transition root (1 page, even frame), and L4 under LA57 */
	struct co_block root4;
	struct co_block fpu;
	struct mon_vcpu *mon;
	struct mon_gate *vars;
	struct co_passage *passage;
	u64 last_gdt_base;
	u64 host_dr[8];
	u64 run_tsc;			/* ticks spent in passages and the guest world */
};

struct co_vm {
	u32 id, owner;
	char name[CO_NAME_LEN];
	struct co_os_mutex *lock;
	struct co_vm *next;
	u32 state, shutdown_reason;
	volatile u32 killed;
	char why[CO_WHY_LEN];

	u64 ram_pages, frames;
	struct co_os_ram *ram;
	u64 overhead_pages;

	struct co_block mon_pages;	/* MON_VM */
	struct co_block trace;
	struct co_block finfo, m2p, pool;
	struct co_block phys_l1, pool_l1;
	struct co_block tables;		/* all other tables */
	u64 tables_used;
	u64 *l2[512];			/* by third-level index */
	u64 last_entry, *last_table;	/* memory.c's last table found by frame */
	struct mon_vm *mon;
	struct mon_trace *ring;
	struct co_os_wait *notified;	/* who polls the handle sleeps here */
	u64 looked;			/* co_os_news when CO_EVENTS returned */
	u64 time_checked;		/* TSC of the last look at the host's clock */
	struct co_vcpu vcpu;		/* one in this build; arrays come with more */
};

/* How a monitor rings at the CPU that its own is not: a local APIC's command (os/). */
struct co_bell {
	u64 hfn;
	u32 to, how;
};

/* What is the same for every VM: found once when the kext loads. */
struct co_host {
	u32 protect, user_view, measure;
	u32 la57, has_xsave, has_debugctl, has_pebs, has_rtit;
	u32 guest_cpu;			/* one of two, where guests run and nothing else; or CO_NO_CPU */
	struct co_bell bell;		/* if so: to the other */
	u64 xcr0_mask, phys_mask;
	u64 obstacles, features;
	u32 fpu_bytes;
	struct co_block text;		/* the blob, page-aligned */
	const struct mon_header *header;
	struct co_os_mutex *lock;	/* vms, ids */
	struct co_vm *vms;
	u32 next_id, nvms;
};
extern struct co_host co_host;

/* host.c */
int co_core_start(u32 protect, int user_view);	/* user_view: -1 as the CPU needs */
void co_core_stop(void);
void co_host_hello(struct co_hello *h);

/* vm.c */
int co_vm_create(const struct co_vm_create *request, struct co_vm **out);
void co_vm_destroy(struct co_vm *vm);		/* the last handle is closed */
int co_vm_end(u32 id);				/* CO_VM_DESTROY */
void co_vm_kill(struct co_vm *vm, const char *why);
void co_vm_status(struct co_vm *vm, struct co_vm_status *s);
int co_vm_trace(struct co_vm *vm, struct co_trace *t);

/* memory.c */
int co_block_alloc(struct co_vm *vm, struct co_block *b, u64 bytes);
void co_block_free(struct co_block *b);
int co_memory_build(struct co_vm *vm);
void co_memory_free(struct co_vm *vm);
int co_memory_refresh(struct co_vcpu *v);	/* the host's half of the transition root */

/* vcpu.c */
int co_vcpu_init(struct co_vm *vm, struct co_vcpu *v);
void co_vcpu_free(struct co_vcpu *v);
int co_vcpu_set(struct co_vm *vm, const struct co_vm_set *s);
int co_vcpu_run(struct co_vm *vm, struct co_vcpu_run *r);
void co_vcpu_kick(struct co_vcpu *v);
int co_vcpu_wants_run(struct co_vcpu *v);	/* it waits outside (CO_RUN_SOLO), and need not */

/* cpu.c: the CPU's own state around a passage. */
void co_cpu_gates(struct co_vcpu *v);
void co_cpu_pass(struct co_vcpu *v);		/* there and back */
void co_cpu_probe(void);
void co_cpu_barriers(int which);		/* -1 as the CPU needs, 0 none, 1 all */

/* event.c */
int co_event_raise(struct co_vm *vm, u32 port);
int co_event_ready(struct co_vm *vm);		/* is the handle readable?  never sleeps */
u32 co_event_take(struct co_vm *vm, u32 lazy, u32 *ports);	/* CO_RUN_PORTS at most */
int co_event_serve(struct co_vm *vm, struct co_events *e);	/* CO_EVENTS */

/* timer.c */
void co_time_start(struct co_vm *vm);
void co_time_check(struct co_vm *vm);
u64 co_time_now(struct co_vm *vm);		/* the guest's system time, ns */
int co_timer_arm(struct co_vcpu *v);
void co_timer_fired(void *vcpu);

/* device.c: one call from user space.  vm is NULL on the control handle. */
int co_device_call(struct co_vm *vm, void *os_file, u32 command, u64 address);
int co_device_act(struct co_vm *vm, void *os_file, u32 command, void *data, u64 bytes);

#endif
