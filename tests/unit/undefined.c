/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * undefined NAME OBJECT... -- SYMBOL...: passes if the Mach-O objects together
 * ask for no symbol but those named.  Debian's nm cannot read Mach-O.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX	512

static char defined[MAX][80], wanted[MAX][80];
static int ndefined, nwanted;

static uint32_t u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static void read_symbols(const uint8_t *d, size_t len)
{
	uint32_t at = 32, n = len > 32 ? u32(d + 16) : 0;

	if (!n || u32(d) != 0xfeedfacf) {
		fprintf(stderr, "not a 64-bit Mach-O object\n");
		exit(1);
	}
	for (; n-- && at + 24 <= len; at += u32(d + at + 4)) {
		if (u32(d + at) != 2)		/* LC_SYMTAB */
			continue;
		for (uint32_t i = 0; i < u32(d + at + 12); i++) {
			const uint8_t *s = d + u32(d + at + 8) + i * 16;
			const char *name = (const char *)d + u32(d + at + 16) + u32(s);

			if (!(s[4] & 1))	/* N_EXT */
				continue;
			if ((s[4] & 0x0e) == 0 && nwanted < MAX)
				snprintf(wanted[nwanted++], sizeof(wanted[0]), "%s", name);
			else if (ndefined < MAX)
				snprintf(defined[ndefined++], sizeof(defined[0]), "%s", name);
		}
	}
}

int main(int argc, char **argv)
{
	static uint8_t d[4 << 20];
	int i, bad = 0, objects = 0;

	for (i = 2; i < argc && strcmp(argv[i], "--"); i++, objects++) {
		FILE *f = fopen(argv[i], "rb");

		if (!f) {
			perror(argv[i]);
			return 1;
		}
		read_symbols(d, fread(d, 1, sizeof(d), f));
		fclose(f);
	}
	for (i++; i < argc && ndefined < MAX; i++)
		snprintf(defined[ndefined++], sizeof(defined[0]), "%s", argv[i]);
	for (i = 0; i < nwanted; i++) {
		int k = 0;

		while (k < ndefined && strcmp(defined[k], wanted[i]))
			k++;
		if (k == ndefined) {
			printf("# asks for %s\n", wanted[i]);
			bad++;
		}
	}
	printf("%s %s\n", bad || !objects || !nwanted ? "not ok" : "ok", argc > 1 ? argv[1] : "");
	return bad || !objects || !nwanted;
}
