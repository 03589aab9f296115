/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What core's tests share: calls as a program makes them, and a scripted CPU. */
#ifndef CORE_TEST_H
#define CORE_TEST_H

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "../../kext/core/core.h"
#include "../../kext/os/fake/fake.h"
#include "unit.h"

#define MIB	(1ull << 20)

/* ---- a guest that is a function ----------------------------------------------- */

static u32 (*guest)(struct co_vcpu *v);

void co_cpu_pass(struct co_vcpu *v)
{
	v->mon->exit = guest ? guest(v) : MON_EXIT_YIELD;
	v->mon->counters.passages++;
}

/* ---- calls --------------------------------------------------------------------- */

/* One call with the struct in user memory; its own result, or -1000 - transport. */
static int call_at(struct co_vm *vm, u32 command, void *arg, u64 bytes)
{
	int ret;

	fake_user(arg, bytes, 1);
	ret = co_device_call(vm, 0, command, (u64)arg);
	fake_user_clear();
	return ret ? -1000 + ret : ((s32 *)arg)[1];
}

#define CALL(vm, command, arg) \
	((arg)->size = sizeof(*(arg)), call_at(vm, command, arg, sizeof(*(arg))))

static inline struct co_vm_create request(const char *name, u64 bytes)
{
	struct co_vm_create c = { .memory_bytes = bytes, .vcpus = 1, .owner_uid = 1000 };

	strncpy(c.name, name, sizeof(c.name));
	return c;
}

static inline struct co_vm *create(s32 *handle)
{
	struct co_vm_create c = request("vm", 64 * MIB);
	int ret = CALL(NULL, CO_VM_CREATE, &c);

	CHECK(ret == 0, "%d", ret);
	*handle = c.handle;
	return fake_handle(c.handle);
}

static inline struct co_vm *started(s32 *handle)
{
	struct co_vm *vm = create(handle);
	struct co_vm_set set = { .rip = 1, .rsp = 2, .rsi = 3, .cr3_gfn = 4 };

	CHECK(CALL(vm, CO_VM_SET, &set) == 0);
	return vm;
}

static u64 base_live, base_held;

static inline void all_gone(const char *when)
{
	CHECK(fake_live() == base_live, "%s: %llu objects, before %llu", when, fake_live(), base_live);
	CHECK(co_os_held_pages() == base_held, "%s: %llu pages, before %llu", when,
	      co_os_held_pages(), base_held);
	CHECK(!co_host.vms && !co_host.nvms, "%s", when);
}

static inline int start(void)
{
	fake_reset();
	if (co_core_start(CO_PROTECT_WP, -1)) {
		printf("not ok core does not start\n");
		return 1;
	}
	base_live = fake_live();
	base_held = co_os_held_pages();
	return 0;
}

#endif
