/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One comparable fact of the guest ABI, and the macros that make tables. */
#ifndef XEN_ABI_ROW_H
#define XEN_ABI_ROW_H

struct row {
	const char *name;
	long long value;	/* constant, size, or offset */
	long long size;		/* of a member; -1 elsewhere */
	const char *text;
};

extern const struct row ours[], theirs[];
extern const int ours_n, theirs_n;

#define C(x)	{ #x, (long long)(x), -1, 0 },
#define N(x)	{ #x, 0, -1, x },
#define S(t)	{ #t, (long long)sizeof(t), -1, 0 },
#define F(t, m)	{ #t "." #m, (long long)__builtin_offsetof(t, m), \
		  (long long)sizeof(((t *)0)->m), 0 },

#endif
