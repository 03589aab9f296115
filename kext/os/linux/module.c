// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seam on Linux: manager.  /dev/colinux (0600 root), per-VM handles as
 * anonymous-inode descriptors, module parameters.
 *
 * TOUR 5: The module loads, /dev/colinux appears.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <asm/cpufeature.h>
#include <asm/msr.h>
#include "seam.h"
#include "../../core/core.h"

static char *protect = "wp";
module_param(protect, charp, 0444);
MODULE_PARM_DESC(protect, "keep the monitor write-protected while guests run: wp (default) or none");

static char *user_view = "auto";
module_param(user_view, charp, 0444);
MODULE_PARM_DESC(user_view, "run guest users on a root without kernel pages: auto (default), on, off");

static char *barriers = "auto";
module_param(barriers, charp, 0444);
MODULE_PARM_DESC(barriers, "IBPB, RSB filling and VERW between the worlds: auto (default), on, off");

static bool measure;
module_param(measure, bool, 0444);
MODULE_PARM_DESC(measure, "count how long interrupts are off at most (costs two reads of the TSC an entry)");

static int guest_cpu = -1;
module_param(guest_cpu, int, 0444);
MODULE_PARM_DESC(guest_cpu, "one of two CPUs that is for guests alone, where idle ones spin: -1 (default), 0, 1");

static long to_errno(int ret)
{
	switch (ret) {
	case 0: return 0;
	case -CO_EFAULT: return -EFAULT;
	default: return -ENOTTY;
	}
}

static long control_ioctl(struct file *file, unsigned int command, unsigned long address)
{
	return to_errno(co_device_call(NULL, file, command, address));
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control_ioctl,
};

static struct miscdevice control = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "colinux",
	.fops = &control_fops,
	.mode = 0600,
};

static long vm_ioctl(struct file *file, unsigned int command, unsigned long address)
{
	return to_errno(co_device_call(file->private_data, file, command, address));
}

static int vm_mmap_file(struct file *file, struct vm_area_struct *vma)
{
	struct co_vm *vm = file->private_data;

	return co_linux_ram_mmap(file, vma, vm->ram);
}

static __poll_t vm_poll(struct file *file, poll_table *table)
{
	struct co_vm *vm = file->private_data;

	poll_wait(file, co_linux_wait_head(vm->notified), table);
	return co_event_ready(vm) ? EPOLLIN | EPOLLRDNORM : 0;
}

static int vm_release(struct inode *inode, struct file *file)
{
	co_vm_destroy(file->private_data);
	return 0;
}

const struct file_operations co_vm_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = vm_ioctl,
	.mmap = vm_mmap_file,
	.poll = vm_poll,
	.release = vm_release,
};

int co_os_handle_create(struct co_vm *vm, void *os_file, co_s32 *handle)
{
	int fd = anon_inode_getfd("[colinux-vm]", &co_vm_fops, vm, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -CO_ENOMEM;
	*handle = fd;
	return 0;
}

static int __init start(void)
{
	int ret, view = -1;
	u32 mode = CO_PROTECT_WP;

	if (!strcmp(protect, "none"))
		mode = CO_PROTECT_NONE;
	else if (strcmp(protect, "wp")) {
		pr_err("colinux: protect=%s is neither wp nor none\n", protect);
		return -EINVAL;
	}
	if (!strcmp(user_view, "on"))
		view = 1;
	else if (!strcmp(user_view, "off"))
		view = 0;
	else if (strcmp(user_view, "auto")) {
		pr_err("colinux: user_view=%s is none of auto, on, off\n", user_view);
		return -EINVAL;
	}
	/* "on" is for CPUs that do not say that they need it; one that cannot must not try. */
	if (!strcmp(barriers, "on") && wrmsrl_safe(MSR_IA32_PRED_CMD, PRED_CMD_IBPB)) {
		pr_err("colinux: barriers=on: this CPU has no IBPB\n");
		return -ENODEV;
	}
	if (strcmp(barriers, "on") && strcmp(barriers, "off") && strcmp(barriers, "auto")) {
		pr_err("colinux: barriers=%s is none of auto, on, off\n", barriers);
		return -EINVAL;
	}
	ret = co_linux_world_init();
	if (ret)
		return ret;
	if (co_core_start(mode, view))
		return -ENOMEM;
	co_host.measure = measure;
	if (guest_cpu >= 0) {
		ret = co_linux_guest_cpu((u32)guest_cpu);
		if (ret) {
			pr_err("colinux: guest_cpu=%d: %s\n", guest_cpu, ret == -EINVAL ?
			       "it takes a host of two CPUs, 0 and 1" : "the APIC is in x2APIC mode (nox2apic)");
			co_core_stop();
			return ret;
		}
	}
	if (strcmp(barriers, "auto"))
		co_cpu_barriers(!strcmp(barriers, "on"));
	if (boot_cpu_has(X86_FEATURE_PTI))
		co_host.features |= CO_FEATURE_HOST_PTI;
	ret = misc_register(&control);
	if (ret) {
		co_core_stop();
		return ret;
	}
	co_os_log("protect=%s, user view %s", protect, co_host.user_view ? "on" : "off");
	return 0;
}

static void __exit stop(void)
{
	misc_deregister(&control);
	co_core_stop();
	if (co_os_held_pages())
		pr_err("colinux: %llu pages leaked\n", co_os_held_pages());
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL");
MODULE_AUTHOR("The coLinux founders");
MODULE_DESCRIPTION("coLinux: an unmodified Linux kernel beside this one");
