/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The host as a whole: what the CPU is, the monitor's image, CO_HELLO. */
#include "core.h"

#ifndef CO_BUILD_ID
#define CO_BUILD_ID "unknown"
#endif

struct co_host co_host;

static u64 read_cr(int n)
{
	u64 v;

	switch (n) {
	case 0: __asm__ volatile("mov %%cr0, %0" : "=r"(v)); break;
	case 3: __asm__ volatile("mov %%cr3, %0" : "=r"(v)); break;
	default: __asm__ volatile("mov %%cr4, %0" : "=r"(v)); break;
	}
	return v;
}

static u64 read_efer(void)
{
	u32 lo, hi;

	__asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(0xc0000080));
	return (u64)hi << 32 | lo;
}

/* The monitor's top-level slot is its link address's: it must be nobody's. */
static int slot_in_use(void)
{
	u64 top = read_cr(3) & 0x000ffffffffff000ull, e = 0;

	if (co_host.la57) {
		if (co_os_phys_read(top + 511 * 8, &e, 8))
			return 1;
		top = e & 0x000ffffffffff000ull;
	}
	return co_os_phys_read(top + MON_SLOT * 8, &e, 8) || e;
}

int co_core_start(u32 protect, int user_view)
{
	u64 bytes = (u64)(co_monitor_image_end - co_monitor_image), i;
	char *to;

	co_host.lock = co_os_mutex_new();
	if (!co_host.lock)
		return -CO_ENOMEM;
	if (co_block_alloc(0, &co_host.text, bytes)) {
		co_os_mutex_free(co_host.lock);
		return -CO_ENOMEM;
	}
	to = co_host.text.va;
	for (i = 0; i < bytes; i++)
		to[i] = (char)co_monitor_image[i];
	co_host.header = co_host.text.va;
	co_host.protect = protect;
	co_host.guest_cpu = CO_NO_CPU;
	co_cpu_probe();
	if (user_view >= 0) {
		co_host.features &= ~(u64)CO_FEATURE_USER_VIEW;
		co_host.features |= user_view ? CO_FEATURE_USER_VIEW : 0;
	}
	co_host.user_view = !!(co_host.features & CO_FEATURE_USER_VIEW);
	if (co_os_tsc_stable())
		co_host.features |= CO_FEATURE_TSC_STABLE;
	if (slot_in_use())
		co_host.obstacles |= CO_OBSTACLE_SLOT_IN_USE;
	return 0;
}

void co_core_stop(void)
{
	co_block_free(&co_host.text);
	co_os_mutex_free(co_host.lock);
}

static void cpu_strings(struct co_hello *h)
{
	u32 r[4], i, *brand = (u32 *)h->cpu_brand, *vendor = (u32 *)h->cpu_vendor;

	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(0), "c"(0));
	vendor[0] = r[1];
	vendor[1] = r[3];
	vendor[2] = r[2];
	vendor[3] = 0;
	__asm__ volatile("cpuid" : "=a"(h->cpu_signature), "=b"(r[1]), "=c"(r[2]), "=d"(r[3])
			 : "a"(1), "c"(0));
	for (i = 0; i < 3; i++)
		__asm__ volatile("cpuid" : "=a"(brand[4 * i]), "=b"(brand[4 * i + 1]),
				 "=c"(brand[4 * i + 2]), "=d"(brand[4 * i + 3])
				 : "a"(0x80000002 + i), "c"(0));
	h->cpu_brand[47] = 0;
}

void co_host_hello(struct co_hello *h)
{
	static const char build[] = CO_BUILD_ID;
	u32 i;

	h->protect = co_host.protect;
	h->features = co_host.features;
	h->obstacles = co_host.obstacles;
	h->cr0 = read_cr(0);
	h->cr3 = read_cr(3);
	h->cr4 = read_cr(4);
	h->efer = read_efer();
	h->tsc_khz = co_os_tsc_khz();
	h->memory_total = co_os_memory_total();
	h->memory_free = co_os_memory_free();
	h->held_pages = co_os_held_pages() - (co_host.text.bytes >> CO_PAGE_SHIFT);
	h->cpus = co_os_cpus();
	h->vms = co_host.nvms;
	h->monitor_bytes = (u32)(co_monitor_image_end - co_monitor_image);
	cpu_strings(h);
	for (i = 0; i < CO_BUILD_LEN; i++)
		h->build_id[i] = i < sizeof(build) ? build[i] : 0;
	h->build_id[CO_BUILD_LEN - 1] = 0;
}
