/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seam on Darwin: user.  XNU's copies check the range, and refuse kernel
 * addresses, by themselves.
 */
#include "seam.h"

int co_os_copy_in(void *to, co_u64 from, co_u64 bytes)
{
	return copyin(from, to, bytes) ? -CO_EFAULT : 0;
}

int co_os_copy_out(co_u64 to, const void *from, co_u64 bytes)
{
	return copyout(from, to, bytes) ? -CO_EFAULT : 0;
}
