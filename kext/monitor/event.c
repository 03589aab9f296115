/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Event channels (2-level), and sched_op.
 *
 * Pending and mask bits live in shared_info, which the guest writes; port
 * numbers are ours or checked.  The host half raises ports through mon_vm.inbox.
 */
#include "mon.h"
#include "xen/sched.h"

#define APIC_COMMAND	0x300

#define SHARED	((volatile struct shared_info *)(MON_PHYS + (CO_SHARED_INFO_GFN(VM->ram_pages) << 12)))

static int test_and_set(volatile u64 *p, u32 bit)
{
	u8 old;

	__asm__ volatile("lock btsq %2, %1; setc %0"
			 : "=q"(old), "+m"(*p) : "r"((u64)bit & 63) : "memory", "cc");
	return old;
}

static void upcall(u32 port)
{
	test_and_set((volatile u64 *)&VINFO->evtchn_pending_sel, port / 64);
	VINFO->evtchn_upcall_pending = 1;
}

void mon_event_set(u32 port)
{
	if (port >= CO_MAX_PORTS)
		return;
	if (test_and_set(&SHARED->evtchn_pending[port / 64], port))
		return;
	if (!(SHARED->evtchn_mask[port / 64] >> (port & 63) & 1))
		upcall(port);
}

void mon_event_virq(u32 virq)
{
	u32 port = virq < 8 ? VM->virq_port[virq] : 0;

	if (port)
		mon_event_set(port);
}

#define INBOX_SLICE	1024u	/* ports raised in one go; the worker may raise them all */

void mon_event_inbox(void)
{
	u64 words = __atomic_exchange_n(&VM->inbox_summary, 0, __ATOMIC_SEQ_CST);
	u32 n = 0;

	while (words) {
		u32 w = (u32)__builtin_ctzll(words);
		u64 bits = __atomic_exchange_n(&VM->inbox[w], 0, __ATOMIC_SEQ_CST);

		words &= words - 1;
		if (bits && n >= INBOX_SLICE) {		/* at the next exit */
			__atomic_fetch_or(&VM->inbox[w], bits, __ATOMIC_SEQ_CST);
			__atomic_fetch_or(&VM->inbox_summary, 1ull << w, __ATOMIC_SEQ_CST);
			continue;
		}
		for (; bits; n++) {
			u32 port = w * 64 + (u32)__builtin_ctzll(bits);

			bits &= bits - 1;
			if (VM->ports[port].state == MON_PORT_HOST)
				mon_event_set(port);
		}
	}
}

void mon_event_init(void)
{
	volatile struct shared_info *s = SHARED;
	u32 i;

	((u64 *)MON_VINFO_PT)[0] = mon_frame_addr(CO_SHARED_INFO_GFN(VM->ram_pages)) |
				   PTE_P | PTE_RW | PTE_A | PTE_D | PTE_NX;
	GATE->vinfo = MON_VINFO;
	V->vinfo_gfn = CO_SHARED_INFO_GFN(VM->ram_pages);
	for (i = 0; i < 64; i++)
		s->evtchn_mask[i] = ~0ull;
	for (i = 0; i < XEN_LEGACY_MAX_VCPUS; i++)
		s->vcpu_info[i].evtchn_upcall_mask = 1;
	VM->ports[CO_PORT_XENSTORE].state = MON_PORT_HOST;
	VM->ports[CO_PORT_CONSOLE].state = MON_PORT_HOST;
}

static u32 new_port(void)
{
	u32 p;

	for (p = CO_PORT_CONSOLE + 1; p < CO_MAX_PORTS; p++) {
		if (VM->ports[p].state == MON_PORT_FREE)
			return p;
		if (!(p & 63))
			mon_work(40);
	}
	return 0;
}

static void close_port(u32 p)
{
	if (VM->ports[p].state == MON_PORT_VIRQ && VM->ports[p].virq < 8 &&
	    VM->virq_port[VM->ports[p].virq] == p)
		VM->virq_port[VM->ports[p].virq] = 0;
	VM->ports[p].state = MON_PORT_FREE;
	__atomic_fetch_and(&VM->inbox[p / 64], ~(1ull << (p & 63)), __ATOMIC_SEQ_CST);
	__atomic_fetch_and(&SHARED->evtchn_pending[p / 64], ~(1ull << (p & 63)), __ATOMIC_SEQ_CST);
}

