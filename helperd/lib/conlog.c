/* SPDX-License-Identifier: GPL-2.0-or-later */
/* conlog.c: see conlog.h.  One writer (the worker), any number of readers. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conlog.h"

#define CONLOG_MASK	(CONLOG_BYTES - 1)

int conlog_create(void)
{
#ifdef __linux__
	int fd = memfd_create("colinux-console", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	/* A worker that could shrink it would make colinuxd's reads fault. */
	if (fd >= 0 && (ftruncate(fd, sizeof(struct conlog)) ||
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))) {
		close(fd);
		return -1;
	}
	return fd;
#else
	/* POSIX shared memory cannot be resized once it is mapped on macOS. */
	char name[] = "/colinux-console";
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (fd < 0)
		return -1;
	shm_unlink(name);
	if (ftruncate(fd, sizeof(struct conlog))) {
		close(fd);
		return -1;
	}
	return fd;
#endif
}

struct conlog *conlog_map(int fd, int writable)
{
	void *p = mmap(NULL, sizeof(struct conlog), PROT_READ | (writable ? PROT_WRITE : 0),
		       MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void conlog_unmap(struct conlog *c)
{
	if (c)
		munmap(c, sizeof(*c));
}

uint64_t conlog_head(const struct conlog *c)
{
	return __atomic_load_n(&c->head, __ATOMIC_ACQUIRE);
}

void conlog_write(struct conlog *c, const char *data, size_t len)
{
	uint64_t head = c->head;

	while (len) {
		size_t at = head & CONLOG_MASK;
		size_t n = CONLOG_BYTES - at < len ? CONLOG_BYTES - at : len;

		memcpy(c->data + at, data, n);
		head += n;
		data += n;
		len -= n;
		__atomic_store_n(&c->head, head, __ATOMIC_RELEASE);
	}
}

size_t conlog_read(const struct conlog *c, uint64_t *cursor, char *out, size_t max, uint64_t *dropped)
{
	for (int tries = 0; ; tries++) {
		uint64_t head = conlog_head(c), have = head - *cursor;
		size_t n, at;

		/* A head that ran backwards is a lying writer: take it as nothing new. */
		if (have > UINT64_MAX / 2) {
			*cursor = head;
			return 0;
		}
		if (have > CONLOG_BYTES) {
			*dropped += have - CONLOG_BYTES;
			*cursor = head - CONLOG_BYTES;
			have = CONLOG_BYTES;
		}
		n = have < max ? (size_t)have : max;
		at = *cursor & CONLOG_MASK;
		if (at + n <= CONLOG_BYTES) {
			memcpy(out, c->data + at, n);
		} else {
			memcpy(out, c->data + at, CONLOG_BYTES - at);
			memcpy(out + (CONLOG_BYTES - at), c->data, n - (CONLOG_BYTES - at));
		}
		/* Overwritten while it was copied?  Again; a racing liar gets garbage. */
		if (conlog_head(c) - *cursor > CONLOG_BYTES && tries < 3)
			continue;
		*cursor += n;
		return n;
	}
}
