/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One call from user space: copy the structure in once, check it, act, copy it
 * out.  The caller is root's helper (control) or a worker (its own VM); neither
 * is trusted with more than its handle says.
 */
#include "core.h"

union call {
	struct { u32 size; s32 result; } head;
	struct co_hello hello;
	struct co_vm_create create;
	struct co_vm_destroy destroy;
	struct co_vm_map map;
	struct co_vm_set set;
	struct co_vcpu_run run;
	struct co_event event;
	struct co_events events;
	struct co_vm_status status;
	struct co_vm_kill kill;
	struct co_trace trace;
};

static u32 size_of(u32 command)
{
	switch (command) {
	case CO_HELLO: return sizeof(struct co_hello);
	case CO_VM_CREATE: return sizeof(struct co_vm_create);
	case CO_VM_DESTROY: return sizeof(struct co_vm_destroy);
	case CO_VM_MAP: return sizeof(struct co_vm_map);
	case CO_VM_SET: return sizeof(struct co_vm_set);
	case CO_VCPU_RUN: return sizeof(struct co_vcpu_run);
	case CO_EVENT: return sizeof(struct co_event);
	case CO_EVENTS: return sizeof(struct co_events);
	case CO_VM_STATUS: return sizeof(struct co_vm_status);
	case CO_VM_KILL: return sizeof(struct co_vm_kill);
	case CO_TRACE: return sizeof(struct co_trace);
	default: return 0;
	}
}

static int create(void *os_file, struct co_vm_create *c)
{
	struct co_vm *vm;
	int ret = co_vm_create(c, &vm);

	if (ret)
		return ret;
	c->id = vm->id;
	ret = co_os_handle_create(vm, os_file, &c->handle);
	if (ret)
		co_vm_destroy(vm);
	return ret;
}

static int map(struct co_vm *vm, void *os_file, struct co_vm_map *m)
{
	if (!m->pages || m->gfn >= vm->frames || m->pages > vm->frames - m->gfn)
		return -CO_EINVAL;
	return co_os_ram_map(vm->ram, os_file, m->gfn, m->pages, !!m->writable, &m->address);
}

static int control(void *os_file, u32 command, union call *c)
{
	switch (command) {
	case CO_HELLO: {
		u32 theirs = c->hello.abi_version;

		c->hello.abi_version = CO_ABI_VERSION;
		co_host_hello(&c->hello);
		return theirs == CO_ABI_VERSION ? 0 : -CO_EABI;
	}
	case CO_VM_CREATE:
		return create(os_file, &c->create);
	case CO_VM_DESTROY:
		return co_vm_end(c->destroy.id);
	default:
		return -CO_ENOSYS;
	}
}

static int on_vm(struct co_vm *vm, void *os_file, u32 command, union call *c)
{
	switch (command) {
	case CO_VM_MAP:
		return map(vm, os_file, &c->map);
	case CO_VM_SET:
		return co_vcpu_set(vm, &c->set);
	case CO_VCPU_RUN:
		return co_vcpu_run(vm, &c->run);
	case CO_EVENT:
		return co_event_raise(vm, c->event.port);
	case CO_EVENTS:
		return co_event_serve(vm, &c->events);
	case CO_VM_STATUS:
		co_vm_status(vm, &c->status);
		return 0;
	case CO_VM_KILL:
		c->kill.why[CO_WHY_LEN - 1] = 0;
		co_vm_kill(vm, c->kill.why);
		return 0;
	case CO_TRACE:
		return co_vm_trace(vm, &c->trace);
	default:
		return -CO_ENOSYS;
	}
}

/*
 * The same for a host that copies a call's structure itself: `data` is kernel
 * memory, `bytes` long.  0: `result` is in it; else -CO_ENOSYS.
 */
int co_device_act(struct co_vm *vm, void *os_file, u32 command, void *data, u64 bytes)
{
	u32 size = size_of(command);
	union call *c = data;

	if (!size || bytes != size)
		return -CO_ENOSYS;
	if (c->head.size != size)
		c->head.result = -CO_EABI;
	else
		c->head.result = vm ? on_vm(vm, os_file, command, c) : control(os_file, command, c);
	return 0;
}

/* Returns 0 when `result` reached the caller, else -CO_EFAULT or -CO_ENOSYS. */
int co_device_call(struct co_vm *vm, void *os_file, u32 command, u64 address)
{
	u32 size = size_of(command);
	union call c;

	if (!size)
		return -CO_ENOSYS;
	if (co_os_copy_in(&c, address, size))
		return -CO_EFAULT;
	co_device_act(vm, os_file, command, &c, size);
	return co_os_copy_out(address, &c, size) ? -CO_EFAULT : 0;
}
