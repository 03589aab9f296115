/* SPDX-License-Identifier: GPL-2.0-or-later */
/* proto.c: see proto.h.  The tables are made by helperd/proto/generate.py. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "proto.h"
#include "table.inc"

#define PROTO_INVALID	(-32602)
#define PROTO_INT_MAX	(1ll << 53)
#define PROTO_ARRAY_MAX	4096u

static const char proto_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

unsigned int proto_version(void)
{
	return PROTO_VERSION;
}

const struct proto_method *proto_find(const char *name)
{
	for (const struct proto_method *m = proto_methods; m->name; m++)
		if (!strcmp(m->name, name))
			return m;
	return NULL;
}

static int proto_digit(char c)
{
	const char *at = c ? strchr(proto_alphabet, c) : NULL;

	return at ? (int)(at - proto_alphabet) : -1;
}

long proto_base64_decode(const char *text, size_t len, unsigned char *out)
{
	size_t n = 0;

	if (len % 4)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		unsigned int pad = 0, bits = 0;

		if (i + 4 == len)
			pad = (text[i + 3] == '=') + (text[i + 3] == '=' && text[i + 2] == '=');
		for (unsigned int k = 0; k < 4; k++) {
			int d = k >= 4 - pad ? 0 : proto_digit(text[i + k]);

			if (d < 0)
				return -1;
			bits = bits << 6 | (unsigned int)d;
		}
		/* Bits behind the end must be 0: one text for one value. */
		if ((pad == 1 && bits & 0xff) || (pad == 2 && bits & 0xffff))
			return -1;
		for (unsigned int k = 0; k < 3 - pad; k++)
			out[n++] = (unsigned char)(bits >> (16 - 8 * k));
	}
	return (long)n;
}

void proto_base64_encode(const unsigned char *data, size_t len, char *out)
{
	size_t i;

	for (i = 0; i < len; i += 3) {
		unsigned int left = len - i < 3 ? (unsigned int)(len - i) : 3;
		unsigned int bits = (unsigned int)data[i] << 16;

		if (left > 1)
			bits |= (unsigned int)data[i + 1] << 8;
		if (left > 2)
			bits |= data[i + 2];
		*out++ = proto_alphabet[bits >> 18];
		*out++ = proto_alphabet[bits >> 12 & 63];
		*out++ = left > 1 ? proto_alphabet[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? proto_alphabet[bits & 63] : '=';
	}
	*out = 0;
}

static int proto_wrong(struct err *e, const char *path, const char *what, const json_t *value)
{
	static const char *const names[] = {
		"an object", "an array", "a string", "an integer", "a fraction", "true", "false", "null",
	};

	err_set(e, PROTO_INVALID, "%s must be %s, not %s", path, what, names[json_typeof(value)]);
	return PROTO_INVALID;
}

static int proto_integer(const json_t *value, long long low, long long high, const char *path,
			 struct err *e)
{
	long long n;

	if (!json_is_integer(value))
		return proto_wrong(e, path, "an integer", value);
	n = json_integer_value(value);
	if (n < low || n > high) {
		err_set(e, PROTO_INVALID, "%s must lie between %lld and %lld, not be %lld",
			path, low, high, n);
		return PROTO_INVALID;
	}
	return 0;
}

static int proto_object(const json_t *value, const struct proto_field *fields, unsigned int count,
			const char *path, struct err *e);

static int proto_typed(const json_t *value, const struct proto_type *t, const char *path, struct err *e)
{
	char list[160] = "one of";

	if (!t->values)
		return proto_object(value, t->fields, t->count, path, e);
	if (json_is_string(value))
		for (unsigned int i = 0; t->values[i]; i++)
			if (!strcmp(t->values[i], json_string_value(value)))
				return 0;
	for (unsigned int i = 0; t->values[i]; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), " %s", t->values[i]);
	return proto_wrong(e, path, list, value);
}

static int proto_one(const json_t *value, const struct proto_field *f, const char *path, struct err *e)
{
	switch (f->kind) {
	case PROTO_BOOL:
		return json_is_boolean(value) ? 0 : proto_wrong(e, path, "true or false", value);
	case PROTO_STRING:
		return json_is_string(value) ? 0 : proto_wrong(e, path, "a string", value);
	case PROTO_BASE64:
		if (!json_is_string(value) || json_string_length(value) % 4)
			return proto_wrong(e, path, "a string in base64", value);
		return 0;
	case PROTO_U32:
		return proto_integer(value, 0, UINT32_MAX, path, e);
	case PROTO_S32:
		return proto_integer(value, INT32_MIN, INT32_MAX, path, e);
	case PROTO_U64:
		return proto_integer(value, 0, PROTO_INT_MAX, path, e);
	case PROTO_TYPE:
		return proto_typed(value, &proto_types[f->type], path, e);
	}
	return PROTO_INVALID;
}

static int proto_field(const json_t *value, const struct proto_field *f, const char *path, struct err *e)
{
	const json_t *item;
	size_t i;
	int err;

	if (!f->array)
		return proto_one(value, f, path, e);
	if (!json_is_array(value))
		return proto_wrong(e, path, "an array", value);
	if (json_array_size(value) > PROTO_ARRAY_MAX) {
		err_set(e, PROTO_INVALID, "%s has more than %u elements", path, PROTO_ARRAY_MAX);
		return PROTO_INVALID;
	}
	json_array_foreach((json_t *)(uintptr_t)value, i, item) {
		char at[160];

		snprintf(at, sizeof(at), "%.120s[%zu]", path, i);
		err = proto_one(item, f, at, e);
		if (err)
			return err;
	}
	return 0;
}

static int proto_object(const json_t *value, const struct proto_field *fields, unsigned int count,
			const char *path, struct err *e)
{
	const char *dot = *path ? "." : "", *key;
	json_t *item;
	char at[160];
	int err;

	if (!json_is_object(value))
		return proto_wrong(e, *path ? path : "params", "an object", value);
	json_object_foreach((json_t *)(uintptr_t)value, key, item) {
		unsigned int i = 0;

		snprintf(at, sizeof(at), "%.80s%s%.60s", path, dot, key);
		while (i < count && strcmp(fields[i].name, key))
			i++;
		if (i == count) {
			err_set(e, PROTO_INVALID, "%s is not a known key", at);
			return PROTO_INVALID;
		}
		err = proto_field(item, &fields[i], at, e);
		if (err)
			return err;
	}
	for (unsigned int i = 0; i < count; i++)
		if (!fields[i].optional && !json_object_get(value, fields[i].name)) {
			err_set(e, PROTO_INVALID, "%.80s%s%.60s is missing", path, dot, fields[i].name);
			return PROTO_INVALID;
		}
	return 0;
}

int proto_check(const json_t *value, const struct proto_field *fields, unsigned int count,
		struct err *e)
{
	return proto_object(value, fields, count, "", e);
}
