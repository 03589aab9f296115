/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * block_file.c: the file or block device behind a disk.
 *
 * Opened by block.c as the VM's owner, before the sandbox closes; flushed and
 * discarded by block_io.c's threads.
 *
 * The lock keeps a second VM away, and QEMU, whose image locks are OFD locks on
 * single bytes of the file: byte 100 + n says "I use permission n", 200 + n "no
 * other may".  A writer locks the whole file.  A reader locks as QEMU's readers
 * do, so that readers share.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/sysmacros.h>
#endif
#ifdef __APPLE__
#include <sys/disk.h>
#include <sys/file.h>
#endif

#include "block.h"
#include "log.h"

#ifdef __linux__
enum { WK_LOCK_USED = 100, WK_LOCK_DENIED = 200 };		/* QEMU's numbers */
enum { WK_LOCK_READ = 0, WK_LOCK_WRITE = 1, WK_LOCK_RESIZE = 3 };

static int wk_disk_lock_bytes(int fd, short type, off_t start, off_t len)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len };

	return fcntl(fd, F_OFD_SETLK, &l);
}

/* 0: nobody holds the byte; else -1 and EAGAIN. */
static int wk_disk_lock_ask(int fd, off_t byte)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_GETLK, &l))
		return -1;
	if (l.l_type == F_UNLCK)
		return 0;
	errno = EAGAIN;
	return -1;
}

static int wk_disk_lock(int fd, bool read_only)
{
	if (!read_only)
		return wk_disk_lock_bytes(fd, F_WRLCK, 0, 0);
	if (wk_disk_lock_bytes(fd, F_RDLCK, WK_LOCK_USED + WK_LOCK_READ, 1) ||
	    wk_disk_lock_bytes(fd, F_RDLCK, WK_LOCK_DENIED + WK_LOCK_WRITE, 1) ||
	    wk_disk_lock_bytes(fd, F_RDLCK, WK_LOCK_DENIED + WK_LOCK_RESIZE, 1))
		return -1;
	return wk_disk_lock_ask(fd, WK_LOCK_USED + WK_LOCK_WRITE) ||
	       wk_disk_lock_ask(fd, WK_LOCK_USED + WK_LOCK_RESIZE) ? -1 : 0;
}

static int wk_disk_device_size(int fd, uint64_t *bytes)
{
	return ioctl(fd, BLKGETSIZE64, bytes);
}

/* What the block layer says; 0 where it cannot discard. */
static uint32_t wk_disk_device_discard(dev_t device)
{
	char path[80], text[32] = "";
	unsigned long long most = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/queue/discard_max_bytes", major(device),
		 minor(device));
	f = fopen(path, "re");
	if (f) {
		if (fgets(text, sizeof(text), f))
			sscanf(text, "%llu", &most);
		fclose(f);
	}
	return most ? 4096 : 0;
}

/* A hole behind the end is no change: only the answer counts. */
static uint32_t wk_disk_file_discard(int fd, uint64_t end)
{
	off_t behind = (off_t)((end + 4095) & ~4095ull);

	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, behind, 4096) ? 0 : 4096;
}
#endif

#ifdef __linux__
/* A description of its own, of the very same file. */
static int wk_disk_open_direct(const struct wk_disk_file *f)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	return open(path, O_DIRECT | O_CLOEXEC | (f->read_only ? O_RDONLY : O_RDWR));
}
#endif

#ifdef __APPLE__
static int wk_disk_open_direct(const struct wk_disk_file *f)
{
	(void)f;
	return -1;
}

static int wk_disk_lock(int fd, bool read_only)
{
	return flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB);
}

static int wk_disk_device_size(int fd, uint64_t *bytes)
{
	uint64_t count;
	uint32_t size;

	if (ioctl(fd, DKIOCGETBLOCKCOUNT, &count) || ioctl(fd, DKIOCGETBLOCKSIZE, &size))
		return -1;
	*bytes = count * size;
	return 0;
}

static uint32_t wk_disk_device_discard(dev_t device)
{
	(void)device;
	return 0;
}

static uint32_t wk_disk_file_discard(int fd, uint64_t end)
{
	(void)fd;
	(void)end;
	return 4096;
}
#endif

int wk_disk_flush(const struct wk_disk_file *f)
{
#ifdef __APPLE__
	/* fsync leaves it in the drive's cache. */
	return fcntl(f->fd, F_FULLFSYNC) ? errno : 0;
#else
	return fdatasync(f->fd) ? errno : 0;
#endif
}

int wk_disk_discard(const struct wk_disk_file *f, uint64_t sector, uint64_t count)
{
#ifdef __APPLE__
	struct fpunchhole hole = { .fp_offset = (off_t)(sector * WK_DISK_SECTOR),
				   .fp_length = (off_t)(count * WK_DISK_SECTOR) };

	return fcntl(f->fd, F_PUNCHHOLE, &hole) ? errno : 0;
#else
	uint64_t range[2] = { sector * WK_DISK_SECTOR, count * WK_DISK_SECTOR };

	if (f->device)
		return ioctl(f->fd, BLKDISCARD, range) ? errno : 0;
	return fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)range[0], (off_t)range[1])
	       ? errno : 0;
