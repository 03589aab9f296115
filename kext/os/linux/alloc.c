// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The seam on Linux: alloc, pages, misc, user.
 * Guest pages come one by one and need no contiguity; a user mapping holds the
 * handle's file, and with it the module and the pages.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/kref.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/version.h>
#include <linux/vmalloc.h>
#include "seam.h"

atomic64_t co_linux_held;

void *co_os_alloc(co_u64 bytes)
{
	void *p = vzalloc(bytes);

	if (p)
		atomic64_add(PFN_UP(bytes), &co_linux_held);
	return p;
}

void co_os_free(void *p, co_u64 bytes)
{
	if (!p)
		return;
	vfree(p);
	atomic64_sub(PFN_UP(bytes), &co_linux_held);
}

struct co_os_ram {
	struct kref ref;
	co_u64 pages, have;
	struct page *page[];
};

static void ram_free(struct kref *ref)
{
	struct co_os_ram *ram = container_of(ref, struct co_os_ram, ref);
	co_u64 i;

	for (i = 0; i < ram->have; i++)
		put_page(ram->page[i]);
	atomic64_sub(ram->have, &co_linux_held);
	co_os_free(ram, struct_size(ram, page, ram->pages));
}

int co_os_ram_create(co_u64 pages, struct co_os_ram **out)
{
	struct co_os_ram *ram;

	ram = co_os_alloc(struct_size(ram, page, pages));
	if (!ram)
		return -CO_ENOMEM;
	kref_init(&ram->ref);
	ram->pages = pages;
	for (; ram->have < pages; ram->have++) {
		struct page *p;

		if (!(ram->have & 1023)) {
			cond_resched();
			if (fatal_signal_pending(current))
				goto fail;
		}
		p = alloc_page(GFP_KERNEL | __GFP_ZERO | __GFP_NOWARN | __GFP_RETRY_MAYFAIL);
		if (!p)
			goto fail;
		ram->page[ram->have] = p;
		atomic64_inc(&co_linux_held);
	}
	*out = ram;
	return 0;
fail:
	co_os_ram_release(ram);
	return -CO_ENOMEM;
}

void co_os_ram_release(struct co_os_ram *ram)
{
	kref_put(&ram->ref, ram_free);
}

co_u64 co_os_ram_hfn(struct co_os_ram *ram, co_u64 index)
{
	return page_to_pfn(ram->page[index]);
}

static vm_fault_t ram_fault(struct vm_fault *vmf)
{
	struct co_os_ram *ram = vmf->vma->vm_private_data;

	if (vmf->pgoff >= ram->pages)
		return VM_FAULT_SIGBUS;
	vmf->page = ram->page[vmf->pgoff];
	get_page(vmf->page);
	return 0;
}

static const struct vm_operations_struct ram_vm_ops = { .fault = ram_fault };

int co_linux_ram_mmap(struct file *file, struct vm_area_struct *vma, struct co_os_ram *ram)
{
	unsigned long pages = vma_pages(vma);

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff > ram->pages ||
	    pages > ram->pages - vma->vm_pgoff)
		return -EINVAL;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 3, 0)
	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
#else
	vma->vm_flags |= VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY;
#endif
	vma->vm_private_data = ram;
	vma->vm_ops = &ram_vm_ops;
	return 0;
}

int co_os_ram_map(struct co_os_ram *ram, void *os_file, co_u64 first, co_u64 pages,
		  int writable, co_u64 *address)
{
	unsigned long at = vm_mmap(os_file, 0, pages << PAGE_SHIFT,
				   PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED,
				   first << PAGE_SHIFT);

	if (IS_ERR_VALUE(at))
		return (long)at == -EPERM ? -CO_EPERM : -CO_ENOMEM;
	*address = at;
	return 0;
}

co_u64 co_os_hfn(const void *va)
{
	return vmalloc_to_pfn(va);
}

int co_os_phys_read(co_u64 pa, void *to, co_u64 bytes)
{
	if (!pfn_valid(PHYS_PFN(pa)))
		return -CO_EFAULT;
	memcpy(to, phys_to_virt(pa), bytes);
	return 0;
}

co_u64 co_os_memory_total(void)
{
	return (co_u64)totalram_pages() << PAGE_SHIFT;
}

co_u64 co_os_memory_free(void)
{
	return (co_u64)si_mem_available() << PAGE_SHIFT;
}

co_u64 co_os_held_pages(void)
{
	return atomic64_read(&co_linux_held);
}

co_u32 co_os_cpus(void)
{
	return num_online_cpus();
}

int co_os_copy_in(void *to, co_u64 from, co_u64 bytes)
{
	return copy_from_user(to, u64_to_user_ptr(from), bytes) ? -CO_EFAULT : 0;
}

int co_os_copy_out(co_u64 to, const void *from, co_u64 bytes)
{
	return copy_to_user(u64_to_user_ptr(to), from, bytes) ? -CO_EFAULT : 0;
}
