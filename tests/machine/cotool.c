// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * cotool: speaks /dev/colinux for the machine tests, run as root inside the
 * virtual host.
 *   cotool hello          what CO_HELLO says, "name value" lines
 *   cotool abuse          every malformed request; "ok NAME" or "FAIL NAME why"
 *   cotool churn N MIB    makes and drops N VMs of MIB MiB that never run
 *   cotool storm USEC     interrupts the CPU every USEC microseconds, for ever
 *   cotool kvm            runs a real-mode guest under the host's KVM, for ever
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/kvm.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "co_abi.h"

static int device;

static struct co_hello hello(void)
{
	struct co_hello h = { .size = sizeof(h), .abi_version = CO_ABI_VERSION };

	if (ioctl(device, CO_HELLO, &h)) {
		perror("cotool: CO_HELLO");
		exit(2);
	}
	return h;
}

static int say_hello(void)
{
	struct co_hello h = hello();

	printf("result %d\nabi_version %u\nprotect %u\nfeatures %#llx\nobstacles %#llx\n"
	       "cr0 %#llx\ncr3 %#llx\ncr4 %#llx\nefer %#llx\ntsc_khz %llu\nheld_pages %llu\n"
	       "cpus %u\nvms %u\nmonitor_bytes %u\nvendor %.16s\nbuild %.24s\n",
	       h.result, h.abi_version, h.protect, h.features, h.obstacles, h.cr0, h.cr3, h.cr4,
	       h.efer, h.tsc_khz, h.held_pages, h.cpus, h.vms, h.monitor_bytes, h.cpu_vendor,
	       h.build_id);
	return h.result != 0;
}

static int failures;

static void expect(const char *name, int good, const char *fmt, long long got)
{
	if (good) {
		printf("ok %s\n", name);
		return;
	}
	failures++;
	printf("FAIL %s ", name);
	printf(fmt, got);
	printf("\n");
}

/* The call fails, either by itself or in `result`, and nothing is left. */
static void refused(const char *name, int rc, int result)
{
	expect(name, rc != 0 || result < 0, "was accepted (result %lld)", result);
}

static int create(uint64_t bytes, uint32_t vcpus, const char *name, struct co_vm_create *c)
{
	memset(c, 0, sizeof(*c));
	c->size = sizeof(*c);
	c->memory_bytes = bytes;
	c->vcpus = vcpus;
	c->owner_uid = 0;
	c->handle = -1;
	memcpy(c->name, name, strnlen(name, sizeof(c->name)));
	if (ioctl(device, CO_VM_CREATE, c))
		return -errno;
	return c->result;
}

static void refuse_create(const char *name, uint64_t bytes, uint32_t vcpus, const char *vm)
{
	struct co_vm_create c;
	int rc = create(bytes, vcpus, vm, &c);

	refused(name, rc, rc);
	if (rc == 0)
		close(c.handle);
}

static void abuse_create(void)
{
	struct co_vm_create c, d;
	struct co_vm_destroy gone = { .size = sizeof(gone), .id = 0xdeadbeef };
	char full[CO_NAME_LEN + 1];
	int rc;

	refuse_create("memory_0", 0, 1, "a");
	refuse_create("memory_minus_1", ~0ull, 1, "a");
	refuse_create("memory_minus_page", -4096ull, 1, "a");
	refuse_create("memory_1_mib", 1 << 20, 1, "a");
	refuse_create("memory_unaligned", (64 << 20) + 1, 1, "a");
	refuse_create("memory_beyond_host", hello().memory_total + (1 << 20), 1, "a");
	refuse_create("memory_max_plus", CO_MAX_MEMORY + 4096, 1, "a");
	refuse_create("memory_4_tib", 1ull << 42, 1, "a");
	refuse_create("vcpus_0", 64 << 20, 0, "a");
	refuse_create("vcpus_many", 64 << 20, CO_MAX_VCPUS + 1, "a");
	refuse_create("vcpus_minus_1", 64 << 20, -1, "a");
	memset(full, 'x', CO_NAME_LEN);
	full[CO_NAME_LEN] = 0;
	refuse_create("name_unterminated", 64 << 20, 1, full);

	memset(&c, 0, sizeof(c));
	c.size = sizeof(c) - 8;
	rc = ioctl(device, CO_VM_CREATE, &c);
	refused("create_short_size", rc, c.result);
	c.size = ~0u;
	rc = ioctl(device, CO_VM_CREATE, &c);
	refused("create_long_size", rc, c.result);
	rc = ioctl(device, CO_VM_CREATE, (void *)16);
	expect("create_bad_pointer", rc != 0, "rc %lld", rc);
	rc = ioctl(device, CO_VM_CREATE, (void *)0xffffffff81000000ul);
	expect("create_kernel_pointer", rc != 0, "rc %lld", rc);
	rc = ioctl(device, CO_VM_DESTROY, &gone);
	refused("destroy_unknown", rc, gone.result);
	rc = ioctl(device, _IOWR(CO_IOC_GROUP, 99, struct co_hello), &c);
	expect("unknown_call", rc != 0, "rc %lld", rc);
	d = c;
	d.size = sizeof(d);
	rc = ioctl(device, CO_VCPU_RUN, &d);
	expect("vm_call_on_the_device", rc != 0 || d.result < 0, "rc %lld", rc);

	struct co_hello h = { .size = sizeof(h), .abi_version = CO_ABI_VERSION + 1 };
	rc = ioctl(device, CO_HELLO, &h);
	refused("hello_other_abi", rc, h.result);
}

