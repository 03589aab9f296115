/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events: for the guest, from any thread, a bit in the inbox and a kick; from the
 * guest, bits in the outbox, which the worker polls for and takes.
 */
#include "core.h"

int co_event_raise(struct co_vm *vm, u32 port)
{
	if (!port || port >= CO_MAX_PORTS)
		return -CO_EINVAL;
	__sync_fetch_and_or(&vm->mon->inbox[port / 64], 1ull << (port & 63));
	__sync_fetch_and_or(&vm->mon->inbox_summary, 1ull << (port / 64));
	if (!vm->mon->awake)
		co_vcpu_kick(&vm->vcpu);
	return 0;
}

int co_event_ready(struct co_vm *vm)
{
	u64 words = vm->mon->outbox_summary;
	u32 lazy = vm->mon->lazy_port;

	while (words) {
		u32 w = (u32)__builtin_ctzll(words);
		u64 bits = vm->mon->outbox[w];

		words &= words - 1;
		if (lazy && lazy / 64 == w)
			bits &= ~(1ull << (lazy & 63));
		if (bits)
			return 1;
	}
	return co_vcpu_wants_run(&vm->vcpu);
}

/*
 * First nothing is lazy, then the summary goes, then the bits: a notice that comes
 * meanwhile is either taken here or announced.
 */
u32 co_event_take(struct co_vm *vm, u32 lazy, u32 *ports)
{
	struct mon_vm *mon = vm->mon;
	u64 words, bits;
	u32 n = 0;

	__atomic_store_n(&mon->lazy_port, 0, __ATOMIC_SEQ_CST);
	words = __atomic_exchange_n(&mon->outbox_summary, 0, __ATOMIC_SEQ_CST);
	while (words) {
		u32 w = (u32)__builtin_ctzll(words);

		bits = __atomic_exchange_n(&mon->outbox[w], 0, __ATOMIC_SEQ_CST);
		for (; bits && n < CO_RUN_PORTS; bits &= bits - 1) {
			ports[n] = w * 64 + (u32)__builtin_ctzll(bits);
			if (ports[n++] == lazy)
				__atomic_store_n(&mon->lazy_port, lazy, __ATOMIC_SEQ_CST);
		}
		if (bits) {		/* no room: for the next call */
			__sync_fetch_and_or(&mon->outbox[w], bits);
			__sync_fetch_and_or(&mon->outbox_summary, words);
			break;
		}
		words &= words - 1;
	}
	return n;
}

/* ---- the caller on one CPU, the guest on the other ---------------------------------- */

#define GRACE_NS	100000		/* so long a guest may be on its way to idle */

static int stirs(void *arg)
{
	struct co_vm *vm = arg;

	return co_event_ready(vm) || vm->killed || vm->state != CO_VM_RUNNING;
}

/*
 * What the caller has raised is found by a guest that goes idle, or makes a hypercall; one
 * that only computes is interrupted for it.
 */
static void delivered(struct co_vm *vm)
{
	u64 from = co_time_now(vm);

	while (vm->mon->inbox_summary && !vm->mon->spinning && !stirs(vm) && co_os_news() == vm->looked) {
		if (co_time_now(vm) - from < GRACE_NS)
			continue;
		co_vcpu_kick(&vm->vcpu);
		return;
	}
}

int co_event_serve(struct co_vm *vm, struct co_events *e)
{
	struct mon_vm *mon = vm->mon;
	u32 was;

	if (e->lazy >= CO_MAX_PORTS || e->mode > CO_EVENTS_NAP)
		return -CO_EINVAL;
	if (e->mode && co_host.guest_cpu == CO_NO_CPU)
		return -CO_EINVAL;
	was = __atomic_exchange_n(&mon->awake, e->mode != CO_EVENTS_ALL, __ATOMIC_SEQ_CST);
	if (e->mode == CO_EVENTS_NAP) {
		delivered(vm);
		co_os_nap(vm->looked, stirs, vm, &mon->napping);
	} else if (was && e->mode == CO_EVENTS_ALL && mon->inbox_summary) {
		co_vcpu_kick(&vm->vcpu);
	}
	vm->looked = co_os_news();
	e->nports = co_event_take(vm, e->lazy, e->ports);
	return 0;
}
