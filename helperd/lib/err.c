/* SPDX-License-Identifier: GPL-2.0-or-later */
/* err.c: see err.h. */
#include <stdarg.h>
#include <stdio.h>

#include "err.h"

static const struct {
	int code;
	const char *name, *text, *hint;
} err_table[] = {
#define CO_ERROR(name, number, text, hint) { number, #name, text, hint },
#include "errors.def"
#undef CO_ERROR
	{ -32700, "PARSE", "not a JSON text", "send one JSON-RPC 2.0 object a line" },
	{ -32600, "REQUEST", "not a JSON-RPC 2.0 request", "send one JSON-RPC 2.0 object a line" },
	{ -32601, "METHOD", "no such method", "helper and CLI may be of different builds" },
	{ -32602, "PARAMS", "wrong parameters", "see the method in helperd/proto/methods.json" },
	{ -32603, "INTERNAL", "internal error", "report this as a bug" },
};

#define ERR_COUNT (sizeof(err_table) / sizeof(err_table[0]))

static unsigned int err_find(int code)
{
	for (unsigned int i = 0; i < ERR_COUNT; i++)
		if (err_table[i].code == code)
			return i;
	return ERR_COUNT - 1;
}

const char *err_name(int code) { return err_table[err_find(code)].name; }
const char *err_text(int code) { return err_table[err_find(code)].text; }
const char *err_hint(int code) { return err_table[err_find(code)].hint; }

int err_set(struct err *e, int code, const char *format, ...)
{
	va_list args;

	if (e) {
		e->code = code;
		va_start(args, format);
		vsnprintf(e->text, sizeof(e->text), format, args);
		va_end(args);
	}
	return -code;
}
