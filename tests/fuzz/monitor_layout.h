/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Forced into every file of the monitor's fuzz target: the monitor's slot moves
 * to where a program may map memory.  The hole that guests must not name stays.
 */
#ifndef MONITOR_LAYOUT_H
#define MONITOR_LAYOUT_H

#include "co_layout.h"
#undef MON_BASE
#define MON_BASE 0x200000000000ull

#endif
