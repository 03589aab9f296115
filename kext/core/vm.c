/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VM objects: made by colinuxd's CO_VM_CREATE, owned by their handle, gone when
 * its last user (descriptor or mapping) is.
 */
#include "core.h"

static int good_name(const char *s)
{
	u32 i;

	for (i = 0; i < CO_NAME_LEN && s[i]; i++) {
		char c = s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		      ((c == '-' || c == '_' || c == '.') && i)))
			return 0;
	}
	return i > 0 && i < CO_NAME_LEN;
}

#define HOST_SPARE	(64ull << 20)

static int check_request(const struct co_vm_create *r)
{
	u64 spare;

	if (co_host.obstacles)
		return -CO_ECPU;
	if (!good_name(r->name) || r->vcpus != 1 || (r->memory_bytes & (CO_PAGE_SIZE - 1)))
		return -CO_EINVAL;
	if (r->memory_bytes < CO_MIN_MEMORY || r->memory_bytes > CO_MAX_MEMORY ||
	    r->memory_bytes > co_os_memory_total())
		return -CO_EMEMORY;
	/* What is taken here is wired: the host must be left something to live on. */
	spare = co_os_memory_total() / 16;
	if (spare > HOST_SPARE)
		spare = HOST_SPARE;
	if (r->memory_bytes + r->memory_bytes / 32 + spare > co_os_memory_free())
		return -CO_ENOMEM;
	return 0;
}

static void free_vm(struct co_vm *vm)
{
	if (vm->vcpu.timer)		/* it looks into the monitor's memory */
		co_os_timer_cancel(vm->vcpu.timer);
	co_memory_free(vm);
	co_vcpu_free(&vm->vcpu);
	if (vm->notified)
		co_os_wait_free(vm->notified);
	if (vm->lock)
		co_os_mutex_free(vm->lock);
	co_os_free(vm, sizeof(*vm));
}

int co_vm_create(const struct co_vm_create *r, struct co_vm **out)
{
	struct co_vm *vm;
	int ret = check_request(r);
	u32 i;

	if (ret)
		return ret;
	vm = co_os_alloc(sizeof(*vm));
	if (!vm)
		return -CO_ENOMEM;
	vm->owner = r->owner_uid;
	for (i = 0; i < CO_NAME_LEN; i++)
		vm->name[i] = r->name[i];
	vm->ram_pages = r->memory_bytes >> CO_PAGE_SHIFT;
	vm->frames = vm->ram_pages + CO_SPECIAL_FRAMES;
	ret = -CO_ENOMEM;
	vm->lock = co_os_mutex_new();
	vm->notified = co_os_wait_new();
	if (!vm->lock || !vm->notified)
		goto fail;
	ret = co_vcpu_init(vm, &vm->vcpu);
	if (ret)
		goto fail;
	ret = co_memory_build(vm);
	if (ret)
		goto fail;

	co_os_mutex_lock(co_host.lock);
	ret = co_host.nvms < CO_MAX_VMS ? 0 : -CO_ELIMIT;
	if (!ret) {
		vm->id = ++co_host.next_id;
		vm->next = co_host.vms;
		co_host.vms = vm;
		co_host.nvms++;
	}
	co_os_mutex_unlock(co_host.lock);
	if (ret)
		goto fail;
	*out = vm;
	return 0;
fail:
	free_vm(vm);
	return ret;
}

void co_vm_destroy(struct co_vm *vm)
{
	struct co_vm **link;

	co_os_mutex_lock(co_host.lock);
	for (link = &co_host.vms; *link; link = &(*link)->next)
		if (*link == vm) {
			*link = vm->next;
			co_host.nvms--;
			break;
		}
	co_os_mutex_unlock(co_host.lock);
	free_vm(vm);
}

int co_vm_end(u32 id)
{
	struct co_vm *vm;

	co_os_mutex_lock(co_host.lock);
	for (vm = co_host.vms; vm && vm->id != id; vm = vm->next)
		;
	if (vm)
		co_vm_kill(vm, "ended by the helper");
	co_os_mutex_unlock(co_host.lock);
	return vm ? 0 : -CO_ENOENT;
}

/* The first reason wins. */
void co_vm_kill(struct co_vm *vm, const char *why)
{
	u32 i;

	co_os_mutex_lock(vm->lock);
	if (!vm->killed && vm->state != CO_VM_SHUTDOWN) {
		for (i = 0; i + 1 < CO_WHY_LEN && why[i]; i++)
			vm->why[i] = why[i];
		vm->why[i] = 0;
		vm->state = CO_VM_KILLED;
		vm->killed = 1;
	}
	co_os_mutex_unlock(vm->lock);
	co_vcpu_kick(&vm->vcpu);
}

void co_vm_status(struct co_vm *vm, struct co_vm_status *s)
{
	u32 i;

	s->state = vm->state;
	s->shutdown_reason = vm->shutdown_reason;
	s->guest_cpu = co_host.guest_cpu;
	s->ram_pages = vm->ram_pages;
	s->overhead_pages = vm->overhead_pages;
	s->shadow_pages = vm->mon->pool_pages;
	s->shadow_used = vm->mon->pool_pages - vm->mon->pool_free_count;
	s->counters = vm->vcpu.mon->counters;
	/* The monitor counts hypercalls and page faults apart, and toggles not at all. */
	s->counters.slow_paths += s->counters.hypercalls + s->counters.page_faults;
	s->counters.wp_toggles = co_host.protect ? s->counters.slow_paths : 0;
	s->counters.run_ns = vm->vcpu.run_tsc / co_os_tsc_khz() * 1000000;	/* whole ms */
	for (i = 0; i < CO_WHY_LEN; i++)
		s->why[i] = vm->why[i];
}

/* The newest entries, oldest first; the guest may run meanwhile and tear one. */
int co_vm_trace(struct co_vm *vm, struct co_trace *t)
{
	u64 next = vm->ring->next, n = next < MON_TRACE_ENTRIES ? next : MON_TRACE_ENTRIES, i;

	if (n > t->max)
		n = t->max;
	for (i = 0; i < n; i++)
		if (co_os_copy_out(t->address + i * sizeof(struct co_trace_entry),
				   &vm->ring->ring[(next - n + i) % MON_TRACE_ENTRIES],
				   sizeof(struct co_trace_entry)))
			return -CO_EFAULT;
	t->count = (u32)n;
	return 0;
}
