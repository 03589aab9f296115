/* SPDX-License-Identifier: GPL-2.0-or-later */
/* err: names, texts and hints of errors.def; a failure with its own words. */
#ifndef LIB_ERR_H
#define LIB_ERR_H

#include "co_abi.h"

#define ERR_TEXT	256u

/* What went wrong: code is a positive CO_E... (or a JSON-RPC code below 0). */
struct err {
	int code;
	char text[ERR_TEXT];
};

const char *err_name(int code);
const char *err_text(int code);
const char *err_hint(int code);

/* Fills e (which may be NULL) and returns -code. */
int err_set(struct err *e, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