/* Make the host's other CPU take an interrupt, and no passage. */
static void ring(void)
{
	volatile u32 *command = (volatile u32 *)(MON_APIC + APIC_COMMAND);

	command[4] = VM->bell_to;	/* the high word, 16 bytes on */
	command[0] = VM->bell_how;
}

/*
 * Tell the host half.  A port that it has not taken yet is known to it already; the
 * order of bit, summary and lazy_port is that of co_event_take, the other way round.
 */
static s64 notify_host(u32 port)
{
	COUNT(notices);
	if (test_and_set(&VM->outbox[port / 64], port))
		return 0;
	__atomic_fetch_or(&VM->outbox_summary, 1ull << (port / 64), __ATOMIC_SEQ_CST);
	if (port == VM->lazy_port || VM->solo)
		return 0;
	if (!VM->awake)
		mon_exit(MON_EXIT_EVENT);
	else if (VM->napping)
		ring();
	return 0;
}

static s64 send(u32 p)
{
	if (!p || p >= CO_MAX_PORTS)
		return -XEN_EINVAL;
	switch (VM->ports[p].state) {
	case MON_PORT_HOST:
		return notify_host(p);
	case MON_PORT_IPI:
		mon_event_set(p);
		return 0;
	default:
		return -XEN_EINVAL;
	}
}

static s64 bind_virq(struct evtchn_bind_virq *b)
{
	u32 p;

	if (b->virq >= NR_VIRQS || b->vcpu >= VM->vcpus)
		return -XEN_EINVAL;
	if (b->virq < 8 && VM->virq_port[b->virq])
		return -XEN_EEXIST;
	p = new_port();
	if (!p)
		return -XEN_ENOSPC;
	VM->ports[p].state = MON_PORT_VIRQ;
	VM->ports[p].virq = (u16)b->virq;
	if (b->virq < 8)
		VM->virq_port[b->virq] = p;
	b->port = p;
	return 0;
}

static s64 unmask(u32 p)
{
	u64 bit = 1ull << (p & 63);

	if (!p || p >= CO_MAX_PORTS)
		return -XEN_EINVAL;
	if (__atomic_fetch_and(&SHARED->evtchn_mask[p / 64], ~bit, __ATOMIC_SEQ_CST) & bit)
		if (SHARED->evtchn_pending[p / 64] & bit)
			upcall(p);
	return 0;
}

