/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
int sandbox_init(const char *profile, uint64_t flags, char **error);
void sandbox_free_error(char *error);
