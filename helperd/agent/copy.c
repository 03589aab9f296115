/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * copy.c: `agent get PATH` writes a file or a tree to stdout, `agent put PATH`
 * makes one of what stdin brings: the guest's half of `colinux cp`
 * (cli/vm/copy.ts is the other).  Both run as an ordinary command of exec's.
 *
 * The stream: "coCP" and a version byte, then records.  A record is 20 bytes,
 * little-endian: kind, three zeros, u32 mode, u64 seconds and u32 nanoseconds
 * of the last change; then u16 length and the name, one component.
 *   F  a file; pieces of up to 64 KiB follow, u32 length and bytes; 0 ends it
 *      well, 0xffffffff says that its reader failed: nothing is made of it;
 *      with the highest bit the bytes are one piece packed by zlib
 *   D  a folder, whose records follow up to its U
 *   L  a link; u16 length and its target follow
 *   U  back to the folder above        Z  the end
 * A file gets its name when it is whole and on the disk, never before.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "agent.h"

#define COPY_MAGIC	"coCP\2"
#define COPY_RECORD	20u
#define COPY_PIECE	65536u
#define COPY_FAILED	0xffffffffu
#define COPY_PACKED	0x80000000u
#define COPY_UNTRIED	15u		/* pieces after one that zlib did not make much smaller */
#define COPY_DEPTH	64u

struct copy_record {
	char kind;
	mode_t mode;
	struct timespec changed;
	char name[NAME_MAX + 1];
};

static const char *copy_path;		/* as the user named it, for messages */

static void __attribute__((noreturn, format(printf, 1, 2))) copy_fail(const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fprintf(stderr, "%s: ", copy_path);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fprintf(stderr, "\n");
	_exit(1);
}

/* ---- get -------------------------------------------------------------------- */

static void copy_put(const void *data, size_t len)
{
	if (len && fwrite(data, len, 1, stdout) != 1)
		copy_fail("the connection broke");
}

static void copy_put_text(const char *text, size_t len)
{
	uint8_t head[2];

	frame_put16(head, (uint32_t)len);
	copy_put(head, 2);
	copy_put(text, len);
}

static void copy_put_record(char kind, const struct stat *s, const char *name)
{
	uint8_t head[COPY_RECORD] = { (uint8_t)kind };

	if (s) {
		frame_put32(head + 4, s->st_mode & 07777);
		frame_put32(head + 8, (uint32_t)s->st_mtim.tv_sec);
		frame_put32(head + 12, (uint32_t)((uint64_t)s->st_mtim.tv_sec >> 32));
		frame_put32(head + 16, (uint32_t)s->st_mtim.tv_nsec);
	}
	copy_put(head, sizeof(head));
	copy_put_text(name, strlen(name));
}

static void copy_get_file(int fd)
{
	static uint8_t data[COPY_PIECE], packed[COPY_PIECE];
	unsigned int untried = 0;
	uint8_t head[4];
	ssize_t n;

	while ((n = read(fd, data, sizeof(data))) > 0) {
		uLongf len = (uLongf)n / 8 * 7;
		bool smaller = false;

		if (untried)
			untried--;
		else if (!(smaller = compress2(packed, &len, data, (uLong)n, 1) == Z_OK))
			untried = COPY_UNTRIED;
		frame_put32(head, smaller ? COPY_PACKED | (uint32_t)len : (uint32_t)n);
		copy_put(head, 4);
		copy_put(smaller ? packed : data, smaller ? len : (size_t)n);
	}
	frame_put32(head, n ? COPY_FAILED : 0);
	copy_put(head, 4);
}

static void copy_get(int at, const char *entry, const char *name, unsigned int depth);

static void copy_get_folder(int fd, unsigned int depth)
{
	DIR *folder = fdopendir(fd);
	struct dirent *e;

	if (!folder)
		copy_fail("%s", strerror(errno));
	while (errno = 0, (e = readdir(folder)))
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			copy_get(dirfd(folder), e->d_name, e->d_name, depth + 1);
	if (errno)
		copy_fail("%s", strerror(errno));
	closedir(folder);
	copy_put_record('U', NULL, "");
}

