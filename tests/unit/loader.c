/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tests of helperd/worker/loader.c: every format, every damage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mkelf.h"
#include "unit.h"
#include "../../helperd/worker/loader.h"
#include "../../kext/include/co_abi.h"

static const char *const names[] = { "XZ", "LZ4", "ZSTD", "GZIP" };

static uint8_t *elf;
static size_t elf_len;
static char err[WK_LOADER_ERR_LEN];

/* Unpacks an exact copy; 0 only if the ELF came out right. */
static int unpack(const uint8_t *image, size_t len, int *same)
{
	uint8_t *copy = malloc(len ? len : 1), *out = NULL;
	size_t out_len = 0;
	int rc;

	memcpy(copy, image, len);
	rc = wk_loader_unpack(copy, len, &out, &out_len, err);
	*same = !rc && out_len == elf_len && !memcmp(out, elf, elf_len);
	if (!rc)
		free(out);
	free(copy);
	CHECK(!rc == !err[0]);
	return rc;
}

static void all_formats(void)
{
	for (int f = 0; f < MK_FORMATS; f++) {
		size_t len;
		uint8_t *image = mkbz(f, elf, elf_len, "6.1.0-test", &len);
		int same;

		CHECK(unpack(image, len, &same) == 0 && same, "%s: %s", names[f], err);
		free(image);
	}
}

static void every_truncation(void)
{
	for (int f = 0; f < MK_FORMATS; f++) {
		size_t len;
		uint8_t *image = mkbz(f, elf, elf_len, "6.1.0-test", &len);
		int same;

		for (size_t n = 0; n < len; n++) {
			int rc = unpack(image, n, &same);

			CHECK(rc == -CO_EKERNEL, "%s, %zu bytes: %d", names[f], n, rc);
			if (n >= 0x250)
				CHECK(strstr(err, "truncated"), "%s", err);
		}
		free(image);
	}
}

/* One byte wrong anywhere behind the header: the CRC tells. */
static void every_corruption(void)
{
	for (int f = 0; f < MK_FORMATS; f++) {
		size_t len;
		uint8_t *image = mkbz(f, elf, elf_len, "6.12.0-test", &len);
		int same;

		for (size_t at = 0; at < len; at++) {
			int rc;

			image[at] ^= 0x21;
			rc = unpack(image, len, &same);
			if (at >= 1024)
				CHECK(rc == -CO_EKERNEL && strstr(err, "corrupted"),
				      "%s, byte %zu: %d %s", names[f], at, rc, err);
			image[at] ^= 0x21;
		}
		free(image);
	}
}

/* No CRC since 6.16: the formats must hold by themselves, without a crash. */
static void corruption_without_crc(void)
{
	for (int f = 0; f < MK_FORMATS; f++) {
		size_t len, bad = 0;
		uint8_t *image = mkbz(f, elf, elf_len, "6.16.0-test", &len);
		int same;

		image[len - 1] ^= 1;
		CHECK(unpack(image, len, &same) == 0 && same, "%s: %s", names[f], err);
		for (size_t at = 1024 + 64; at < len - 4; at++) {
			for (int bit = 0; bit < 8; bit += 3) {
				image[at] ^= 1 << bit;
				if (unpack(image, len, &same) == 0 && !same)
					bad++;
				image[at] ^= 1 << bit;
			}
		}
		/* XZ and GZIP carry checks of their own; LZ4 and ZSTD need not. */
		if (f == MK_XZ || f == MK_GZIP)
			CHECK(!bad, "%s: %zu slipped through", names[f], bad);
		free(image);
	}
}

/* Signing changes the PE checksum and certificate entry; that is no damage. */
static void signed_image(void)
{
	size_t len;
	uint8_t *image = mkbz(MK_LZ4, elf, elf_len, "6.1.0-test", &len);
	int same;

	image[0x3c] = 0x40;
	memcpy(image + 0x40, "PE\0\0", 4);
	image[0x58] = 0x0b;
	image[0x59] = 0x02;
	mkbz_crc(image, len);
	memset(image + 0x58 + 64, 0xab, 4);
	memset(image + 0x58 + 112 + 32, 0xcd, 8);
	CHECK(unpack(image, len, &same) == 0 && same, "%s", err);
	image[0x58 + 112 + 40] ^= 1;
	CHECK(unpack(image, len, &same) && strstr(err, "checksum"), "%s", err);
	free(image);
}

