/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events for the guest, from any thread: a bit in the inbox, and a kick. */
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
