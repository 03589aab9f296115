/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#define DKIOCGETBLOCKSIZE	0x40046418ul
#define DKIOCGETBLOCKCOUNT	0x40086419ul