s64 mon_hc_event(u32 op, u64 va)
{
	union {
		struct evtchn_bind_virq virq;
		struct evtchn_bind_ipi ipi;
		struct evtchn_alloc_unbound unbound;
		struct evtchn_status status;
		u32 port;
	} u;
	u64 size;
	s64 ret;

	switch (op) {
	case EVTCHNOP_bind_virq: size = sizeof(u.virq); break;
	case EVTCHNOP_bind_ipi: size = sizeof(u.ipi); break;
	case EVTCHNOP_alloc_unbound: size = sizeof(u.unbound); break;
	case EVTCHNOP_status: size = sizeof(u.status); break;
	case EVTCHNOP_close:
	case EVTCHNOP_send:
	case EVTCHNOP_unmask: size = 4; break;
	case EVTCHNOP_bind_vcpu: return 0;
	default: return -XEN_ENOSYS;	/* init_control: selects the 2-level ABI */
	}
	if (mon_get(&u, va, size))
		return -XEN_EFAULT;
	switch (op) {
	case EVTCHNOP_send:
		return send(u.port);
	case EVTCHNOP_unmask:
		return unmask(u.port);
	case EVTCHNOP_close:
		if (!u.port || u.port >= CO_MAX_PORTS || VM->ports[u.port].state == MON_PORT_FREE)
			return -XEN_EINVAL;
		close_port(u.port);
		return 0;
	case EVTCHNOP_bind_virq:
		ret = bind_virq(&u.virq);
		break;
	case EVTCHNOP_bind_ipi:
		if (u.ipi.vcpu >= VM->vcpus)
			return -XEN_ENOENT;
		u.ipi.port = new_port();
		ret = u.ipi.port ? 0 : -XEN_ENOSPC;
		if (!ret)
			VM->ports[u.ipi.port].state = MON_PORT_IPI;
		break;
	case EVTCHNOP_alloc_unbound:
		/* A frontend's, for domain 0, the worker; Linux asks one for itself if it
		 * was not given a xenstore. */
		if (u.unbound.dom != DOMID_SELF ||
		    (u.unbound.remote_dom != 0 && u.unbound.remote_dom != DOMID_SELF))
			return -XEN_ESRCH;
		u.unbound.port = new_port();
		ret = u.unbound.port ? 0 : -XEN_ENOSPC;
		if (!ret)
			VM->ports[u.unbound.port].state = MON_PORT_HOST;
		break;
	default: {
		static const u8 status[] = { EVTCHNSTAT_closed, EVTCHNSTAT_interdomain,
					     EVTCHNSTAT_virq, EVTCHNSTAT_ipi };

		if (u.status.port >= CO_MAX_PORTS)
			return -XEN_EINVAL;
		u.status.status = status[VM->ports[u.status.port].state & 3];
		u.status.vcpu = 0;
		u.status.u.virq = VM->ports[u.status.port].virq;
		ret = 0;
	}
	}
	return ret ? ret : mon_put(va, &u, size);
}

static s64 poll(u64 va)
{
	struct sched_poll p;
	u32 i, port;

	if (mon_get(&p, va, sizeof(p)))
		return -XEN_EFAULT;
	if (p.nr_ports > 128)
		return -XEN_EINVAL;
	mon_work(1000);		/* 128 ports at most */
	for (i = 0; i < p.nr_ports; i++) {
		if (mon_get(&port, p.ports + i * 4ull, 4))
			return -XEN_EFAULT;
		if (port >= CO_MAX_PORTS)
			return -XEN_EINVAL;
		if (SHARED->evtchn_pending[port / 64] >> (port & 63) & 1)
			return 0;
	}
	mon_exit(MON_EXIT_YIELD);	/* poll may return early */
	return 0;
}

/*
 * An idle guest with a CPU to itself: what it waits for comes into the inbox sooner, mostly,
 * than a passage out and in would take.  Nobody is interrupted for that (co_vcpu_kick), the
 * host's own interrupts wait as long.  1: it has something to do.
 */
static int spin(void)
{
	u64 from = mon_rdtsc();

	VM->spinning = 1;
	__sync_synchronize();
	while (!VM->inbox_summary && !V->nmi_pending && !V->mc_pending && mon_rdtsc() - from < VM->spin &&
	       !(V->deadline_ns && mon_now() >= V->deadline_ns))
		;
	VM->spinning = 0;
	__sync_synchronize();	/* who has not interrupted us has raised before */
	mon_event_inbox();
	mon_timer_check();
	return VINFO->evtchn_upcall_pending;
}

s64 mon_hc_sched(struct mon_frame *f, u32 op, u64 va)
{
	struct sched_shutdown s;

	(void)f;
	switch (op) {
	case SCHEDOP_yield:
		mon_exit(MON_EXIT_YIELD);
		return 0;
	case SCHEDOP_block:
		VINFO->evtchn_upcall_mask = 0;
		if (VINFO->evtchn_upcall_pending)
			return 0;
		COUNT(blocks);
		if (!VM->spin || !spin())
			mon_exit(MON_EXIT_BLOCK);
		return 0;
	case SCHEDOP_shutdown:
		if (mon_get(&s, va, sizeof(s)))
			return -XEN_EFAULT;
		V->exit_arg = s.reason;
		mon_exit(MON_EXIT_SHUTDOWN);
		return 0;
	case SCHEDOP_poll:
		return poll(va);
	default:
		return -XEN_ENOSYS;
	}
}
