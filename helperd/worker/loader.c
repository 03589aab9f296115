/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel loader: see loader.h for who calls.  Distrusts the file: sizes
 * are checked before use, and no payload unpacks to more than the image claims
 * nor than WK_LOADER_MAX_ELF.  The formats themselves are left to liblzma,
 * lz4, zstd and zlib.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include "loader.h"
#include "../../kext/include/co_abi.h"

/* Offsets in a bzImage: the x86 boot protocol's setup header. */
#define H_SETUP_SECTS	0x1f1
#define H_SYSSIZE	0x1f4
#define H_BOOT_FLAG	0x1fe
#define H_MAGIC		0x202
#define H_VERSION	0x206
#define H_KERNEL_NAME	0x20e
#define H_PAYLOAD	0x248
#define H_PAYLOAD_LEN	0x24c
#define H_END		0x250
#define MIN_VERSION	0x208		/* the first with payload_offset */

#define XZ_MEMORY	(256u << 20)	/* a dictionary of 128 MiB fits */
#define LZ4_BLOCK	(8u << 20)	/* what a legacy block unpacks to at most */

struct payload {
	const uint8_t *in;
	size_t in_len;
	uint8_t *out;
	size_t out_len;			/* exact: the image says it */
};

static uint32_t le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static int fail(char *err, int code, const char *text)
{
	snprintf(err, WK_LOADER_ERR_LEN, "%s", text);
	return code;
}

/* ---- one unpacker a format: true if out was filled exactly --------------- */

static int unpack_xz(const struct payload *p)
{
	uint64_t memory = XZ_MEMORY;
	size_t in = 0, out = 0;

	return lzma_stream_buffer_decode(&memory, 0, NULL, p->in, &in, p->in_len,
					 p->out, &out, p->out_len) == LZMA_OK &&
	       out == p->out_len;
}

static int unpack_zstd(const struct payload *p)
{
	size_t n = ZSTD_decompress(p->out, p->out_len, p->in, p->in_len);

	return !ZSTD_isError(n) && n == p->out_len;
}

static int unpack_gzip(const struct payload *p)
{
	z_stream z = {
		.next_in = (uint8_t *)(uintptr_t)p->in,
		.avail_in = (uInt)p->in_len,
		.next_out = p->out,
		.avail_out = (uInt)p->out_len,
	};
	int rc;

	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)	/* 16: gzip's header */
		return 0;
	rc = inflate(&z, Z_FINISH);
	inflateEnd(&z);
	return rc == Z_STREAM_END && z.avail_out == 0;
}

/* The legacy frame: magic, then blocks behind their size, without a checksum. */
static int unpack_lz4(const struct payload *p)
{
	size_t in = 4, out = 0;

	while (out < p->out_len) {
		size_t room = p->out_len - out;
		uint32_t n;
		int got;

		if (p->in_len - in < 4)
			return 0;
		n = le32(p->in + in);
		in += 4;
		if (n > p->in_len - in)
			return 0;
		if (room > LZ4_BLOCK)
			room = LZ4_BLOCK;
		got = LZ4_decompress_safe((const char *)p->in + in,
					  (char *)p->out + out, (int)n, (int)room);
		if (got <= 0)
			return 0;
		in += n;
		out += (size_t)got;
	}
	return 1;
}

static const struct {
	const char *name;
	uint8_t magic[6];
	uint8_t magic_len;
	uint8_t size_inside;		/* gzip's own trailer holds the size */
	int (*unpack)(const struct payload *p);
} formats[] = {
	{ "XZ", { 0xfd, '7', 'z', 'X', 'Z', 0 }, 6, 0, unpack_xz },
	{ "LZ4", { 0x02, 0x21, 0x4c, 0x18 }, 4, 0, unpack_lz4 },
	{ "ZSTD", { 0x28, 0xb5, 0x2f, 0xfd }, 4, 0, unpack_zstd },
	{ "GZIP", { 0x1f, 0x8b, 0x08 }, 3, 1, unpack_gzip },
	{ "BZIP2", { 'B', 'Z', 'h' }, 3, 0, NULL },
	{ "LZMA", { 0x5d, 0, 0, 0 }, 4, 0, NULL },
	{ "LZO", { 0x89, 'L', 'Z', 'O' }, 4, 0, NULL },
};