/* depth 0: what the user named, where a link stands for what it names. */
static void copy_get(int at, const char *entry, const char *name, unsigned int depth)
{
	char target[PATH_MAX];
	struct stat s;
	ssize_t n;
	int fd;

	if (fstatat(at, entry, &s, depth ? AT_SYMLINK_NOFOLLOW : 0))
		copy_fail("%s%s%s", depth ? entry : "", depth ? ": " : "", strerror(errno));
	if (S_ISLNK(s.st_mode)) {
		n = readlinkat(at, entry, target, sizeof(target));
		if (n < 0 || n == sizeof(target))
			copy_fail("%s: %s", entry, n < 0 ? strerror(errno) : "its target is too long");
		copy_put_record('L', &s, name);
		copy_put_text(target, (size_t)n);
		return;
	}
	if (!S_ISREG(s.st_mode) && !S_ISDIR(s.st_mode)) {
		if (!depth)
			copy_fail("neither a file nor a folder");
		fprintf(stderr, "%s: %s: left out, neither a file nor a folder\n", copy_path, entry);
		return;
	}
	if (depth > COPY_DEPTH)
		copy_fail("%s: more than %u folders deep", entry, COPY_DEPTH);
	fd = openat(at, entry, O_RDONLY | O_CLOEXEC | (depth ? O_NOFOLLOW : 0));
	if (fd < 0)
		copy_fail("%s%s%s", depth ? entry : "", depth ? ": " : "", strerror(errno));
	copy_put_record(S_ISDIR(s.st_mode) ? 'D' : 'F', &s, name);
	if (S_ISDIR(s.st_mode)) {
		copy_get_folder(fd, depth);
		return;
	}
	copy_get_file(fd);
	close(fd);
}

static int copy_get_main(const char *path)
{
	char real[PATH_MAX];
	const char *name;

	if (!realpath(path, real))
		copy_fail("%s", strerror(errno));
	name = strrchr(real, '/') + 1;
	setvbuf(stdout, NULL, _IOFBF, COPY_PIECE + 64);
	copy_put(COPY_MAGIC, sizeof(COPY_MAGIC) - 1);
	copy_get(AT_FDCWD, path, *name ? name : "root", 0);
	copy_put_record('Z', NULL, "");
	if (fflush(stdout))
		copy_fail("the connection broke");
	return 0;
}

/* ---- put ---------------------------------------------------------------------- */

static void copy_take(void *data, size_t len)
{
	if (len && fread(data, len, 1, stdin) != 1)
		copy_fail("what came ended too early: nothing was made of it");
}

static size_t copy_take_text(char *text, size_t room)
{
	uint8_t head[2];
	size_t len;

	copy_take(head, 2);
	len = frame_get16(head);
	if (len >= room)
		copy_fail("a name of %zu bytes is too long", len);
	copy_take(text, len);
	text[len] = 0;
	if (strlen(text) != len)
		copy_fail("a name holds a NUL");
	return len;
}

static char copy_take_record(struct copy_record *r)
{
	uint8_t head[COPY_RECORD];

	copy_take(head, sizeof(head));
	r->kind = (char)head[0];
	r->mode = frame_get32(head + 4) & 07777;
	r->changed.tv_sec = (time_t)((uint64_t)frame_get32(head + 12) << 32 | frame_get32(head + 8));
	r->changed.tv_nsec = frame_get32(head + 16) % 1000000000;
	copy_take_text(r->name, sizeof(r->name));
	if (strchr("FDL", r->kind) && (!r->name[0] || strchr(r->name, '/') || !strcmp(r->name, ".") ||
				       !strcmp(r->name, "..")))
		copy_fail("\"%s\" is no name of a file", r->name);
	return r->kind;
}

static int copy_write(int fd, const uint8_t *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno != EINTR)
			return -1;
		data += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void copy_put_file(int at, const struct copy_record *r)
{
	static uint8_t data[COPY_PIECE], packed[COPY_PIECE];
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, r->changed };
	const char *failed = NULL;
	char fresh[64];
	uint8_t head[4], *into;
	uint32_t n;
	uLongf len;
	int fd;

	snprintf(fresh, sizeof(fresh), ".colinux-%d.new", (int)getpid());
	fd = openat(at, fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		copy_fail("%s: %s", r->name, strerror(errno));
	for (;;) {
		if (fread(head, 4, 1, stdin) != 1) {
			failed = "what came ended too early";
			break;
		}
		n = frame_get32(head);
		if (!n)
			break;
		into = n & COPY_PACKED ? packed : data;
		len = n & ~COPY_PACKED;
		if (n == COPY_FAILED)
			failed = "its reader failed";
		else if (len > COPY_PIECE || fread(into, len, 1, stdin) != 1)
			failed = "what came ended too early";
		else if (into == packed && (len = sizeof(data), uncompress(data, &len, packed, n & ~COPY_PACKED) != Z_OK))
			failed = "a piece of it is damaged";
		else if (copy_write(fd, data, len))
			failed = strerror(errno);
		if (failed)
			break;
	}
	if (!failed && (fchmod(fd, r->mode) || futimens(fd, times) || fsync(fd) ||
			renameat(at, fresh, at, r->name)))
		failed = strerror(errno);
	close(fd);
	if (!failed)
		return;
	unlinkat(at, fresh, 0);
	copy_fail("%s: %s", r->name, failed);
}