/* The size an image claims is the size it gets: a bomb stays small. */
static void wrong_sizes(void)
{
	static const uint32_t claims[] = { 0, 63, 100, 0x10000001, 0xffffffff };

	for (int f = 0; f < MK_FORMATS; f++) {
		size_t len;
		uint8_t *image = mkbz(f, elf, elf_len, "6.16.0", &len);
		uint32_t n;
		int same;

		memcpy(&n, image + 0x24c, 4);
		for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
			memcpy(image + 1024 + 64 + n - 4, &claims[i], 4);
			CHECK(unpack(image, len, &same) == -CO_EKERNEL &&
			      strstr(err, "corrupted"), "%s %u: %s", names[f], claims[i], err);
		}
		free(image);
	}
}

static void hostile_headers(void)
{
	size_t len;
	uint8_t *image = mkbz(MK_ZSTD, elf, elf_len, "6.16.0", &len), *copy;
	int same;

	copy = malloc(len);
#define BAD(at, bytes, n, words) do {					\
		memcpy(copy, image, len);				\
		memcpy(copy + (at), bytes, n);				\
		CHECK(unpack(copy, len, &same) == -CO_EKERNEL && strstr(err, words), "%s", err); \
	} while (0)
	BAD(0x206, "\x07\x02", 2, "too old");
	BAD(0x24c, "\0\0\0\0", 4, "no payload");
	BAD(0x24c, "\xff\xff\xff\xff", 4, "corrupted");
	BAD(0x248, "\xff\xff\xff\xff", 4, "corrupted");
	BAD(0x1f4, "\xff\xff\xff\xff", 4, "truncated");
	BAD(0x1f1, "\xff", 1, "truncated");
	BAD(0x202, "NOPE", 4, "not a Linux kernel");
	BAD(1024 + 64, "BZh9", 4, "BZIP2");
	BAD(1024 + 64, "\x5d\0\0\0", 4, "LZMA");
	BAD(1024 + 64, "\x89LZO", 4, "LZO");
	BAD(1024 + 64, "????", 4, "corrupted");
#undef BAD
	free(copy);
	free(image);
	CHECK(unpack((const uint8_t *)"", 0, &same) && strstr(err, "empty"), "%s", err);
	CHECK(unpack((const uint8_t *)"#!/bin/sh\n", 10, &same) &&
	      strstr(err, "not a Linux kernel"), "%s", err);
}

static void by_descriptor(void)
{
	uint8_t *image, *out;
	size_t len, out_len;
	int fds[2];
	FILE *f = tmpfile();

	image = mkbz(MK_GZIP, elf, elf_len, "6.1.0", &len);
	fwrite(image, 1, len, f);
	fflush(f);
	for (int i = 0; i < 2; i++) {	/* whatever the offset was */
		CHECK(wk_loader_open(fileno(f), i ? len : 0, &out, &out_len, err) == 0, "%s", err);
		CHECK(out_len == elf_len && !memcmp(out, elf, elf_len));
		free(out);
	}
	CHECK(wk_loader_open(fileno(f), len + 1, &out, &out_len, err) == -CO_EKERNEL &&
	      strstr(err, "shorter"), "%s", err);
	CHECK(wk_loader_open(fileno(f), WK_LOADER_MAX_FILE + 1ull, &out, &out_len, err) == -CO_ETOOBIG);
	fclose(f);
	free(image);

	CHECK(pipe(fds) == 0 && write(fds[1], elf, elf_len) == (ssize_t)elf_len);
	close(fds[1]);
	CHECK(wk_loader_open(fds[0], 0, &out, &out_len, err) == 0 && out_len == elf_len, "%s", err);
	free(out);
	close(fds[0]);
	CHECK(wk_loader_open(-1, 0, &out, &out_len, err) == -CO_EIO, "%s", err);
	CHECK(pipe(fds) == 0);
	CHECK(wk_loader_open(fds[1], 0, &out, &out_len, err) == -CO_EIO &&
	      strstr(err, "cannot be read"), "%s", err);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	struct mkelf spec = mkelf_debian();

	elf = mkelf(&spec, &elf_len);
	RUN(all_formats);
	RUN(every_truncation);
	RUN(every_corruption);
	RUN(corruption_without_crc);
	RUN(signed_image);
	RUN(wrong_sizes);
	RUN(hostile_headers);
	RUN(by_descriptor);
	free(elf);
	UNIT_END();
}
