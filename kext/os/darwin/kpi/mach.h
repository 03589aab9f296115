/* SPDX-License-Identifier: GPL-2.0-or-later */
/* com.apple.kpi.mach: what this kext uses of it, and the types behind it. */
#ifndef CO_KPI_MACH_H
#define CO_KPI_MACH_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef NULL
#define NULL	0
#endif
#define TRUE	1
#define FALSE	0

typedef int boolean_t, kern_return_t, wait_result_t, wait_interrupt_t;
typedef unsigned long vm_offset_t, vm_size_t, vm_address_t;
typedef unsigned int natural_t;
typedef void *event_t;
typedef struct task *task_t;
typedef struct thread *thread_t;
typedef struct _vm_map *vm_map_t;
typedef struct _lck_mtx_ lck_mtx_t;

#define KERN_SUCCESS		0
#define KERN_FAILURE		5

#define THREAD_WAITING		(-1)
#define THREAD_AWAKENED		0
#define THREAD_INTERRUPTED	2
#define THREAD_ABORTSAFE	2

typedef void (*thread_continue_t)(void *parameter, wait_result_t result);
#define THREAD_CONTINUE_NULL	((thread_continue_t)0)

extern task_t kernel_task;
task_t current_task(void);
thread_t current_thread(void);
wait_result_t assert_wait(event_t event, wait_interrupt_t interruptible);
wait_result_t thread_block(thread_continue_t continuation);
kern_return_t thread_wakeup_prim(event_t event, boolean_t one_thread, wait_result_t result);

struct thread_call;
typedef struct thread_call *thread_call_t;
typedef void *thread_call_param_t;
typedef void (*thread_call_func_t)(thread_call_param_t param0, thread_call_param_t param1);

thread_call_t thread_call_allocate(thread_call_func_t func, thread_call_param_t param0);
boolean_t thread_call_enter_delayed(thread_call_t call, unsigned long long deadline);
boolean_t thread_call_cancel(thread_call_t call);
boolean_t thread_call_free(thread_call_t call);

typedef unsigned long clock_sec_t;
typedef unsigned int clock_nsec_t;

unsigned long long mach_absolute_time(void);
unsigned long long mach_continuous_time(void);
void absolutetime_to_nanoseconds(unsigned long long abstime, unsigned long long *result);
void nanoseconds_to_absolutetime(unsigned long long nanoseconds, unsigned long long *result);
void clock_get_calendar_nanotime(clock_sec_t *secs, clock_nsec_t *nanosecs);

struct vm_statistics64 {
	natural_t free_count, active_count, inactive_count, wire_count;
	unsigned long long zero_fill_count, reactivations, pageins, pageouts, faults, cow_faults;
	unsigned long long lookups, hits, purges;
	natural_t purgeable_count, speculative_count;
	unsigned long long decompressions, compressions, swapins, swapouts;
	natural_t compressor_page_count, throttled_count, external_page_count, internal_page_count;
	unsigned long long total_uncompressed_pages_in_compressor;
} __attribute__((aligned(8)));

/* Start and stop of a kext. */
#define KMOD_MAX_NAME	64
#pragma pack(push, 4)
struct kmod_info;
typedef kern_return_t kmod_start_func_t(struct kmod_info *ki, void *data);
typedef kern_return_t kmod_stop_func_t(struct kmod_info *ki, void *data);
struct kmod_reference;
typedef struct kmod_info {
	struct kmod_info *next;
	int info_version;
	unsigned int id;
	char name[KMOD_MAX_NAME];
	char version[KMOD_MAX_NAME];
	int reference_count;
	struct kmod_reference *reference_list;
	vm_address_t address;
	vm_size_t size;
	vm_size_t hdr_size;
	kmod_start_func_t *start;
	kmod_stop_func_t *stop;
} kmod_info_t;
#pragma pack(pop)
#define KMOD_INFO_VERSION	1

#ifdef __cplusplus
}
#endif
#endif
