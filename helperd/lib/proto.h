/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * proto: methods.json as tables, and the check of a JSON value against them.
 * Clients' parameters and workers' answers both pass here before anyone reads
 * them: unknown, missing and wrong-typed keys are refused by name.
 */
#ifndef LIB_PROTO_H
#define LIB_PROTO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "err.h"

enum proto_kind {
	PROTO_BOOL, PROTO_STRING, PROTO_U32, PROTO_S32, PROTO_U64, PROTO_BASE64,
	PROTO_TYPE,			/* proto_types[type] */
};

enum proto_route { PROTO_ROOT, PROTO_WORKER };

struct proto_field {
	const char *name;
	enum proto_kind kind;
	bool optional, array;
	unsigned int type;
};

struct proto_type {
	const char *name;
	const struct proto_field *fields;
	unsigned int count;
	const char *const *values;	/* an enum: NULL-terminated */
};

struct proto_method {
	const char *name;
	enum proto_route route;
	const struct proto_field *params;
	unsigned int nparams;
	const struct proto_field *result;
	unsigned int nresult;
};

struct proto_event {
	const char *name;
	const struct proto_field *params;
	unsigned int nparams;
};

extern const struct proto_method proto_methods[];	/* ends with name NULL */
extern const struct proto_event proto_events[];
extern const struct proto_type proto_types[];

unsigned int proto_version(void);
const struct proto_method *proto_find(const char *name);

/* 0, or -32602 in e with the key at fault. */
int proto_check(const json_t *value, const struct proto_field *fields, unsigned int count,
		struct err *e);

/* Base64, strict; out needs len/4*3 bytes.  Bytes written or -1. */
long proto_base64_decode(const char *text, size_t len, unsigned char *out);
/* out needs (len+2)/3*4+1 bytes. */
void proto_base64_encode(const unsigned char *data, size_t len, char *out);

#endif