static int unpack_payload(const uint8_t *in, size_t len, uint8_t **elf,
			  size_t *elf_len, char *err)
{
	struct payload p = { .in = in, .in_len = len };
	size_t i;

	for (i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (len > 8 && !memcmp(in, formats[i].magic, formats[i].magic_len))
			break;
	if (i == sizeof(formats) / sizeof(formats[0]))
		return fail(err, -CO_EKERNEL, "the kernel is corrupted: its payload is in no known compression format");
	if (!formats[i].unpack) {
		snprintf(err, WK_LOADER_ERR_LEN, "the kernel is compressed with %s; XZ, LZ4, ZSTD, GZIP and plain ELF can be read",
			 formats[i].name);
		return -CO_EKERNEL;
	}
	p.out_len = le32(in + len - 4);
	if (!formats[i].size_inside)
		p.in_len -= 4;
	if (p.out_len < 64 || p.out_len > WK_LOADER_MAX_ELF) {
		snprintf(err, WK_LOADER_ERR_LEN, "the kernel is corrupted: it claims to unpack to %zu bytes (at most %u are allowed)",
			 p.out_len, WK_LOADER_MAX_ELF);
		return -CO_EKERNEL;
	}
	p.out = malloc(p.out_len);
	if (!p.out)
		return fail(err, -CO_ENOMEM, "no memory to unpack the kernel");
	if (!formats[i].unpack(&p)) {
		free(p.out);
		snprintf(err, WK_LOADER_ERR_LEN, "the kernel is corrupted: its %s payload does not unpack",
			 formats[i].name);
		return -CO_EKERNEL;
	}
	*elf = p.out;
	*elf_len = p.out_len;
	return 0;
}

/* ---- the bzImage around it ------------------------------------------------ */

/*
 * Kernels before 6.16 end with a CRC-32 of all that goes before.  Newer ones
 * do not, so the version decides; text that is no version means no check.
 */
static int has_crc(const uint8_t *image, size_t setup_len)
{
	size_t at = le16(image + H_KERNEL_NAME) + (size_t)0x200;
	unsigned int major = 0, minor = 0;
	char text[16] = "";

	if (at < H_END || at >= setup_len || setup_len - at < sizeof(text))
		return 0;
	memcpy(text, image + at, sizeof(text) - 1);
	if (sscanf(text, "%3u.%3u", &major, &minor) != 2)
		return 0;
	return major < 6 || (major == 6 && minor < 16);
}

/*
 * Signing for Secure Boot changes the PE checksum and the certificate entry
 * after the CRC was made; they count as the zeros they were.
 */
static int crc_matches(const uint8_t *image, size_t len)
{
	static const uint8_t zeros[8];
	size_t pe = le32(image + 0x3c), hole[2] = { 0, 0 }, hole_len[2] = { 4, 8 };
	uLong crc = crc32(0, NULL, 0);
	size_t at = 0;

	if (pe < H_SETUP_SECTS && !memcmp(image + pe, "PE\0\0", 4)) {
		size_t opt = pe + 24;
		size_t dir = opt + (le16(image + opt) == 0x20b ? 112 : 96);

		hole[0] = opt + 64;
		hole[1] = dir + 4 * 8;
	}
	for (int i = 0; i < 2 && hole[i]; i++) {
		crc = crc32(crc, image + at, (uInt)(hole[i] - at));
		crc = crc32(crc, zeros, (uInt)hole_len[i]);
		at = hole[i] + hole_len[i];
	}
	crc = crc32(crc, image + at, (uInt)(len - 4 - at));
	return (uint32_t)~crc == le32(image + len - 4);
}

static int unpack_bzimage(const uint8_t *image, size_t len, uint8_t **elf,
			  size_t *elf_len, char *err)
{
	uint64_t setup, kernel, payload, payload_len;

	if (le16(image + H_VERSION) < MIN_VERSION)
		return fail(err, -CO_EKERNEL, "the kernel is too old: its boot protocol is before 2.08");
	setup = ((uint64_t)(image[H_SETUP_SECTS] ? image[H_SETUP_SECTS] : 4) + 1) * 512;
	kernel = (uint64_t)le32(image + H_SYSSIZE) * 16;
	payload = le32(image + H_PAYLOAD);
	payload_len = le32(image + H_PAYLOAD_LEN);
	if (!payload_len)
		return fail(err, -CO_EKERNEL, "the kernel's boot header names no payload");
	if (payload + payload_len > kernel)
		return fail(err, -CO_EKERNEL, "the kernel is corrupted: its payload lies outside the image");
	if (setup + kernel > len) {
		snprintf(err, WK_LOADER_ERR_LEN, "the kernel is truncated: its header speaks of %llu bytes, the file has %zu",
			 (unsigned long long)(setup + kernel), len);
		return -CO_EKERNEL;
	}
	if (has_crc(image, (size_t)setup) &&
	    !crc_matches(image, (size_t)(setup + kernel)))
		return fail(err, -CO_EKERNEL, "the kernel is corrupted: its checksum does not match its contents");
	return unpack_payload(image + setup + payload, (size_t)payload_len,
			      elf, elf_len, err);
}

int wk_loader_unpack(const uint8_t *image, size_t len, uint8_t **elf,
		     size_t *elf_len, char err[WK_LOADER_ERR_LEN])
{
	err[0] = '\0';
	if (!len)
		return fail(err, -CO_EKERNEL, "the kernel is an empty file");
	if (len >= 4 && !memcmp(image, "\177ELF", 4)) {
		*elf = malloc(len);
		if (!*elf)
			return fail(err, -CO_ENOMEM, "no memory for the kernel");
		memcpy(*elf, image, len);
		*elf_len = len;
		return 0;
	}
	if (len >= H_END && le16(image + H_BOOT_FLAG) == 0xaa55 &&
	    !memcmp(image + H_MAGIC, "HdrS", 4))
		return unpack_bzimage(image, len, elf, elf_len, err);
	if (len < H_END && len >= 2 && !memcmp(image, "MZ", 2))
		return fail(err, -CO_EKERNEL, "the kernel is truncated: its boot header is incomplete");
	return fail(err, -CO_EKERNEL, "it is not a Linux kernel: neither a bzImage (vmlinuz) nor an ELF image (vmlinux)");
}

/* ---- the file ------------------------------------------------------------- */

/* Grows as it reads: the size may be a lie, or the file a pipe. */
static int read_all(int fd, uint64_t size, uint8_t **data, size_t *len, char *err)
{
	uint64_t want = size ? size : WK_LOADER_MAX_FILE + 1ull;
	size_t room = 0, used = 0;
	uint8_t *buf = NULL;

	if (size > WK_LOADER_MAX_FILE)
		goto too_big;
	while (used < want) {
		ssize_t n;

		if (used == room) {
			size_t more = room ? room * 2 : 1u << 20;
			uint8_t *grown;

			if (more > want)
				more = (size_t)want;
			grown = realloc(buf, more);
			if (!grown) {
				free(buf);
				return fail(err, -CO_ENOMEM, "no memory to read the kernel");
			}
			buf = grown;
			room = more;
		}
		n = read(fd, buf + used, room - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			snprintf(err, WK_LOADER_ERR_LEN, "the kernel cannot be read: %s", strerror(errno));
			free(buf);
			return -CO_EIO;
		}
		if (!n)
			break;
		used += (size_t)n;
	}
	if (used <= WK_LOADER_MAX_FILE) {
		*data = buf;
		*len = used;
		return 0;
	}
	free(buf);
too_big:
	snprintf(err, WK_LOADER_ERR_LEN, "the kernel is too large: at most %u MiB are read",
		 WK_LOADER_MAX_FILE >> 20);
	return -CO_ETOOBIG;
}

int wk_loader_open(int fd, uint64_t size, uint8_t **elf, size_t *elf_len,
		   char err[WK_LOADER_ERR_LEN])
{
	uint8_t *image;
	size_t len;
	int rc;

	err[0] = '\0';
	/* A pipe cannot seek, and begins where it is. */
	if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		return fail(err, -CO_EIO, "the kernel cannot be read from its start");
	rc = read_all(fd, size, &image, &len, err);
	if (rc)
		return rc;
	if (size && len < size) {
		rc = fail(err, -CO_EKERNEL, "the kernel is truncated: the file is shorter than it was");
	} else if (len >= 4 && !memcmp(image, "\177ELF", 4)) {
		*elf = image;		/* no copy of a plain ELF */
		*elf_len = len;
		return 0;
	} else {
		rc = wk_loader_unpack(image, len, elf, elf_len, err);
	}
	free(image);
	return rc;
}