static void abuse_handle(void)
{
	struct co_vm_create c;
	int rc = create(64 << 20, 1, "abuse", &c), fd = c.handle;
	uint64_t pages = (64 << 20) / 4096;

	expect("create", rc == 0 && fd >= 0, "result %lld", rc);
	if (rc)
		return;

	static const struct { const char *name; uint64_t gfn, pages; } maps[] = {
		{ "map_nothing", 0, 0 },
		{ "map_beyond", 64 << 20, 1 },
		{ "map_over_the_end", (64 << 20) / 4096, CO_SPECIAL_FRAMES + 1 },
		{ "map_wrapping", 1, ~0ull },
		{ "map_wrapping_2", ~0ull, 2 },
		{ "map_shifting_out", 1ull << 52, 1ull << 52 },
	};
	for (size_t i = 0; i < sizeof(maps) / sizeof(*maps); i++) {
		struct co_vm_map m = { .size = sizeof(m), .gfn = maps[i].gfn,
				       .pages = maps[i].pages, .writable = 1 };
		rc = ioctl(fd, CO_VM_MAP, &m);
		refused(maps[i].name, rc, m.result);
	}
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p != MAP_FAILED)
		munmap(p, 4096);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 1ll << 50);
	expect("mmap_far", p == MAP_FAILED, "mapped", 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, device, 0);
	expect("mmap_device", p == MAP_FAILED, "mapped", 0);

	struct co_vcpu_run run = { .size = sizeof(run) };
	rc = ioctl(fd, CO_VCPU_RUN, &run);
	refused("run_before_set", rc, run.result);
	run.vcpu = 7;
	rc = ioctl(fd, CO_VCPU_RUN, &run);
	refused("run_no_vcpu", rc, run.result);
	struct co_vm_set set = { .size = sizeof(set), .cr3_gfn = pages + 1000 };
	rc = ioctl(fd, CO_VM_SET, &set);
	refused("set_root_beyond", rc, set.result);
	set.vcpu = ~0u;
	rc = ioctl(fd, CO_VM_SET, &set);
	refused("set_no_vcpu", rc, set.result);
	struct co_event event = { .size = sizeof(event), .port = CO_MAX_PORTS };
	rc = ioctl(fd, CO_EVENT, &event);
	refused("event_beyond", rc, event.result);
	event.port = ~0u;
	rc = ioctl(fd, CO_EVENT, &event);
	refused("event_minus_1", rc, event.result);
	struct co_events events = { .size = sizeof(events), .lazy = CO_MAX_PORTS };
	rc = ioctl(fd, CO_EVENTS, &events);
	refused("lazy_beyond", rc, events.result);
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	expect("nothing_notified", poll(&ready, 1, 0) == 0, "readable", 0);
	struct co_trace trace = { .size = sizeof(trace), .max = ~0u, .address = 0xffff888000000000ull };
	rc = ioctl(fd, CO_TRACE, &trace);
	expect("trace_kernel_address", rc != 0 || trace.result < 0 || trace.count == 0, "count %lld",
	       trace.count);
	struct co_vm_kill kill = { .size = sizeof(kill) };
	memset(kill.why, '%', sizeof(kill.why));	/* unterminated, and a format */
	ioctl(fd, CO_VM_KILL, &kill);
	struct co_vm_status status = { .size = sizeof(status) };
	rc = ioctl(fd, CO_VM_STATUS, &status);
	expect("why_is_terminated", rc == 0 && memchr(status.why, 0, sizeof(status.why)), "rc %lld", rc);
	rc = ioctl(fd, CO_VM_STATUS, (void *)8);
	expect("status_bad_pointer", rc != 0, "rc %lld", rc);
	rc = ioctl(fd, CO_VM_CREATE, &c);
	expect("control_call_on_a_vm", rc != 0 || c.result < 0, "rc %lld", rc);
	close(fd);
	expect("close_frees", hello().held_pages == 0, "%lld pages held", hello().held_pages);
}

