/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Compares our guest ABI headers with libxen-dev's, row by row. */
#include <stdio.h>
#include <string.h>

#include "row.h"

int main(void)
{
	int bad = 0;

	if (ours_n != theirs_n) {
		printf("not ok xen_abi: %d rows of ours, %d of theirs\n",
		       ours_n, theirs_n);
		return 1;
	}
	for (int i = 0; i < ours_n; i++) {
		const struct row *a = &ours[i], *b = &theirs[i];

		if (strcmp(a->name, b->name) || a->value != b->value ||
		    a->size != b->size || !a->text != !b->text ||
		    (a->text && strcmp(a->text, b->text))) {
			printf("# %s: ours %lld (%lld bytes) %s, Xen's %s %lld (%lld bytes) %s\n",
			       a->name, a->value, a->size, a->text ? a->text : "",
			       b->name, b->value, b->size, b->text ? b->text : "");
			bad++;
		}
	}
	printf("%s xen_abi: %d of %d rows agree\n", bad ? "not ok" : "ok",
	       ours_n - bad, ours_n);
	return bad != 0;
}
