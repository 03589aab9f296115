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
