/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Linux files of the seam share among themselves. */
#ifndef CO_LINUX_SEAM_H
#define CO_LINUX_SEAM_H

#include <linux/atomic.h>
#include <linux/wait.h>
#include "co_os.h"

extern atomic64_t co_linux_held;	/* pages given out and not back */
extern const struct file_operations co_vm_fops;

int co_linux_ram_mmap(struct file *file, struct vm_area_struct *vma, struct co_os_ram *ram);
int co_linux_world_init(void);
int co_linux_guest_cpu(co_u32 cpu);	/* 0, or an errno: why guests cannot have it to themselves */
wait_queue_head_t *co_linux_wait_head(struct co_os_wait *w);

#endif
