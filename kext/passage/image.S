/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The monitor's bytes, the same on every host, inside the kernel extension. */
#include "passage.h"

#ifdef __APPLE__
	.const
#else
	.section .rodata
#endif
	.balign 16
	.globl	CO_SYM(co_monitor_image)
	.globl	CO_SYM(co_monitor_image_end)
CO_SYM(co_monitor_image):
	.incbin	"monitor.bin"
CO_SYM(co_monitor_image_end):
	.byte	0
#ifdef __ELF__
	.section .note.GNU-stack,"",@progbits
#endif
