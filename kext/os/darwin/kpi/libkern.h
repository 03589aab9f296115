/* SPDX-License-Identifier: GPL-2.0-or-later */
/* com.apple.kpi.libkern: what this kext uses of it, and the types behind it. */
#ifndef CO_KPI_LIBKERN_H
#define CO_KPI_LIBKERN_H

#include <stdarg.h>
#include "mach.h"

typedef unsigned long long user_addr_t;
typedef struct _lck_grp_ lck_grp_t;
typedef struct _lck_grp_attr_ lck_grp_attr_t;
typedef struct _lck_attr_ lck_attr_t;
typedef struct _lck_spin_ lck_spin_t;

#define LCK_GRP_ATTR_NULL	((lck_grp_attr_t *)0)
#define LCK_ATTR_NULL		((lck_attr_t *)0)

lck_grp_t *lck_grp_alloc_init(const char *grp_name, lck_grp_attr_t *attr);
void lck_grp_free(lck_grp_t *grp);
lck_mtx_t *lck_mtx_alloc_init(lck_grp_t *grp, lck_attr_t *attr);
void lck_mtx_free(lck_mtx_t *lck, lck_grp_t *grp);
void lck_mtx_lock(lck_mtx_t *lck);
void lck_mtx_unlock(lck_mtx_t *lck);
lck_spin_t *lck_spin_alloc_init(lck_grp_t *grp, lck_attr_t *attr);
void lck_spin_free(lck_spin_t *lck, lck_grp_t *grp);
void lck_spin_lock(lck_spin_t *lck);
void lck_spin_unlock(lck_spin_t *lck);

boolean_t ml_set_interrupts_enabled(boolean_t enable);

int copyin(const user_addr_t uaddr, void *kaddr, unsigned long len);
int copyout(const void *kaddr, user_addr_t udaddr, unsigned long len);
void *memset(void *s, int c, unsigned long n);
int printf(const char *format, ...) __attribute__((format(printf, 1, 2)));
int vsnprintf(char *s, unsigned long size, const char *format, va_list args);
int strcmp(const char *s1, const char *s2);
int sysctlbyname(const char *name, void *oldp, unsigned long *oldlenp, void *newp, unsigned long newlen);

#endif
