/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * com.apple.kpi.unsupported, and those of other bundles that Apple's public headers
 * do not declare.  Used with both sets of headers: a prototype that
 * differs from Apple's does not compile.
 */
#ifndef CO_KPI_UNSUPPORTED_H
#define CO_KPI_UNSUPPORTED_H

#ifdef __cplusplus
extern "C" {
#endif

struct pmap;
extern struct pmap *kernel_pmap;
extern unsigned int real_ncpus;

int cpu_number(void);
vm_map_t get_task_map(task_t task);
unsigned int ml_get_apicid(unsigned int cpu);
unsigned long long ml_phys_read_double_64(unsigned long long paddr);
unsigned int pmap_find_phys(struct pmap *pmap, unsigned long long va);
kern_return_t vm_allocate(vm_map_t map, vm_offset_t *addr, vm_size_t size, int flags);
kern_return_t vm_deallocate(vm_map_t map, vm_offset_t addr, vm_size_t size);
kern_return_t vm_stats(void *info, unsigned int *count);	/* mach */
#ifndef __cplusplus
int thread_issignal(proc_t p, thread_t th, sigset_t mask);	/* bsd */
boolean_t lck_mtx_try_lock(lck_mtx_t *lck);			/* libkern */
#endif

#define VM_FLAGS_ANYWHERE	0x0001

#ifdef __cplusplus
}
#endif
#endif
