/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
int _NSGetExecutablePath(char *path, uint32_t *size);