#endif
}

/* ---- open -------------------------------------------------------------------------- */

static int wk_disk_open_failed(const struct wk_disk_file *f, struct err *e)
{
	int error = errno;

	if (error == EBUSY)
		return err_set(e, CO_EBUSY, "disk %s: %.150s is mounted or in use on the host", f->name, f->path);
	if (!f->read_only && (error == EACCES || error == EROFS || error == EPERM)) {
		int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

		if (fd >= 0) {
			close(fd);
			return err_set(e, CO_EDISK, "disk %s: %.140s can only be read (%s): make it writable, or"
				       " the disk readOnly", f->name, f->path, strerror(error));
		}
	}
	return err_set(e, CO_EDISK, "disk %s: %.150s: %s", f->name, f->path, strerror(error));
}

static int wk_disk_measure(struct wk_disk_file *f, const struct stat *s, const json_t *size, struct err *e)
{
	uint64_t have = (uint64_t)s->st_size, want = (uint64_t)json_integer_value(size);

	if (f->device && wk_disk_device_size(f->fd, &have))
		return err_set(e, CO_EDISK, "disk %s: %.140s: its size cannot be found: %s", f->name, f->path,
			       strerror(errno));
	if (!have)
		return err_set(e, CO_EDISK, "disk %s: %.150s is empty", f->name, f->path);
	if (size && (!want || want > have))
		return err_set(e, CO_EDISK, "disk %s: %.130s has %llu bytes, not %llu", f->name, f->path,
			       (unsigned long long)have, (unsigned long long)want);
	if (size)
		have = want;
	if (have % WK_DISK_SECTOR)
		return err_set(e, CO_EDISK, "disk %s: %.120s has %llu bytes, which is not a multiple of %u",
			       f->name, f->path, (unsigned long long)have, WK_DISK_SECTOR);
	f->sectors = have / WK_DISK_SECTOR;
	return 0;
}

static int wk_disk_open_path(struct wk_disk_file *f, const json_t *size, bool aio, struct err *e)
{
	/* O_NONBLOCK: a FIFO or a terminal must not hold us up before we see what it is. */
	int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (f->read_only ? O_RDONLY : O_RDWR), err;
	struct stat s;

	if (stat(f->path, &s))
		return wk_disk_open_failed(f, e);
	if (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode))
		return err_set(e, CO_EDISK, "disk %s: %.150s is neither a file nor a block device", f->name,
			       f->path);
	/* Not a device that the host has mounted: two file systems on one disk destroy it. */
	if (S_ISBLK(s.st_mode) && !f->read_only)
		flags |= O_EXCL;
	f->fd = open(f->path, flags);
	if (f->fd < 0)
		return wk_disk_open_failed(f, e);
	/* It may be another file by now. */
	if (fstat(f->fd, &s) || (!S_ISREG(s.st_mode) && !S_ISBLK(s.st_mode)))
		return err_set(e, CO_EDISK, "disk %s: %.150s is neither a file nor a block device", f->name,
			       f->path);
	f->device = S_ISBLK(s.st_mode);
	if (wk_disk_lock(f->fd, f->read_only)) {
		if (errno == EAGAIN || errno == EACCES || errno == EWOULDBLOCK)
			return err_set(e, CO_EBUSY, "disk %s: %.150s is in use by another VM", f->name, f->path);
		return err_set(e, CO_EDISK, "disk %s: %.140s cannot be locked: %s", f->name, f->path,
			       strerror(errno));
	}
	err = wk_disk_measure(f, &s, size, e);
	if (!err && aio)
		f->direct = wk_disk_open_direct(f);
	if (!err && !f->read_only)
		f->discard = f->device ? wk_disk_device_discard(s.st_rdev)
				       : wk_disk_file_discard(f->fd, (uint64_t)s.st_size);
	return err;
}

int wk_disk_open(struct wk_disk_file *f, const json_t *spec, bool aio, struct err *e)
{
	const char *name = json_string_value(json_object_get(spec, "name"));
	int err;

	f->fd = f->direct = -1;
	f->path = json_string_value(json_object_get(spec, "path"));
	f->read_only = json_is_true(json_object_get(spec, "readOnly"));
	if (!name || !name[0] || strlen(name) >= WK_DISK_NAME)
		return err_set(e, CO_EINVAL, "a disk's name has 1 to %u bytes", WK_DISK_NAME - 1);
	strcpy(f->name, name);
	log_clean(f->name);
	if (!f->path || f->path[0] != '/')
		return err_set(e, CO_EINVAL, "disk %s: its path must be absolute", f->name);
	err = wk_disk_open_path(f, json_object_get(spec, "size"), aio, e);
	if (err && f->fd >= 0) {
		close(f->fd);
		f->fd = -1;
	}
	return err;
}
