/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /dev/colinux: the only ABI between the kernel extension and user space.
 *
 * Rules: fixed-width members, no implicit padding, every struct starts with
 * `size` (the caller's sizeof; a mismatch is -CO_EABI) and is copied whole,
 * once.  User addresses are explicit u64.  Calls return 0 or a negative host
 * errno only for the transport itself (bad fd, fault); every call of ours puts
 * its own result, 0 or -CO_E..., in `result`.
 *
 * Who calls: colinuxd uses the control calls on /dev/colinux itself; a worker
 * uses the VM calls on the one handle it was given (Linux: an anonymous-inode
 * fd, Darwin: a cloned minor).
 */
#ifndef CO_ABI_H
#define CO_ABI_H

#if defined(__KERNEL__) && defined(__linux__)
#include <linux/types.h>
#include <linux/ioctl.h>
typedef __u8 co_u8; typedef __u16 co_u16; typedef __u32 co_u32;
typedef __u64 co_u64; typedef __s32 co_s32; typedef __s64 co_s64;
#else
typedef unsigned char co_u8; typedef unsigned short co_u16;
typedef unsigned int co_u32; typedef unsigned long long co_u64;
typedef int co_s32; typedef long long co_s64;
#if !defined(CO_FREESTANDING)
#include <sys/ioctl.h>
#elif !defined(_IOWR)
#define _IOWR(group, nr, type)	(3u << 30 | (unsigned int)sizeof(type) << 16 | (group) << 8 | (nr))
#endif
#endif

#define CO_ABI_VERSION 5u

enum co_error {
	CO_OK = 0,
#define CO_ERROR(name, number, text, hint) CO_E##name = number,
#include "errors.def"
#undef CO_ERROR
};

#define CO_PAGE_SIZE	4096ull
#define CO_PAGE_SHIFT	12
#define CO_MAX_VMS	32u
#define CO_MAX_VCPUS	1u		/* laid out for more; this build runs one */
#define CO_MIN_MEMORY	(32ull << 20)	/* bytes; a Debian kernel needs about 64 MiB */
#define CO_MAX_MEMORY	(64ull << 30)
#define CO_MAX_PORTS	4096u		/* 2-level event channels */
#define CO_NAME_LEN	32u		/* VM name, NUL included */
#define CO_WHY_LEN	160u		/* reason of death, NUL included */
#define CO_BUILD_LEN	24u		/* build id, NUL included */

/*
 * Guest frames 0 .. ram_pages-1 are RAM.  Above them lie the frames that no
 * p2m names: shared_info first, then the grant table.
 */
#define CO_SHARED_INFO_GFN(ram_pages)	(ram_pages)
#define CO_GRANT_GFN(ram_pages)		((ram_pages) + 1)
#define CO_GRANT_FRAMES			32u
#define CO_SPECIAL_FRAMES		(1u + CO_GRANT_FRAMES)

/* Event-channel ports that exist when a domain starts (start_info names them). */
#define CO_PORT_XENSTORE	1u
#define CO_PORT_CONSOLE		2u

/* ---- CO_HELLO ------------------------------------------------------- */

/* What stops guests on this host; co_hello.obstacles. */
#define CO_OBSTACLE_NOT_LONG_MODE	(1u << 0)
#define CO_OBSTACLE_FRED		(1u << 1)	/* int n cannot re-raise */
#define CO_OBSTACLE_SLOT_IN_USE		(1u << 2)	/* the monitor's top-level slot */
#define CO_OBSTACLE_NO_TSC		(1u << 3)
#define CO_OBSTACLE_XEN_HOST		(1u << 4)	/* we are ourselves a PV guest */

/* What the host has or does; co_hello.features. */
#define CO_FEATURE_VMX_ON		(1u << 0)
#define CO_FEATURE_SVME			(1u << 1)
#define CO_FEATURE_LA57			(1u << 2)
#define CO_FEATURE_HOST_PTI		(1u << 3)
#define CO_FEATURE_USER_VIEW		(1u << 4)	/* guests' user-only view is in force */
#define CO_FEATURE_TSC_STABLE		(1u << 5)
#define CO_FEATURE_PCID			(1u << 6)
#define CO_FEATURE_CET			(1u << 7)
#define CO_FEATURE_HYPERVISOR		(1u << 8)	/* the host itself runs in a VM */
#define CO_FEATURE_XSAVE		(1u << 9)
#define CO_FEATURE_UMIP			(1u << 10)	/* on in the guest world */
/* Between the worlds, where the CPU needs it: */
#define CO_FEATURE_IBPB			(1u << 11)	/* branch predictions forgotten on the way out */
#define CO_FEATURE_RSB			(1u << 12)	/* return predictions filled on the way out */
#define CO_FEATURE_VERW			(1u << 13)	/* CPU buffers cleared on the way in */
#define CO_FEATURE_BARRIERS		(CO_FEATURE_IBPB | CO_FEATURE_RSB | CO_FEATURE_VERW)

#define CO_PROTECT_NONE	0u
#define CO_PROTECT_WP	1u

struct co_hello {
	co_u32 size;
	co_s32 result;
	co_u32 abi_version;		/* in: the caller's; out: the kext's */
	co_u32 protect;			/* CO_PROTECT_* */
	co_u64 features;
	co_u64 obstacles;
	co_u64 cr0, cr3, cr4, efer;	/* as read on the calling CPU */
	co_u64 tsc_khz;
	co_u64 memory_total, memory_free;	/* bytes */
	co_u64 held_pages;		/* pages the kext holds now; 0 without VMs */
	co_u32 cpus, vms;
	co_u32 cpu_signature;		/* CPUID 1 EAX */
	co_u32 monitor_bytes;		/* size of the embedded blob */
	char cpu_vendor[16];
	char cpu_brand[48];
	char build_id[CO_BUILD_LEN];
};

/* ---- CO_VM_CREATE / CO_VM_DESTROY (control handle) ------------------- */

struct co_vm_create {
	co_u32 size;
	co_s32 result;
	co_u64 memory_bytes;		/* multiple of 4096 */
	co_u32 vcpus;
	co_u32 owner_uid;
	co_s32 handle;			/* out: fd (Linux) or minor (Darwin) */
	co_u32 id;			/* out: unique while the module is loaded */
	char name[CO_NAME_LEN];
};

struct co_vm_destroy {			/* ends the VM now; its handle stays closable */
	co_u32 size;
	co_s32 result;
	co_u32 id;
	co_u32 pad;
};

/* ---- calls on a VM handle -------------------------------------------- */

struct co_vm_map {			/* map guest frames into the caller, shared */
	co_u32 size;
	co_s32 result;
	co_u64 gfn, pages;		/* may run up to ram_pages + CO_SPECIAL_FRAMES */
	co_u32 writable, pad;
	co_u64 address;			/* out: user address */
};

struct co_vm_set {			/* start state of a vCPU; once, before CO_VCPU_RUN */
	co_u32 size;
	co_s32 result;
	co_u32 vcpu, pad;
	co_u64 rip, rsp, rsi;		/* guest virtual; rsi = start_info */
	co_u64 cr3_gfn;			/* frame of the guest's top-level table */
};

enum co_exit {
	CO_EXIT_NONE = 0,
	CO_EXIT_INTR = 1,		/* a signal is pending for the caller */
	CO_EXIT_EVENT = 2,		/* ports[0..nports) were notified; not with CO_RUN_ON.
					 * detail: 0, CO_RUN_IDLE or CO_RUN_STILL */
	CO_EXIT_SHUTDOWN = 3,		/* detail = SHUTDOWN_* (Xen's numbers) */
	CO_EXIT_KILLED = 4,		/* CO_VM_STATUS has the reason */
	CO_EXIT_CONSOLE = 5,		/* CONSOLEIO_write: text[0..nports) bytes */
};

#define CO_RUN_PORTS	60u

/*
 * co_vcpu_run.detail, in, one of these or 0.
 *
 * ON: another thread serves the devices.  The guest's notices do not end the call,
 * CO_EVENTS has them.  On a host with a CPU for guests (co_vm_status.guest_cpu) the thread
 * is moved there.
 *
 * SOLO: this very thread does, between calls, on a host where a second one could not
 * run anyway.  Notices are held until the guest's run ends by itself or by a host
 * interrupt; then the call returns, as CO_EXIT_EVENT: always if there are any, else
 * where a descriptor of the caller's may have changed, and after a few ticks of the
 * host's clock all the same, for the caller's timers.  CO_RUN_IDLE in detail says that
 * the guest waits: to run it is of no use before the handle polls as readable.  Going
 * in, ports[0..nports) are raised first, as by CO_EVENT.  A guest that waits, and for
 * which there is nothing, is not run: CO_RUN_STILL.
 *
 * NAP: does not run the guest.  While it waits and there is nothing for it, waits for this
 * CPU's next interrupt, or for none if one has come since the caller could last see what
 * it brought (before the last run, after the last nap): not beyond the host's next tick,
 * because the CPU only halts, and nothing else runs on it.  What a guest waits for is
 * often so near that to put the thread to sleep and to wake it would take longer.
 * CO_RUN_STILL if there is still nothing; no ports are taken.
 */
#define CO_RUN_ON	1u
#define CO_RUN_SOLO	2u
#define CO_RUN_NAP	3u
#define CO_RUN_IDLE	1u
#define CO_RUN_STILL	2u

struct co_vcpu_run {
	co_u32 size;
	co_s32 result;
	co_u32 vcpu;
	co_u32 exit;			/* enum co_exit */
	co_u32 detail;			/* in: 0 or CO_RUN_...; out: see enum co_exit */
	co_u32 nports;			/* used entries of ports, or bytes of text; in: for SOLO */
	union {
		co_u32 ports[CO_RUN_PORTS];
		char text[CO_RUN_PORTS * 4];
	};
};

struct co_event {			/* raise a port in the guest; any thread */
	co_u32 size;
	co_s32 result;
	co_u32 port, pad;
};

/*
 * Which ports the guest has notified since the last call; never waits.  The VM
 * handle polls as readable while there are some.  A port is announced once: until
 * it is taken, further notices cost the guest nothing.  `lazy` is a port whose
 * notices may wait: when this call brings it, it is not announced again before the
 * next call, which the caller promises to make soon.
 *
 * Two modes more, on a host with a CPU for guests (elsewhere -CO_EINVAL), for a caller
 * that serves on the other one.  SOON: it calls again in a moment; until then notices only
 * wait, and what it raises waits for the guest to look, as one does that has gone idle.
 * NAP: first it waits here, for a notice or this CPU's next interrupt, or for neither if
 * one has come since the last call returned, when the caller began to look what they
 * brought: not beyond the host's next tick, because the CPU only halts.
 */
#define CO_EVENTS_ALL	0u
#define CO_EVENTS_SOON	1u
#define CO_EVENTS_NAP	2u

struct co_events {
	co_u32 size;
	co_s32 result;
	co_u32 lazy;			/* 0: none */
	co_u32 mode;			/* CO_EVENTS_... */
	co_u32 nports, pad;
	co_u32 ports[CO_RUN_PORTS];
};

struct co_vm_kill {			/* first reason wins */
	co_u32 size;
	co_s32 result;
	char why[CO_WHY_LEN];
};

enum co_vm_state {
	CO_VM_CREATED = 0, CO_VM_RUNNING = 1, CO_VM_SHUTDOWN = 2, CO_VM_KILLED = 3,
};

/* Counters of one VM, monotonic; the monitor's own in its trace page. */
struct co_counters {
	co_u64 passages;		/* round trips between the worlds */
	co_u64 interrupts;		/* host interrupts re-raised */
	co_u64 nmis, nmis_in_monitor;
	co_u64 slow_paths;		/* entries into the monitor's C code */
	co_u64 page_faults, fills, injected;
	co_u64 hypercalls;
	co_u64 cr3_writes, wp_toggles;
	co_u64 shadow_allocs, shadow_recycles, unsyncs, resyncs;
	co_u64 emulated;
	co_u64 timer_exits, blocks;
	co_u64 run_ns;			/* time inside the guest world */
	co_u64 notices;			/* ports that the guest notified */
	co_u64 longest_off;		/* TSC ticks, only if the module measures: the longest
					 * stretch of the monitor's with interrupts off */
};

struct co_vm_status {
	co_u32 size;
	co_s32 result;
	co_u32 state;			/* enum co_vm_state */
	co_u32 shutdown_reason;
	co_u32 guest_cpu, pad;		/* which CPU guests have to themselves; ~0: none */
	co_u64 ram_pages, overhead_pages;
	co_u64 shadow_pages, shadow_used;
	struct co_counters counters;
	char why[CO_WHY_LEN];
};

/* One line of the trace ring, newest last. */
struct co_trace_entry {
	co_u64 tsc;
	co_u32 what, vcpu;		/* what: enum co_trace_what */
	co_u64 a, b, c, d;
};

struct co_trace {
	co_u32 size;
	co_s32 result;
	co_u32 max, count;		/* in: room; out: entries written */
	co_u64 address;			/* user address of co_trace_entry[max] */
};

#define CO_IOC_GROUP		0xC0
#define CO_HELLO		_IOWR(CO_IOC_GROUP, 0, struct co_hello)
#define CO_VM_CREATE		_IOWR(CO_IOC_GROUP, 1, struct co_vm_create)
#define CO_VM_DESTROY		_IOWR(CO_IOC_GROUP, 2, struct co_vm_destroy)
#define CO_VM_MAP		_IOWR(CO_IOC_GROUP, 16, struct co_vm_map)
#define CO_VM_SET		_IOWR(CO_IOC_GROUP, 17, struct co_vm_set)
#define CO_VCPU_RUN		_IOWR(CO_IOC_GROUP, 18, struct co_vcpu_run)
#define CO_EVENT		_IOWR(CO_IOC_GROUP, 19, struct co_event)
#define CO_VM_STATUS		_IOWR(CO_IOC_GROUP, 20, struct co_vm_status)
#define CO_VM_KILL		_IOWR(CO_IOC_GROUP, 21, struct co_vm_kill)
#define CO_TRACE		_IOWR(CO_IOC_GROUP, 22, struct co_trace)
#define CO_EVENTS		_IOWR(CO_IOC_GROUP, 23, struct co_events)

_Static_assert(sizeof(struct co_hello) == 200, "co_hello");
_Static_assert(sizeof(struct co_vm_create) == 64, "co_vm_create");
_Static_assert(sizeof(struct co_vm_map) == 40, "co_vm_map");
_Static_assert(sizeof(struct co_vm_set) == 48, "co_vm_set");
_Static_assert(sizeof(struct co_vcpu_run) == 264, "co_vcpu_run");
_Static_assert(sizeof(struct co_event) == 16, "co_event");
_Static_assert(sizeof(struct co_events) == 264, "co_events");
_Static_assert(sizeof(struct co_vm_kill) == 168, "co_vm_kill");
_Static_assert(sizeof(struct co_counters) == 168, "co_counters");
_Static_assert(sizeof(struct co_trace_entry) == 48, "co_trace_entry");
_Static_assert(sizeof(struct co_vm_status) == 384, "co_vm_status");
_Static_assert(sizeof(struct co_trace) == 24, "co_trace");

#endif