static void copy_put_link(int at, const struct copy_record *r)
{
	char target[PATH_MAX], fresh[64];

	copy_take_text(target, sizeof(target));
	snprintf(fresh, sizeof(fresh), ".colinux-%d.new", (int)getpid());
	if (symlinkat(target, at, fresh))
		copy_fail("%s: %s", r->name, strerror(errno));
	if (renameat(at, fresh, at, r->name)) {
		unlinkat(at, fresh, 0);
		copy_fail("%s: %s", r->name, strerror(errno));
	}
}

static void copy_put_folder(int at, const struct copy_record *r, unsigned int depth);

static void copy_put_one(int at, const struct copy_record *r, unsigned int depth)
{
	if (r->kind == 'F')
		copy_put_file(at, r);
	else if (r->kind == 'L')
		copy_put_link(at, r);
	else if (r->kind == 'D' && depth < COPY_DEPTH)
		copy_put_folder(at, r, depth + 1);
	else
		copy_fail("a record of kind 0x%02x", (unsigned char)r->kind);
}

static void copy_put_folder(int at, const struct copy_record *r, unsigned int depth)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, r->changed };
	struct copy_record inner;
	int fd;

	if (mkdirat(at, r->name, 0700) && errno != EEXIST)
		copy_fail("%s: %s", r->name, strerror(errno));
	fd = openat(at, r->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		copy_fail("%s: %s", r->name, strerror(errno));
	while (copy_take_record(&inner) != 'U')
		copy_put_one(fd, &inner, depth);
	if (fchmod(fd, r->mode) || futimens(fd, times) || fsync(fd))
		copy_fail("%s: %s", r->name, strerror(errno));
	close(fd);
}

/* Into the folder that path is; or under its last part, in the folder before it. */
static int copy_place(const char *path, struct copy_record *r)
{
	char folder[PATH_MAX];
	size_t len = strlen(path);
	const char *slash = strrchr(path, '/');
	struct stat s;
	int fd;

	if (len >= sizeof(folder))
		copy_fail("the path is too long");
	if (!stat(path, &s) && S_ISDIR(s.st_mode)) {
		strcpy(folder, path);
	} else {
		if (!len || path[len - 1] == '/')
			copy_fail("there is no such folder");
		if (snprintf(r->name, sizeof(r->name), "%s", slash ? slash + 1 : path) >= (int)sizeof(r->name))
			copy_fail("the name is too long");
		snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
	}
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		copy_fail("%s: %s", folder, strerror(errno));
	if (r->kind == 'D' && !fstatat(fd, r->name, &s, 0) && !S_ISDIR(s.st_mode))
		copy_fail("a folder cannot take a file's place");
	if (r->kind == 'F' && !fstatat(fd, r->name, &s, 0) && S_ISDIR(s.st_mode))
		copy_fail("a file cannot take a folder's place");
	return fd;
}

static int copy_put_main(const char *path)
{
	struct copy_record r;
	char magic[sizeof(COPY_MAGIC) - 1];
	int at;

	/* When the copy is given up stdin ends, and what was begun is taken away. */
	signal(SIGHUP, SIG_IGN);
	setvbuf(stdin, NULL, _IOFBF, COPY_PIECE);
	copy_take(magic, sizeof(magic));
	if (memcmp(magic, COPY_MAGIC, sizeof(magic)))
		copy_fail("the copy is of another version: build the guest's image again");
	copy_take_record(&r);
	at = copy_place(path, &r);
	copy_put_one(at, &r, 0);
	if (fsync(at) && errno != EINVAL)
		copy_fail("%s", strerror(errno));
	if (copy_take_record(&r) != 'Z')
		copy_fail("something came after the end");
	return 0;
}

int copy_main(int argc, char **argv)
{
	if (argc == 3) {
		copy_path = argv[2];
		if (!strcmp(argv[1], "get"))
			return copy_get_main(argv[2]);
		if (!strcmp(argv[1], "put"))
			return copy_put_main(argv[2]);
	}
	fprintf(stderr, "usage: agent [DEVICE] | agent get PATH | agent put PATH\n");
	return 64;
}