/* A VM of which only a mapping is left, then its process dies. */
static void abuse_lifetime(void)
{
	struct co_vm_create c;
	int pid = fork(), status;

	if (!pid) {
		if (create(64 << 20, 1, "orphan", &c))
			_exit(1);
		struct co_vm_map m = { .size = sizeof(m), .pages = 1024, .writable = 1 };
		if (ioctl(c.handle, CO_VM_MAP, &m) || m.result)
			_exit(2);
		memset((void *)(uintptr_t)m.address, 0xaa, 1024 * 4096);
		close(c.handle);
		memset((void *)(uintptr_t)m.address, 0xbb, 1024 * 4096);
		close(device);
		_exit(((unsigned char *)(uintptr_t)m.address)[4096] == 0xbb ? 0 : 3);
	}
	waitpid(pid, &status, 0);
	expect("mapping_outlives_handle", status == 0, "status %#llx", status);
	expect("owner_death_frees", hello().held_pages == 0 && hello().vms == 0, "%lld pages held",
	       hello().held_pages);
}

static void abuse_limit(void)
{
	struct co_vm_create c[CO_MAX_VMS + 1];
	char name[16];
	unsigned int made = 0;

	for (; made <= CO_MAX_VMS; made++) {
		snprintf(name, sizeof(name), "vm%u", made);
		if (create(CO_MIN_MEMORY, 1, name, &c[made]))
			break;
	}
	expect("vm_limit", made <= CO_MAX_VMS, "%lld VMs were made", made);
	while (made--)
		close(c[made].handle);
	expect("limit_frees", hello().held_pages == 0 && hello().vms == 0, "%lld pages held",
	       hello().held_pages);
}

static int churn(int rounds, uint64_t mib)
{
	struct co_vm_create c;

	while (rounds--) {
		if (create(mib << 20, 1, "churn", &c)) {
			printf("cotool: create: result %d\n", c.result);
			return 1;
		}
		close(c.handle);
	}
	printf("held_pages %llu\n", hello().held_pages);
	return hello().held_pages != 0;
}

static int storm(long usec)
{
	struct itimerspec every = { { 0, usec * 1000 }, { 0, usec * 1000 } };
	int fd = timerfd_create(CLOCK_MONOTONIC, 0);
	uint64_t n;

	if (fd < 0 || timerfd_settime(fd, 0, &every, NULL)) {
		perror("cotool: timerfd");
		return 1;
	}
	for (;;)
		if (read(fd, &n, 8) != 8)
			return 1;
}

/* jmp $ with a hlt in between: exits, SVM on, all the time. */
static int use_kvm(void)
{
	static const unsigned char code[] = { 0xf4, 0xeb, 0xfd };
	int kvm = open("/dev/kvm", O_RDWR), vm, vcpu;
	struct kvm_userspace_memory_region region = { .memory_size = 4096 };
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rip = 0, .rflags = 2 };
	unsigned char *page;
	unsigned long exits = 0;
	struct kvm_run *run;

	if (kvm < 0 || (vm = ioctl(kvm, KVM_CREATE_VM, 0)) < 0) {
		perror("cotool: /dev/kvm");
		return 2;
	}
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memcpy(page, code, sizeof(code));
	region.userspace_addr = (uintptr_t)page;
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) ||
	    (vcpu = ioctl(vm, KVM_CREATE_VCPU, 0)) < 0) {
		perror("cotool: KVM vCPU");
		return 2;
	}
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	ioctl(vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = sregs.cs.selector = 0;
	if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs)) {
		perror("cotool: KVM registers");
		return 2;
	}
	for (;;) {
		if (ioctl(vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_HLT) {
			printf("KVM exit %u after %lu: %s\n", run->exit_reason, exits, strerror(errno));
			return 1;
		}
		if (++exits % 1000 == 0)
			printf("KVM exits %lu\n", exits);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (argc == 3 && !strcmp(argv[1], "storm"))
		return storm(atol(argv[2]));
	if (argc == 2 && !strcmp(argv[1], "kvm"))
		return use_kvm();
	device = open("/dev/colinux", O_RDWR | O_CLOEXEC);
	if (device < 0) {
		perror("cotool: /dev/colinux");
		return 2;
	}
	if (argc == 2 && !strcmp(argv[1], "hello"))
		return say_hello();
	if (argc == 2 && !strcmp(argv[1], "abuse")) {
		abuse_create();
		abuse_handle();
		abuse_lifetime();
		abuse_limit();
		printf("ABUSE %d failed\n", failures);
		return failures != 0;
	}
	if (argc == 4 && !strcmp(argv[1], "churn"))
		return churn(atoi(argv[2]), atoi(argv[3]));
	fprintf(stderr, "usage: cotool hello | abuse | churn N MIB | storm USEC | kvm\n");
	return 64;
}
